//! What clients read before anything else (RFC 8414, OpenID Connect Discovery, RFC 9728, RFC 7517).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use portcullis_wire::names::Slug;
use portcullis_wire::scopes;
use serde_json::{Value, json};

use super::error::unavailable;
use crate::authorization_server::keys;
use crate::domain::resource::ResourcePath;
use crate::http::error::ApiError;
use crate::state::{Service, Shared};

/// Long enough to spare requests, and shorter than a key is known before it signs.
const CACHED: &str = "public, max-age=300";

/// Both `/.well-known/oauth-authorization-server` and `/.well-known/openid-configuration`.
pub(super) async fn server(State(app): State<Shared>) -> Response {
    document(metadata(&app))
}

/// `GET /.well-known/oauth-protected-resource/{server}/mcp`. There is one for every path that a server could have:
/// whether it has one is nobody's business who has not signed in.
pub(super) async fn resource(
    State(app): State<Shared>,
    Path(server): Path<String>,
) -> Result<Response, ApiError> {
    let server = slug(&server)?;
    Ok(resource_document(&app, &ResourcePath { workspace: None, server }))
}

/// The same for `/{workspace}/{server}/mcp`.
pub(super) async fn workspace_resource(
    State(app): State<Shared>,
    Path((workspace, server)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let resource = ResourcePath { workspace: Some(slug(&workspace)?), server: slug(&server)? };
    Ok(resource_document(&app, &resource))
}

/// `GET /oauth/jwks`
pub(super) async fn keys(State(app): State<Shared>) -> Response {
    match app.store.signing_keys().await {
        Ok(rows) => document(keys::key_set(&keys::open_all(&app.vault, &rows))),
        Err(error) => unavailable(error),
    }
}

fn slug(text: &str) -> Result<Slug, ApiError> {
    Slug::parse(text).map_err(|_| ApiError::NotFound { what: "page" })
}

fn resource_document(app: &Service, resource: &ResourcePath) -> Response {
    let public_url = &app.settings.public_url;
    document(json!({
        "resource": resource.url(public_url),
        "authorization_servers": [public_url],
        "scopes_supported": scopes::ALL,
        "bearer_methods_supported": ["header"],
    }))
}

fn metadata(app: &Service) -> Value {
    let settings = &app.settings.authorization;
    let issuer = &app.settings.public_url;
    let at = |path: &str| format!("{issuer}{path}");
    let secrets = ["client_secret_basic", "client_secret_post"];
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth/authorize"),
        "token_endpoint": at("/oauth/token"),
        "jwks_uri": at("/oauth/jwks"),
        "revocation_endpoint": at("/oauth/revoke"),
        "introspection_endpoint": at("/oauth/introspect"),
        "scopes_supported": scopes::ALL,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none", secrets[0], secrets[1]],
        "revocation_endpoint_auth_methods_supported": ["none", secrets[0], secrets[1]],
        "introspection_endpoint_auth_methods_supported": secrets,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
        "prompt_values_supported": ["consent"],
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": false,
        // Readers of OpenID Connect Discovery want these two, though no ID token is ever issued.
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [settings.signing_algorithm.as_str()],
    });
    if settings.dynamic_registration {
        metadata["registration_endpoint"] = at("/oauth/register").into();
    }
    metadata
}

fn document(content: Value) -> Response {
    ([(header::CACHE_CONTROL, CACHED)], Json(content)).into_response()
}
