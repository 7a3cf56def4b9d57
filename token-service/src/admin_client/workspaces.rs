//! `portcullis workspace`.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::body::Body;
use super::client::ClientError;
use super::{Access, Change, part};

#[derive(Debug, Subcommand)]
pub enum Workspaces {
    /// Lists the workspaces.
    List {
        #[command(flatten)]
        access: Access,
    },
    /// Shows a workspace.
    Show {
        /// Id or slug.
        workspace: String,
        #[command(flatten)]
        access: Access,
    },
    /// Makes a workspace.
    Add {
        /// In URLs; cannot be changed later.
        slug: String,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        change: Change,
    },
    /// Changes a workspace. What is not given stays as it is.
    Change {
        /// Id or slug.
        workspace: String,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        change: Change,
    },
    /// Deletes a workspace, with its members and keys.
    Delete {
        /// Id or slug.
        workspace: String,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Debug, Args)]
pub struct Settings {
    /// For people.
    #[arg(long)]
    name: Option<String>,
    /// How long filters go on without word of the token-service: `strict`, seconds up to `300s`, or `default`.
    #[arg(long)]
    staleness: Option<String>,
}

impl Workspaces {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let path = |workspace: &str| format!("/v1/workspaces/{}", part(workspace));
        match self {
            Self::List { access } => {
                access.list("/v1/workspaces", "workspaces", &["slug", "id", "name", "origin"]).await
            }
            Self::Show { workspace, access } => access.show(&path(&workspace)).await,
            Self::Add { slug, settings, change } => {
                let body = settings.body().with("slug", Some(slug.as_str()));
                let text = |_: &Value| format!("{slug} is a workspace\n");
                change.make(Method::POST, "/v1/workspaces", body.finish(), text).await
            }
            Self::Change { workspace, settings, change } => {
                let text = |_: &Value| format!("{workspace} is changed\n");
                change.make(Method::PATCH, &path(&workspace), settings.body().finish(), text).await
            }
            Self::Delete { workspace, change } => change.delete(&path(&workspace), &workspace).await,
        }
    }
}

impl Settings {
    fn body(self) -> Body {
        Body::default().with("name", self.name).with("staleness", self.staleness)
    }
}
