//! `rmcp` as a client, in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, ContentBlock, ElicitRequestParams, ElicitResult,
    ElicitationAction, ElicitationCapability, ErrorData, GetPromptRequestParams, ProgressNotificationParam,
    ProtocolVersion, ReadResourceRequestParams, ResourceContents, ServerCapabilities,
    UrlElicitationCapability,
};
use rmcp::service::{NotificationContext, RequestContext, RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt as _, RoleClient};

use tokio::sync::{mpsc, oneshot};

use super::{
    Action, CallReport, CallResult, Era, Event, Job, Outcome, PromptReport, PromptRequest, Report,
    ResourceReport, Texts, ToolCall,
};

/// "URL elicitation required" (2025-11-25): the client opens the addresses in the error's data, and asks again.
const URL_ELICITATION_REQUIRED: i32 = -32042;

/// An event, and where to say what became of it.
type Told = (Event, oneshot::Sender<Action>);

/// Remembers the progress that it is told of, and tells its user what happens.
#[derive(Clone)]
struct Listener {
    progress: Arc<Mutex<Vec<f64>>>,
    user: mpsc::Sender<Told>,
    /// Whether it can have addresses opened.
    opens: bool,
}

impl Listener {
    fn taken(&self) -> Vec<f64> {
        std::mem::take(&mut *self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn open(&self, url: String) -> Action {
        if self.opens { self.tell(Event::Open(url)).await } else { Action::Cancel }
    }

    async fn tell(&self, event: Event) -> Action {
        let (reply, answer) = oneshot::channel();
        if self.user.send((event, reply)).await.is_err() {
            return Action::Cancel;
        }
        answer.await.unwrap_or(Action::Cancel)
    }

    /// Asks again after each address that has to be opened first. `rmcp` leaves that to its users.
    async fn persistently<T>(
        &self,
        mut request: impl AsyncFnMut() -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        loop {
            let error = match request().await {
                Err(ServiceError::McpError(error)) if error.code.0 == URL_ELICITATION_REQUIRED => error,
                outcome => return outcome,
            };
            for url in addresses(&error) {
                if self.open(url).await != Action::Accept {
                    return Err(ServiceError::McpError(error));
                }
            }
        }
    }
}

fn addresses(error: &ErrorData) -> Vec<String> {
    let elicitations = error.data.as_ref().map(|data| data["elicitations"].clone()).unwrap_or_default();
    let elicitations = elicitations.as_array().cloned().unwrap_or_default();
    elicitations.iter().filter_map(|elicitation| elicitation["url"].as_str()).map(str::to_owned).collect()
}

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        let mut capabilities = ClientCapabilities::default();
        if self.opens {
            let url = ElicitationCapability::new().with_url(UrlElicitationCapability::new());
            capabilities.elicitation = Some(url);
        }
        let mut info = ClientConfig::default();
        info.capabilities = capabilities;
        info
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).push(progress.progress);
    }

    /// Since 2026-07-28 `rmcp` itself asks this, and calls again with what it says.
    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let action = match request {
            ElicitRequestParams::UrlElicitationParams { url, .. } => self.open(url).await,
            _ => Action::Decline,
        };
        Ok(ElicitResult::new(match action {
            Action::Accept => ElicitationAction::Accept,
            Action::Decline => ElicitationAction::Decline,
            Action::Cancel | Action::Expire => ElicitationAction::Cancel,
        }))
    }
}

type Client = RunningService<RoleClient, Listener>;

/// Does the job on a thread of its own: `rmcp` hands every notification to a task of its own, and only with a single
/// thread do those run in the order of arrival, and before the caller sees the result.
pub(super) async fn drive(job: &Job, mut attend: impl AsyncFnMut(Event) -> Action) -> anyhow::Result<Report> {
    let job = job.clone();
    let (user, mut told) = mpsc::channel::<Told>(1);
    let listener = Listener { progress: Arc::default(), user, opens: job.elicit };
    let client = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(report(&job, listener))
    });
    // Ends when the client has, and with it every sender.
    while let Some((event, reply)) = told.recv().await {
        // A client that no longer waits has failed, which it says itself.
        let _ = reply.send(attend(event).await);
    }
    client.await?
}

async fn report(job: &Job, listener: Listener) -> anyhow::Result<Report> {
    let client = connect(job, listener.clone()).await?;
    let server = client.peer_info().context("the server has introduced itself")?;
    let lists = List { client: &client, can: &server.capabilities };

    let mut report = Report {
        protocol_version: server.protocol_version.to_string(),
        server: server.server_info.as_ref().map(|server| server.name.clone()),
        tools: lists.tools().await?,
        prompts: lists.prompts().await?,
        resources: lists.resources().await?,
        resource_templates: lists.resource_templates().await?,
        calls: Vec::new(),
        prompt_results: Vec::new(),
        resource_results: Vec::new(),
    };
    for wanted in &job.calls {
        let outcome = call(&client, &listener, wanted).await?;
        let answered = CallReport { tool: wanted.tool.clone(), outcome };
        if job.attended {
            listener.tell(Event::Answered(answered.clone())).await;
        }
        report.calls.push(answered);
    }
    for wanted in &job.prompts {
        let outcome = get_prompt(&client, &listener, wanted).await?;
        report.prompt_results.push(PromptReport { name: wanted.name.clone(), outcome });
    }
    for uri in &job.resources {
        let outcome = read_resource(&client, &listener, uri).await?;
        report.resource_results.push(ResourceReport { uri: uri.clone(), outcome });
    }
    client.cancel().await?;
    Ok(report)
}

async fn connect(job: &Job, listener: Listener) -> anyhow::Result<Client> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(job.url.clone());
    if let Some(key) = &job.key {
        config = config.auth_header(key.clone());
    }
    crate::http::cryptography();
    let transport = StreamableHttpClientTransport::from_config(config);
    let lifecycle = match job.era {
        Era::Legacy => ClientLifecycleMode::Initialize,
        Era::Modern => {
            ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
        }
    };
    Ok(listener.serve_with_lifecycle(transport, lifecycle).await?)
}

/// A list that the server does not offer is empty; SDKs differ in whether they ask for it.
struct List<'a> {
    client: &'a Client,
    can: &'a ServerCapabilities,
}

impl List<'_> {
    async fn tools(&self) -> Result<Vec<String>, ServiceError> {
        if self.can.tools.is_none() {
            return Ok(Vec::new());
        }
        Ok(sorted(self.client.list_all_tools().await?.into_iter().map(|tool| tool.name.into_owned())))
    }

    async fn prompts(&self) -> Result<Vec<String>, ServiceError> {
        if self.can.prompts.is_none() {
            return Ok(Vec::new());
        }
        Ok(sorted(self.client.list_all_prompts().await?.into_iter().map(|prompt| prompt.name)))
    }

    async fn resources(&self) -> Result<Vec<String>, ServiceError> {
        if self.can.resources.is_none() {
            return Ok(Vec::new());
        }
        Ok(sorted(self.client.list_all_resources().await?.into_iter().map(|resource| resource.uri)))
    }

    async fn resource_templates(&self) -> Result<Vec<String>, ServiceError> {
        if self.can.resources.is_none() {
            return Ok(Vec::new());
        }
        let templates = self.client.list_all_resource_templates().await?;
        Ok(sorted(templates.into_iter().map(|template| template.uri_template)))
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

async fn call(
    client: &Client,
    listener: &Listener,
    wanted: &ToolCall,
) -> anyhow::Result<Outcome<CallResult>> {
    listener.taken();
    let request = CallToolRequestParams::new(wanted.tool.clone()).with_arguments(wanted.arguments.clone());
    let result = listener.persistently(async || client.call_tool(request.clone()).await).await;
    outcome(result.map(|result| CallResult {
        is_error: result.is_error.unwrap_or(false),
        text: result.content.iter().map(text).collect(),
        progress: listener.taken(),
    }))
}

async fn get_prompt(
    client: &Client,
    listener: &Listener,
    wanted: &PromptRequest,
) -> anyhow::Result<Outcome<Texts>> {
    let arguments: HashMap<_, _> = wanted.arguments.clone().into_iter().collect();
    let request =
        GetPromptRequestParams::new(wanted.name.clone()).with_arguments(arguments.into_iter().collect());
    let result = listener.persistently(async || client.get_prompt(request.clone()).await).await;
    outcome(
        result.map(|result| Texts {
            text: result.messages.iter().map(|message| text(&message.content)).collect(),
        }),
    )
}

async fn read_resource(client: &Client, listener: &Listener, uri: &str) -> anyhow::Result<Outcome<Texts>> {
    let request = ReadResourceRequestParams::new(uri);
    let result = listener.persistently(async || client.read_resource(request.clone()).await).await;
    outcome(result.map(|result| {
        Texts {
            text: result
                .contents
                .into_iter()
                .map(|content| match content {
                    ResourceContents::TextResourceContents { text, .. } => text,
                    _ => "<blob>".to_owned(),
                })
                .collect(),
        }
    }))
}

/// Anything but a protocol error ends the driver.
fn outcome<T>(result: Result<T, ServiceError>) -> anyhow::Result<Outcome<T>> {
    match result {
        Ok(result) => Ok(Outcome::Result(result)),
        Err(ServiceError::McpError(error)) => Ok(Outcome::Error { code: error.code.0 }),
        Err(error) => Err(error.into()),
    }
}

fn text(content: &ContentBlock) -> String {
    match content {
        ContentBlock::Text(content) => content.text.clone(),
        ContentBlock::Image(_) => "<image>".to_owned(),
        ContentBlock::Audio(_) => "<audio>".to_owned(),
        ContentBlock::Resource(_) => "<resource>".to_owned(),
        _ => "<resource_link>".to_owned(),
    }
}
