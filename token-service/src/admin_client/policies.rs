//! `portcullis policy`: what a level takes away on a server.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::Value;

use super::body::Body;
use super::client::ClientError;
use super::provisioning::Switch;
use super::{Access, Change, part};

#[derive(Debug, Subcommand)]
pub enum Policies {
    /// Lists what a level takes away, server by server.
    List {
        /// `organization`, `workspace:<id or slug>`, `member:<id>` or `key:<id>`.
        target: String,
        #[command(flatten)]
        access: Access,
    },
    /// Sets all that a level takes away on a server: what is not given takes nothing away.
    Set {
        /// `organization`, `workspace:<id or slug>`, `member:<id>` or `key:<id>`.
        target: String,
        /// Id or slug.
        server: String,
        #[command(flatten)]
        rules: Box<Rules>,
        #[command(flatten)]
        change: Change,
    },
    /// Lets a level take nothing away on a server.
    Delete {
        /// `organization`, `workspace:<id or slug>`, `member:<id>` or `key:<id>`.
        target: String,
        /// Id or slug.
        server: String,
        #[command(flatten)]
        change: Change,
    },
}

/// Names are exact, or have `*` for any run of characters.
#[derive(Debug, Args)]
pub struct Rules {
    /// `off` takes the whole server away.
    #[arg(long, value_name = "ON_OR_OFF")]
    enabled: Option<Switch>,
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    allow_tools: Vec<String>,
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    deny_tools: Vec<String>,
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    allow_prompts: Vec<String>,
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    deny_prompts: Vec<String>,
    #[arg(long, value_delimiter = ',', value_name = "URIS")]
    allow_resources: Vec<String>,
    #[arg(long, value_delimiter = ',', value_name = "URIS")]
    deny_resources: Vec<String>,
    /// Only tools that say that they read only.
    #[arg(long)]
    read_only: bool,
    /// What becomes of tools that are new or changed.
    #[arg(long)]
    new_tools: Option<NewTools>,
    /// Tools that are refused while filters cannot ask whether the caller still may.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    sensitive: Vec<String>,
    /// A JSON object of rules, for those about arguments and for long lists; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum NewTools {
    Allow,
    AllowIfReadOnly,
    Hold,
}

impl Policies {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let path = |target: &str, server: &str| format!("/v1/policies/{}/{}", part(target), part(server));
        match self {
            Self::List { target, access } => {
                let columns = ["server", "rules", "origin", "revision"];
                access.list(&format!("/v1/policies/{}", part(&target)), "policies", &columns).await
            }
            Self::Set { target, server, rules, change } => {
                let body = rules.body()?;
                if body.is_empty() {
                    return Err(ClientError::NoRules);
                }
                let text = |_: &Value| format!("the policy of {target} on {server} is set\n");
                change.make(Method::PUT, &path(&target, &server), body.finish(), text).await
            }
            Self::Delete { target, server, change } => {
                let what = format!("the policy of {target} on {server}");
                change.delete(&path(&target, &server), &what).await
            }
        }
    }
}

impl Rules {
    fn body(self) -> Result<Body, ClientError> {
        let names = |allow, deny| Body::default().with_list("allow", allow).with_list("deny", deny);
        let new_tools = self.new_tools.map(|new_tools| match new_tools {
            NewTools::Allow => "allow",
            NewTools::AllowIfReadOnly => "allow_if_read_only",
            NewTools::Hold => "hold",
        });
        Ok(Body::from_file(self.body.as_deref())?
            .with("enabled", self.enabled.map(|switch| switch == Switch::On))
            .with_object("tools", names(self.allow_tools, self.deny_tools))
            .with_object("prompts", names(self.allow_prompts, self.deny_prompts))
            .with_object("resources", names(self.allow_resources, self.deny_resources))
            .with_flag("read_only", self.read_only)
            .with("new_tools", new_tools)
            .with_list("sensitive", self.sensitive))
    }
}
