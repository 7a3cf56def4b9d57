//! The tools of the protected server.

use axum::http::request::Parts;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::tool::{Extension, ToolCallContext};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Implementation,
    InputRequests, InputRequiredResult, ProtocolVersion, ServerCapabilities, ServerConfig,
};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use serde::Deserialize;
use serde_json::json;

/// The tool that wants [`EXPORT_SCOPE`].
pub const EXPORT: &str = "export_issues";
pub const EXPORT_SCOPE: &str = "export";
/// The tool that asks a question of its own before it does anything (2026-07-28).
pub const RENAME: &str = "rename_issue";
/// The `requestState` that comes with the question and has to come back.
pub const RENAME_STATE: &str = "desk-state-1f7a";

/// Whose token a request had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(pub String);

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

/// One client's view of the server.
#[derive(Clone, Debug)]
pub struct Desk {
    tools: ToolRouter<Self>,
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::unused_self, reason = "the router calls tools as methods")]
#[tool_router]
impl Desk {
    pub fn new() -> Self {
        Self { tools: Self::tool_router() }
    }

    /// Says whose account is used.
    #[tool(annotations(read_only_hint = true))]
    fn whoami(&self, Extension(parts): Extension<Parts>) -> Result<String, ErrorData> {
        let subject = parts.extensions.get::<Subject>();
        subject.map(|subject| subject.0.clone()).ok_or_else(|| ErrorData::internal_error("nobody", None))
    }

    /// Finds issues.
    #[tool(annotations(read_only_hint = true))]
    fn search_issues(&self, Parameters(Search { query }): Parameters<Search>) -> String {
        json!({"query": query, "issues": [{"id": "PC-1", "title": "The gate is stuck"}]}).to_string()
    }

    /// Deletes an issue for good.
    #[tool(annotations(read_only_hint = false, destructive_hint = true))]
    fn delete_issue(&self, Parameters(IssueId { id }): Parameters<IssueId>) -> String {
        json!({"deleted": id}).to_string()
    }

    /// Exports all issues, which wants a scope of its own.
    #[tool(name = "export_issues", annotations(read_only_hint = true))]
    fn export_issues(&self) -> String {
        json!({"exported": 1}).to_string()
    }

    /// Renames an issue, after asking for the title.
    #[tool(name = "rename_issue", annotations(read_only_hint = false, destructive_hint = false))]
    fn rename_issue(&self, Parameters(IssueId { id }): Parameters<IssueId>) -> String {
        json!({"renamed": id}).to_string()
    }
}

#[tool_handler(router = self.tools)]
impl ServerHandler for Desk {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("protected-upstream", env!("CARGO_PKG_VERSION")))
            .with_instructions("A desk behind a lock.")
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let modern = context.protocol_version() == Some(ProtocolVersion::V_2026_07_28);
        if request.name == RENAME && modern {
            return rename(&request);
        }
        self.tools.call(ToolCallContext::new(self, request, context)).await
    }
}

/// Asks first, and takes an answer only with the state that came with the question.
fn rename(request: &CallToolRequestParams) -> Result<CallToolResponse, ErrorData> {
    let Some(state) = &request.request_state else {
        let question = json!({"title": {"method": "elicitation/create", "params": {
            "mode": "form", "message": "What is its new title?", "requestedSchema": {
                "type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"],
            },
        }}});
        let requests: InputRequests = serde_json::from_value(question)
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let asked = InputRequiredResult::new(Some(requests), Some(RENAME_STATE.to_owned()));
        return Ok(CallToolResponse::InputRequired(asked));
    };
    if state != RENAME_STATE {
        return Err(ErrorData::invalid_params("this state is not ours", None));
    }
    let title = request.input_responses.as_ref().and_then(|answers| answers.get("title"));
    let title = title.map(|answer| answer["content"]["title"].clone()).unwrap_or_default();
    let result = CallToolResult::success(vec![ContentBlock::text(json!({"title": title}).to_string())]);
    Ok(CallToolResponse::Complete(result))
}
