//! `portcullis administrator`: who looks after the organization.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::body::Body;
use super::client::ClientError;
use super::{Access, Change, part};

#[derive(Debug, Subcommand)]
pub enum Administrators {
    /// Lists the administrators.
    List {
        #[command(flatten)]
        access: Access,
    },
    /// Makes somebody an administrator.
    Add {
        /// The issuer of the sign-in.
        #[arg(long)]
        issuer: String,
        /// Whom the issuer calls so, byte for byte.
        #[arg(long)]
        subject: String,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        change: Change,
    },
    /// Changes an administrator. What is not given stays as it is.
    Change {
        /// The administrator's id.
        administrator: String,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        change: Change,
    },
    /// Lets somebody be an administrator no longer.
    Delete {
        /// The administrator's id.
        administrator: String,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Debug, Args)]
pub struct Settings {
    /// For people.
    #[arg(long)]
    name: Option<String>,
    /// `admin` or `owner`.
    #[arg(long)]
    role: Option<String>,
}

impl Administrators {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let path = |administrator: &str| format!("/v1/administrators/{}", part(administrator));
        match self {
            Self::List { access } => {
                let columns = ["id", "name", "role", "subject", "origin"];
                access.list("/v1/administrators", "administrators", &columns).await
            }
            Self::Add { issuer, subject, settings, change } => {
                let text = |made: &Value| {
                    format!("{} is an administrator\n", made["id"].as_str().unwrap_or_default())
                };
                let body = settings.body().with("issuer", Some(issuer)).with("subject", Some(subject));
                change.make(Method::POST, "/v1/administrators", body.finish(), text).await
            }
            Self::Change { administrator, settings, change } => {
                let text = |_: &Value| format!("{administrator} is changed\n");
                change.make(Method::PATCH, &path(&administrator), settings.body().finish(), text).await
            }
            Self::Delete { administrator, change } => {
                change.delete(&path(&administrator), &administrator).await
            }
        }
    }
}

impl Settings {
    fn body(self) -> Body {
        Body::default().with("name", self.name).with("role", self.role)
    }
}
