//! Tokens of the company's identity provider: its keys, its word about opaque tokens, and the rules of each server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{LOG, START, Service};

const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const OTHER_X: &str = "YTMO0nndzWDuhAmjQVyW3-A2z_g8EnufdjEe1tl-_l4";
const CLIENT_SECRET: &str = "the-gateways-own-secret-7f";

/// An identity provider with a set of keys and with tokens that only it can read.
#[derive(Clone, Default)]
struct Provider(Arc<Mutex<Books>>);

#[derive(Default)]
struct Books {
    /// The status and body of the key set.
    keys: Option<(u16, Value)>,
    /// What is said of each token.
    tokens: BTreeMap<String, Value>,
    /// How often it was asked about a token.
    asked: usize,
    down: bool,
}

impl Provider {
    async fn start() -> (Self, String) {
        let provider = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let routes = Router::new()
            .route("/jwks", get(keys))
            .route("/introspect", post(introspect))
            .with_state(provider.clone());
        tokio::spawn(async { axum::serve(listener, routes).await });
        (provider, address)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Books) -> T) -> T {
        change(&mut self.0.lock().expect("no panic"))
    }
}

async fn keys(State(provider): State<Provider>) -> Response {
    let (status, body) = provider.with(|books| books.keys.clone()).unwrap_or((503, json!({})));
    (StatusCode::from_u16(status).expect("a status"), Json(body)).into_response()
}

async fn introspect(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> Response {
    let basic = "Basic cG9ydGN1bGxpczp0aGUtZ2F0ZXdheXMtb3duLXNlY3JldC03Zg==";
    if headers.get("authorization").is_none_or(|value| value != basic) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    provider.with(|books| {
        books.asked += 1;
        if books.down {
            return StatusCode::BAD_GATEWAY.into_response();
        }
        let said = books.tokens.get(&form["token"]).cloned();
        Json(said.unwrap_or(json!({"active": false}))).into_response()
    })
}

fn registry(address: &str, checked: &str) -> String {
    format!(
        "
egress: {{development_loopback: true}}
workspaces: [{{slug: core}}]
servers:
  - {{slug: docs, url: 'https://docs.example/mcp', auth: {{type: none}}, workspaces: all}}
  - {{slug: notes, url: 'https://notes.example/mcp', auth: {{type: none}}, workspaces: all}}
issuers:
  - issuer: {address}
    audiences: [gateway]
    claims: [{{claim: groups, contains: mcp}}]
    servers: {{notes: {{claims: [{{claim: department, equals: support}}]}}}}
    workspace: core
    auto_provision_members: true
    name_claim: name
    {checked}
"
    )
}

fn introspection(directory: &crate::harness::Directory) -> String {
    let secret = directory.write("introspection-secret", CLIENT_SECRET);
    format!(
        "introspection: {{endpoint: ADDRESS/introspect, client: {{id: portcullis, secret: {{file: {}}}}}}}",
        secret.display()
    )
}

fn of_key(x: &str) -> Value {
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": x, "x": x}, {"kty": "oct", "k": "AAAA"}]})
}

/// The ids of the keys that filters are told, once they differ from `before`.
async fn told_keys(service: &Service, before: &[String]) -> Vec<String> {
    let mut cursor = 0;
    loop {
        let news = service.watch("a-filter", cursor).await.body;
        cursor = news["cursor"].as_u64().expect("a cursor");
        let Some(keys) = news["registry"]["issuers"][0]["keys"].as_array() else { continue };
        let keys: Vec<String> =
            keys.iter().map(|key| key["key_id"].as_str().expect("an id").to_owned()).collect();
        if keys != before {
            return keys;
        }
    }
}

#[tokio::test]
async fn keys_are_fetched_told_and_fetched_again() {
    let (provider, address) = Provider::start().await;
    let service = Service::start(&registry(&address, &format!("jwks_url: {address}/jwks"))).await;
    LOG.wait_for(|line| line.contains("cannot be fetched") && line.contains(&address)).await;
    assert_eq!(service.watch("a-filter", 0).await.body["registry"]["issuers"][0]["keys"], json!([]));
    provider.with(|books| books.keys = Some((200, of_key(X))));
    service.clock.advance(10_000);
    assert_eq!(told_keys(&service, &[]).await, [X], "those that can be used");
    let shown = &service.get("/v1/issuers").await.body["issuers"][0];
    assert_eq!(shown["keys_fetched_at"], "2026-11-23T10:00:10Z");
    assert_eq!(shown["source"], json!({"jwks": format!("{address}/jwks")}));

    provider.with(|books| books.keys = Some((200, of_key(OTHER_X))));
    service.clock.advance(5 * 60_000);
    assert_eq!(told_keys(&service, &[X.to_owned()]).await, [OTHER_X]);

    // What is wrong with the set now says nothing about the keys before, for a day.
    provider.with(|books| books.keys = Some((200, json!({"keys": []}))));
    service.clock.advance(24 * 3_600_000);
    assert_eq!(told_keys(&service, &[OTHER_X.to_owned()]).await, Vec::<String>::new());
    let log = LOG.text();
    assert!(log.lines().any(|line| line.contains("used no longer") && line.contains(&address)));
}

fn ask(server: &str, token: &str) -> Value {
    json!({"server": server, "proof": {"kind": "opaque", "token": token}})
}

fn said(more: &Value) -> Value {
    let now = START.0 / 1_000;
    let mut said = json!({
        "active": true, "sub": "ada", "aud": "gateway", "exp": now + 600, "iat": now, "name": "Ada Lovelace",
        "groups": ["mcp"],
    });
    said.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    said
}

async fn introspecting() -> (Provider, Service) {
    let (provider, address) = Provider::start().await;
    let directory = crate::harness::Directory::new();
    let checked = introspection(&directory).replace("ADDRESS", &address);
    let service = Service::start_in(directory, &registry(&address, &checked)).await.expect("starts");
    (provider, service)
}

#[tokio::test]
async fn an_opaque_token_alone_is_enough() {
    let (provider, service) = introspecting().await;
    provider.with(|books| books.tokens.insert("opaque-1".into(), said(&json!({}))));
    let news = service.watch("a-filter", 0).await.body;
    assert_eq!(news["registry"]["accepts_opaque_tokens"], true);
    assert_eq!(news["registry"]["issuers"][0]["introspected"], true);
    let lease = service.lease(&ask("docs", "opaque-1")).await.body;
    assert_eq!(lease["result"], "granted", "{lease}");
    let caller = &lease["caller"];
    assert_eq!((&caller["name"], &caller["credential"]), (&json!("Ada Lovelace"), &json!("opaque_token")));
    assert_eq!(lease["ttl_ms"], 30_000, "as long as the answer is believed");
    assert_eq!(service.lease(&ask("docs", "opaque-1")).await.body["caller"], *caller);
    assert_eq!(provider.with(|books| books.asked), 1, "the answer is remembered");

    // Revoked there, refused here, once the answer is believed no longer.
    provider.with(|books| books.tokens.clear());
    service.clock.advance(30_000);
    assert_eq!(service.lease(&ask("docs", "opaque-1")).await.body["reason"], "unknown_credential");
    assert_eq!(service.lease(&ask("docs", "opaque-1")).await.body["reason"], "unknown_credential");
    assert_eq!(provider.with(|books| books.asked), 2, "that it is not good is remembered too");
    let log = LOG.text();
    assert!(!log.contains("opaque-1") && !log.contains(CLIENT_SECRET));
}

#[tokio::test]
async fn each_server_has_its_own_rules() {
    let (provider, service) = introspecting().await;
    let tokens = [
        ("both", said(&json!({"department": "support"})), "granted", "granted"),
        ("docs-only", said(&json!({})), "granted", "not_for_this_server"),
        (
            "notes-only",
            said(&json!({"groups": [], "department": "support"})),
            "not_for_this_server",
            "granted",
        ),
        ("wrong-audience", said(&json!({"aud": "other"})), "wrong_audience", "wrong_audience"),
        ("no-audience", said(&json!({"aud": []})), "wrong_audience", "wrong_audience"),
        ("expired", said(&json!({"exp": 1})), "expired_credential", "expired_credential"),
        ("early", said(&json!({"nbf": 9_999_999_999_u64})), "unknown_credential", "unknown_credential"),
        ("bound", said(&json!({"cnf": {"jkt": "x"}})), "unknown_credential", "unknown_credential"),
        (
            "foreign",
            said(&json!({"iss": "https://other.example"})),
            "unknown_credential",
            "unknown_credential",
        ),
        ("inactive", json!({"active": false}), "unknown_credential", "unknown_credential"),
    ];
    for (name, said, ..) in &tokens {
        provider.with(|books| books.tokens.insert((*name).to_owned(), said.clone()));
    }
    for (name, _, docs, notes) in &tokens {
        for (server, expected) in [("docs", docs), ("notes", notes)] {
            let lease = service.lease(&ask(server, name)).await.body;
            let outcome = lease["reason"].as_str().or(lease["result"].as_str()).expect("an outcome");
            assert_eq!(outcome, *expected, "{name} at {server}: {lease}");
        }
    }
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_no_denial() {
    let (provider, service) = introspecting().await;
    provider.with(|books| books.tokens.insert("malformed".into(), json!({"active": true})));
    let unavailable = json!({"result": "unavailable", "retry_after_ms": 1_000});
    assert_eq!(service.lease(&ask("docs", "malformed")).await.body, unavailable);
    provider.with(|books| books.down = true);
    assert_eq!(service.lease(&ask("docs", "another")).await.body, unavailable);
    provider.with(|books| books.down = false);
    assert_eq!(service.lease(&ask("docs", "another")).await.body["reason"], "unknown_credential");
}

#[tokio::test]
async fn without_such_an_issuer_nobody_is_asked() {
    let service = Service::start(
        "servers: [{slug: docs, url: 'https://docs.example/mcp', auth: {type: none}, workspaces: all}]",
    )
    .await;
    assert_eq!(service.watch("a-filter", 0).await.body["registry"]["accepts_opaque_tokens"], false);
    assert_eq!(service.lease(&ask("docs", "opaque-1")).await.body["reason"], "unknown_credential");
}
