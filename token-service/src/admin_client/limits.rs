//! `portcullis limit`: how much a level may do in what time.

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::Value;

use super::body::Body;
use super::client::ClientError;
use super::{Access, Change, part};

#[derive(Debug, Subcommand)]
pub enum Limits {
    /// Lists the limits of a level.
    List {
        /// `organization`, `workspace:<id or slug>`, `member:<id>` or `key:<id>`.
        target: String,
        #[command(flatten)]
        access: Access,
    },
    /// Sets a limit of a level.
    Set {
        /// `organization`, `workspace:<id or slug>`, `member:<id>` or `key:<id>`.
        target: String,
        /// Of the limit; the log says it of what it refuses.
        name: String,
        #[command(flatten)]
        limit: Limit,
        #[command(flatten)]
        change: Change,
    },
    /// Takes a limit away.
    Delete {
        /// `organization`, `workspace:<id or slug>`, `member:<id>` or `key:<id>`.
        target: String,
        name: String,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Debug, Args)]
pub struct Limit {
    /// So many, 1 to 1000000 …
    #[arg(long)]
    requests: u32,
    /// … in so much time.
    #[arg(long)]
    per: Per,
    /// Id or slug of the only server that it is for.
    #[arg(long)]
    server: Option<String>,
    /// Id or slug of the only workspace that it is for, if it is the organization's.
    #[arg(long)]
    workspace: Option<String>,
    /// Calls of these tools only, named exactly or with `*`.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    tools: Vec<String>,
    /// What is counted apart: `level`, `server`, `workspace`, `member`, `key`, `tool`.
    #[arg(long, value_delimiter = ',')]
    each: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Per {
    Second,
    Minute,
    Hour,
    Day,
}

impl Limits {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let path = |target: &str, name: &str| format!("/v1/limits/{}/{}", part(target), part(name));
        match self {
            Self::List { target, access } => {
                let columns = ["name", "requests", "per", "each", "server", "tools"];
                access.list(&format!("/v1/limits/{}", part(&target)), "limits", &columns).await
            }
            Self::Set { target, name, limit, change } => {
                let text = |_: &Value| format!("the limit {name} of {target} is set\n");
                change.make(Method::PUT, &path(&target, &name), limit.body().finish(), text).await
            }
            Self::Delete { target, name, change } => {
                change.delete(&path(&target, &name), &format!("the limit {name} of {target}")).await
            }
        }
    }
}

impl Limit {
    fn body(self) -> Body {
        let per = match self.per {
            Per::Second => "second",
            Per::Minute => "minute",
            Per::Hour => "hour",
            Per::Day => "day",
        };
        Body::default()
            .with("requests", Some(self.requests))
            .with("per", Some(per))
            .with("server", self.server)
            .with("workspace", self.workspace)
            .with_list("tools", self.tools)
            .with_list("each", self.each)
    }
}
