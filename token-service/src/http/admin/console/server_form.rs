//! How a form says that the gateway is to sign in to a server.

use serde_json::{Map, Value, json};

use super::form::Form;
use crate::http::error::ApiError;

/// For people.
pub(super) fn auth_name(kind: &str) -> &'static str {
    match kind {
        "oauth" => "Each person's account",
        "client_credentials" => "One account (client credentials)",
        "headers" => "Fixed header",
        _ => "None",
    }
}

/// The `auth` of the operation. What is not filled in is left out; a secret that is left out stays as it is.
pub(super) fn auth(form: &Form) -> Result<Value, ApiError> {
    let scopes = form.words("scopes");
    let scopes = (!scopes.is_empty()).then_some(scopes);
    let server = form.given("issuer").map(|issuer| json!({ "issuer": issuer }));
    let client = form
        .given("client_id")
        .map(|id| without_nulls(json!({"id": id, "secret": form.exact("client_secret")})));
    match form.text("auth") {
        "none" => Ok(json!({"type": "none"})),
        "headers" => {
            let name = form.given("header_name").unwrap_or("Authorization");
            let header = without_nulls(json!({"name": name, "value": form.exact("header_value")}));
            Ok(json!({"type": "headers", "headers": [header]}))
        }
        "oauth" => Ok(without_nulls(json!({
            "type": "oauth",
            "preset": form.given("preset"),
            "client": client,
            "scopes": scopes,
            "authorization_server": server,
        }))),
        "client_credentials" => {
            let client = client.ok_or_else(|| {
                ApiError::invalid(
                    "client_id",
                    "is missing",
                    "give the client id and secret that the provider has issued",
                )
            })?;
            Ok(without_nulls(json!({
                "type": "client_credentials",
                "client": client,
                "scopes": scopes,
                "authorization_server": server,
            })))
        }
        _ => Err(ApiError::invalid("auth", "is not chosen", "choose how the gateway signs in")),
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}
