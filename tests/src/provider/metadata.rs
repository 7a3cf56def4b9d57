//! The metadata document (RFC 8414).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Inner;
use super::faults::Endpoint;
use super::shape::{Iss, Metadata, Named, Pkce, Refresh, Registration, Shape};

/// Where it is, for a shape that has one.
pub(super) fn path(shape: &Shape) -> Option<String> {
    let path = shape.path;
    match shape.metadata {
        Metadata::OAuth => Some(format!("/.well-known/oauth-authorization-server{path}")),
        Metadata::OpenId => Some(format!("/.well-known/openid-configuration{path}")),
        Metadata::OpenIdAppended => Some(format!("{path}/.well-known/openid-configuration")),
        Metadata::Nowhere => None,
    }
}

pub(super) async fn show(State(provider): State<Arc<Inner>>) -> Json<Value> {
    let shape = &provider.shape;
    let mut grants = vec!["authorization_code", "client_credentials"];
    if shape.refresh != Refresh::Never {
        grants.push("refresh_token");
    }
    let mut document = json!({
        "issuer": provider.issuer,
        "authorization_endpoint": provider.url(Endpoint::Authorize),
        "token_endpoint": provider.url(Endpoint::Token),
        "revocation_endpoint": provider.url(Endpoint::Revoke),
        "response_types_supported": ["code"],
        "grant_types_supported": grants,
        "token_endpoint_auth_methods_supported":
            ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256", "RS256", "EdDSA"],
        "scopes_supported": shape.scopes,
        "authorization_response_iss_parameter_supported": shape.iss != Iss::Absent,
    });
    if shape.named == Named::AtUserinfo {
        document["userinfo_endpoint"] = provider.url(Endpoint::Userinfo).into();
    }
    match shape.pkce {
        Pkce::Required => document["code_challenge_methods_supported"] = json!(["S256"]),
        Pkce::PlainOnly => document["code_challenge_methods_supported"] = json!(["plain"]),
        Pkce::Unadvertised => {}
    }
    match shape.registration {
        Registration::Dynamic => document["registration_endpoint"] = provider.url(Endpoint::Register).into(),
        Registration::MetadataDocument => document["client_id_metadata_document_supported"] = true.into(),
        Registration::ByHand => {}
    }
    Json(document)
}
