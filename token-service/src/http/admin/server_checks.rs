//! How a server wants to be signed in to, asked of the server itself. Nothing is registered, and nothing is kept.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::acting::Acting;
use super::check::Problems;
use crate::check_server::{CheckError, Findings, ask};
use crate::domain::access::Operation;
use crate::domain::url::{PlainHttp, ServerUrl};
use crate::http::error::ApiError;
use crate::http::read::StrictJson;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckBody {
    /// Of the MCP endpoint.
    pub url: String,
    /// Whether `url` may be plain http.
    #[serde(default)]
    pub allow_http: bool,
}

/// What is known of a server.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckView {
    pub url: String,
    /// Of the answer to a first request without a credential.
    pub status: u16,
    /// What that answer means, in words.
    pub answer: &'static str,
    /// How such a server is signed in to: `oauth`, `headers` or `none`.
    pub auth: &'static str,
    /// Of the authorization server, if one was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Whether the gateway can register itself with the provider.
    pub registers: bool,
    /// Why no OAuth was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_oauth: Option<String>,
    /// The preset for it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<&'static str>,
    /// What has to be known or done before members can connect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl From<Findings> for CheckView {
    fn from(findings: Findings) -> Self {
        let Findings { url, status, answer, auth, issuer, scopes, registers, no_oauth, preset, warnings } =
            findings;
        Self { url, status, answer, auth, issuer, scopes, registers, no_oauth, preset, warnings }
    }
}

/// Asks a server how it wants to be signed in to, within what the configuration lets the service reach.
#[utoipa::path(
    post, path = "/v1/server-checks", tag = "servers", request_body = CheckBody,
    responses((status = OK, body = CheckView))
)]
pub async fn check(
    app: Acting,
    StrictJson(body): StrictJson<CheckBody>,
) -> Result<Json<CheckView>, ApiError> {
    app.may_in_organization(Operation::Administer)?;
    let mut problems = Problems::default();
    let plain_http = if body.allow_http { PlainHttp::Allowed } else { PlainHttp::Refused };
    let remedy = "give the URL of the server's MCP endpoint, such as https://mcp.example.com/mcp";
    let url = problems.take("url", ServerUrl::parse(&body.url, plain_http), remedy);
    let url = problems.finish(url)?;
    match ask(&app.egress, url).await {
        Ok(report) => Ok(Json(report.findings().into())),
        Err(CheckError::Fetch(error)) => Err(ApiError::invalid(
            "url",
            format!("cannot be asked: {error}"),
            "look at the address, and at the section `egress` of the configuration file",
        )),
        Err(error) => Err(ApiError::invalid("url", error, remedy)),
    }
}
