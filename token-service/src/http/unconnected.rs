//! `/v1/unconnected`: the MCP endpoint of servers whose member has yet to connect an account.
//!
//! Whoever reads the answers is an MCP client, so that all of them are JSON-RPC, failures too.

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use portcullis_wire::unconnected::HANDLE_HEADER;

use crate::state::Shared;
use crate::unconnected::Answer;

/// The largest message that is read, in bytes. The filter has a bound of its own.
const LARGEST_MESSAGE: usize = 4 * 1024 * 1024;

const SESSION_HEADER: &str = "mcp-session-id";

/// One message of a client.
pub async fn post(State(app): State<Shared>, headers: HeaderMap, body: Body) -> Response {
    let Ok(body) = to_bytes(body, LARGEST_MESSAGE).await else { return respond(Answer::too_large()) };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let handle = text(HANDLE_HEADER).unwrap_or_default();
    respond(app.answer_unconnected(handle, text(SESSION_HEADER), &body).await)
}

/// There is nothing to stream before there is a connection (MCP 2025-11-25, transports, "Listening for Messages").
pub async fn get() -> Response {
    let mut response = respond(Answer::no_stream());
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, DELETE"));
    response
}

/// The end of a session, of which nothing was kept.
pub async fn delete() -> StatusCode {
    StatusCode::NO_CONTENT
}

fn respond(answer: Answer) -> Response {
    let Answer { status, body, session, retry_after } = answer;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = body.is_some().then(|| HeaderValue::from_static("application/json"));
    let mut response = (status, body.unwrap_or_default()).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(content_type.map(|value| (header::CONTENT_TYPE, value)));
    headers.extend(retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))));
    if let Some(session) = session.and_then(|session| HeaderValue::from_str(&session).ok()) {
        headers.insert(SESSION_HEADER, session);
    }
    response
}
