//! `portcullis quarantine`: one switch for a member, a key or a server.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::client::{Client, ClientError};
use super::{Access, Change, part, show};

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

impl Quarantine {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let path = |target: &str| format!("/v1/quarantines/{}", part(target));
        match self {
            Self::On { target, reason, change } => {
                let body = Some(json!({"reason": reason}));
                change.client()?.send(Method::PUT, &path(&target), body).await?;
                let done = json!({"target": target, "quarantined": true, "reason": reason});
                Ok(change.said(&done, format!("{target} is in quarantine\n")))
            }
            Self::Off { target, change } => {
                change.client()?.send(Method::DELETE, &path(&target), None).await?;
                let done = json!({"target": target, "quarantined": false});
                Ok(change.said(&done, format!("{target} is not in quarantine\n")))
            }
            Self::List { access } => {
                let answer = Client::new(&access, false)?.send(Method::GET, "/v1/quarantines", None).await?;
                let columns = ["target", "since", "reason"];
                Ok(show::list(&answer, "quarantines", &columns, access.json))
            }
        }
    }
}
