use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::*;
use crate::domain::url::PlainHttp;
use crate::egress::testing::development;

/// What a site answers: by `METHOD path`, a status and a document; `*` is replaced by its origin. Everything else is
/// a 404.
#[derive(Clone)]
struct Site {
    origin: String,
    answers: Arc<BTreeMap<&'static str, (u16, Value)>>,
    seen: Arc<Mutex<Vec<String>>>,
    challenge: Option<&'static str>,
}

impl Site {
    async fn start(answers: &[(&'static str, u16, Value)], challenge: Option<&'static str>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let here =
            |value: &Value| serde_json::from_str(&value.to_string().replace('*', &origin)).expect("JSON");
        let answers = answers.iter().map(|(place, status, value)| (*place, (*status, here(value)))).collect();
        let site = Self { origin, answers: Arc::new(answers), seen: Arc::default(), challenge };
        let router = Router::new().fallback(answer).with_state(site.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        site
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("not poisoned").clone()
    }

    async fn discover(&self, settings: &AuthorizationServerSettings) -> Result<Discovered, DiscoveryError> {
        let egress = EgressClient::new(&development()).expect("a client");
        let url = ServerUrl::parse(&format!("{}/mcp", self.origin), PlainHttp::Allowed).expect("a URL");
        discover(&egress, &url, settings, None).await
    }

    async fn refusal(&self) -> DiscoveryError {
        self.discover(&AuthorizationServerSettings::Discovered).await.map(|_| ()).expect_err("refused")
    }
}

async fn answer(State(site): State<Site>, request: Request) -> Response {
    let modern = request.headers().contains_key("mcp-method");
    let place =
        format!("{}{} {}", if modern { "modern " } else { "" }, request.method(), request.uri().path());
    site.seen.lock().expect("not poisoned").push(place.clone());
    let (status, value) = site.answers.get(place.as_str()).cloned().unwrap_or((404, Value::Null));
    let status = StatusCode::from_u16(status).expect("a status");
    let mut response = match value {
        Value::String(page) => (status, [(header::CONTENT_TYPE, "text/html")], page).into_response(),
        document => (status, axum::Json(document)).into_response(),
    };
    if let (401 | 403, Some(challenge)) = (status.as_u16(), site.challenge) {
        let value = HeaderValue::try_from(challenge.replace('*', &site.origin)).expect("a value");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

const MCP: &str = "POST /mcp";
const INSERTED: &str = "GET /.well-known/oauth-protected-resource/mcp";
const ROOT: &str = "GET /.well-known/oauth-protected-resource";
const OAUTH: &str = "GET /.well-known/oauth-authorization-server";
const OPENID: &str = "GET /.well-known/openid-configuration";

fn server_metadata() -> Value {
    json!({"issuer": "*", "authorization_endpoint": "*/authorize", "token_endpoint": "*/token",
        "code_challenge_methods_supported": ["S256"], "scopes_supported": ["read", "offline_access"]})
}

fn resource(servers: &[&str]) -> Value {
    json!({"resource": "*/mcp", "authorization_servers": servers, "scopes_supported": ["read", "write"]})
}

fn texts(scopes: &BTreeSet<String>) -> Vec<&str> {
    scopes.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn by_the_challenge() {
    let site = Site::start(
        &[(MCP, 401, Value::Null), ("GET /meta", 200, resource(&["*"])), (OPENID, 200, server_metadata())],
        Some(r#"Basic realm="x", Bearer scope="issues", resource_metadata="*/meta""#),
    )
    .await;
    let found = site.discover(&AuthorizationServerSettings::Discovered).await.expect("found");
    assert_eq!(found.resource, format!("{}/mcp", site.origin));
    assert_eq!(found.authorization_server.issuer, site.origin);
    assert_eq!(texts(&found.scopes), ["issues", "offline_access"]);
    assert_eq!(site.seen(), [MCP, "GET /meta", OAUTH, OPENID]);
}

#[tokio::test]
async fn by_well_known_places() {
    for place in [INSERTED, ROOT] {
        let answers =
            [(MCP, 401, Value::Null), (place, 200, resource(&["*"])), (OAUTH, 200, server_metadata())];
        let site = Site::start(&answers, Some("Bearer")).await;
        let found = site.discover(&AuthorizationServerSettings::Discovered).await.expect("found");
        assert!(found.authorization_server.pkce_s256);
        assert_eq!(texts(&found.scopes), ["offline_access", "read", "write"]);
    }
}

#[tokio::test]
async fn a_server_that_challenges_later_is_known_by_its_metadata() {
    let answers = [(MCP, 200, json!({})), (INSERTED, 200, resource(&["*"])), (OAUTH, 200, server_metadata())];
    let site = Site::start(&answers, None).await;
    assert!(site.discover(&AuthorizationServerSettings::Discovered).await.is_ok());
}

#[tokio::test]
async fn a_server_without_a_handshake_is_asked_in_its_own_way() {
    let answers = [
        (MCP, 400, json!({})),
        ("modern POST /mcp", 401, Value::Null),
        ("GET /meta", 200, resource(&["*"])),
        (OAUTH, 200, server_metadata()),
    ];
    let site = Site::start(&answers, Some(r#"Bearer resource_metadata="*/meta""#)).await;
    assert!(site.discover(&AuthorizationServerSettings::Discovered).await.is_ok());
    assert_eq!(site.seen()[..2], [MCP, "modern POST /mcp"]);
}

#[tokio::test]
async fn the_first_usable_server_is_taken() {
    let servers = ["http://as.example", "*/other", "*"];
    let answers = [
        (MCP, 401, Value::Null),
        (INSERTED, 200, resource(&servers)),
        (
            "GET /.well-known/oauth-authorization-server/other",
            200,
            json!({"issuer": "*", "token_endpoint": "*/evil"}),
        ),
        (OAUTH, 200, server_metadata()),
    ];
    let site = Site::start(&answers, Some("Bearer")).await;
    let found = site.discover(&AuthorizationServerSettings::Discovered).await.expect("found");
    assert_eq!(found.authorization_server.token_endpoint.path(), "/token");
}

#[tokio::test]
async fn an_outage_never_changes_the_server() {
    for (place, status) in [
        (MCP, 503),
        (INSERTED, 500),
        (INSERTED, 429),
        ("GET /.well-known/oauth-authorization-server/first", 502),
    ] {
        let mut answers = vec![
            (MCP, 401, Value::Null),
            (INSERTED, 200, resource(&["*/first", "*"])),
            (OAUTH, 200, server_metadata()),
        ];
        answers.retain(|answer| answer.0 != place);
        answers.push((place, status, Value::Null));
        let error = Site::start(&answers, Some("Bearer")).await.refusal().await;
        assert!(error.may_pass(), "{place} {status}: {error}");
    }
}

#[tokio::test]
async fn what_an_administrator_has_to_hear() {
    let moved = json!({"resource": "https://other.example/mcp", "authorization_servers": ["*"]});
    let mismatch = json!({"issuer": "*/", "token_endpoint": "*/token"});
    for (answers, said) in [
        (vec![(MCP, 200, json!({}))], "register it with auth none or headers"),
        (vec![], "check that this is its MCP endpoint"),
        (vec![(MCP, 401, Value::Null), (INSERTED, 200, moved)], "are about https://other.example/mcp"),
        (vec![(MCP, 401, Value::Null), (INSERTED, 200, resource(&[]))], "configure its issuer"),
        (vec![(MCP, 401, Value::Null), (INSERTED, 200, resource(&["*"]))], "configure its endpoints by hand"),
        (vec![(MCP, 401, Value::Null), (INSERTED, 200, resource(&["http://10.0.0.1"]))], "it must be https"),
        (
            vec![(MCP, 401, Value::Null), (INSERTED, 200, resource(&["*"])), (OAUTH, 200, mismatch)],
            "character for character",
        ),
        (vec![(MCP, 401, Value::Null), (INSERTED, 200, json!([]))], "cannot be read"),
    ] {
        let error = Site::start(&answers, Some("Bearer")).await.refusal().await;
        assert!(error.to_string().contains(said) && !error.may_pass(), "{error}");
    }
}

#[tokio::test]
async fn a_page_in_place_of_a_document_is_no_document() {
    let page = || Value::String("<html>".to_owned());
    let answers = [
        (MCP, 401, Value::Null),
        (INSERTED, 200, page()),
        (ROOT, 200, page()),
        (OAUTH, 200, server_metadata()),
    ];
    let site = Site::start(&answers, None).await;
    let found =
        site.discover(&AuthorizationServerSettings::Discovered).await.expect("found as of 2025-03-26");
    assert_eq!(found.authorization_server.issuer, site.origin);
}

#[tokio::test]
async fn servers_of_2025_03_26() {
    let mut slashed = server_metadata();
    slashed["issuer"] = "*/".into();
    for (metadata, issuer) in [(server_metadata(), ""), (slashed, "/")] {
        let site = Site::start(&[(MCP, 401, Value::Null), (OAUTH, 200, metadata)], None).await;
        let found = site.discover(&AuthorizationServerSettings::Discovered).await.expect("found");
        assert_eq!(found.authorization_server.issuer, format!("{}{issuer}", site.origin));
        assert!(found.authorization_server.pkce_s256 && found.scopes.is_empty());
    }
    let bare = Site::start(&[(MCP, 401, Value::Null)], None).await;
    let found = bare.discover(&AuthorizationServerSettings::Discovered).await.expect("found");
    assert_eq!(found.authorization_server.token_endpoint.as_str(), format!("{}/token", bare.origin));
    assert!(!found.authorization_server.pkce_s256, "nothing says so");
}

#[tokio::test]
async fn as_configured() {
    let site = Site::start(&[(OAUTH, 200, server_metadata())], None).await;
    let issuer = AuthorizationServerSettings::Issuer { issuer: site.origin.clone() };
    let found = site.discover(&issuer).await.expect("found");
    assert_eq!((found.resource, found.scopes.len()), (format!("{}/mcp", site.origin), 0));
    assert_eq!(site.seen(), [OAUTH], "the server itself is not asked");
    let fixed = AuthorizationServerSettings::Fixed {
        issuer: "https://as.example".to_owned(),
        authorization_endpoint: None,
        token_endpoint: "https://as.example/token".to_owned(),
        registration_endpoint: None,
        revocation_endpoint: None,
    };
    assert_eq!(site.discover(&fixed).await.expect("found").authorization_server.issuer, "https://as.example");
    assert_eq!(site.seen().len(), 1, "nobody is asked");
}
