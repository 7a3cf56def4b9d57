//! `portcullis audit`, and `portcullis api` for whatever has no command of its own.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use reqwest::Method;

use super::body::read;
use super::client::ClientError;
use super::{Access, Change, show};

#[derive(Debug, Args)]
pub struct Audit {
    /// Only entries before this sequence number.
    #[arg(long)]
    before: Option<u64>,
    /// 1 to 1000.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    #[command(flatten)]
    access: Access,
}

impl Audit {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let before = self.before.map(|before| format!("&before={before}")).unwrap_or_default();
        let path = format!("/v1/audit?limit={}{before}", self.limit);
        let answer = self.access.client()?.send(Method::GET, &path, None).await?;
        let columns = ["sequence", "at", "who", "action", "object", "revision"];
        Ok(show::list(&answer, "entries", &columns, self.access.json))
    }
}

#[derive(Debug, Args)]
pub struct Request {
    method: Verb,
    /// Such as `/v1/servers`.
    path: String,
    /// A JSON document to send; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    #[command(flatten)]
    change: Change,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Request {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        if !self.path.starts_with('/') {
            return Err(ClientError::Target("/v1/…, as in /openapi.json"));
        }
        let method = match self.method {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        };
        let body = match self.body {
            Some(path) => Some(
                serde_json::from_str(&read(&path)?)
                    .map_err(|_| ClientError::Body(path.display().to_string()))?,
            ),
            None => None,
        };
        let answer = self.change.client()?.send(method, &self.path, body).await?;
        Ok(if answer.is_null() { String::new() } else { show::json(&answer) })
    }
}
