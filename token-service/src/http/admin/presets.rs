//! Well-known servers.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::Acting;
use super::auth_body::MethodBody;
use crate::domain::access::Operation;
use crate::http::error::ApiError;
use crate::presets::{self, Preset, Registration};

/// What is known of a server: `"auth": {"type": "oauth", "preset": "…"}` fills it in where nothing else is given.
#[derive(Debug, Serialize, ToSchema)]
pub struct PresetView {
    pub name: &'static str,
    pub title: &'static str,
    pub url: &'static str,
    pub registration: RegistrationView,
    /// How the provider wants to be shown the secret of a client that is registered by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_method: Option<MethodBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<&'static [String]>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub authorize_parameters: &'static BTreeMap<String, String>,
    /// What has to be entered, and where to get it.
    pub enter: Vec<EnterView>,
    pub notes: &'static [String],
    /// What the sources do not tell.
    pub unverified: &'static [String],
    pub sources: &'static [String],
    /// The day on which the sources were looked at.
    pub checked: &'static str,
}

/// How the gateway becomes a client of the provider.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationView {
    /// By itself.
    Dynamic,
    /// An administrator registers it with the provider.
    PreRegistered,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EnterView {
    pub field: &'static str,
    pub how: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PresetList {
    pub presets: Vec<PresetView>,
}

impl From<&'static Preset> for PresetView {
    fn from(preset: &'static Preset) -> Self {
        Self {
            name: &preset.name,
            title: &preset.title,
            url: &preset.url,
            registration: match preset.registration {
                Registration::Dynamic => RegistrationView::Dynamic,
                Registration::PreRegistered => RegistrationView::PreRegistered,
            },
            client_method: preset.client_method.map(Into::into),
            scopes: preset.scopes.as_deref(),
            authorize_parameters: &preset.authorize_parameters,
            enter: preset
                .enter
                .iter()
                .map(|enter| EnterView { field: &enter.field, how: &enter.how })
                .collect(),
            notes: &preset.notes,
            unverified: &preset.unverified,
            sources: &preset.sources,
            checked: &preset.checked,
        }
    }
}

/// Lists what is known of well-known servers.
#[utoipa::path(get, path = "/v1/presets", tag = "presets", responses((status = OK, body = PresetList)))]
pub async fn list(app: Acting) -> Result<Json<PresetList>, ApiError> {
    app.may_in_organization(Operation::See)?;
    Ok(Json(PresetList { presets: presets::all().iter().map(Into::into).collect() }))
}
