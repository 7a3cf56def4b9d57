//! A real MCP server that wants a token of an authorization server for everything, as Linear and its like do.
//!
//! | path | what |
//! |---|---|
//! | `/mcp` | the endpoint, in both eras; 401 with a challenge without a good token |
//! | `/.well-known/oauth-protected-resource/mcp` | which authorization server (RFC 9728), without a token |
//! | `/journal` | `GET` shows and `DELETE` forgets what was received |
//!
//! [`Protected::calls`] says whose token each request had: the truth about who was who.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Serving;
use super::journal::{self, Journal};
use crate::provider::{Access, Provider};

pub mod desk;
mod verifier;
pub mod witness;

use desk::{Desk, Subject};
pub use verifier::{Introspection, Keys, Verifier};

const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// What the server demands, and how it says so.
#[derive(Clone, Debug)]
pub struct Protection {
    pub verifier: Verifier,
    /// For the metadata.
    pub authorization_servers: Vec<String>,
    pub metadata: ResourceMetadata,
    /// Named by the first challenge; empty for none.
    pub scope: &'static str,
}

/// Where a client learns of the authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceMetadata {
    /// Under the endpoint's path, and named by the challenge.
    Named,
    /// Under the endpoint's path, and the challenge says nothing of it.
    Unnamed,
    /// At the root only; its `resource` is the origin.
    Root,
    /// Nowhere.
    Absent,
}

/// Whose request it was, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Of the token, if that was good.
    pub subject: Option<String>,
    /// The JSON-RPC method; that of HTTP where there is no message.
    pub method: String,
    /// The tool's or prompt's name, or the resource's URI.
    pub name: Option<String>,
    /// Whose session it was made in.
    pub session_of: Option<String>,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Served,
    /// 401
    Unauthorized,
    /// 403 with `insufficient_scope`
    InsufficientScope,
    /// A session of another subject was used: 404. Through a gateway this may never happen.
    ForeignSession,
}

/// A running protected server.
#[derive(Debug)]
pub struct Protected {
    pub journal: Journal,
    guard: Arc<Guard>,
    serving: Serving,
}

#[derive(Debug)]
struct Guard {
    protection: Protection,
    origin: String,
    calls: Mutex<Vec<Call>>,
    /// Whose each session is.
    sessions: Mutex<HashMap<String, String>>,
    closed: AtomicBool,
    /// What every call of a tool needs beyond a good token, in place of what the tool wants.
    demanded: Mutex<Option<&'static str>>,
}

impl Protected {
    /// Starts on a free port, behind `provider`, which learns of the resource.
    pub async fn behind(provider: &Provider) -> anyhow::Result<Self> {
        let protection = Protection::by(provider);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let protected = Self::start(listener, protection)?;
        provider.allow_resource(&protected.url());
        Ok(protected)
    }

    pub fn start(listener: TcpListener, protection: Protection) -> std::io::Result<Self> {
        Self::start_with(listener, protection, desk())
    }

    /// Starts with another endpoint behind the lock, which is found at `/mcp`.
    pub fn start_with(
        listener: TcpListener,
        protection: Protection,
        endpoint: Router,
    ) -> std::io::Result<Self> {
        let guard = Arc::new(Guard {
            origin: format!("http://{}", listener.local_addr()?),
            protection,
            calls: Mutex::default(),
            sessions: Mutex::default(),
            closed: AtomicBool::new(false),
            demanded: Mutex::default(),
        });
        let journal = Journal::default();
        let serving = Serving::start(listener, router(&guard, &journal, endpoint))?;
        Ok(Self { journal, guard, serving })
    }

    /// The endpoint, which is the resource's canonical URI too.
    pub fn url(&self) -> String {
        self.guard.url()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.guard.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The subjects of the requests that were served with this JSON-RPC method, in order.
    pub fn subjects_of(&self, method: &str) -> Vec<String> {
        let served = |call: &Call| call.verdict == Verdict::Served && call.method == method;
        self.calls().into_iter().filter(served).filter_map(|call| call.subject).collect()
    }

    /// What was received since the last time that this was asked.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.guard.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets what was received; sessions stay.
    pub fn clear(&self) {
        self.journal.clear();
        self.guard.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether to answer 401 to good tokens too.
    pub fn refuse_everything(&self, closed: bool) {
        self.guard.closed.store(closed, Ordering::Relaxed);
    }

    /// Wants this scope for every call of a tool from now on.
    pub fn demand(&self, scope: Option<&'static str>) {
        *self.guard.demanded.lock().unwrap_or_else(PoisonError::into_inner) = scope;
    }

    pub async fn ended(&mut self) {
        self.serving.ended().await;
    }
}

impl Protection {
    /// As Linear and its like are protected.
    pub fn by(provider: &Provider) -> Self {
        Self {
            verifier: Verifier::Provider(provider.clone()),
            authorization_servers: vec![provider.issuer().to_owned()],
            metadata: ResourceMetadata::Named,
            scope: "",
        }
    }
}

fn desk() -> Router {
    let endpoint = StreamableHttpService::new(
        || Ok(Desk::new()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    Router::new().nest_service("/mcp", endpoint)
}

fn router(guard: &Arc<Guard>, journal: &Journal, endpoint: Router) -> Router {
    let mut router = endpoint
        .route_layer(middleware::from_fn_with_state(Arc::clone(guard), judge))
        .layer(middleware::from_fn_with_state(journal.clone(), journal::record))
        .route("/journal", get(journal::show).delete(journal::forget).with_state(journal.clone()));
    if let Some(path) = guard.metadata_path() {
        let document = guard.metadata();
        router = router.route(path, get(async move || Json(document)));
    }
    router
}

/// Middleware: nothing passes without a good token.
async fn judge(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else { return StatusCode::BAD_REQUEST.into_response() };
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let access = guard.access(&parts.headers).await;
    let verdict = guard.verdict(access.as_ref(), &parts.headers, &message);
    guard.write_down(access.as_ref(), parts.method.as_str(), &parts.headers, &message, verdict);
    let (Verdict::Served, Some(access)) = (verdict, access) else { return guard.refuse(verdict, &message) };
    parts.extensions.insert(Subject(access.subject.clone()));
    parts.extensions.insert(access.clone());
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if let Some(session) = text(response.headers(), "mcp-session-id") {
        let mut sessions = guard.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.entry(session.to_owned()).or_insert(access.subject);
    }
    response
}

impl Guard {
    fn url(&self) -> String {
        format!("{}/mcp", self.origin)
    }

    async fn access(&self, headers: &HeaderMap) -> Option<Access> {
        let token = text(headers, "authorization")?.strip_prefix("Bearer ")?;
        let access = self.protection.verifier.look_up(token).await?;
        // A token for another server is not good here (RFC 8707).
        let for_us = access.resource.as_ref().is_none_or(|resource| *resource == self.url());
        (for_us && !self.closed.load(Ordering::Relaxed)).then_some(access)
    }

    fn verdict(&self, access: Option<&Access>, headers: &HeaderMap, message: &Value) -> Verdict {
        let Some(access) = access else { return Verdict::Unauthorized };
        if self.owner(headers).is_some_and(|owner| owner != access.subject) {
            return Verdict::ForeignSession;
        }
        match self.wanted_scope(message) {
            Some(scope) if !access.scope.split(' ').any(|granted| granted == scope) => {
                Verdict::InsufficientScope
            }
            _ => Verdict::Served,
        }
    }

    fn owner(&self, headers: &HeaderMap) -> Option<String> {
        let session = text(headers, "mcp-session-id")?;
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(session).cloned()
    }

    /// The scope that a call needs beyond a good token.
    fn wanted_scope(&self, message: &Value) -> Option<&'static str> {
        let demanded = *self.demanded.lock().unwrap_or_else(PoisonError::into_inner);
        if message["method"] != "tools/call" {
            return None;
        }
        demanded.or_else(|| (message["params"]["name"] == desk::EXPORT).then_some(desk::EXPORT_SCOPE))
    }

    fn write_down(
        &self,
        access: Option<&Access>,
        http_method: &str,
        headers: &HeaderMap,
        message: &Value,
        verdict: Verdict,
    ) {
        let params = &message["params"];
        let call = Call {
            subject: access.map(|access| access.subject.clone()),
            method: message["method"].as_str().unwrap_or(http_method).to_owned(),
            name: params["name"].as_str().or_else(|| params["uri"].as_str()).map(str::to_owned),
            session_of: self.owner(headers),
            verdict,
        };
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    fn refuse(&self, verdict: Verdict, message: &Value) -> Response {
        let mut parameters = Vec::new();
        let status = match verdict {
            Verdict::InsufficientScope => {
                parameters.push(("error", "insufficient_scope".to_owned()));
                parameters.push(("scope", self.wanted_scope(message).unwrap_or_default().to_owned()));
                StatusCode::FORBIDDEN
            }
            Verdict::ForeignSession => return StatusCode::NOT_FOUND.into_response(),
            Verdict::Served | Verdict::Unauthorized => {
                if !self.protection.scope.is_empty() {
                    parameters.push(("scope", self.protection.scope.to_owned()));
                }
                StatusCode::UNAUTHORIZED
            }
        };
        if self.protection.metadata == ResourceMetadata::Named
            && let Some(path) = self.metadata_path()
        {
            parameters.push(("resource_metadata", format!("{}{path}", self.origin)));
        }
        let parameters: Vec<String> =
            parameters.into_iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let challenge = format!("Bearer realm=\"protected\", {}", parameters.join(", "));
        let challenge = HeaderValue::try_from(challenge.trim_end_matches(", ").to_owned())
            .unwrap_or(HeaderValue::from_static("Bearer"));
        (status, [(header::WWW_AUTHENTICATE, challenge)], "the protected server wants a token")
            .into_response()
    }

    fn metadata_path(&self) -> Option<&'static str> {
        match self.protection.metadata {
            ResourceMetadata::Named | ResourceMetadata::Unnamed => {
                Some("/.well-known/oauth-protected-resource/mcp")
            }
            ResourceMetadata::Root => Some("/.well-known/oauth-protected-resource"),
            ResourceMetadata::Absent => None,
        }
    }

    fn metadata(&self) -> Value {
        let resource = match self.protection.metadata {
            ResourceMetadata::Root => self.origin.clone(),
            _ => self.url(),
        };
        json!({
            "resource": resource,
            "authorization_servers": self.protection.authorization_servers,
            "bearer_methods_supported": ["header"],
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests;
