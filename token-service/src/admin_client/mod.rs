//! The administrators' commands: each is a request or two to the admin API of a running service, and shows what it says.
//!
//! Objects have a command each (`portcullis server add …`); what people do in a hurry has one of its own
//! (`portcullis quarantine on …`). What they may do is decided by the service, for whoever's token they carry.

mod administrators;
mod api;
mod body;
mod client;
mod connections;
mod explain;
mod keys;
mod limits;
mod members;
mod policies;
mod provisioning;
mod quarantine;
mod records;
mod rotation;
mod servers;
mod show;
mod tools;
mod workspaces;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use portcullis_wire::names::Slug;
use reqwest::Method;
use serde_json::{Value, json};

use self::client::Client;
pub use self::client::ClientError;
use crate::config::Endpoint;
use crate::domain::url::{PlainHttp, ServerUrl};

/// Where the service is, and who asks. A token is never an argument: arguments are seen by everybody on the machine.
#[derive(Debug, Args)]
pub struct AdminListener {
    /// The admin listener.
    #[arg(long, value_name = "URL", env = "PORTCULLIS_ADMIN_URL", default_value = "http://127.0.0.1:8082")]
    admin_url: String,
    /// Holds the admin token; otherwise the variable `PORTCULLIS_ADMIN_TOKEN` does.
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_ADMIN_TOKEN_FILE")]
    admin_token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Access {
    #[command(flatten)]
    listener: AdminListener,
    /// Print what the service answers, as JSON.
    #[arg(long)]
    json: bool,
}

/// For changes.
#[derive(Debug, Args)]
// Commands are named `change` too, and groups and commands share one name space.
#[group(skip)]
pub struct Change {
    #[command(flatten)]
    access: Access,
    /// End only when every connected filter has acknowledged the change.
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Says why something is allowed or denied: now for a caller, or of a denied request by its decision id.
    Explain(explain::ExplainArguments),
    /// The registry: lists servers, shows, adds, changes and deletes one.
    #[command(subcommand)]
    Server(servers::Servers),
    /// Lists workspaces, shows, adds, changes and deletes one.
    #[command(subcommand)]
    Workspace(workspaces::Workspaces),
    /// Lists the members of a workspace, shows, adds, changes and deletes one.
    #[command(subcommand)]
    Member(members::Members),
    /// Lists the API keys of a workspace, makes one, replaces, changes and deletes one.
    #[command(subcommand)]
    Key(keys::Keys),
    /// Shows what a level takes away, and sets it.
    #[command(subcommand)]
    Policy(policies::Policies),
    /// Shows how much a level may do in what time, and sets it.
    #[command(subcommand)]
    Limit(limits::Limits),
    /// Lists the accounts that members have connected, and ends connections.
    #[command(subcommand)]
    Connection(connections::Connections),
    /// Lists the administrators of the organization, adds, changes and deletes one.
    #[command(subcommand)]
    Administrator(administrators::Administrators),
    /// Lists the keys that seal secrets, and makes a new one.
    #[command(subcommand)]
    DataKey(rotation::DataKeys),
    /// Lists the keys that sign access tokens, and makes a new one.
    #[command(subcommand)]
    SigningKey(rotation::SigningKeys),
    /// Gives a workspace a server, or says whether workspaces to come get it.
    Provision(provisioning::Provision),
    /// Takes a server away from a workspace.
    Unprovision(provisioning::Unprovision),
    /// Allows a server to a member, denies it, or leaves it to what the workspace has.
    Admit(provisioning::Admit),
    /// Lists the tools of a server, shows what has changed, and approves them.
    #[command(subcommand)]
    Tools(tools::Tools),
    /// Switches a member, a key or a server off at once, and on again.
    #[command(subcommand)]
    Quarantine(quarantine::Quarantine),
    /// Ends what somebody has: disables a member or a key, signs a client out, disconnects an account.
    Revoke {
        /// `member:<id>`, `key:<id>`, `session:<id>` or `connection:<id>`.
        target: String,
        #[command(flatten)]
        change: Change,
    },
    /// Searches records of requests, downloads or follows them.
    Records(Box<records::RecordsArguments>),
    /// Lists who changed what, the newest first.
    Audit(api::Audit),
    /// Shows the state of the service, and which filters watch it.
    Status {
        #[command(flatten)]
        access: Access,
    },
    /// Sends one request to the admin API, whose operations stand in /openapi.json, and prints the answer.
    Api(api::Request),
}

impl AdminCommand {
    /// Asks, and shows the answer; ends with 1 if the service refuses.
    pub async fn run(self) -> ExitCode {
        match Box::pin(self.ask()).await {
            Ok(text) => {
                // Nothing is left to do if standard output is closed.
                let _ = write!(io::stdout(), "{text}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                let _ = writeln!(io::stderr(), "portcullis: {error}");
                ExitCode::FAILURE
            }
        }
    }

    async fn ask(self) -> Result<String, ClientError> {
        match self {
            Self::Explain(arguments) => arguments.ask().await,
            Self::Server(servers) => servers.ask().await,
            Self::Workspace(workspaces) => workspaces.ask().await,
            Self::Member(members) => members.ask().await,
            Self::Key(keys) => keys.ask().await,
            Self::Policy(policies) => policies.ask().await,
            Self::Limit(limits) => limits.ask().await,
            Self::Connection(connections) => connections.ask().await,
            Self::Administrator(administrators) => administrators.ask().await,
            Self::DataKey(keys) => keys.ask().await,
            Self::SigningKey(keys) => keys.ask().await,
            Self::Provision(provision) => provision.ask().await,
            Self::Unprovision(unprovision) => unprovision.ask().await,
            Self::Admit(admit) => admit.ask().await,
            Self::Tools(tools) => tools.ask().await,
            Self::Quarantine(quarantine) => quarantine.ask().await,
            Self::Revoke { target, change } => revoke(&target, &change).await,
            Self::Records(arguments) => arguments.ask().await,
            Self::Audit(audit) => audit.ask().await,
            Self::Status { access } => access.show("/v1/status").await,
            Self::Api(request) => request.ask().await,
        }
    }
}

impl AdminListener {
    /// Where all registered servers are, the declared ones included.
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>, ClientError> {
        let answer = Client::at(self, false)?.pages("/v1/servers", "servers").await?;
        let servers = answer["servers"].as_array().into_iter().flatten();
        servers.map(|server| endpoint(server).ok_or(ClientError::Unknown)).collect()
    }
}

fn endpoint(server: &Value) -> Option<Endpoint> {
    let slug = Slug::parse(server["slug"].as_str()?).ok()?;
    let url = ServerUrl::parse(server["url"].as_str()?, PlainHttp::Allowed).ok()?;
    Some(Endpoint { slug, url })
}

impl Access {
    fn client(&self) -> Result<Client, ClientError> {
        Client::new(self, false)
    }

    /// An object, field by field.
    async fn show(&self, path: &str) -> Result<String, ClientError> {
        let answer = self.client()?.send(Method::GET, path, None).await?;
        Ok(if self.json { show::json(&answer) } else { show::object(&answer) })
    }

    /// A list with all its pages, in columns.
    async fn list(&self, path: &str, name: &str, columns: &[&str]) -> Result<String, ClientError> {
        let answer = self.client()?.pages(path, name).await?;
        Ok(show::list(&answer, name, columns, self.json))
    }
}

impl Change {
    fn client(&self) -> Result<Client, ClientError> {
        Client::new(&self.access, self.wait)
    }

    /// What is printed of a change that is carried out, for programs or for people.
    fn said(&self, done: &Value, text: String) -> String {
        if self.access.json { show::json(done) } else { text }
    }

    /// Changes an object and says so, to programs by what the service answers.
    async fn make(
        &self,
        method: Method,
        path: &str,
        body: Value,
        text: impl FnOnce(&Value) -> String,
    ) -> Result<String, ClientError> {
        let answer = self.client()?.send(method, path, Some(body)).await?;
        let text = text(&answer);
        Ok(self.said(&answer, text))
    }

    async fn delete(&self, path: &str, what: &str) -> Result<String, ClientError> {
        self.client()?.send(Method::DELETE, path, None).await?;
        Ok(self.said(&json!({"deleted": what}), format!("{what} is deleted\n")))
    }
}

async fn revoke(target: &str, change: &Change) -> Result<String, ClientError> {
    let client = change.client()?;
    let disabled = Some(json!({"disabled": true}));
    let (method, path, body) = match target.split_once(':') {
        Some(("member", id)) => (Method::PATCH, format!("/v1/members/{}", part(id)), disabled),
        Some(("key", id)) => (Method::PATCH, format!("/v1/keys/{}", part(id)), disabled),
        Some(("session", id)) => (Method::DELETE, format!("/v1/sessions/{}", part(id)), None),
        Some(("connection", id)) => (Method::DELETE, format!("/v1/connections/{}", part(id)), None),
        _ => return Err(ClientError::Target("member:<id>, key:<id>, session:<id> or connection:<id>")),
    };
    client.send(method, &path, body).await?;
    let done = json!({"target": target, "revoked": true});
    Ok(change.said(&done, format!("{target} is revoked\n")))
}

/// A part of a path or query, percent-encoded.
fn part(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
