use super::*;

fn client(id: &str) -> ClientDraft<SecretString> {
    ClientDraft { id: id.into(), secret: None, private_key: None, key_id: None, method: None }
}

fn draft(kind: DraftKind) -> AuthDraft<SecretString> {
    AuthDraft::new(kind)
}

fn faults(draft: AuthDraft<SecretString>) -> Vec<String> {
    let faults = draft.check().err().unwrap_or_default();
    faults.iter().map(|fault| format!("{}: {}", fault.field, fault.problem)).collect()
}

fn method(client: ClientDraft<SecretString>) -> &'static str {
    let checked = AuthDraft { client: Some(client), ..draft(DraftKind::OAuth) }.check();
    let Ok(CheckedAuth::OAuth(OAuthSettings { client: Some(client), .. })) = checked else {
        panic!("an OAuth client: {checked:?}")
    };
    client.authentication.as_str()
}

#[test]
fn nothing_is_needed_where_the_server_describes_itself() {
    let Ok(CheckedAuth::OAuth(settings)) = draft(DraftKind::OAuth).check() else { panic!("good") };
    assert_eq!(settings.authorization_server, AuthorizationServerSettings::Discovered);
    assert!(settings.client.is_none() && settings.scopes.is_none() && !settings.assume_pkce);
}

#[test]
fn the_method_follows_from_what_is_given() {
    let secret = || Some(SecretString::from("hunter2"));
    let key = jwt_simple::algorithms::Ed25519KeyPair::generate().to_pem();
    assert_eq!(method(client("id")), "none");
    assert_eq!(method(ClientDraft { secret: secret(), ..client("id") }), "client_secret_basic");
    let key = Some(SecretString::from(key));
    assert_eq!(method(ClientDraft { private_key: key, ..client("id") }), "private_key_jwt");
    let post = Some(ClientMethod::ClientSecretPost);
    assert_eq!(method(ClientDraft { secret: secret(), method: post, ..client("id") }), "client_secret_post");
}

#[test]
fn every_fault_is_named_and_no_secret_repeated() {
    let bad = AuthDraft {
        client: Some(ClientDraft {
            secret: Some(SecretString::from("hunter2\n")),
            private_key: Some(SecretString::from("hunter3")),
            key_id: Some("k".into()),
            ..client("my client")
        }),
        scopes: Some(vec!["read".into(), "read write".into()]),
        authorize_parameters: BTreeMap::from([("redirect_uri".into(), "https://evil.example".into())]),
        token_parameters: BTreeMap::from([("audience".into(), "api".into())]),
        authorization_server: Some(AuthorizationServerDraft {
            issuer: "http://as.example".into(),
            revocation_endpoint: Some("https://me:hunter4@as.example".into()),
            ..AuthorizationServerDraft::default()
        }),
        ..draft(DraftKind::OAuth)
    };
    let faults = faults(bad);
    let fields: Vec<&str> = faults.iter().filter_map(|fault| fault.split_once(": ")).map(|it| it.0).collect();
    assert_eq!(
        fields,
        [
            "token_parameters",
            "scopes[1]",
            "authorize_parameters.redirect_uri",
            "authorization_server.issuer",
            "authorization_server.authorization_endpoint",
            "authorization_server.token_endpoint",
            "authorization_server.revocation_endpoint",
            "client.id",
            "client.secret",
            "client.private_key",
            "client.private_key",
            "client.key_id",
        ]
    );
    assert!(!faults.concat().contains("hunter"), "{faults:?}");
}

#[test]
fn client_credentials_need_a_client_that_can_authenticate() {
    assert_eq!(faults(draft(DraftKind::ClientCredentials)), ["client: is missing"]);
    let public = AuthDraft { client: Some(client("id")), ..draft(DraftKind::ClientCredentials) };
    assert_eq!(faults(public), ["client.method: client_credentials needs a client that can authenticate"]);
    let unfitting = AuthDraft {
        client: Some(ClientDraft { secret: Some(SecretString::from("s")), ..client("id") }),
        assume_pkce: Some(true),
        preset: Some("linear".into()),
        ..draft(DraftKind::ClientCredentials)
    };
    assert_eq!(faults(unfitting).len(), 2);
}

#[test]
fn endpoints_are_given_all_or_none() {
    let issuer = || AuthorizationServerDraft { issuer: "https://as.example".into(), ..Default::default() };
    let with = |server| AuthDraft { authorization_server: Some(server), ..draft(DraftKind::OAuth) };
    let Ok(CheckedAuth::OAuth(settings)) = with(issuer()).check() else { panic!("good") };
    let named = AuthorizationServerSettings::Issuer { issuer: "https://as.example".into() };
    assert_eq!(settings.authorization_server, named);
    let half = AuthorizationServerDraft { token_endpoint: Some("https://as.example/t".into()), ..issuer() };
    assert_eq!(
        faults(with(half.clone())),
        ["authorization_server.authorization_endpoint: is missing next to the other endpoints"]
    );
    let whole =
        AuthorizationServerDraft { authorization_endpoint: Some("https://as.example/a".into()), ..half };
    assert_eq!(faults(with(whole)), [""; 0]);
}
