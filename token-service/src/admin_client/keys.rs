//! `portcullis key`: API keys.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::body::Body;
use super::client::ClientError;
use super::provisioning::Switch;
use super::{Access, Change, part, show};

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Lists the keys of a workspace.
    List {
        /// Id or slug.
        workspace: String,
        #[command(flatten)]
        access: Access,
    },
    /// Shows what a key is for; never the key itself.
    Show {
        /// The key's id.
        key: String,
        #[command(flatten)]
        access: Access,
    },
    /// Makes a key and prints it, this once.
    Make {
        /// Id or slug.
        workspace: String,
        /// What it is for, for people.
        name: String,
        /// The id of the member that it acts as; without one it is a service key.
        #[arg(long)]
        member: Option<String>,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        access: Access,
    },
    /// Replaces a key by one with the same rights, and prints that, this once.
    Rotate {
        /// The key's id.
        key: String,
        /// How long the old key can still be used, at most a week; 0 for no time at all.
        #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
        overlap: u64,
        #[command(flatten)]
        access: Access,
    },
    /// Changes a key. What is not given stays as it is.
    Change {
        /// The key's id.
        key: String,
        #[arg(long)]
        name: Option<String>,
        /// Whether the key is refused.
        #[arg(long, value_name = "ON_OR_OFF")]
        disabled: Option<Switch>,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        change: Change,
    },
    /// Deletes a key.
    Delete {
        /// The key's id.
        key: String,
        #[command(flatten)]
        change: Change,
    },
}

/// What a key takes away of its owner's rights.
#[derive(Debug, Args)]
pub struct Settings {
    /// RFC 3339, such as 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// Ids or slugs of the only servers that it may be used at.
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// The only tools that it may call, named exactly or with `*`.
    #[arg(long, value_delimiter = ',')]
    tools: Vec<String>,
    /// Only tools that say that they read only.
    #[arg(long)]
    read_only: bool,
    /// The networks that it may be used from, as CIDR.
    #[arg(long, value_delimiter = ',')]
    sources: Vec<String>,
}

impl Keys {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let path = |key: &str| format!("/v1/keys/{}", part(key));
        let all = |workspace: &str| format!("/v1/workspaces/{}/keys", part(workspace));
        match self {
            Self::List { workspace, access } => {
                let columns = ["id", "name", "member", "disabled", "expires_at"];
                access.list(&all(&workspace), "keys", &columns).await
            }
            Self::Show { key, access } => access.show(&path(&key)).await,
            Self::Make { workspace, name, member, settings, access } => {
                let body = settings.body().with("name", Some(name)).with("member", member);
                made(&access, &all(&workspace), body).await
            }
            Self::Rotate { key, overlap, access } => {
                let body = Body::default().with("overlap_seconds", Some(overlap));
                made(&access, &format!("{}/rotate", path(&key)), body).await
            }
            Self::Change { key, name, disabled, settings, change } => {
                let disabled = disabled.map(|switch| switch == Switch::On);
                let body = settings.body().with("name", name).with("disabled", disabled);
                let text = |_: &Value| format!("{key} is changed\n");
                change.make(Method::PATCH, &path(&key), body.finish(), text).await
            }
            Self::Delete { key, change } => change.delete(&path(&key), &key).await,
        }
    }
}

/// The key alone on a line, so that it can be piped to where it belongs.
async fn made(access: &Access, path: &str, body: Body) -> Result<String, ClientError> {
    let answer = access.client()?.send(Method::POST, path, Some(body.finish())).await?;
    let key = answer["api_key"].as_str().unwrap_or_default();
    Ok(if access.json { show::json(&answer) } else { format!("{key}\n") })
}

impl Settings {
    fn body(self) -> Body {
        let tools = Body::default().with_list("allow", self.tools);
        let limits = Body::default()
            .with_list("servers", self.servers)
            .with_object("tools", tools)
            .with_flag("read_only", self.read_only)
            .with_list("sources", self.sources);
        Body::default().with("expires_at", self.expires_at).with_object("limits", limits)
    }
}
