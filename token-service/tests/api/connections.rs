//! Connections in the admin API: listing, ending, and deciding on quarantine.

use std::collections::BTreeSet;
use std::sync::Arc;

use insta::assert_snapshot;
use portcullis_token_service::clock::SystemEntropy;
use portcullis_token_service::domain::connection::{Binding, Connection, ConnectionOwner, SealedTokens};
use portcullis_token_service::domain::ids::ServerId;
use portcullis_token_service::store::connections::NewConnection;
use portcullis_token_service::store::{ConnectionStore as _, SqlStore};
use portcullis_token_service::vault::{Place, Vault};
use reqwest::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::harness::{START, Service};

const DECLARED: &str = "
workspaces:
  - slug: core
    members:
      - {issuer: 'https://idp.example', subject: ada, name: Ada}
      - {issuer: 'https://idp.example', subject: bob, name: Bob}
  - {slug: support, members: [{issuer: 'https://idp.example', subject: eve}]}
";

/// The database of a running service, as another replica of it sees it.
struct Beside {
    store: SqlStore,
    vault: Vault,
}

impl Beside {
    async fn open(service: &Service) -> Self {
        let store = SqlStore::open_sqlite(&service.directory().path("portcullis.db")).await.expect("opens");
        let root_key = service.directory().path("root.key");
        let vault = Vault::open_with_file(&root_key, &store, Arc::new(SystemEntropy)).await.expect("opens");
        Self { store, vault }
    }

    /// What a finished consent leaves behind.
    async fn connect(&self, server: &str, member: &str, origin: &str) -> Connection {
        let (server, owner) = (ServerId::from(server), ConnectionOwner::Member(member.into()));
        let binding = Binding {
            origin: origin.into(),
            issuer: "https://login.crm.example".into(),
            client_id: "portcullis".into(),
        };
        let seal = |column, token: &str| {
            let place = Place::tokens(&server, &owner, &binding, column, 1);
            self.vault.seal(&place, &SecretString::from(format!("{token}-of-{member}")))
        };
        let tokens = SealedTokens {
            access: seal("access_token", "access"),
            refresh: Some(seal("refresh_token", "refresh")),
            expires_at: Some(START),
            refresh_at: Some(START),
        };
        let scopes = BTreeSet::from(["contacts.read".to_owned()]);
        let account = Some("ada@crm.example".into());
        let new =
            NewConnection { server, owner, binding, generation: 1, tokens, scopes, account, now: START };
        self.store.connect(&new).await.expect("connects")
    }

    /// The access token, if it opens where the connection now says that it belongs.
    async fn access_token(&self, connection: &Connection) -> Option<String> {
        let now = self.store.connection(&connection.id).await.expect("reads").expect("is there");
        let place = Place::connection(&now, "access_token", now.generation);
        let token = self.vault.unseal(&place, &now.tokens?.access).ok()?;
        Some(token.expose_secret().to_owned())
    }
}

async fn members(service: &Service, workspace: &str) -> Vec<String> {
    let members = service.get(&format!("/v1/workspaces/{workspace}/members")).await.body;
    let mut named: Vec<(String, String)> = members["members"]
        .as_array()
        .expect("members")
        .iter()
        .map(|it| (it["subject"].to_string(), it["id"].as_str().expect("an id").to_owned()))
        .collect();
    named.sort();
    named.into_iter().map(|(_, id)| id).collect()
}

async fn crm(service: &Service) -> String {
    let server = json!({
        "slug": "crm", "url": "https://mcp.crm.example/mcp", "auth": {"type": "oauth"}, "workspaces": "all",
    });
    service.post("/v1/servers", server).await.id()
}

fn ids(list: &Value) -> BTreeSet<&str> {
    let connections = list["connections"].as_array().expect("connections");
    connections.iter().map(|it| it["id"].as_str().expect("an id")).collect()
}

async fn states(service: &Service) -> BTreeSet<String> {
    let list = service.get("/v1/connections").await.body;
    let connections = list["connections"].as_array().expect("connections");
    connections.iter().map(|it| it["state"].as_str().expect("a state").to_owned()).collect()
}

#[tokio::test]
async fn everybody_s_connections_are_listed_and_no_token() {
    let service = Service::start(DECLARED).await;
    let server = crm(&service).await;
    let beside = Beside::open(&service).await;
    let (core, support) = (members(&service, "core").await, members(&service, "support").await);
    let mut made = BTreeSet::new();
    for member in core.iter().chain(&support) {
        made.insert(beside.connect(&server, member, "https://mcp.crm.example").await.id.to_string());
    }

    let all = service.get("/v1/connections").await;
    assert_eq!(ids(&all.body), made.iter().map(String::as_str).collect());
    assert!(!all.text.contains("access") && !all.text.contains("-of-mem"), "{}", all.text);
    for (query, count) in [
        ("server=crm".to_owned(), 3),
        (format!("server={server}&workspace=core"), 2),
        ("workspace=support".to_owned(), 1),
        (format!("member={}", core[0]), 1),
        (format!("workspace=support&member={}", core[0]), 0),
    ] {
        let list = service.get(&format!("/v1/connections?{query}")).await.body;
        assert_eq!(ids(&list).len(), count, "{query}");
    }
    for query in ["server=nowhere", "workspace=nowhere", "member=nobody"] {
        let reply = service.get(&format!("/v1/connections?{query}")).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{query}");
    }
    let first = service.get("/v1/connections?limit=2").await.body;
    let rest = format!("/v1/connections?limit=2&after={}", first["next"].as_str().expect("more"));
    let rest = service.get(&rest).await.body;
    assert_eq!((ids(&first).len(), ids(&rest).len()), (2, 1));
    assert!(ids(&first).is_disjoint(&ids(&rest)) && rest.get("next").is_none());

    let of_member = service.get(&format!("/v1/members/{}/connections", core[0])).await.body;
    let path = format!("/v1/connections/{}", ids(&of_member).first().expect("a connection"));
    let shown = service.get(&path).await;
    let shown = shown.shown().replace(path.trim_start_matches("/v1/connections/"), "con_1");
    assert_snapshot!(shown, @r#"
    200 OK
    {
      "account": "ada@crm.example",
      "connected_at": "2026-11-23T10:00:00Z",
      "expires_at": "2026-11-23T10:00:00Z",
      "generation": 1,
      "id": "con_1",
      "issuer": "https://login.crm.example",
      "member": "mem_1",
      "origin": "https://mcp.crm.example",
      "refreshed_at": "2026-11-23T10:00:00Z",
      "revision": 3,
      "scopes": [
        "contacts.read"
      ],
      "server": "srv_1",
      "state": "active"
    }
    "#);
    assert_eq!(service.get("/v1/connections/con_0").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_connection_is_ended() {
    let service = Service::start(DECLARED).await;
    let server = crm(&service).await;
    let beside = Beside::open(&service).await;
    let ada = members(&service, "core").await.remove(0);
    let connection = beside.connect(&server, &ada, "https://mcp.crm.example").await;
    let path = format!("/v1/connections/{}", connection.id);
    let ended = service.delete(&format!("{path}?wait=applied")).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT, "{}", ended.text);
    let shown = service.get(&path).await;
    assert_eq!(shown.body["state"], "disconnected");
    assert_eq!(ended.header("x-portcullis-revision"), Some(shown.body["revision"].to_string().as_str()));
    assert_eq!(beside.access_token(&connection).await, None);
    let again = service.delete(&path).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT);
    assert_eq!(again.header("x-portcullis-revision"), ended.header("x-portcullis-revision"));
    assert_eq!(service.delete("/v1/connections/con_0").await.status, StatusCode::NOT_FOUND);
    let audit = service.get("/v1/audit").await;
    assert!(
        audit.text.contains("connection.disconnect") && audit.text.contains("admin_token"),
        "{}",
        audit.text
    );
}

#[tokio::test]
async fn tokens_follow_a_moved_server_only_when_an_administrator_says_so() {
    let service = Service::start(DECLARED).await;
    let server = crm(&service).await;
    let beside = Beside::open(&service).await;
    let ada = members(&service, "core").await.remove(0);
    let connection = beside.connect(&server, &ada, "https://mcp.crm.example").await;
    let token = beside.access_token(&connection).await.expect("a token");

    let moved = service.patch("/v1/servers/crm", json!({"url": "https://mcp.crm.app/mcp"})).await;
    assert_eq!(moved.status, StatusCode::OK, "{}", moved.text);
    assert_eq!(states(&service).await, BTreeSet::from(["quarantined".to_owned()]));

    let unclear = service.post("/v1/servers/crm/quarantine", json!({"decision": "keep"})).await;
    assert_eq!(unclear.status, StatusCode::UNPROCESSABLE_ENTITY);
    let released = service.post("/v1/servers/crm/quarantine", json!({"decision": "release"})).await;
    assert_eq!((released.status, &released.body), (StatusCode::OK, &json!({"decided": 1})));
    assert_eq!(states(&service).await, BTreeSet::from(["active".to_owned()]));
    assert_eq!(beside.access_token(&connection).await, Some(token), "it opens for the new origin");
    let shown = service.get(&format!("/v1/connections/{}", connection.id)).await.body;
    assert_eq!((&shown["origin"], &shown["generation"]), (&json!("https://mcp.crm.app"), &json!(2)));
    let again = service.post("/v1/servers/crm/quarantine", json!({"decision": "release"})).await;
    assert_eq!(again.body, json!({"decided": 0}));

    service.patch("/v1/servers/crm", json!({"url": "https://elsewhere.example/mcp"})).await;
    let discarded = service.post("/v1/servers/crm/quarantine", json!({"decision": "discard"})).await;
    assert_eq!(discarded.body, json!({"decided": 1}));
    assert_eq!(states(&service).await, BTreeSet::from(["disconnected".to_owned()]));
    let audit = service.get("/v1/audit").await.text;
    for action in ["connection.quarantine", "connection.release", "connection.disconnect"] {
        assert!(audit.contains(action), "{action}");
    }
}
