//! `portcullis tools`: what servers have, what has changed about it, and approvals.

use std::fmt::Write as _;

use clap::{Subcommand, ValueEnum};
use portcullis_wire::digest::Digest;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, ClientError};
use super::{Access, Change, part, show};

#[derive(Debug, Subcommand)]
pub enum Tools {
    /// Lists the tools of a server, and how they stand with approvals.
    List {
        /// Id or slug.
        server: String,
        /// Only those in this state.
        #[arg(long)]
        state: Option<StateArgument>,
        #[command(flatten)]
        access: Access,
    },
    /// Shows a tool's definition, and what has changed about it since it was approved.
    Show {
        /// Id or slug.
        server: String,
        tool: String,
        #[command(flatten)]
        access: Access,
    },
    /// Approves tools as they are defined at present.
    Approve {
        /// Id or slug.
        server: String,
        /// A name; as `name@digest`, if another definition than that is not to be approved.
        #[arg(required_unless_present = "all")]
        tools: Vec<String>,
        /// All that are new or changed.
        #[arg(long, conflicts_with = "tools")]
        all: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Takes the approval of a tool back.
    Withdraw {
        /// Id or slug.
        server: String,
        tool: String,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StateArgument {
    New,
    Changed,
    Approved,
    Gone,
}

impl Tools {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        match self {
            Self::List { server, state, access } => {
                let client = Client::new(&access, false)?;
                let state = state.map(|state| format!("{state:?}").to_lowercase());
                let answer = entries(&client, &server, state.as_deref()).await?;
                let columns = ["name", "state", "read_only", "changed_at", "digest"];
                Ok(show::list(&answer, "entries", &columns, access.json))
            }
            Self::Show { server, tool, access } => {
                let path = format!("/v1/servers/{}/tools/{}", part(&server), part(&tool));
                let answer = Client::new(&access, false)?.send(Method::GET, &path, None).await?;
                Ok(if access.json { show::json(&answer) } else { shown(&answer) })
            }
            Self::Approve { server, tools, all, change } => approve(&server, tools, all, &change).await,
            Self::Withdraw { server, tool, change } => {
                let path = format!("/v1/servers/{}/approvals?tool={}", part(&server), part(&tool));
                change.client()?.send(Method::DELETE, &path, None).await?;
                let done = json!({"server": server, "tool": tool, "approved": false});
                Ok(change.said(&done, format!("{tool} of {server} is not approved\n")))
            }
        }
    }
}

async fn entries(client: &Client, server: &str, state: Option<&str>) -> Result<Value, ClientError> {
    let state = state.map(|state| format!("?state={state}")).unwrap_or_default();
    client.pages(&format!("/v1/servers/{}/tools{state}", part(server)), "entries").await
}

/// What is approved is what the service shows now: if it is another by the time of the approval, the service refuses.
async fn approve(
    server: &str,
    tools: Vec<String>,
    all: bool,
    change: &Change,
) -> Result<String, ClientError> {
    let client = change.client()?;
    let mut approvals = Vec::new();
    if all {
        for state in ["new", "changed"] {
            let answer = entries(&client, server, Some(state)).await?;
            let found = answer["entries"].as_array().into_iter().flatten();
            approvals.extend(found.map(|entry| json!({"name": entry["name"], "digest": entry["digest"]})));
        }
    }
    for tool in tools {
        // A name may have an @ too.
        let looked_at = tool.rsplit_once('@').filter(|(_, digest)| Digest::parse(digest).is_some());
        let approval = if let Some((name, digest)) = looked_at {
            json!({"name": name, "digest": digest})
        } else {
            let path = format!("/v1/servers/{}/tools/{}", part(server), part(&tool));
            let shown = client.send(Method::GET, &path, None).await?;
            json!({"name": tool, "digest": shown["digest"]})
        };
        approvals.push(approval);
    }
    let mut text = String::new();
    if approvals.is_empty() {
        text.push_str("nothing is new or changed\n");
    } else {
        let path = format!("/v1/servers/{}/approvals", part(server));
        client.send(Method::POST, &path, Some(json!({"tools": approvals}))).await?;
    }
    for approval in &approvals {
        let name = approval["name"].as_str().unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name} of {server} is approved");
    }
    Ok(change.said(&json!({"server": server, "approved": approvals}), text))
}

fn shown(answer: &Value) -> String {
    let field = |name: &str| answer[name].as_str().unwrap_or_default();
    let mut text = format!("{}  {}  {}\n", field("name"), field("state"), field("digest"));
    let diff = field("diff");
    if diff.is_empty() {
        let _ = writeln!(text, "{}", field("definition"));
    } else {
        text.push_str(diff);
    }
    text
}
