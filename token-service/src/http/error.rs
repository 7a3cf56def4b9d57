//! Every way a request to the admin listener can fail, and the one mapping to status and body.
//!
//! Bodies are problem documents (RFC 9457). Where a request has several faults, `problems` lists all of them, each
//! with its field and a remedy. What went wrong inside is logged once and never sent.

use std::fmt;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Revision;
use crate::store::StoreError;

/// Why a request is refused.
#[derive(Debug)]
pub enum ApiError {
    /// Nobody is signed in, and there is no admin token, or a wrong one.
    Unauthorized {
        /// Where people sign in, if they can.
        sign_in: Option<String>,
    },
    /// The admin token is right, and has done its service.
    AdminTokenOver { admin_url: String },
    /// The caller can see the object, and may not do this with it.
    Forbidden,
    /// A change by somebody signed in that no page of ours has made.
    Forged,
    /// A form that no page of ours has made, or that is from before the last sign-in.
    ForgedForm,
    /// The path names nothing; `what` is the kind of object.
    NotFound { what: &'static str },
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The body is not JSON, or the query cannot be read; says what and where, never quotes the input.
    Malformed { detail: String },
    /// The body is not declared as `application/json`.
    NotJson,
    /// The body is larger than the limit in bytes.
    TooLarge { limit: usize },
    /// The request is well-formed and its content is wrong.
    Invalid(Vec<FieldProblem>),
    /// The content clashes with something that exists, such as a slug that is taken.
    Conflict { detail: String, remedy: String },
    /// The object has changed since the revision that the caller expected.
    Stale,
    /// Some of what was looked at has changed since; says which, and nothing was done.
    StaleParts(Vec<FieldProblem>),
    /// `portcullis.yaml` declares the object, so only the file can change it.
    OwnedByConfig { what: &'static str, file: String },
    /// The change is committed as `revision`, but not every connected filter has acknowledged it.
    NotApplied { revision: Revision, waiting_for: Vec<String> },
    /// As many of these as there may be are under way.
    Busy { what: &'static str },
    /// The database cannot be used now.
    Unavailable,
    /// The service that keeps the root key cannot be asked now.
    RootKeyUnavailable,
    /// Our fault.
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

/// One fault of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Where in the body or query, for example `policy.tools.deny[2]`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

/// A problem document (RFC 9457, media type `application/problem+json`).
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDocument {
    /// A stable name for programs, of the form `urn:portcullis:problem:<name>`.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// Every fault of the request, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<FieldProblem>,
    /// The file that owns the object, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The committed revision, where a change is made but not yet applied everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub revision: Option<Revision>,
    /// The filters that have not acknowledged the change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
}

/// What requests and their answers are written as in tests and in the description.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

impl ApiError {
    /// One fault of one field.
    pub fn invalid(field: &str, problem: impl fmt::Display, remedy: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldProblem {
            field: field.to_owned(),
            problem: problem.to_string(),
            remedy: remedy.into(),
        }])
    }

    /// The role of somebody whose sign-in says it.
    pub fn role_of_sign_in() -> Self {
        Self::Conflict {
            detail: "the company's groups say what this person is, and would say so again".to_owned(),
            remedy:
                "change the groups at the provider, or sign_in.oidc.memberships in the configuration file"
                    .to_owned(),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::AdminTokenOver { .. } | Self::Forbidden | Self::Forged | Self::ForgedForm => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Malformed { .. } => StatusCode::BAD_REQUEST,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict { .. } | Self::OwnedByConfig { .. } => StatusCode::CONFLICT,
            Self::Stale | Self::StaleParts(_) => StatusCode::PRECONDITION_FAILED,
            Self::NotApplied { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable | Self::RootKeyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "unauthorized",
            Self::AdminTokenOver { .. } => "admin-token-over",
            Self::Forbidden => "forbidden",
            Self::Forged | Self::ForgedForm => "forged-request",
            Self::NotFound { .. } => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::Malformed { .. } => "malformed-request",
            Self::NotJson => "not-json",
            Self::TooLarge { .. } => "too-large",
            Self::Invalid(_) => "invalid-request",
            Self::Conflict { .. } => "conflict",
            Self::OwnedByConfig { .. } => "owned-by-configuration",
            Self::Stale | Self::StaleParts(_) => "stale",
            Self::NotApplied { .. } => "not-applied",
            Self::Busy { .. } => "busy",
            Self::Unavailable => "unavailable",
            Self::RootKeyUnavailable => "root-key-unavailable",
            Self::Internal(_) => "internal",
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "Nobody is signed in, and the admin token is missing or wrong",
            Self::AdminTokenOver { .. } => "The admin token is no longer taken",
            Self::Forbidden => "You may not do this",
            Self::Forged | Self::ForgedForm => "The change does not come from a page of the admin side",
            Self::NotFound { .. } => "There is no such thing",
            Self::MethodNotAllowed => "This path does not take this method",
            Self::Malformed { .. } => "The request cannot be read",
            Self::NotJson => "The body must be JSON",
            Self::TooLarge { .. } => "The body is too large",
            Self::Invalid(_) => "The request has faults",
            Self::Conflict { .. } => "The request clashes with what exists",
            Self::OwnedByConfig { .. } => "The configuration file owns this",
            Self::Stale | Self::StaleParts(_) => "It has changed in the meantime",
            Self::NotApplied { .. } => "Committed, but not yet applied by every filter",
            Self::Busy { .. } => "Too much at once",
            Self::Unavailable => "The database cannot be used now",
            Self::RootKeyUnavailable => "The service that keeps the root key cannot be asked now",
            Self::Internal(_) => "Something went wrong on our side",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Unauthorized { sign_in } => {
                let token = "send `Authorization: Bearer <token>` with the content of the admin token file; the log of \
                             `portcullis serve` says where that is";
                match sign_in {
                    Some(sign_in) => format!("sign in at {sign_in}, or {token}"),
                    None => token.to_owned(),
                }
            }
            Self::AdminTokenOver { admin_url } => format!(
                "there is an owner who can sign in at {admin_url}/sign-in; where programs need the token, write \
                 `admin_token: always` into the configuration file and start again"
            ),
            Self::Forbidden => {
                "GET /v1/me shows what you are here; ask an administrator for what you need".to_owned()
            }
            Self::Forged => "send `Content-Type: application/json`, the `Origin` of the admin side, and in \
                             `x-portcullis-csrf` what `GET /v1/me` shows"
                .to_owned(),
            Self::ForgedForm => {
                "nothing was changed; open the page again, and repeat the change there".to_owned()
            }
            Self::NotFound { what } => format!("no {what} under this path"),
            Self::MethodNotAllowed => "the `Allow` header and /openapi.json say which it takes".to_owned(),
            Self::Malformed { detail } => detail.clone(),
            Self::NotJson => "send the body with `Content-Type: application/json`".to_owned(),
            Self::TooLarge { limit } => format!("at most {limit} bytes are read"),
            Self::Invalid(problems) => match problems.len() {
                1 => "one fault; see `problems`".to_owned(),
                count => format!("{count} faults; see `problems`"),
            },
            Self::Conflict { detail, remedy } => format!("{detail}; {remedy}"),
            Self::OwnedByConfig { what, file } => {
                format!(
                    "this {what} is declared in {file}; change it there, and the change is applied on its own"
                )
            }
            Self::NotApplied { revision, waiting_for } if waiting_for.is_empty() => format!(
                "the change is committed as revision {revision}; the token-service has started a moment ago, and filters \
                 that have yet to come back to it may still use what they have cached; ask `/v1/status` which have come"
            ),
            Self::NotApplied { revision, .. } => format!(
                "the change is committed as revision {revision}; the filters under `waiting_for` have not \
                 acknowledged it and stop using what they have cached when their staleness budget is over"
            ),
            Self::StaleParts(_) => "nothing was done; see `problems`".to_owned(),
            Self::Stale => "read it again, look at what changed, and repeat the change".to_owned(),
            Self::Busy { what } => format!("too many {what} are under way; try again in a moment"),
            Self::Unavailable | Self::RootKeyUnavailable => {
                "try again; the log of the token-service says more".to_owned()
            }
            Self::Internal(_) => "the log of the token-service says more".to_owned(),
        }
    }

    /// The problem document. What went wrong inside is not in it.
    pub(super) fn into_document(self) -> ProblemDocument {
        if let Self::Internal(error) = &self {
            tracing::error!(error = error_chain(error.as_ref()), "request failed");
        }
        let mut document = ProblemDocument {
            kind: format!("urn:portcullis:problem:{}", self.name()),
            title: self.title().to_owned(),
            status: self.status().as_u16(),
            detail: self.detail(),
            problems: Vec::new(),
            file: None,
            revision: None,
            waiting_for: Vec::new(),
        };
        match self {
            Self::Invalid(problems) | Self::StaleParts(problems) => document.problems = problems,
            Self::OwnedByConfig { file, .. } => document.file = Some(file),
            Self::NotApplied { revision, waiting_for } => {
                document.revision = Some(revision);
                document.waiting_for = waiting_for;
            }
            _ => {}
        }
        document
    }
}

/// For [`StoreError::ReadOnly`] use [`crate::state::Service::refusal`], which knows the file.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken { what, value } => Self::Conflict {
                detail: format!("there is already a {what} {value:?}"),
                remedy: "choose another, or change the one that is there".to_owned(),
            },
            StoreError::Stale => Self::Stale,
            StoreError::LastOwner => Self::Conflict {
                detail: "this is the last owner".to_owned(),
                remedy: "make somebody else an owner first".to_owned(),
            },
            StoreError::Missing { what } => Self::NotFound { what },
            StoreError::ReadOnly { what } => {
                Self::OwnedByConfig { what, file: "the configuration file".to_owned() }
            }
            error @ StoreError::Unavailable { .. } => {
                tracing::error!(%error, "the store failed");
                Self::Unavailable
            }
            error @ StoreError::Corrupt { .. } => Self::Internal(Box::new(error)),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(self.into_document())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"portcullis admin\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The messages of an error and its causes, on one line.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internals_stay_inside() {
        let error = ApiError::Internal("disk /var/lib/portcullis is full".into());
        let document = serde_json::to_string(&error.into_document()).expect("writes");
        assert!(!document.contains("disk"), "{document}");
    }

    #[test]
    fn a_document_names_every_fault() {
        let fault = |field: &str| FieldProblem {
            field: field.to_owned(),
            problem: "is empty".to_owned(),
            remedy: "give a name".to_owned(),
        };
        let document = ApiError::Invalid(vec![fault("name"), fault("slug")]).into_document();
        insta::assert_json_snapshot!(document, @r#"
        {
          "type": "urn:portcullis:problem:invalid-request",
          "title": "The request has faults",
          "status": 422,
          "detail": "2 faults; see `problems`",
          "problems": [
            {
              "field": "name",
              "problem": "is empty",
              "remedy": "give a name"
            },
            {
              "field": "slug",
              "problem": "is empty",
              "remedy": "give a name"
            }
          ]
        }
        "#);
    }

    #[test]
    fn causes_are_on_one_line() {
        let inner = std::io::Error::other("inner");
        let outer = std::io::Error::other(inner);
        assert_eq!(error_chain(&outer), "inner");
    }
}
