//! What every change has in common: the revision it is based on, the revision it makes, and waiting for it.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::Revision;
use crate::http::error::ApiError;
use crate::state::Service;

/// On every reply to a change: the revision that it made, or the present one if it changed nothing.
pub const REVISION_HEADER: HeaderName = HeaderName::from_static("x-portcullis-revision");

/// On a reply to `?wait=applied`: how many filters are connected and have acknowledged.
pub const APPLIED_HEADER: HeaderName = HeaderName::from_static("x-portcullis-applied");

/// Query of every change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wait {
    /// `applied`: answer when every connected filter has acknowledged the change. If some do not in time, the answer
    /// is 504 and names them; the change is committed all the same.
    #[param(inline)]
    pub wait: Option<WaitFor>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    Applied,
}

/// How the header of [`IfMatch`] is described.
pub(super) const IF_MATCH: &str = "Change it only if this is still its entity tag, such as \"12\"";

/// `If-Match: "<revision>"`: change the object only if this is still its revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IfMatch(Option<Revision>);

impl IfMatch {
    /// Only if this is still its revision.
    pub fn of(revision: Revision) -> Self {
        Self(Some(revision))
    }

    /// The revision to pass to the store for an object that was read at `read`, so that a change which keeps some
    /// fields as they are is not made from fields that have changed since.
    pub fn based_on(self, read: Revision) -> Option<Revision> {
        Some(self.0.unwrap_or(read))
    }

    /// For a change that replaces the whole object.
    pub fn revision(self) -> Option<Revision> {
        self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default();
        if text == "*" {
            return Ok(Self(None));
        }
        let number = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match number.and_then(|number| number.parse().ok()) {
            Some(revision) => Ok(Self(Some(Revision(revision)))),
            None => Err(ApiError::Malformed {
                detail: "If-Match must be a revision in quotes, such as \"12\"".to_owned(),
            }),
        }
    }
}

/// A reply that shows one object and its revision as entity tag.
pub fn shown<T: Serialize>(status: StatusCode, revision: Revision, object: T) -> Response {
    (status, [(header::ETAG, format!("\"{revision}\""))], Json(object)).into_response()
}

impl Service {
    /// Finishes `reply` to a change committed as `revision`; waits first if that was asked for.
    pub async fn committed(
        &self,
        revision: Revision,
        wait: Wait,
        mut reply: Response,
    ) -> Result<Response, ApiError> {
        self.watch_hub.committed(revision, self.clock.now());
        reply.headers_mut().insert(REVISION_HEADER, HeaderValue::from(revision.0));
        if wait.wait == Some(WaitFor::Applied) {
            let timeout = self.settings.applied_timeout;
            let applied = self.applied(revision, timeout).await;
            let filters = applied.map_err(|waiting_for| ApiError::NotApplied { revision, waiting_for })?;
            reply.headers_mut().insert(APPLIED_HEADER, HeaderValue::from(filters));
        }
        Ok(reply)
    }

    /// [`Service::committed`] for a deletion; `None` means that there was nothing to delete.
    pub async fn deleted(
        &self,
        what: &'static str,
        revision: Option<Revision>,
        wait: Wait,
    ) -> Result<Response, ApiError> {
        let revision = revision.ok_or(ApiError::NotFound { what })?;
        self.committed(revision, wait, StatusCode::NO_CONTENT.into_response()).await
    }
}
