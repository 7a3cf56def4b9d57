//! `portcullis data-key` and `portcullis signing-key`: what seals secrets, and what signs access tokens.

use clap::Subcommand;
use reqwest::Method;

use super::client::ClientError;
use super::{Access, Change};

#[derive(Debug, Subcommand)]
pub enum DataKeys {
    /// Lists the keys that seal secrets in the database, and by which root keys they are wrapped.
    List {
        #[command(flatten)]
        access: Access,
    },
    /// Makes a new one, under which everything is sealed anew within a minute or more. Nothing is refused meanwhile.
    Rotate {
        #[command(flatten)]
        access: Access,
    },
}

impl DataKeys {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let columns = ["id", "state", "root_key", "published_at", "active_from", "resealed_at"];
        match self {
            Self::List { access } => access.list("/v1/data-keys", "data_keys", &columns).await,
            Self::Rotate { access } => {
                let answer = access.client()?.send(Method::POST, "/v1/data-keys/rotate", None).await?;
                Ok(super::show::list(&answer, "data_keys", &columns, access.json))
            }
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum SigningKeys {
    /// Lists the keys that sign access tokens.
    List {
        #[command(flatten)]
        access: Access,
    },
    /// Makes a new one, which signs in ten minutes. Nothing is refused meanwhile.
    Rotate {
        /// The new one signs at once and all others are forgotten: for when one is in the wrong hands. Clients have to
        /// refresh their tokens.
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        change: Change,
    },
}

impl SigningKeys {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let columns = ["id", "algorithm", "state", "published_at", "active_from"];
        match self {
            Self::List { access } => access.list("/v1/signing-keys", "signing_keys", &columns).await,
            Self::Rotate { replace, change } => {
                let path = format!("/v1/signing-keys/rotate?replace={replace}");
                let answer = change.client()?.send(Method::POST, &path, None).await?;
                Ok(super::show::list(&answer, "signing_keys", &columns, change.access.json))
            }
        }
    }
}
