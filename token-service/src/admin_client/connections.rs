//! `portcullis connection`: the accounts that members have connected.

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::json;

use super::client::ClientError;
use super::{Access, Change, part};

#[derive(Debug, Subcommand)]
pub enum Connections {
    /// Lists connections; never a token.
    List(List),
    /// Shows a connection.
    Show {
        /// The connection's id.
        connection: String,
        #[command(flatten)]
        access: Access,
    },
    /// Ends a connection, at the provider too as far as it goes.
    End {
        /// The connection's id.
        connection: String,
        #[command(flatten)]
        change: Change,
    },
    /// Decides about the connections of a server that has moved to another origin.
    Decide {
        /// Id or slug.
        server: String,
        decision: Decision,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Debug, Args)]
pub struct List {
    /// Id or slug.
    #[arg(long)]
    server: Option<String>,
    /// Id or slug.
    #[arg(long)]
    workspace: Option<String>,
    /// The member's id.
    #[arg(long)]
    member: Option<String>,
    #[command(flatten)]
    access: Access,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Decision {
    /// The tokens are good for the new origin.
    Release,
    /// The connections end.
    Discard,
}

impl Connections {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let path = |connection: &str| format!("/v1/connections/{}", part(connection));
        match self {
            Self::List(List { server, workspace, member, access }) => {
                let filters = [("server", server), ("workspace", workspace), ("member", member)];
                let given = filters.into_iter().filter_map(|(name, value)| Some((name, value?)));
                let query: Vec<String> =
                    given.map(|(name, value)| format!("{name}={}", part(&value))).collect();
                let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
                let columns = ["id", "state", "account", "server", "member", "expires_at"];
                access.list(&format!("/v1/connections{query}"), "connections", &columns).await
            }
            Self::Show { connection, access } => access.show(&path(&connection)).await,
            Self::End { connection, change } => {
                change.client()?.send(Method::DELETE, &path(&connection), None).await?;
                let done = json!({"connection": connection, "ended": true});
                Ok(change.said(&done, format!("{connection} has ended\n")))
            }
            Self::Decide { server, decision, change } => {
                let word = match decision {
                    Decision::Release => "release",
                    Decision::Discard => "discard",
                };
                let path = format!("/v1/servers/{}/quarantine", part(&server));
                let text =
                    |answer: &serde_json::Value| format!("{} connections: {word}\n", answer["decided"]);
                change.make(Method::POST, &path, json!({"decision": word}), text).await
            }
        }
    }
}
