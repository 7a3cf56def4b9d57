//! A real MCP server on `rmcp`, which wants the access token of [`Provider`](crate::provider::Provider) for everything.

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use rmcp::ServerHandler;
use rmcp::model::{
    ErrorData, Implementation, JsonObject, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    Resource, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};

use crate::provider::{ACCESS_TOKEN, Provider};

/// A server that runs until it is dropped.
pub(crate) struct TrackerServer {
    pub(crate) url: String,
    journal: Journal,
    running: tokio::task::JoinHandle<()>,
}

/// What was asked, and what everything is answered with, if that was decided.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    methods: Vec<String>,
    status: Option<StatusCode>,
}

impl TrackerServer {
    pub(crate) async fn start(provider: &Provider) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let metadata = json!({"resource": format!("{url}/mcp"), "authorization_servers": [provider.url]});
        let journal = Journal::default();
        let endpoint = StreamableHttpService::new(
            || Ok(Tracker),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default(),
        );
        let routes = Router::new()
            .nest_service("/mcp", endpoint)
            .layer(from_fn_with_state(journal.clone(), guard))
            .route("/.well-known/oauth-protected-resource/mcp", get(async move || Json(metadata)));
        let running = tokio::spawn(async move { axum::serve(listener, routes).await.expect("serves") });
        Self { url: format!("{url}/mcp"), journal, running }
    }

    /// The methods that were asked with a good token, in order.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.journal.0.lock().expect("no panic").methods.clone()
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.methods().iter().filter(|asked| *asked == method).count()
    }

    /// From now on everything is answered with this status and nothing else.
    pub(crate) fn answer_all(&self, status: StatusCode) {
        self.journal.0.lock().expect("no panic").status = Some(status);
    }
}

impl Drop for TrackerServer {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn guard(State(journal): State<Journal>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let good = shown == Some(&format!("Bearer {ACCESS_TOKEN}"));
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    {
        let mut kept = journal.0.lock().expect("no panic");
        if let Some(status) = kept.status.or((!good).then_some(StatusCode::UNAUTHORIZED)) {
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")];
            return (status, challenge).into_response();
        }
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        kept.methods.push(message["method"].as_str().unwrap_or(head.method.as_str()).to_owned());
    }
    next.run(Request::from_parts(head, Body::from(body))).await
}

struct Tracker;

impl ServerHandler for Tracker {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("tracker", "1.0"))
            .with_instructions("Track issues.")
    }

    /// Three tools on two pages.
    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tool = |name: &'static str| {
            Tool::new(name, "A tool.", JsonObject::from_iter([("type".to_owned(), "object".into())]))
        };
        let second = request.and_then(|request| request.cursor).is_some();
        let tools = if second { vec![tool("get_issue")] } else { vec![tool("search"), tool("create_issue")] };
        let mut page = ListToolsResult::with_all_items(tools);
        page.next_cursor = (!second).then(|| "more".to_owned());
        Ok(page)
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(vec![Resource::new("file:///diary.txt", "diary")]))
    }
}
