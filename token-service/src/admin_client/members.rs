//! `portcullis member`.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::body::Body;
use super::client::ClientError;
use super::provisioning::Switch;
use super::{Access, Change, part};

#[derive(Debug, Subcommand)]
pub enum Members {
    /// Lists the members of a workspace.
    List {
        /// Id or slug.
        workspace: String,
        #[command(flatten)]
        access: Access,
    },
    /// Shows a member.
    Show {
        /// The member's id.
        member: String,
        #[command(flatten)]
        access: Access,
    },
    /// Makes somebody a member of a workspace.
    Add {
        /// Id or slug.
        workspace: String,
        /// The `iss` of the member's tokens, byte for byte.
        #[arg(long)]
        issuer: String,
        /// The `sub` of the member's tokens, byte for byte.
        #[arg(long)]
        subject: String,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        change: Change,
    },
    /// Changes a member. What is not given stays as it is.
    Change {
        /// The member's id.
        member: String,
        #[command(flatten)]
        settings: Settings,
        /// Whether the member's tokens and keys are refused.
        #[arg(long, value_name = "ON_OR_OFF")]
        disabled: Option<Switch>,
        #[command(flatten)]
        change: Change,
    },
    /// Deletes a membership, with its keys and connections.
    Delete {
        /// The member's id.
        member: String,
        #[command(flatten)]
        change: Change,
    },
    /// Lists the clients by which a member is signed in; `portcullis revoke session:<id>` ends one.
    Sessions {
        /// The member's id.
        member: String,
        #[command(flatten)]
        access: Access,
    },
}

#[derive(Debug, Args)]
pub struct Settings {
    /// For people.
    #[arg(long)]
    name: Option<String>,
    /// `member` or `manager`.
    #[arg(long)]
    role: Option<String>,
}

impl Members {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let path = |member: &str| format!("/v1/members/{}", part(member));
        let all = |workspace: &str| format!("/v1/workspaces/{}/members", part(workspace));
        match self {
            Self::List { workspace, access } => {
                let columns = ["id", "name", "role", "disabled", "subject"];
                access.list(&all(&workspace), "members", &columns).await
            }
            Self::Show { member, access } => access.show(&path(&member)).await,
            Self::Add { workspace, issuer, subject, settings, change } => {
                let body = settings.body().with("issuer", Some(issuer)).with("subject", Some(subject));
                let text = |made: &Value| {
                    format!("{} is a member of {workspace}\n", made["id"].as_str().unwrap_or_default())
                };
                change.make(Method::POST, &all(&workspace), body.finish(), text).await
            }
            Self::Change { member, settings, disabled, change } => {
                let disabled = disabled.map(|switch| switch == Switch::On);
                let body = settings.body().with("disabled", disabled);
                let text = |_: &Value| format!("{member} is changed\n");
                change.make(Method::PATCH, &path(&member), body.finish(), text).await
            }
            Self::Delete { member, change } => change.delete(&path(&member), &member).await,
            Self::Sessions { member, access } => {
                let columns = ["id", "client_name", "server", "scope", "last_used_at"];
                access.list(&format!("{}/sessions", path(&member)), "sessions", &columns).await
            }
        }
    }
}

impl Settings {
    fn body(self) -> Body {
        Body::default().with("name", self.name).with("role", self.role)
    }
}
