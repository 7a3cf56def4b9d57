//! The administrators' commands: each is a request or two to the admin API of a running service, and shows what it says.
//!
//! They are commands of the program itself and not of a group, because they are what people type: `portcullis explain …`.
//! What they may do is decided by the service, for whoever's token they carry.

mod client;
mod records;
mod show;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use self::client::{Client, ClientError};
use self::records::RecordsArguments;

/// Where the service is, and who asks. A token is never an argument: arguments are seen by everybody on the machine.
#[derive(Debug, Args)]
pub struct Access {
    /// The admin listener.
    #[arg(long, value_name = "URL", env = "PORTCULLIS_ADMIN_URL", default_value = "http://127.0.0.1:8082")]
    admin_url: String,
    /// Holds the admin token; otherwise the variable `PORTCULLIS_ADMIN_TOKEN` does.
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_ADMIN_TOKEN_FILE")]
    admin_token_file: Option<PathBuf>,
    /// Print what the service answers, as JSON.
    #[arg(long)]
    json: bool,
}

/// For changes.
#[derive(Debug, Args)]
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
    Explain(ExplainArguments),
    /// Gives a workspace a server.
    Provision {
        /// Id or slug.
        server: String,
        /// Id or slug.
        workspace: String,
        /// For all members of the workspace, or for chosen ones only.
        #[arg(long)]
        members: Option<MembersArgument>,
        #[command(flatten)]
        change: Change,
    },
    /// Takes a server away from a workspace.
    Unprovision {
        /// Id or slug.
        server: String,
        /// Id or slug.
        workspace: String,
        #[command(flatten)]
        change: Change,
    },
    /// Allows a server to a member, denies it, or leaves it to what the workspace has.
    Admit {
        /// Id or slug.
        server: String,
        /// The member's id.
        member: String,
        access: AccessArgument,
        #[command(flatten)]
        change: Change,
    },
    /// Switches a member, a key or a server off at once, and on again.
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Ends what somebody has: disables a member or a key, signs a client out, disconnects an account.
    Revoke {
        /// `member:<id>`, `key:<id>`, `session:<id>` or `connection:<id>`.
        target: String,
        #[command(flatten)]
        change: Change,
    },
    /// Searches records of requests, downloads or follows them.
    Records(Box<RecordsArguments>),
    /// Lists servers, workspaces, or the members or keys of a workspace.
    List {
        what: What,
        /// Id or slug; for members and keys.
        #[arg(long, required_if_eq_any([("what", "members"), ("what", "keys")]))]
        workspace: Option<String>,
        #[command(flatten)]
        access: Access,
    },
}

#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The field `decision_id` of a denied request in the access log.
    #[arg(conflicts_with_all = ["caller", "issuer", "server"], required_unless_present = "server")]
    decision: Option<String>,
    /// `member:<id>`, `key:<id>` or `session:<id>`.
    #[arg(long, conflicts_with = "issuer")]
    caller: Option<String>,
    /// Somebody with a token of this issuer …
    #[arg(long, requires = "subject")]
    issuer: Option<String>,
    /// … of this subject …
    #[arg(long, requires = "issuer")]
    subject: Option<String>,
    /// … for this workspace.
    #[arg(long, requires = "issuer")]
    workspace: Option<String>,
    /// Id or slug.
    #[arg(long)]
    server: Option<String>,
    #[arg(long, requires = "server")]
    tool: Option<String>,
    /// Of a call of the tool: a JSON object.
    #[arg(long, requires = "tool", value_name = "JSON")]
    arguments: Option<String>,
    #[arg(long, requires = "server", conflicts_with = "tool")]
    prompt: Option<String>,
    /// A URI.
    #[arg(long, requires = "server", conflicts_with_all = ["tool", "prompt"])]
    resource: Option<String>,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Subcommand)]
pub enum Quarantine {
    /// Switches off.
    On {
        /// `member:<id>`, `key:<id>` or `server:<id or slug>`.
        target: String,
        /// For whoever will lift it.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        change: Change,
    },
    /// Switches on again.
    Off {
        /// `member:<id>`, `key:<id>` or `server:<id or slug>`.
        target: String,
        #[command(flatten)]
        change: Change,
    },
    /// Lists what is switched off.
    List {
        #[command(flatten)]
        access: Access,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum MembersArgument {
    All,
    Chosen,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum AccessArgument {
    Allow,
    Deny,
    Default,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum What {
    Servers,
    Workspaces,
    Members,
    Keys,
}

impl AdminCommand {
    /// Asks, and shows the answer; ends with 1 if the service refuses.
    pub async fn run(self) -> ExitCode {
        match self.ask().await {
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
            Self::Provision { server, workspace, members, change } => {
                let path = format!("/v1/servers/{}/workspaces/{}", part(&server), part(&workspace));
                let client = change.client()?;
                client.send(Method::PUT, &path, None).await?;
                if let Some(members) = members {
                    let members = if matches!(members, MembersArgument::All) { "all" } else { "chosen" };
                    client.send(Method::PATCH, &path, Some(json!({"members": members}))).await?;
                }
                Ok(format!("{workspace} has {server}\n"))
            }
            Self::Unprovision { server, workspace, change } => {
                let path = format!("/v1/servers/{}/workspaces/{}", part(&server), part(&workspace));
                change.client()?.send(Method::DELETE, &path, None).await?;
                Ok(format!("{workspace} does not have {server}\n"))
            }
            Self::Admit { server, member, access, change } => {
                let path = format!("/v1/servers/{}/members/{}", part(&server), part(&member));
                let (method, body) = match access {
                    AccessArgument::Allow => (Method::PUT, Some(json!({"access": "allow"}))),
                    AccessArgument::Deny => (Method::PUT, Some(json!({"access": "deny"}))),
                    AccessArgument::Default => (Method::DELETE, None),
                };
                change.client()?.send(method, &path, body).await?;
                Ok(format!("{server} for {member}: {access:?}\n").to_lowercase())
            }
            Self::Quarantine(quarantine) => quarantine.ask().await,
            Self::Revoke { target, change } => revoke(&target, &change).await,
            Self::Records(arguments) => arguments.ask().await,
            Self::List { what, workspace, access } => list(what, workspace.as_deref(), &access).await,
        }
    }
}

impl ExplainArguments {
    async fn ask(self) -> Result<String, ClientError> {
        let json = self.access.json;
        let client = Client::new(&self.access, false)?;
        let answer = client.send(Method::POST, "/v1/explain", Some(self.question()?)).await?;
        Ok(if json { show::json(&answer) } else { show::explanation(&answer) })
    }

    fn question(self) -> Result<Value, ClientError> {
        if let Some(decision) = self.decision {
            return Ok(json!({"decision": decision}));
        }
        let mut caller = Map::new();
        match self.caller.as_deref().map(|caller| caller.split_once(':')) {
            Some(Some((kind @ ("member" | "key" | "session"), id))) => {
                caller.insert(kind.to_owned(), id.into());
            }
            Some(_) => return Err(ClientError::Target("member:<id>, key:<id> or session:<id>")),
            None => {}
        }
        let named = [("issuer", self.issuer), ("subject", self.subject), ("workspace", self.workspace)];
        caller.extend(present(named));
        let mut question = Map::new();
        question.insert("caller".to_owned(), caller.into());
        let named = [
            ("server", self.server),
            ("tool", self.tool),
            ("prompt", self.prompt),
            ("resource", self.resource),
        ];
        question.extend(present(named));
        if let Some(text) = self.arguments {
            let arguments = serde_json::from_str(&text).map_err(|_| ClientError::Arguments)?;
            question.insert("arguments".to_owned(), arguments);
        }
        Ok(question.into())
    }
}

/// Those that are given.
fn present<const N: usize>(fields: [(&str, Option<String>); N]) -> impl Iterator<Item = (String, Value)> {
    let owned = fields.map(|(name, value)| (name.to_owned(), value));
    owned.into_iter().filter_map(|(name, value)| Some((name, value?.into())))
}

impl Quarantine {
    async fn ask(self) -> Result<String, ClientError> {
        let path = |target: &str| format!("/v1/quarantines/{}", part(target));
        match self {
            Self::On { target, reason, change } => {
                let body = Some(json!({"reason": reason}));
                change.client()?.send(Method::PUT, &path(&target), body).await?;
                Ok(format!("{target} is in quarantine\n"))
            }
            Self::Off { target, change } => {
                change.client()?.send(Method::DELETE, &path(&target), None).await?;
                Ok(format!("{target} is not in quarantine\n"))
            }
            Self::List { access } => {
                let answer = Client::new(&access, false)?.send(Method::GET, "/v1/quarantines", None).await?;
                let columns = ["target", "since", "reason"];
                Ok(show::list(&answer, "quarantines", &columns, access.json))
            }
        }
    }
}

impl Change {
    fn client(&self) -> Result<Client, ClientError> {
        Client::new(&self.access, self.wait)
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
    Ok(format!("{target} is revoked\n"))
}

async fn list(what: What, workspace: Option<&str>, access: &Access) -> Result<String, ClientError> {
    let client = Client::new(access, false)?;
    let in_workspace = |list: &str| format!("/v1/workspaces/{}/{list}", part(workspace.unwrap_or_default()));
    let (path, name, columns): (_, _, &[&str]) = match what {
        What::Servers => ("/v1/servers".to_owned(), "servers", &["slug", "id", "name"]),
        What::Workspaces => ("/v1/workspaces".to_owned(), "workspaces", &["slug", "id", "name"]),
        What::Members => (in_workspace("members"), "members", &["id", "name", "role", "disabled", "subject"]),
        What::Keys => (in_workspace("keys"), "keys", &["id", "name", "member", "disabled", "expires_at"]),
    };
    let answer = client.pages(&path, name).await?;
    Ok(show::list(&answer, name, columns, access.json))
}

/// As one part of a path.
fn part(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
