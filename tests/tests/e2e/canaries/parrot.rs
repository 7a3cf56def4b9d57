//! An MCP server that repeats the headers that it was sent wherever it can: in results, errors, events, descriptions,
//! response headers, challenges and session ids.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use portcullis_tests::mcp::MODERN;
use portcullis_tests::upstream::Serving;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Tools, named after how they answer.
pub(super) const SAY: &str = "say";
pub(super) const FAIL: &str = "fail";
pub(super) const STREAM: &str = "stream";
pub(super) const BREAK: &str = "break";
pub(super) const MORE: &str = "more";
pub(super) const ASK: &str = "ask";

/// The parrot's own state between question and answer.
pub(super) const STATE: &str = "canary state of the \"parrot\" 3f61";

#[derive(Debug)]
pub(crate) struct Parrot {
    serving: Serving,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Debug, Default)]
struct Heard {
    /// The credential of the last request.
    last: String,
    /// One that is refused from now on.
    stale: Option<String>,
}

impl Parrot {
    pub(super) async fn start() -> Self {
        let heard = Arc::<Mutex<Heard>>::default();
        let router = Router::new().route("/mcp", post(answer)).with_state(Arc::clone(&heard));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self { serving: Serving::start(listener, router).expect("starts"), heard }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.serving.address)
    }

    /// The credential that it was shown last is refused from now on.
    pub(super) fn expire(&self) {
        let mut heard = self.heard.lock().expect("unharmed");
        heard.stale = Some(heard.last.clone());
    }
}

async fn answer(State(heard): State<Arc<Mutex<Heard>>>, headers: HeaderMap, body: Bytes) -> Response {
    let credential = ["authorization", "x-api-key"].into_iter().find_map(|name| headers.get(name)).cloned();
    let Some(credential) = credential else { return StatusCode::UNAUTHORIZED.into_response() };
    let credential = credential.to_str().expect("a text").to_owned();
    let is_stale = {
        let mut heard = heard.lock().expect("unharmed");
        heard.last.clone_from(&credential);
        heard.stale.as_ref() == Some(&credential)
    };
    let sent: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("a text"))).collect();
    let echo = format!("{}; {}", sent.join("; "), json!({ "you": credential }));
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut response = if is_stale {
        challenged(401, "invalid_token", "read", &credential, &echo)
    } else {
        respond(&request, &credential, &echo)
    };
    let value = HeaderValue::from_str(&credential).expect("a header value");
    response.headers_mut().insert("x-echo", value.clone());
    response.headers_mut().insert(header::SET_COOKIE, value.clone());
    response.headers_mut().insert("mcp-session-id", value);
    response
}

fn respond(request: &Value, credential: &str, echo: &str) -> Response {
    let id = &request["id"];
    let result = |result: Value| Json(json!({"jsonrpc": "2.0", "id": id, "result": result})).into_response();
    let text = json!({"resultType": "complete", "content": [{"type": "text", "text": echo}]});
    match (request["method"].as_str().unwrap_or_default(), request["params"]["name"].as_str()) {
        ("server/discover", _) => result(json!({
            "resultType": "complete", "supportedVersions": [MODERN], "capabilities": {"tools": {}},
            "serverInfo": {"name": "parrot", "version": echo}, "instructions": echo,
        })),
        ("tools/list", _) => {
            let names = [SAY, FAIL, STREAM, BREAK, MORE, ASK];
            let tools = names.map(|name| json!({"name": name, "description": echo, "inputSchema": {}}));
            result(json!({"resultType": "complete", "tools": tools}))
        }
        ("tools/call", Some(FAIL)) => {
            let error = json!({"code": -32000, "message": echo, "data": {"you": credential}});
            Json(json!({"jsonrpc": "2.0", "id": id, "error": error})).into_response()
        }
        ("tools/call", Some(STREAM)) => {
            let progress =
                json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": echo}});
            let last = json!({"jsonrpc": "2.0", "id": id, "result": text});
            let events = format!(": {credential}\n\nid: {credential}\ndata: {progress}\n\ndata: {last}\n\n");
            ([(header::CONTENT_TYPE, "text/event-stream")], events).into_response()
        }
        ("tools/call", Some(BREAK)) => (StatusCode::INTERNAL_SERVER_ERROR, echo.to_owned()).into_response(),
        ("tools/call", Some(MORE)) => challenged(403, "insufficient_scope", "read export", credential, echo),
        ("tools/call", Some(ASK)) if request["params"]["inputResponses"].is_null() => result(json!({
            "resultType": "input_required", "requestState": STATE,
            "inputRequests": {"q": {"method": "elicitation/create", "params": {
                "mode": "form", "message": "Which?", "requestedSchema": {"type": "object", "properties": {}},
            }}},
        })),
        ("tools/call", _) => result(text),
        _ => StatusCode::ACCEPTED.into_response(),
    }
}

/// A refusal whose every part repeats the credential.
fn challenged(status: u16, error: &str, scope: &str, credential: &str, echo: &str) -> Response {
    let token = credential.rsplit(' ').next().unwrap_or_default();
    let challenge = format!(
        r#"Bearer realm="{token}", error="{error}", error_description="{token}", scope="{scope} {token} x:{token}""#
    );
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [(header::WWW_AUTHENTICATE, challenge)], echo.to_owned()).into_response()
}
