//! Envoy with the filter between an agent and a scripted upstream, with the internal listener of a token-service whose
//! every answer is the story's own. What only the filter and Envoy decide is shown here; stories with the real
//! token-service are elsewhere.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use portcullis_tests::artifacts::Artifacts;
use portcullis_tests::envoy::{Envoy, Registry, Settings};
use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::patience::poll;
use portcullis_tests::port::Reserved;
use portcullis_tests::upstream::Serving;
use portcullis_tests::upstream::journal::{self, Entry, Journal};
use portcullis_tests::upstream::scripted::ScriptedUpstream;
use portcullis_wire::api_key::ApiKey;
use portcullis_wire::{CONTRACT_VERSION, MARKER_HEADER};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The handle of [`connect_required`].
pub(super) const HANDLE: &str = "handle-4be1c2";
/// What must not get into the log.
pub(super) const TICKET: &str = "tick3t-77aa01";

const HOLD: Duration = Duration::from_secs(1);

pub(super) struct Stand {
    pub(super) envoy: Envoy,
    pub(super) service: FakeService,
    pub(super) upstream: ScriptedUpstream,
    /// In the place of the public listener.
    pub(super) pages: ScriptedUpstream,
    pub(super) gateway: SocketAddr,
    _directory: TempDir,
}

/// The internal listener.
pub(super) struct FakeService {
    pub(super) journal: Journal,
    serving: Option<Serving>,
    address: SocketAddr,
}

#[derive(Clone)]
struct Script {
    leases: Arc<Mutex<VecDeque<Value>>>,
    registry: Value,
}

impl Stand {
    /// `leases` are the answers to the requests for one, in order.
    pub(super) async fn start(leases: impl IntoIterator<Item = Value>) -> Self {
        Self::start_by(leases, false).await
    }

    /// With a cluster and routes for the upstream alone, which the token-service's program has rendered.
    pub(super) async fn rendered(leases: impl IntoIterator<Item = Value>) -> Self {
        Self::start_by(leases, true).await
    }

    async fn start_by(leases: impl IntoIterator<Item = Value>, rendered: bool) -> Self {
        let artifacts = Artifacts::find().expect("everything built");
        let directory = tempfile::tempdir().expect("a directory");
        let upstream = ScriptedUpstream::start(listener().await).expect("starts");
        let pages = ScriptedUpstream::start(listener().await).expect("starts");
        let service = FakeService::start(&upstream, leases).await;
        let (gateway, admin) = (Reserved::take(None), Reserved::take(None));
        let (gateway, admin) = (gateway.expect("a port"), admin.expect("a port"));
        let settings = Settings {
            gateway: gateway.address().expect("an address"),
            admin: admin.address().expect("an address"),
            replicas: Vec::new(),
            token_service: service.address,
            pages: address(&pages),
            public_url: format!("http://{}", gateway.address().expect("an address")),
            access_log: directory.path().join("access.jsonl"),
            concurrency: 1,
            log: "wasm:info",
            rate_limit_service: None,
            longest_response: None,
            longest_lease: None,
            trusted_ca: None,
            collector: None,
            listener_file: None,
            filter_file: None,
            mesh: None,
            rendered_from: rendered.then(|| declared(&upstream, directory.path())),
        };
        drop((gateway, admin));
        let mut envoy = Envoy::start(&artifacts, &settings, directory.path()).expect("starts");
        envoy.ready().await.expect("Envoy is ready");
        let stand =
            Self { envoy, service, upstream, pages, gateway: settings.gateway, _directory: directory };
        stand.registry_known().await;
        stand
    }

    /// Until a token is refused, which takes what the registry says of issuers. No lease is asked for it.
    async fn registry_known(&self) {
        let stranger = self.agent(Era::Modern).with_credential(Some("no-token"));
        let known = poll(async || {
            let reply = stranger.post(&stranger.message("tools/list", json!({}))).send().await.ok()?;
            (reply.status() == 401).then_some(())
        });
        known.await.expect("the filter knows the registry");
    }

    pub(super) fn agent(&self, era: Era) -> Agent {
        Agent::new(format!("http://{}/scripted/mcp", self.gateway), Some(&key()), era)
    }
}

fn authority(upstream: &ScriptedUpstream) -> String {
    format!("localhost:{}", address(upstream).port())
}

/// A file that declares the upstream.
fn declared(upstream: &ScriptedUpstream, directory: &Path) -> Registry {
    let server = json!({
        "slug": "scripted",
        "url": format!("http://{}/scripted/mcp", authority(upstream)),
        "allow_http": true,
        "auth": {"type": "none"},
        "workspaces": "all",
    });
    let file = directory.join("portcullis.yaml");
    std::fs::write(&file, json!({"servers": [server]}).to_string()).expect("is written");
    Registry::File(file)
}

impl Drop for Stand {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}{}", self.envoy.process.log_tail(), self.envoy.access_log.text());
        }
    }
}

impl FakeService {
    async fn start(upstream: &ScriptedUpstream, leases: impl IntoIterator<Item = Value>) -> Self {
        let server = json!({
            "id": "s1", "slug": "scripted", "payload": "full",
            "upstream": {"tls": false, "authority": authority(upstream), "path": "/scripted/mcp"},
        });
        let script = Script {
            leases: Arc::new(Mutex::new(leases.into_iter().collect())),
            registry: json!({"servers": [server], "issuers": []}),
        };
        let journal = Journal::default();
        let router = Router::new()
            .fallback(answer)
            .with_state(script)
            .layer(middleware::from_fn_with_state(journal.clone(), journal::record));
        let serving = Serving::start(listener().await, router).expect("starts");
        Self { journal, address: serving.address, serving: Some(serving) }
    }

    /// Nobody listens any more.
    pub(super) fn stop(&mut self) {
        self.serving = None;
    }

    /// What was asked at a path, in order.
    pub(super) fn asked(&self, path: &str) -> Vec<Entry> {
        self.journal.entries().into_iter().filter(|entry| entry.target == path).collect()
    }
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let (path, query) =
        (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.expect("a body");
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let reply = match path.as_str() {
        "/v1/watch" => script.watch(&query).await,
        "/v1/leases" => script.leases.lock().expect("unharmed").pop_front().unwrap_or_else(unavailable),
        "/v1/states" => json!({"result": "opened", "request_state": "theirs"}),
        "/v1/sessions" => json!({
            "result": "opened", "session_id": "their-session", "protocol_version": "2025-06-18", "ttl_ms": 60_000,
        }),
        "/v1/unconnected" => unconnected(&body),
        _ => json!({}),
    };
    let headers = [
        (MARKER_HEADER, CONTRACT_VERSION),
        ("content-type", "application/json"),
        ("mcp-session-id", "pcl-session.abc"),
    ];
    (headers, reply.to_string()).into_response()
}

impl Script {
    /// Has the registry for whoever does not know it, and is held for everybody else, because nothing ever changes.
    async fn watch(&self, query: &str) -> Value {
        let mut reply = json!({"cursor": 1, "now_ms": 0, "hold_ms": HOLD.as_millis()});
        if query.contains("cursor=0") {
            reply["registry"] = self.registry.clone();
        } else {
            tokio::time::sleep(HOLD).await;
        }
        reply
    }
}

fn unavailable() -> Value {
    json!({"result": "unavailable", "retry_after_ms": 1000})
}

fn unconnected(request: &Value) -> Value {
    let result = if request["method"] == "tools/list" {
        json!({
            "resultType": "complete",
            "tools": [{"name": "allowed", "inputSchema": {}}, {"name": "denied", "inputSchema": {}}],
        })
    } else {
        let text = format!("Open https://gateway.example/connect/{TICKET} and try again.");
        json!({"resultType": "complete", "content": [{"type": "text", "text": text}], "isError": true})
    };
    json!({"jsonrpc": "2.0", "id": request["id"], "result": result})
}

/// What all answers about the caller have in common.
fn access(result: &str) -> Value {
    json!({
        "result": result,
        "caller": {"id": "m1", "name": "Ada", "credential": "member_key", "key_id": KEY_ID},
        "workspace": {"id": "w1", "slug": "core"},
        "server_id": "s1",
        "connection_id": "c1",
        "policy": {"levels": [{"level": "workspace", "tools": {"deny": ["denied"]}}]},
        "ttl_ms": 60_000,
        "revision": 1,
    })
}

pub(super) fn granted(generation: u64) -> Value {
    let mut lease = access("granted");
    lease["credential_generation"] = generation.into();
    lease["credential_headers"] =
        json!([{"name": "authorization", "value": format!("Bearer of-generation-{generation}")}]);
    lease
}

/// A lease whose credential no connection stands behind.
pub(super) fn granted_by_administrator() -> Value {
    let mut lease = granted(0);
    lease["connection_id"] = Value::Null;
    lease
}

pub(super) fn connect_required() -> Value {
    let mut connect = access("connect_required");
    connect["handle"] = HANDLE.into();
    connect
}

/// Names [`key`].
const KEY_ID: &str = "0123456789";

fn key() -> String {
    let entropy: Vec<u8> = (0..128).collect();
    ApiKey::spell("test", &entropy).expect("enough entropy").0.expose().to_owned()
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

fn address(upstream: &ScriptedUpstream) -> SocketAddr {
    let url = reqwest::Url::parse(&upstream.url()).expect("a URL");
    let port = url.port().expect("a port");
    SocketAddr::from(([127, 0, 0, 1], port))
}
