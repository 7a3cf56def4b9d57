//! `portcullis records`: searching, downloading and following.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::Value;

use super::client::{Client, ClientError};
use super::{Access, show};

#[derive(Debug, Args)]
pub struct RecordsArguments {
    /// Of this server: its slug.
    #[arg(long)]
    server: Option<String>,
    /// Of this workspace: its slug.
    #[arg(long)]
    workspace: Option<String>,
    /// Of this caller: a member's id, or a service key's.
    #[arg(long)]
    caller: Option<String>,
    /// With this API key: its public id.
    #[arg(long)]
    key: Option<String>,
    /// Of this JSON-RPC method.
    #[arg(long)]
    method: Option<String>,
    /// Of this tool, prompt or resource.
    #[arg(long, visible_alias = "tool")]
    name: Option<String>,
    /// `allow`, `deny`, `connect_required` or `error`.
    #[arg(long)]
    decision: Option<String>,
    /// `ok`, `denied`, `connect_required` or `error`, which is also what was allowed and failed.
    #[arg(long)]
    outcome: Option<String>,
    /// With this rule, exactly.
    #[arg(long)]
    rule: Option<String>,
    /// An HTTP status, or a class of them such as `4xx`.
    #[arg(long)]
    status: Option<String>,
    /// With this error code of JSON-RPC.
    #[arg(long, allow_hyphen_values = true)]
    error_code: Option<String>,
    /// What the response's `x-request-id` said.
    #[arg(long)]
    request_id: Option<String>,
    #[arg(long)]
    trace_id: Option<String>,
    #[arg(long)]
    decision_id: Option<String>,
    /// RFC 3339: requests that came at this time or later …
    #[arg(long)]
    from: Option<String>,
    /// … and before this one.
    #[arg(long)]
    until: Option<String>,
    /// How many, 100 if absent; with --format 10000.
    #[arg(long, conflicts_with = "follow")]
    limit: Option<u32>,
    /// With parameters and responses; in --json and --format.
    #[arg(long)]
    payloads: bool,
    /// Show records as they arrive, until interrupted.
    #[arg(long, conflicts_with = "format")]
    follow: bool,
    /// For other programs.
    #[arg(long)]
    format: Option<FormatArgument>,
    #[command(flatten)]
    access: Access,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FormatArgument {
    Csv,
    Ndjson,
}

impl RecordsArguments {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let client = Client::new(&self.access, false)?;
        let json = self.access.json;
        if self.follow {
            return follow(&client, &self.query(None), json).await;
        }
        if let Some(format) = self.format {
            let format = if matches!(format, FormatArgument::Csv) { "csv" } else { "ndjson" };
            return client.text(&format!("/v1/records/download?{}", self.query(Some(format)))).await;
        }
        let mut answer = Value::Null;
        let (mut after, wanted) = (None::<String>, self.limit.unwrap_or(100) as usize);
        // A page may be empty where the search has not come to its end.
        loop {
            let found = answer["records"].as_array().map_or(0, Vec::len);
            let limit = wanted.saturating_sub(found).clamp(1, 1_000);
            let after_page = after.map(|after| format!("&after={after}")).unwrap_or_default();
            let path = format!("/v1/records?{}&limit={limit}{after_page}", self.query(None));
            let mut page = client.send(Method::GET, &path, None).await?;
            after = page["next"].as_str().map(str::to_owned);
            match answer["records"].as_array_mut() {
                Some(records) => records.append(page["records"].as_array_mut().unwrap_or(&mut Vec::new())),
                None => answer = page,
            }
            if after.is_none() || answer["records"].as_array().map_or(0, Vec::len) >= wanted {
                break;
            }
        }
        if json {
            return Ok(show::json(&answer));
        }
        Ok(answer["records"].as_array().into_iter().flatten().map(show::record).collect())
    }

    /// Filters and what else there is, but for the limit of a list.
    fn query(&self, format: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let filters = [
            ("server", &self.server),
            ("workspace", &self.workspace),
            ("caller", &self.caller),
            ("key", &self.key),
            ("method", &self.method),
            ("name", &self.name),
            ("decision", &self.decision),
            ("outcome", &self.outcome),
            ("rule", &self.rule),
            ("status", &self.status),
            ("error_code", &self.error_code),
            ("request_id", &self.request_id),
            ("trace_id", &self.trace_id),
            ("decision_id", &self.decision_id),
            ("from", &self.from),
            ("until", &self.until),
        ];
        for (name, value) in filters {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.append_pair("payloads", if self.payloads { "true" } else { "false" });
        if let Some(format) = format {
            query.append_pair("format", format);
            if let Some(limit) = self.limit {
                query.append_pair("limit", &limit.to_string());
            }
        }
        query.finish()
    }
}

/// Ends when standard output is closed, and where the service refuses.
async fn follow(client: &Client, query: &str, json: bool) -> Result<String, ClientError> {
    let mut after = String::new();
    loop {
        let answer = client.send(Method::GET, &format!("/v1/records/tail?{query}{after}"), None).await?;
        for record in answer["records"].as_array().into_iter().flatten() {
            let line = if json { format!("{record}\n") } else { show::record(record) };
            if io::stdout().write_all(line.as_bytes()).is_err() {
                return Ok(String::new());
            }
        }
        if io::stdout().flush().is_err() {
            return Ok(String::new());
        }
        let next = answer["next"].as_str().unwrap_or_default();
        after = format!("&after={next}");
    }
}
