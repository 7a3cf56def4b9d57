//! A real MCP server on `rmcp`: a toy issue tracker, and tools that are slow, large or chatty.
//!
//! | path | credential |
//! |---|---|
//! | `/mcp` | `Authorization: Bearer <key>` or `X-Api-Key: <key>` |
//! | `/open/mcp` | none |
//! | `/journal` | none; `GET` shows and `DELETE` forgets what was received |

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;

use super::Serving;
use super::journal::{self, Journal};

pub mod tracker;

use tracker::Tracker;

/// A running sample server.
#[derive(Debug)]
pub struct SampleUpstream {
    pub journal: Journal,
    serving: Serving,
}

impl SampleUpstream {
    /// Starts on `listener`, demanding `key` on `/mcp`.
    pub fn start(listener: TcpListener, key: &str) -> std::io::Result<Self> {
        let journal = Journal::default();
        let serving = Serving::start(listener, router(key, &journal))?;
        Ok(Self { journal, serving })
    }

    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// The URL of the endpoint that demands the key.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.serving.address)
    }

    /// The URL of the endpoint that takes anybody.
    pub fn open_url(&self) -> String {
        format!("http://{}/open/mcp", self.serving.address)
    }

    pub async fn ended(&mut self) {
        self.serving.ended().await;
    }
}

fn router(key: &str, journal: &Journal) -> Router {
    let endpoint = || {
        StreamableHttpService::new(
            || Ok(Tracker::new()),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default(),
        )
    };
    let key: Arc<str> = key.into();
    Router::new()
        .nest_service("/mcp", endpoint())
        .route_layer(middleware::from_fn_with_state(key, demand_key))
        .nest_service("/open/mcp", endpoint())
        .layer(middleware::from_fn_with_state(journal.clone(), journal::record))
        .merge(
            Router::new()
                .route("/journal", get(journal::show).delete(journal::forget))
                .with_state(journal.clone()),
        )
}

async fn demand_key(State(key): State<Arc<str>>, request: Request, next: Next) -> Response {
    if presented(request.headers()).is_some_and(|presented| presented == &*key) {
        return next.run(request).await;
    }
    // What real servers answer, and what must not reach the gateway's clients.
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"sample upstream\"")];
    (StatusCode::UNAUTHORIZED, challenge, "the sample upstream wants its key").into_response()
}

fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    bearer.or_else(|| headers.get("x-api-key").and_then(|value| value.to_str().ok()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mcp::{Agent, Era, LATEST_LEGACY};

    async fn upstream() -> SampleUpstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        SampleUpstream::start(listener, "the-key").expect("starts")
    }

    #[tokio::test]
    async fn speaks_both_eras() {
        let upstream = upstream().await;
        let modern = Agent::new(upstream.open_url(), None, Era::Modern);
        let mut legacy = Agent::new(upstream.open_url(), None, Era::Legacy(LATEST_LEGACY));
        legacy.initialize().await;
        assert!(legacy.session().is_some());
        for agent in [modern, legacy] {
            let tools = agent.call("tools/list", json!({})).await;
            assert!(tools.listed("tools").contains(&"delete_issue".to_owned()), "{tools:?}");
            let reply = agent.call_tool("get_issue", json!({"id": "PC-9"})).await;
            assert!(reply.answer()["result"]["content"][0]["text"].to_string().contains("PC-9"), "{reply:?}");
            let counted = agent
                .call(
                    "tools/call",
                    json!({"name": "count_slowly", "arguments": {"steps": 3},
                    "_meta": {"progressToken": "t"}}),
                )
                .await;
            let steps = counted.messages().iter().filter(|m| m["method"] == "notifications/progress").count();
            assert_eq!(steps, 3, "{counted:?}");
        }
    }

    #[tokio::test]
    async fn demands_its_key_and_writes_down_what_comes() {
        let upstream = upstream().await;
        let agent = Agent::new(upstream.url(), Some("not-the-key"), Era::Modern);
        assert_eq!(agent.call("tools/list", json!({})).await.status, 401);
        let agent = agent.with_credential(Some("the-key"));
        let seen = agent.call_tool("whoami", json!({})).await.answer();
        let expected = tracker::credential_digest(b"Bearer the-key");
        assert!(seen["result"]["content"][0]["text"].to_string().contains(&expected), "{seen}");
        let entries = upstream.journal.entries();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1].header("authorization"), ["Bearer the-key"]);
        assert_eq!(entries[1].rpc_method().as_deref(), Some("tools/call"));
    }
}
