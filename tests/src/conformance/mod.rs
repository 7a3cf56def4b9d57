//! An MCP server that answers everything the conformance suite asks, in the legacy and the modern era.
//!
//! The suite (npm `@modelcontextprotocol/conformance`) ships no server of its own. This one stands behind the
//! gateway as a strict upstream: what it answers directly, it must also answer through the gateway.

mod content;
mod input;
pub mod suite;
mod tools;

use std::sync::Arc;

use axum::Router;
use rmcp::ErrorData;
use rmcp::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult,
    CompletionInfo, GetPromptRequestParams, GetPromptResponse, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, RequestStateCodec, ServerCapabilities, ServerConfig,
    SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::broadcast;

/// A list changed; told to every open `subscriptions/listen` stream.
#[derive(Clone, Copy, Debug)]
enum Changed {
    Tools,
    Prompts,
}

#[derive(Clone)]
struct ConformanceServer {
    tools: Arc<Vec<Tool>>,
    changes: broadcast::Sender<Changed>,
    request_state: Arc<RequestStateCodec>,
}

/// The server, at `/mcp`. Only loopback names are accepted in `Host`, as the suite's check against DNS rebinding demands.
pub fn router() -> anyhow::Result<Router> {
    let server = ConformanceServer {
        tools: Arc::new(tools::list()),
        changes: broadcast::channel(16).0,
        // The seal only has to withstand the suite, which lives as long as this process.
        request_state: Arc::new(RequestStateCodec::try_new(
            b"conformance-suite-request-state-key".as_slice(),
        )?),
    };
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    Ok(Router::new().nest_service("/mcp", service))
}

/// Reads a fixture that is written as JSON, the form in which the suite states its demands.
fn fixture<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("the fixture has the shape that the protocol gives it")
}

impl ServerHandler for ConformanceServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(
            ServerCapabilities::builder()
                .enable_logging()
                .enable_completions()
                .enable_prompts()
                .enable_prompts_list_changed()
                .enable_resources()
                .enable_resources_subscribe()
                .enable_tools()
                .enable_tool_list_changed()
                .build(),
        )
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut result = ListToolsResult::with_all_items(self.tools.as_ref().clone());
        (result.ttl_ms, result.cache_scope) = cache_hints();
        Ok(result)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match input::call_tool(&self.request_state, &request, &context)? {
            Some(response) => Ok(response),
            None => tools::call(self, request, context).await.map(Into::into),
        }
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let mut result = ListPromptsResult::with_all_items(content::prompts());
        (result.ttl_ms, result.cache_scope) = cache_hints();
        Ok(result)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        match input::get_prompt(&request) {
            Some(response) => Ok(response),
            None => content::prompt(&request).map(Into::into),
        }
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let mut result = ListResourcesResult::with_all_items(content::resources());
        (result.ttl_ms, result.cache_scope) = cache_hints();
        Ok(result)
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let mut result = ListResourceTemplatesResult::with_all_items(content::resource_templates());
        (result.ttl_ms, result.cache_scope) = cache_hints();
        Ok(result)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let mut result = content::read(&request.uri)?;
        (result.ttl_ms, result.cache_scope) = cache_hints();
        Ok(result.into())
    }

    async fn complete(
        &self,
        _request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let values = ["paris", "park", "party"].map(String::from).to_vec();
        let completion =
            CompletionInfo::new(values).map_err(|error| ErrorData::internal_error(error, None))?;
        Ok(CompleteResult::new(completion))
    }

    async fn set_level(
        &self,
        _request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(
        &self,
        _request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes.subscribe();
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            // The sink drops what the subscriber did not ask for.
            let sent = match change {
                Ok(Changed::Tools) => context.sink().notify_tool_list_changed().await,
                Ok(Changed::Prompts) => context.sink().notify_prompt_list_changed().await,
                Err(broadcast::error::RecvError::Lagged(_)) => Ok(()),
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            };
            if let Err(error) = sent {
                tracing::debug!(%error, "the subscriber does not take this change");
            }
        }
    }
}

/// Required on every cacheable result of the modern era; the suite wants them on every page.
fn cache_hints() -> (Option<u64>, Option<CacheScope>) {
    (Some(60_000), Some(CacheScope::Public))
}
