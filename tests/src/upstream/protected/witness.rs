//! An endpoint for volume: a small MCP server in both eras whose one tool says whose token the call had, from which
//! sign-in that came, and what it was told.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::BODY_LIMIT;
use crate::mcp::MODERN;
use crate::provider::Access;

/// The tool.
pub const TESTIFY: &str = "testify";

/// What the tool answers, as JSON in its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Testimony {
    pub subject: String,
    pub sign_in: Option<u64>,
    /// As the caller sent it.
    pub nonce: String,
}

/// To be put behind the lock of [`super::Protected`].
pub fn endpoint() -> Router {
    Router::new().route("/mcp", post(answer).delete(async || StatusCode::NO_CONTENT))
}

async fn answer(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(id) = message.get("id") else { return StatusCode::ACCEPTED.into_response() };
    let access = parts.extensions.get::<Access>();
    let params = &message["params"];
    let mut headers = HeaderMap::new();
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => {
            if let Ok(session) = crate::provider::random("session").parse() {
                headers.insert("mcp-session-id", session);
            }
            Ok(json!({"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": server_info()}))
        }
        "server/discover" => Ok(json!({"supportedVersions": [MODERN], "capabilities": {"tools": {}},
            "serverInfo": server_info()})),
        "tools/list" => Ok(json!({"tools": [tool()]})),
        "tools/call" => Ok(json!({"content": [{"type": "text", "text": testimony(access, params)}]})),
        _ => Err(json!({"code": -32601, "message": "Method not found"})),
    };
    let mut answer = json!({"jsonrpc": "2.0", "id": id});
    match result {
        Ok(mut result) => {
            if parts.headers.get("mcp-protocol-version").is_some_and(|version| version == MODERN) {
                result["resultType"] = "complete".into();
            }
            answer["result"] = result;
        }
        Err(error) => answer["error"] = error,
    }
    (headers, Json(answer)).into_response()
}

fn testimony(access: Option<&Access>, params: &Value) -> String {
    let testimony = Testimony {
        subject: access.map(|access| access.subject.clone()).unwrap_or_default(),
        sign_in: access.and_then(|access| access.sign_in),
        nonce: params["arguments"]["nonce"].as_str().unwrap_or_default().to_owned(),
    };
    json!(testimony).to_string()
}

fn server_info() -> Value {
    json!({"name": "witness", "version": env!("CARGO_PKG_VERSION")})
}

fn tool() -> Value {
    json!({"name": TESTIFY, "description": "Says whose account is used, and repeats the nonce.",
        "inputSchema": {"type": "object", "properties": {"nonce": {"type": "string"}}, "required": ["nonce"]}})
}
