//! `portcullis explain`: why something is allowed or denied.

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Client, ClientError};
use super::{Access, show};

#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The field `decision_id` of a denied request in the access log.
    #[arg(conflicts_with_all = ["caller", "issuer", "server"], required_unless_present = "server")]
    decision: Option<String>,
    /// `member:<id>`, `key:<id>` or `session:<id>`.
    #[arg(long, conflicts_with = "issuer")]
    caller: Option<String>,
    /// Somebody with a token of this issuer …
    #[arg(long, requires = "subject")]
    issuer: Option<String>,
    /// … of this subject …
    #[arg(long, requires = "issuer")]
    subject: Option<String>,
    /// … for this workspace.
    #[arg(long, requires = "issuer")]
    workspace: Option<String>,
    /// Id or slug.
    #[arg(long)]
    server: Option<String>,
    #[arg(long, requires = "server")]
    tool: Option<String>,
    /// Of a call of the tool: a JSON object.
    #[arg(long, requires = "tool", value_name = "JSON")]
    arguments: Option<String>,
    #[arg(long, requires = "server", conflicts_with = "tool")]
    prompt: Option<String>,
    /// A URI.
    #[arg(long, requires = "server", conflicts_with_all = ["tool", "prompt"])]
    resource: Option<String>,
    #[command(flatten)]
    access: Access,
}

impl ExplainArguments {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let json = self.access.json;
        let client = Client::new(&self.access, false)?;
        let answer = client.send(Method::POST, "/v1/explain", Some(self.question()?)).await?;
        Ok(if json { show::json(&answer) } else { show::explanation(&answer) })
    }

    fn question(self) -> Result<Value, ClientError> {
        if let Some(decision) = self.decision {
            return Ok(json!({"decision": decision}));
        }
        let mut caller = Map::new();
        match self.caller.as_deref().map(|caller| caller.split_once(':')) {
            Some(Some((kind @ ("member" | "key" | "session"), id))) => {
                caller.insert(kind.to_owned(), id.into());
            }
            Some(_) => return Err(ClientError::Target("member:<id>, key:<id> or session:<id>")),
            None => {}
        }
        let named = [("issuer", self.issuer), ("subject", self.subject), ("workspace", self.workspace)];
        caller.extend(present(named));
        let mut question = Map::new();
        question.insert("caller".to_owned(), caller.into());
        let named = [
            ("server", self.server),
            ("tool", self.tool),
            ("prompt", self.prompt),
            ("resource", self.resource),
        ];
        question.extend(present(named));
        if let Some(text) = self.arguments {
            let arguments = serde_json::from_str(&text).map_err(|_| ClientError::Arguments)?;
            question.insert("arguments".to_owned(), arguments);
        }
        Ok(question.into())
    }
}

/// Those that are given.
fn present<const N: usize>(fields: [(&str, Option<String>); N]) -> impl Iterator<Item = (String, Value)> {
    let owned = fields.map(|(name, value)| (name.to_owned(), value));
    owned.into_iter().filter_map(|(name, value)| Some((name, value?.into())))
}
