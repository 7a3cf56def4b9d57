//! Switching a server, a member or a key off at once, and on again.

use std::collections::BTreeSet;

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
pub(super) struct Held(BTreeSet<String>);

impl Held {
    pub(super) async fn all(app: &Acting) -> Result<Self, ApiError> {
        let Json(found) = quarantines::list(app.clone()).await?;
        Ok(Self(found.quarantines.into_iter().map(|each| each.target).collect()))
    }

    pub(super) fn has(&self, kind: &str, id: &str) -> bool {
        self.0.contains(&format!("{kind}:{id}"))
    }
}

/// Why one thing is held, if it is.
pub(super) async fn of(app: &Acting, target: &str) -> Result<Option<QuarantineView>, ApiError> {
    let Json(found) = quarantines::show(app.clone(), Path(target.to_owned())).await?;
    Ok(Some(found).filter(|found| found.quarantined))
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
