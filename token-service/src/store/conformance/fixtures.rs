//! Objects to try things with. Every name is made unique by a number.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_wire::digest::Digest;
use portcullis_wire::names::Slug;
use portcullis_wire::payload::Redaction;
use portcullis_wire::policy::{NameRules, Pattern};
use portcullis_wire::watch::{Algorithm, Invalidation, PayloadPolicy, VerificationKey};

use crate::clock::Timestamp;
use crate::domain::connection::{Binding, Connection, ConnectionOwner, SealedTokens};
use crate::domain::header::HeaderName;
use crate::domain::issuer::{Issuer, IssuerSettings, TokenSource, WorkspaceMapping};
use crate::domain::payload::PayloadSettings;
use crate::domain::people::{
    Identity, KeyOwner, KeyScope, KeySettings, Member, MemberRole, OrganizationRole, Workspace,
};
use crate::domain::policy::ServerRules;
use crate::domain::server::{
    AuthorizationServerSettings, ClientAuthentication, ClientSettings, OAuthSettings, Sealed, SealedHeader,
    SealedSecret, Server, ServerAuth, ServerSettings,
};
use crate::domain::token_rules::TokenRules;
use crate::domain::url::{PlainHttp, ServerUrl};
use crate::domain::{Origin, Revision};
use crate::store::connections::{ClientKind, NewConnection, RegisteredClient};
use crate::store::{
    ChangeSet, InitialWorkspaces, NewAdministrator, NewKey, NewMember, NewServer, NewWorkspace, Since, Store,
    WorkspaceChange,
};

pub(super) const ISSUER: &str = "https://idp.example";

pub(super) fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

pub(super) fn settings(name: &str) -> ServerSettings {
    ServerSettings {
        name: name.to_owned(),
        url: ServerUrl::parse("https://mcp.example/mcp?x=1", PlainHttp::Refused).expect("a URL"),
        auth: ServerAuth::Headers(vec![header("x-second", 7), header("authorization", 1)]),
        payload: PayloadSettings {
            policy: PayloadPolicy::Redacted,
            limit: 9_000,
            redact: Redaction { parameters: vec!["/arguments/a".to_owned()], response: Vec::new() },
        },
        provision_new_workspaces: false,
        concurrency: Some(7),
    }
}

pub(super) fn header(name: &str, generation: u64) -> SealedHeader {
    SealedHeader {
        name: HeaderName::parse(name).expect("a name"),
        generation,
        value: Sealed::new(vec![0, 255, 3]),
    }
}

pub(super) fn new_server(number: u32) -> NewServer {
    NewServer {
        id: format!("srv_{number}").into(),
        slug: slug(&format!("server-{number}")),
        settings: settings(&format!("Server {number}")),
        workspaces: InitialWorkspaces::Only(BTreeSet::new()),
    }
}

pub(super) fn new_workspace(number: u32) -> NewWorkspace {
    NewWorkspace {
        id: format!("wsp_{number}").into(),
        slug: slug(&format!("team-{number}")),
        name: format!("Team {number}"),
        staleness: None,
    }
}

/// A change of nothing but the name.
pub(super) fn named(name: &str) -> WorkspaceChange {
    WorkspaceChange { name: name.to_owned(), staleness: None }
}

pub(super) fn new_member(number: u32, workspace: &Workspace) -> NewMember {
    NewMember {
        id: format!("mem_{number}").into(),
        workspace: workspace.id.clone(),
        identity: identity(number),
        name: format!("Member {number}"),
        role: MemberRole::Member,
    }
}

pub(super) fn new_administrator(number: u32, role: OrganizationRole) -> NewAdministrator {
    NewAdministrator {
        id: format!("adm_{number}").into(),
        identity: identity(number),
        name: format!("Administrator {number}"),
        role,
    }
}

pub(super) fn identity(number: u32) -> Identity {
    Identity { issuer: ISSUER.into(), subject: format!("subject-{number}") }
}

pub(super) fn new_key(number: u32, workspace: &Workspace, owner: KeyOwner) -> NewKey {
    NewKey {
        id: format!("key{number:07}").as_str().into(),
        digest: Digest::of("test", &[&number.to_be_bytes()]),
        workspace: workspace.id.clone(),
        owner,
        made_by: None,
        settings: key_settings(&format!("Key {number}")),
        created_at: Timestamp(1_000),
    }
}

pub(super) fn key_settings(name: &str) -> KeySettings {
    KeySettings {
        name: name.to_owned(),
        expires_at: Some(Timestamp(5_000)),
        disabled: false,
        scope: KeyScope { read_only: true, ..KeyScope::default() },
        sources: vec!["10.0.0.0/8".parse().expect("a network")],
    }
}

pub(super) fn denying(pattern: &str) -> ServerRules {
    let tools = NameRules { allow: None, deny: vec![Pattern(pattern.to_owned())] };
    ServerRules { tools, ..ServerRules::default() }
}

pub(super) fn issuer(workspaces: WorkspaceMapping) -> Issuer {
    Issuer {
        issuer: ISSUER.into(),
        rules: TokenRules { audiences: vec!["gateway".into()], ..TokenRules::default() },
        settings: IssuerSettings::default(),
        require_at_jwt: true,
        source: TokenSource::Given,
        keys_fetched_at: None,
        keys: vec![VerificationKey {
            key_id: Some("1".into()),
            algorithm: Algorithm::EdDsa,
            spki: "AAAA".into(),
        }],
        workspaces,
        auto_provision_members: true,
        origin: Origin::Config,
        revision: Revision(0),
    }
}

/// A workspace with a member, and a server that the workspace has.
#[derive(Clone)]
pub(super) struct Small {
    pub(super) workspace: Workspace,
    pub(super) member: Member,
    pub(super) server: Server,
}

pub(super) async fn small(store: &dyn Store) -> Small {
    let workspace = store.create_workspace(&new_workspace(1)).await.expect("makes");
    let member = store.create_member(&new_member(1, &workspace)).await.expect("makes");
    let server = NewServer { workspaces: InitialWorkspaces::All, ..new_server(1) };
    let server = store.create_server(&server).await.expect("makes");
    Small { workspace, member, server }
}

pub(super) async fn revision(store: &dyn Store) -> Revision {
    store.current_revision().await.expect("reads")
}

/// What has changed since `cursor`, all of it.
pub(super) async fn changes(store: &dyn Store, cursor: Revision) -> ChangeSet {
    match store.changes_since(cursor, 10_000).await.expect("reads") {
        Since::Changes(changes) => changes,
        Since::Gap { .. } => panic!("no gap was expected"),
    }
}

pub(super) fn change_set(cursor: Revision, registry: bool, invalidations: &[Invalidation]) -> ChangeSet {
    ChangeSet { cursor, registry, invalidations: invalidations.to_vec() }
}

/// Settings of an `oauth` server with every field in use.
pub(super) fn oauth_settings(url: &str) -> ServerSettings {
    let key = SealedSecret { generation: 4, value: Sealed::new(vec![9, 0, 9]) };
    let client = ClientSettings {
        client_id: "gateway".into(),
        authentication: ClientAuthentication::PrivateKeyJwt { key, key_id: Some("k1".into()) },
    };
    let auth = OAuthSettings {
        preset: Some("linear".into()),
        client: Some(client),
        scopes: Some(vec!["write".into(), "read".into()]),
        authorize_parameters: BTreeMap::from([("access_type".into(), "offline".into())]),
        authorization_server: AuthorizationServerSettings::Issuer { issuer: UPSTREAM_ISSUER.into() },
        assume_pkce: true,
    };
    let url = ServerUrl::parse(url, PlainHttp::Refused).expect("a URL");
    ServerSettings { url, auth: ServerAuth::OAuth(Box::new(auth)), ..settings("OAuth") }
}

/// What upstream tokens in these tests are for, and from whom.
pub(super) const UPSTREAM: &str = "https://mcp.example";
pub(super) const UPSTREAM_ISSUER: &str = "https://login.example";

pub(super) fn binding() -> Binding {
    Binding { origin: UPSTREAM.into(), issuer: UPSTREAM_ISSUER.into(), client_id: "gateway".into() }
}

/// Tokens that tell generations apart; due for renewal at 800, over at 1000.
pub(super) fn tokens(generation: u64) -> SealedTokens {
    let value = |kind| Sealed::new([&[kind], generation.to_be_bytes().as_slice()].concat());
    SealedTokens {
        access: value(1),
        refresh: Some(value(2)),
        expires_at: Some(Timestamp(1_000)),
        refresh_at: Some(Timestamp(800)),
    }
}

pub(super) fn scopes(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

pub(super) fn new_connection(server: &Server, owner: ConnectionOwner, generation: u64) -> NewConnection {
    NewConnection {
        server: server.id.clone(),
        owner,
        binding: binding(),
        generation,
        tokens: tokens(generation),
        scopes: scopes(&["read"]),
        account: Some("ada@upstream.example".into()),
        now: Timestamp(500_u64.saturating_add(generation)),
    }
}

pub(super) fn of_member(member: &Member) -> ConnectionOwner {
    ConnectionOwner::Member(member.id.clone())
}

/// The connection of a small world's member, made for the first time.
pub(super) async fn connected(store: &dyn Store, small: &Small) -> Connection {
    let new = new_connection(&small.server, of_member(&small.member), 1);
    store.connect(&new).await.expect("connects")
}

/// The newest audit entries, oldest first, as action and object.
pub(super) async fn audited(store: &dyn Store, count: u32) -> Vec<(String, String)> {
    let entries = store.audit(None, count).await.expect("reads");
    entries.into_iter().rev().map(|entry| (entry.action, entry.object)).collect()
}

/// A client that was registered at [`UPSTREAM_ISSUER`].
pub(super) fn client(server: &Server, generation: u64) -> RegisteredClient {
    RegisteredClient {
        server: server.id.clone(),
        issuer: UPSTREAM_ISSUER.into(),
        client_id: format!("client-{generation}"),
        kind: ClientKind::Dynamic,
        authentication: "client_secret_basic".into(),
        secret: Some(Sealed::new(vec![1, 2])),
        secret_expires_at: Some(Timestamp(90)),
        redirect_uri: "https://gateway.example/callback".into(),
        generation,
        created_at: Timestamp(generation),
    }
}
