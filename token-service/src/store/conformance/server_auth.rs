//! How servers are authenticated to: every kind, and from each to the next.

use std::collections::BTreeMap;

use super::Database;
use super::fixtures::*;
use crate::domain::Revision;
use crate::domain::connection::ConnectionOwner;
use crate::domain::provisioning::Admission;
use crate::domain::server::{
    AuthorizationServerSettings, ClientAuthentication, ClientCredentialsSettings, ClientSettings,
    OAuthSettings, Sealed, SealedSecret, ServerAuth, ServerSettings,
};
use crate::store::{Declaration, DeclaredServer, DeclaredWorkspaces, NewServer};

/// Every kind of `auth`, with and without what is optional.
fn auths() -> Vec<ServerAuth> {
    let secret = |generation| SealedSecret { generation, value: Sealed::new(vec![0, 255, 7]) };
    let client = |authentication| ClientSettings { client_id: "gateway".into(), authentication };
    let fixed = AuthorizationServerSettings::Fixed {
        issuer: UPSTREAM_ISSUER.into(),
        authorization_endpoint: None,
        token_endpoint: "https://login.example/token".into(),
        registration_endpoint: Some("https://login.example/register".into()),
        revocation_endpoint: Some("https://login.example/revoke".into()),
    };
    let with_client =
        |authentication| OAuthSettings { client: Some(client(authentication)), ..OAuthSettings::default() };
    let shared = |authentication| ClientCredentialsSettings {
        client: client(authentication),
        scopes: Some(vec![]),
        token_parameters: BTreeMap::from([("audience".into(), "x".into())]),
        authorization_server: fixed.clone(),
    };
    let key = |key_id: Option<&str>| ClientAuthentication::PrivateKeyJwt {
        key: secret(3),
        key_id: key_id.map(str::to_owned),
    };
    vec![
        ServerAuth::None,
        ServerAuth::OAuth(Box::default()),
        ServerAuth::OAuth(Box::new(with_client(ClientAuthentication::None))),
        ServerAuth::OAuth(Box::new(with_client(ClientAuthentication::SecretBasic(secret(1))))),
        ServerAuth::OAuth(Box::new(with_client(key(Some("k1"))))),
        ServerAuth::ClientCredentials(Box::new(shared(ClientAuthentication::SecretPost(secret(2))))),
        ServerAuth::ClientCredentials(Box::new(shared(key(None)))),
        ServerAuth::Headers(vec![header("authorization", 1)]),
        oauth_settings("https://mcp.example/mcp").auth,
        ServerAuth::None,
    ]
}

pub(in crate::store) async fn oauth_settings_read_back_as_written(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    for (number, auth) in (1..).zip(auths()) {
        let settings = ServerSettings { auth, ..settings("Made") };
        let new = NewServer { settings, ..new_server(number) };
        let made = store.create_server(&new).await.expect("makes");
        assert_eq!(made.settings, new.settings);
        assert_eq!(other.server(&made.id).await.expect("reads"), Some(made.clone()));
        assert_eq!(other.server_by_slug(&made.slug).await.expect("reads"), Some(made));
    }
    // From each kind to the next; what the old kind kept is gone.
    let mut server = store.create_server(&new_server(99)).await.expect("makes");
    for auth in auths() {
        let settings = ServerSettings { auth, ..server.settings.clone() };
        let before = server.revision;
        server = store.change_server(&server.id, &settings, None).await.expect("changes").expect("is there");
        assert_eq!((&server.settings, server.revision > before), (&settings, true));
        assert_eq!(other.server(&server.id).await.expect("reads").as_ref(), Some(&server));
        let again = store.change_server(&server.id, &settings, None).await.expect("changes");
        assert_eq!(again.as_ref(), Some(&server), "the same again is no change");
    }
    let all = other.servers().await.expect("reads");
    let mut expected: Vec<ServerAuth> = auths();
    expected.push(ServerAuth::None);
    let mut numbered: Vec<(u32, ServerAuth)> = all
        .into_iter()
        .map(|server| {
            let number = server.slug.as_str().rsplit('-').next().and_then(|digits| digits.parse().ok());
            (number.expect("a number"), server.settings.auth)
        })
        .collect();
    numbered.sort_by_key(|(number, _)| *number);
    assert_eq!(numbered.into_iter().map(|(_, auth)| auth).collect::<Vec<_>>(), expected);
}

pub(in crate::store) async fn declarations_with_oauth_are_applied_once(database: &dyn Database) {
    let store = database.open().await;
    let mut server = DeclaredServer {
        id: "srv_1".into(),
        slug: slug("server-1"),
        settings: oauth_settings("https://mcp.example/mcp"),
        workspaces: DeclaredWorkspaces::All,
        admission: Admission::default(),
    };
    server.settings.provision_new_workspaces = true;
    let mut declaration = Declaration { servers: vec![server], ..Declaration::default() };
    let one = store.declare(&declaration, Revision(0)).await.expect("declares");
    let read = store.server(&"srv_1".into()).await.expect("reads").expect("is there");
    assert_eq!(read.settings, declaration.servers[0].settings);
    assert_eq!(store.declare(&declaration, one).await.expect("declares"), one);

    let shared = new_connection(&read, ConnectionOwner::Shared, 1);
    let connection = store.connect(&shared).await.expect("connects");
    declaration.servers[0].settings.auth = ServerAuth::OAuth(Box::default());
    let two = store.declare(&declaration, connection.revision).await.expect("declares");
    assert!(two > connection.revision);
    let read = store.server(&"srv_1".into()).await.expect("reads").expect("is there");
    assert_eq!(read.settings.auth, ServerAuth::OAuth(Box::default()), "the secret is gone");
    assert_eq!(store.connection(&connection.id).await.expect("reads"), Some(connection));
    store.declare(&Declaration::default(), two).await.expect("declares");
    assert_eq!(store.servers().await.expect("reads"), []);
}
