//! How a form says that the gateway is to sign in to a server.

use serde_json::{Map, Value, json};

use super::form::Form;
use crate::http::admin::auth_view::AuthView;
use crate::http::admin::presets::PresetView;
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

/// What the fields about signing in begin with.
#[derive(Default)]
pub(super) struct SignIn {
    /// What is chosen: `keep`, or a type of the API.
    pub(super) chosen: &'static str,
    pub(super) preset: Option<String>,
    pub(super) client_id: String,
    pub(super) scopes: String,
    pub(super) issuer: String,
    pub(super) header_name: String,
    /// Whether a client has to be registered by hand.
    pub(super) wants_client: bool,
}

impl SignIn {
    pub(super) fn of_new(preset: Option<&PresetView>) -> Self {
        Self {
            chosen: if preset.is_some() { "oauth" } else { "none" },
            preset: preset.map(|preset| preset.name.to_owned()),
            wants_client: preset.is_some_and(|preset| !preset.enter.is_empty()),
            ..Self::default()
        }
    }

    pub(super) fn of(auth: &AuthView) -> Self {
        Self {
            chosen: "keep",
            preset: auth.preset.clone(),
            client_id: auth.client.as_ref().map_or_else(String::new, |client| client.id.clone()),
            scopes: auth.scopes.clone().unwrap_or_default().join(" "),
            issuer: auth
                .authorization_server
                .as_ref()
                .map_or_else(String::new, |server| server.issuer.clone()),
            header_name: auth.headers.first().map_or_else(String::new, |header| header.name.clone()),
            wants_client: false,
        }
    }
}

/// The `auth` of the operation. Secrets that are left out stay as they are, and so does what has no field, if the server is
/// signed in to in the same way as at `present`.
pub(super) fn auth(form: &Form, present: Option<&AuthView>) -> Result<Value, ApiError> {
    let kind = form.text("auth");
    let present =
        present.filter(|present| present.kind == kind).map_or_else(|| json!({"type": kind}), settings);
    match kind {
        "none" => Ok(present),
        "headers" => Ok(with_header(form, present)),
        "oauth" | "client_credentials" => with_client(form, present),
        _ => Err(ApiError::invalid("auth", "is not chosen", "choose how the gateway signs in")),
    }
}

/// What is shown of it, as it is set.
fn settings(auth: &AuthView) -> Value {
    let mut settings = json!(auth);
    let remove = |object: Option<&mut Value>, field: &str| {
        object.and_then(Value::as_object_mut).map(|object| object.remove(field));
    };
    remove(Some(&mut settings), "callback_url");
    remove(settings.get_mut("client"), "generation");
    for header in settings.get_mut("headers").and_then(Value::as_array_mut).into_iter().flatten() {
        remove(Some(header), "generation");
    }
    settings
}

fn with_header(form: &Form, mut auth: Value) -> Value {
    let name = form.given("header_name").unwrap_or("Authorization");
    let header = without_nulls(json!({"name": name, "value": form.exact("header_value")}));
    let mut headers = auth["headers"].as_array().cloned().unwrap_or_default();
    headers.retain(|other| !other["name"].as_str().unwrap_or_default().eq_ignore_ascii_case(name));
    headers.push(header);
    auth["headers"] = headers.into();
    auth
}

fn with_client(form: &Form, mut auth: Value) -> Result<Value, ApiError> {
    let client = match form.given("client_id") {
        Some(id) if auth["client"]["id"] == *id => {
            let mut client = auth["client"].take();
            if let Some(secret) = form.exact("client_secret") {
                client["secret"] = json!(secret);
            }
            client
        }
        Some(id) => without_nulls(json!({"id": id, "secret": form.exact("client_secret")})),
        None if auth["type"] == "client_credentials" => {
            let remedy = "give the client id and secret that the provider has issued";
            return Err(ApiError::invalid("client_id", "is missing", remedy));
        }
        None => Value::Null,
    };
    auth["client"] = client;
    let scopes = form.words("scopes");
    auth["scopes"] = if scopes.is_empty() { Value::Null } else { scopes.into() };
    match form.given("issuer") {
        Some(issuer) if auth["authorization_server"]["issuer"] == *issuer => {}
        issuer => {
            auth["authorization_server"] = issuer.map_or(Value::Null, |issuer| json!({ "issuer": issuer }));
        }
    }
    if auth["type"] == "oauth" {
        auth["preset"] = json!(form.given("preset"));
    }
    Ok(without_nulls(auth))
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}
