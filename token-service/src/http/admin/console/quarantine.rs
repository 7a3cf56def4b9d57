//! Switching a server, a member or a key off at once, and on again.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde_json::json;

use super::access::way_back;
use super::entry::Refused;
use super::form::{Sent, applied, body};
use super::shell::see_other;
use crate::http::admin::acting::Acting;
use crate::http::admin::quarantines::{self, QuarantineView};
use crate::http::error::ApiError;

/// What is in quarantine, by target.
pub(super) struct Held(BTreeMap<String, QuarantineView>);

impl Held {
    pub(super) async fn all(app: &Acting) -> Result<Self, ApiError> {
        let Json(found) = quarantines::list(app.clone()).await?;
        Ok(Self(found.quarantines.into_iter().map(|each| (each.target.clone(), each)).collect()))
    }

    pub(super) fn has(&self, kind: &str, id: &str) -> bool {
        self.0.contains_key(&format!("{kind}:{id}"))
    }

    /// Why something is held.
    pub(super) fn take(mut self, kind: &str, id: &str) -> Option<QuarantineView> {
        self.0.remove(&format!("{kind}:{id}"))
    }
}

pub(super) async fn set(
    app: Acting,
    Path(target): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let back = way_back(&form);
    let sent = json!({"reason": form.text("reason")});
    quarantines::set(app, Path(target), applied(), body(&sent)?).await?;
    Ok(see_other(&back))
}

pub(super) async fn lift(
    app: Acting,
    Path(target): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let back = way_back(&form);
    quarantines::lift(app, Path(target), applied()).await?;
    Ok(see_other(&back))
}
