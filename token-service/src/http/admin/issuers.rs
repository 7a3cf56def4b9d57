//! Issuers, for looking only: whose tokens are accepted is a matter of `portcullis.yaml`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::Acting;
use super::time;
use crate::domain::access::Operation;
use crate::domain::issuer::{Issuer, IssuerSettings, TokenSource, WorkspaceMapping};
use crate::domain::token_rules::ClaimRule;
use crate::http::error::ApiError;

/// An issuer whose tokens are accepted.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuerView {
    pub issuer: String,
    /// Accepted values of `aud`; if empty, the URL of the server path that is called.
    pub audiences: Vec<String>,
    /// What its tokens have to say besides.
    #[schema(value_type = Vec<Object>)]
    pub claims: Vec<ClaimRule>,
    /// How old a token may be, in seconds since `iat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u64>,
    /// What differs for single servers, and which servers the tokens are for.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub settings: IssuerSettings,
    /// Whether a token's `typ` must be `at+jwt` (RFC 9068).
    pub require_at_jwt: bool,
    /// How tokens are checked: `given` keys, those of `jwks`, or by `introspection`.
    #[schema(value_type = Object)]
    pub source: TokenSource,
    /// When keys were fetched last; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_fetched_at: Option<String>,
    pub keys: Vec<KeyView>,
    pub workspaces: MappingView,
    /// Whether a valid token makes its subject a member on first use.
    pub auto_provision_members: bool,
}

/// A public key, by what tells it apart.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IssuerKeyView)]
pub struct KeyView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    pub algorithm: &'static str,
}

/// How a token's workspace is found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MappingView {
    /// Always this one, by slug.
    Fixed(String),
    /// The one whose slug this claim holds.
    Claim(String),
    /// The one that the token's subject is a member of.
    Membership,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct IssuerList {
    pub issuers: Vec<IssuerView>,
}

impl From<Issuer> for IssuerView {
    fn from(issuer: Issuer) -> Self {
        Self {
            issuer: issuer.issuer,
            audiences: issuer.rules.audiences,
            claims: issuer.rules.claims,
            max_age: issuer.rules.max_age,
            settings: issuer.settings,
            source: issuer.source,
            keys_fetched_at: issuer.keys_fetched_at.map(time::spell),
            require_at_jwt: issuer.require_at_jwt,
            keys: issuer
                .keys
                .into_iter()
                .map(|key| KeyView { key_id: key.key_id, algorithm: key.algorithm.as_str() })
                .collect(),
            workspaces: match issuer.workspaces {
                WorkspaceMapping::Fixed(slug) => MappingView::Fixed(slug.into()),
                WorkspaceMapping::Claim(claim) => MappingView::Claim(claim),
                WorkspaceMapping::Membership => MappingView::Membership,
            },
            auto_provision_members: issuer.auto_provision_members,
        }
    }
}

/// Lists the issuers whose tokens are accepted.
#[utoipa::path(get, path = "/v1/issuers", tag = "issuers", responses((status = OK, body = IssuerList)))]
pub async fn list(app: Acting) -> Result<Json<IssuerList>, ApiError> {
    app.may_in_organization(Operation::See)?;
    let issuers = app.store.issuers().await?.into_iter().map(Into::into).collect();
    Ok(Json(IssuerList { issuers }))
}
