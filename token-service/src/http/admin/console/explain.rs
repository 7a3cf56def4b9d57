//! Why something is allowed or denied. A question is a link, so it can be passed on.

use askama::Template;
use axum::Json;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::entry::Refused;
use super::form::body;
use super::shell::{Visit, filters, page};
use crate::domain::access::Operation;
use crate::http::admin::acting::Acting;
use crate::http::admin::explain::{self, Answer};
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;

/// As the form sends it: an empty field says nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    decision: String,
    member: String,
    key: String,
    issuer: String,
    subject: String,
    workspace: String,
    server: String,
    tool: String,
    arguments: String,
}

#[derive(Template)]
#[template(path = "console/explain.html")]
struct Page {
    asked: Asked,
    answer: Option<Answer>,
}

pub(super) async fn show(
    app: Acting,
    visit: Visit,
    StrictQuery(asked): StrictQuery<Asked>,
) -> Result<Response, Refused> {
    app.may_in_organization(Operation::See)?;
    let answer = match question(&asked)? {
        Some(question) => {
            let Json(answer) = explain::explain(app, body(&question)?).await?;
            Some(answer)
        }
        None => None,
    };
    Ok(page(&visit, "Explain", &Page { asked, answer }))
}

/// What is asked, once there is enough of it to ask.
fn question(asked: &Asked) -> Result<Option<Value>, ApiError> {
    let given = |field: &str| Some(field.trim().to_owned()).filter(|text| !text.is_empty());
    if let Some(decision) = given(&asked.decision) {
        return Ok(Some(json!({ "decision": decision })));
    }
    let Some(server) = given(&asked.server) else { return Ok(None) };
    let arguments = match given(&asked.arguments) {
        None => Value::Null,
        Some(text) => serde_json::from_str(&text).map_err(|error| {
            let problem = format!("is not JSON: line {}, column {}", error.line(), error.column());
            ApiError::invalid(
                "arguments",
                problem,
                "give the object of arguments that the tool is called with",
            )
        })?,
    };
    Ok(Some(json!({
        "server": server,
        "tool": given(&asked.tool),
        "arguments": arguments,
        "caller": {
            "member": given(&asked.member),
            "key": given(&asked.key),
            "issuer": given(&asked.issuer),
            "subject": given(&asked.subject),
            "workspace": given(&asked.workspace),
        },
    })))
}
