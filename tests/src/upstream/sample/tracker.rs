//! The tools, prompts and resources of the sample server.

use std::time::Duration;

use axum::http::request::Parts;
use portcullis_wire::digest::Digest;
use rmcp::handler::server::router::prompt::PromptRouter;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CallToolResult, ContentBlock, ErrorData, Implementation, ListResourceTemplatesResult,
    ListResourcesResult, PaginatedRequestParams, ProgressNotificationParam, PromptMessage,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource, ResourceContents,
    ResourceTemplate, Role, ServerCapabilities, ServerConfig,
};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::{ServerHandler, prompt, prompt_handler, prompt_router, tool, tool_handler, tool_router};
use serde::Deserialize;
use serde_json::json;

/// Nobody waits longer, and nobody asks for more.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
const LARGEST_RESULT: usize = 8 * 1024 * 1024;
const MOST_STEPS: u32 = 1000;

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Search {
    /// Words that the issues have to contain.
    pub query: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct IssueId {
    /// An issue's id, for example `PC-1`.
    pub id: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewIssue {
    pub title: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Count {
    /// How far to count.
    pub steps: u32,
    /// The pause before each step, milliseconds.
    #[serde(default)]
    pub pause_ms: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Pause {
    /// Milliseconds.
    pub ms: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Size {
    /// Bytes of text.
    pub bytes: usize,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Topic {
    pub topic: String,
}

/// One client's view of the server.
#[derive(Clone, Debug)]
pub struct Tracker {
    tools: ToolRouter<Self>,
    prompts: PromptRouter<Self>,
}

impl Default for Tracker {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::unused_self, reason = "the router calls tools as methods")]
#[tool_router]
impl Tracker {
    pub fn new() -> Self {
        Self { tools: Self::tool_router(), prompts: Self::prompt_router() }
    }

    /// Finds issues.
    #[tool(annotations(read_only_hint = true))]
    fn search_issues(&self, Parameters(Search { query }): Parameters<Search>) -> String {
        json!({"query": query, "issues": [{"id": "PC-1", "title": "The gate is stuck"}]}).to_string()
    }

    /// Shows one issue.
    #[tool(annotations(read_only_hint = true))]
    fn get_issue(&self, Parameters(IssueId { id }): Parameters<IssueId>) -> String {
        json!({"id": id, "title": "The gate is stuck"}).to_string()
    }

    /// Makes an issue.
    #[tool(annotations(read_only_hint = false, destructive_hint = false))]
    fn create_issue(&self, Parameters(NewIssue { title }): Parameters<NewIssue>) -> String {
        json!({"id": "PC-2", "title": title}).to_string()
    }

    /// Deletes an issue for good.
    #[tool(annotations(read_only_hint = false, destructive_hint = true))]
    fn delete_issue(&self, Parameters(IssueId { id }): Parameters<IssueId>) -> String {
        json!({"deleted": id}).to_string()
    }

    /// Counts, and tells of every step.
    #[tool(annotations(read_only_hint = true))]
    async fn count_slowly(
        &self,
        Parameters(Count { steps, pause_ms }): Parameters<Count>,
        context: RequestContext<RoleServer>,
    ) -> Result<String, ErrorData> {
        let steps = steps.min(MOST_STEPS);
        for step in 1..=steps {
            pause(pause_ms, &context).await?;
            if let Some(token) = context.meta.get_progress_token() {
                let progress = ProgressNotificationParam::new(token, f64::from(step))
                    .with_total(f64::from(steps))
                    .with_message(format!("step {step}"));
                context.peer.notify_progress(progress).await.map_err(|error| {
                    ErrorData::internal_error(format!("the client is gone: {error}"), None)
                })?;
            }
        }
        Ok(format!("counted to {steps}"))
    }

    /// Takes its time.
    #[tool(annotations(read_only_hint = true))]
    async fn slow(
        &self,
        Parameters(Pause { ms }): Parameters<Pause>,
        context: RequestContext<RoleServer>,
    ) -> Result<String, ErrorData> {
        pause(ms, &context).await?;
        Ok(format!("waited {ms} ms"))
    }

    /// Says a lot.
    #[tool(annotations(read_only_hint = true))]
    fn large_result(&self, Parameters(Size { bytes }): Parameters<Size>) -> String {
        "x".repeat(bytes.min(LARGEST_RESULT))
    }

    /// Says which credential headers arrived, as digests: enough to compare, too little to use.
    #[tool(annotations(read_only_hint = true))]
    fn whoami(&self, Extension(parts): Extension<Parts>) -> CallToolResult {
        let seen: serde_json::Map<_, _> = ["authorization", "x-api-key", "cookie", "proxy-authorization"]
            .into_iter()
            .filter_map(|name| {
                let value = parts.headers.get(name)?;
                Some((name.to_owned(), credential_digest(value.as_bytes()).into()))
            })
            .collect();
        CallToolResult::success(vec![ContentBlock::text(serde_json::Value::from(seen).to_string())])
    }
}

/// What [`Tracker`]'s tool `whoami` shows of a header's value.
pub fn credential_digest(value: &[u8]) -> String {
    Digest::of("sample-upstream-whoami", &[value]).to_string()
}

async fn pause(milliseconds: u64, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
    let pause = Duration::from_millis(milliseconds).min(LONGEST_PAUSE);
    tokio::select! {
        () = tokio::time::sleep(pause) => Ok(()),
        () = context.ct.cancelled() => Err(ErrorData::internal_error("cancelled", None)),
    }
}

#[expect(clippy::unused_self, reason = "the router calls prompts as methods")]
#[prompt_router]
impl Tracker {
    /// Asks for a summary of the open issues.
    #[prompt(name = "summarize_issues")]
    fn summarize_issues(&self, Parameters(Topic { topic }): Parameters<Topic>) -> Vec<PromptMessage> {
        vec![PromptMessage::new_text(Role::User, format!("Summarise the open issues about {topic}."))]
    }

    /// Asks for a clean-up.
    #[prompt(name = "delete_stale_issues")]
    fn delete_stale_issues(&self) -> Vec<PromptMessage> {
        vec![PromptMessage::new_text(Role::User, "Delete all issues without news for a year.")]
    }
}

#[tool_handler(router = self.tools)]
#[prompt_handler(router = self.prompts)]
impl ServerHandler for Tracker {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_prompts().enable_resources().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("sample-upstream", env!("CARGO_PKG_VERSION")))
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(vec![
            Resource::new("issue://PC-1", "PC-1"),
            Resource::new("secret://minutes", "minutes"),
        ]))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(vec![
            ResourceTemplate::new("issue://{id}", "issue"),
            ResourceTemplate::new("secret://{name}", "secret"),
        ]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let known = request.uri.starts_with("issue://") || request.uri.starts_with("secret://");
        if !known {
            return Err(ErrorData::resource_not_found("no such resource", Some(json!({"uri": request.uri}))));
        }
        let contents = ResourceContents::text(format!("the text of {}", request.uri), &request.uri);
        Ok(ReadResourceResult::new(vec![contents]).into())
    }
}
