//! What each SDK makes of a server that wants an address opened before it answers a call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::mcp::MODERN;
use crate::upstream::Serving;
use crate::upstream::sample::tracker::Tracker;

const ADDRESS: &str = "https://gateway.example/connect/the-ticket";
const STATE: &str = "pcl-state.sealed";

/// A real server that answers no call before the address has been opened.
struct Asking {
    opened: Arc<AtomicBool>,
    /// What the clients' last calls said.
    calls: Arc<Mutex<Vec<Value>>>,
    serving: Serving,
}

type Shared = (Arc<AtomicBool>, Arc<Mutex<Vec<Value>>>);

impl Asking {
    async fn start() -> Self {
        let (opened, calls): Shared = Default::default();
        let service = StreamableHttpService::new(
            || Ok(Tracker::new()),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default(),
        );
        let state = (Arc::clone(&opened), Arc::clone(&calls));
        let router =
            Router::new().nest_service("/mcp", service).layer(middleware::from_fn_with_state(state, ask));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self { opened, calls, serving: Serving::start(listener, router).expect("starts") }
    }

    fn job(&self, era: Era, elicit: bool) -> Job {
        let arguments = json!({"id": "PC-1"}).as_object().cloned().unwrap_or_default();
        Job {
            url: format!("http://{}/mcp", self.serving.address),
            key: None,
            era,
            calls: vec![ToolCall { tool: "get_issue".into(), arguments }],
            prompts: Vec::new(),
            resources: Vec::new(),
            elicit,
            attended: false,
            sign_in: false,
        }
    }
}

async fn ask(State((opened, calls)): State<Shared>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let modern = parts.headers.get("mcp-protocol-version").is_some_and(|version| version == MODERN);
    if message["method"] == "tools/call" || message["method"] == "initialize" {
        calls.lock().expect("sound").push(message["params"].clone());
    }
    if message["method"] != "tools/call" || opened.load(Ordering::Relaxed) {
        return next.run(Request::from_parts(parts, Body::from(body))).await;
    }
    let mut question = json!({"mode": "url", "message": "Connect your account.", "url": ADDRESS});
    let mut answer = json!({"jsonrpc": "2.0", "id": message["id"]});
    if modern {
        let questions = json!({"portcullis_connect": {"method": "elicitation/create", "params": question}});
        answer["result"] =
            json!({"resultType": "input_required", "inputRequests": questions, "requestState": STATE});
    } else {
        question["elicitationId"] = "elicitation-1".into();
        answer["error"] =
            json!({"code": -32042, "message": "Connect first.", "data": {"elicitations": [question]}});
    }
    Json(answer).into_response()
}

#[tokio::test]
async fn every_sdk_has_the_address_opened_and_calls_again() -> anyhow::Result<()> {
    for (sdk, era) in CLIENTS {
        let asking = Asking::start().await;
        let mut asked = Vec::new();
        let opened = Arc::clone(&asking.opened);
        let open = async |url: String| {
            asked.push(url);
            opened.store(true, Ordering::Relaxed);
            Action::Accept
        };
        let Some(report) = sdk.drive_with(&asking.job(era, true), open).await? else { continue };
        assert_eq!(asked, [ADDRESS], "{sdk:?}, {era:?}");
        let Outcome::Result(result) = &report.calls[0].outcome else {
            panic!("{sdk:?}, {era:?}: {report:?}")
        };
        assert!(result.text[0].contains("PC-1"), "{sdk:?}, {era:?}: {result:?}");

        let calls = asking.calls.lock().expect("sound");
        let last = calls.last().expect("a call");
        match era {
            Era::Modern => {
                let said = &last["_meta"]["io.modelcontextprotocol/clientCapabilities"]["elicitation"]["url"];
                assert!(said.is_object(), "{sdk:?}: {last}");
                assert_eq!(last["requestState"], STATE, "{sdk:?}");
                let action = &last["inputResponses"]["portcullis_connect"]["action"];
                assert_eq!(action, "accept", "{sdk:?}: {last}");
            }
            Era::Legacy => {
                let said = &calls[0]["capabilities"]["elicitation"]["url"];
                assert!(said.is_object(), "{sdk:?}: {calls:?}");
            }
        }
    }
    Ok(())
}

/// In the modern era a refusal is an answer like any other, and goes back to the server, which asks again here; so
/// only the legacy era ends with it.
#[tokio::test]
async fn a_refusal_is_passed_on() -> anyhow::Result<()> {
    for (sdk, era) in CLIENTS.into_iter().filter(|(_, era)| *era == Era::Legacy) {
        let asking = Asking::start().await;
        let refuse = async |_| Action::Decline;
        let Some(report) = sdk.drive_with(&asking.job(era, true), refuse).await? else { continue };
        assert_eq!(report.calls[0].outcome, Outcome::Error { code: -32042 }, "{sdk:?}");
    }
    Ok(())
}

#[tokio::test]
async fn without_the_capability_nothing_is_opened() -> anyhow::Result<()> {
    for (sdk, era) in CLIENTS.into_iter().filter(|(_, era)| *era == Era::Legacy) {
        let asking = Asking::start().await;
        let Some(report) = sdk.drive(&asking.job(era, false)).await? else { continue };
        assert_eq!(report.calls[0].outcome, Outcome::Error { code: -32042 }, "{sdk:?}");
        assert!(asking.calls.lock().expect("sound")[0]["capabilities"]["elicitation"].is_null(), "{sdk:?}");
    }
    Ok(())
}
