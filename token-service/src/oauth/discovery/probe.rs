//! Asking an MCP server something without a credential, to see how it refuses.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Value, json};
use url::Url;

use super::{DiscoveryError, PROTOCOL_VERSION};
use crate::egress::{EgressClient, EgressReply, EgressRequest};
use crate::oauth::challenge::{self, BearerChallenge};

const MODERN_VERSION: &str = "2026-07-28";

/// The status of the server's refusal, or of what it answered in place of one, and its challenge.
///
/// `initialize` is what most servers know. A 400 may be about the version, so the question of the versions without a
/// handshake follows it.
pub(super) async fn ask(
    egress: &EgressClient,
    server: &Url,
) -> Result<(u16, Option<BearerChallenge>), DiscoveryError> {
    let mut reply = egress.fetch_head(initialize(server)).await?;
    if reply.status == 400 {
        reply = egress.fetch_head(server_discover(server)).await?;
    }
    match reply.status {
        429 | 500.. => {
            Err(DiscoveryError::Unavailable(format!("{server} answered {}; try again later", reply.status)))
        }
        401 | 403 => Ok((reply.status, bearer(&reply))),
        status => Ok((status, None)),
    }
}

fn bearer(reply: &EgressReply) -> Option<BearerChallenge> {
    let values = reply.headers.get_all(header::WWW_AUTHENTICATE).iter();
    challenge::bearer(&values.filter_map(|value| value.to_str().ok()).collect::<Vec<_>>())
}

fn initialize(server: &Url) -> EgressRequest {
    let client = json!({"name": "portcullis", "version": env!("CARGO_PKG_VERSION")});
    let params = json!({"protocolVersion": PROTOCOL_VERSION, "capabilities": {}, "clientInfo": client});
    post(server, "initialize", &params, HeaderMap::new())
}

fn server_discover(server: &Url) -> EgressRequest {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN_VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let mut headers = HeaderMap::new();
    for (name, value) in [("mcp-protocol-version", MODERN_VERSION), ("mcp-method", "server/discover")] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    post(server, "server/discover", &json!({"_meta": meta}), headers)
}

fn post(server: &Url, method: &str, params: &Value, mut headers: HeaderMap) -> EgressRequest {
    let both = HeaderValue::from_static("application/json, text/event-stream");
    headers.insert(header::ACCEPT, both);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    EgressRequest { method: Method::POST, url: server.clone(), headers, body: body.into(), limit: 0 }
}
