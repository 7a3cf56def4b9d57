//! Strangers become clients: dynamic registration (RFC 7591), or a document at the URL that is their id.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use super::Inner;
use super::books::random;
use super::clients::{Authentication, Client};
use super::ledger::{Event, Refusal};
use super::shape::Registration;

#[derive(Debug, Deserialize)]
struct Metadata {
    client_id: Option<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    #[serde(default)]
    grant_types: Vec<String>,
    #[serde(default)]
    response_types: Vec<String>,
    token_endpoint_auth_method: Option<String>,
    application_type: Option<String>,
    client_name: Option<String>,
}

pub(super) async fn register(State(provider): State<Arc<Inner>>, body: String) -> Response {
    match registered(&provider, &body) {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

fn registered(provider: &Inner, body: &str) -> Result<Response, Refusal> {
    let metadata: Metadata = serde_json::from_str(body)
        .map_err(|_| Refusal::new(400, "invalid_client_metadata", "not the JSON of a client's metadata"))?;
    // MCP wants `application_type` to be said: without it, loopback redirect URIs are refused by some.
    if !matches!(metadata.application_type.as_deref(), Some("web" | "native")) {
        return Err(Refusal::new(400, "invalid_client_metadata", "application_type must be web or native"));
    }
    let client_id = random("client");
    let client = client(client_id.clone(), &metadata)?;
    let mut answer = json!({
        "client_id": client_id,
        "client_name": metadata.client_name,
        "redirect_uris": client.redirect_uris,
        "grant_types": metadata.grant_types,
        "response_types": metadata.response_types,
        "token_endpoint_auth_method": client.authentication.as_str(),
        "application_type": metadata.application_type,
    });
    if let Authentication::SecretBasic(secret) | Authentication::SecretPost(secret) = &client.authentication {
        answer["client_secret"] = secret.clone().into();
        answer["client_secret_expires_at"] = 0.into();
    }
    provider.ledger.add(Event::Registered {
        client_id,
        redirect_uris: client.redirect_uris.clone(),
        authentication: client.authentication.as_str().to_owned(),
    });
    provider.books().add_client(client);
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

fn client(client_id: String, metadata: &Metadata) -> Result<Client, Refusal> {
    if metadata.redirect_uris.is_empty() {
        return Err(Refusal::new(400, "invalid_redirect_uri", "redirect_uris must not be empty"));
    }
    let authentication = match metadata.token_endpoint_auth_method.as_deref() {
        Some("none") => Authentication::None,
        Some("client_secret_post") => Authentication::SecretPost(random("client-secret")),
        Some("client_secret_basic") | None => Authentication::SecretBasic(random("client-secret")),
        Some(_) => {
            return Err(Refusal::new(400, "invalid_client_metadata", "no such authentication here"));
        }
    };
    let grants = &metadata.grant_types;
    Ok(Client {
        client_id,
        authentication,
        redirect_uris: metadata.redirect_uris.clone(),
        may_refresh: grants.iter().any(|grant| grant == "refresh_token"),
        may_act_for_itself: false,
    })
}

/// Fetches the document of a client that is not known yet, where that is how clients introduce themselves.
pub(super) async fn introduce(provider: &Inner, client_id: &str) {
    let is_url = client_id.starts_with("https://") || client_id.starts_with("http://127.0.0.1:");
    let known = provider.books().client(client_id).is_some();
    if provider.shape.registration != Registration::MetadataDocument || !is_url || known {
        return;
    }
    let fetched = async {
        let reply = provider.http.get(client_id).send().await.ok()?.error_for_status().ok()?;
        reply.json::<Metadata>().await.ok()
    };
    let Some(metadata) = fetched.await else { return };
    let itself = metadata.client_id.as_deref() == Some(client_id);
    // A document has no secret; one that says so is not taken.
    let public = metadata.token_endpoint_auth_method.as_deref() == Some("none");
    if itself
        && public
        && let Ok(client) = client(client_id.to_owned(), &metadata)
    {
        provider.books().add_client(client);
    }
}
