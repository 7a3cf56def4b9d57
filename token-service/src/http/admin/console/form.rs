//! The fields of a form, and how they become the body of an operation.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::Revision;
use crate::http::admin::commit::{IfMatch, Wait, WaitFor};
use crate::http::error::ApiError;
use crate::http::public::guard::SignedIn;
use crate::http::read::{StrictJson, StrictQuery, parse};
use crate::state::Shared;

/// What somebody has sent with a form of ours. Handlers take the fields that they know by name; others do nothing. Fields may
/// be secrets, so it cannot be printed.
#[derive(Default)]
pub(super) struct Form(BTreeMap<String, Vec<String>>);

impl Form {
    /// `None` if it is no form, or does not hold this browser's token.
    pub(super) fn read(headers: &HeaderMap, body: &[u8], browser: &SignedIn) -> Option<Self> {
        let media_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return None;
        }
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            fields.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        let tokens = fields.remove("csrf")?;
        matches!(tokens.as_slice(), [token] if browser.holds(token)).then_some(Self(fields))
    }

    /// What was typed, without the space around it; empty if there is no such field.
    pub(super) fn text(&self, name: &str) -> &str {
        self.all(name).first().map_or("", |text| text.trim())
    }

    /// `None` of an empty field.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// What was typed, exactly.
    pub(super) fn exact(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str).filter(|text| !text.is_empty())
    }

    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a box is ticked.
    pub(super) fn is_ticked(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// One thing a line, or separated by commas or spaces.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        let text = self.text(name);
        text.split([',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// One thing a line.
    pub(super) fn lines(&self, name: &str) -> Vec<String> {
        self.text(name).lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// The revision that the page of the form had shown: what has changed since is not overwritten.
    pub(super) fn expected(&self) -> IfMatch {
        self.text("revision")
            .parse()
            .map_or_else(|_| IfMatch::default(), |number| IfMatch::of(Revision(number)))
    }
}

/// The form that came with a request.
pub(super) struct Sent(pub(super) Arc<Form>);

impl FromRequestParts<Shared> for Sent {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &Shared) -> Result<Self, ApiError> {
        let form = parts.extensions.get::<Arc<Form>>().map(Arc::clone);
        form.map(Self).ok_or_else(|| ApiError::Internal("a page is not behind the door".into()))
    }
}

/// For a change: a page that says that it is done comes when every connected gateway goes by it.
pub(super) fn applied() -> StrictQuery<Wait> {
    StrictQuery(Wait { wait: Some(WaitFor::Applied) })
}

/// The body of an operation, read as strictly as if a program had sent it.
pub(super) fn body<T: DeserializeOwned, const LIMIT: usize>(
    value: &Value,
) -> Result<StrictJson<T, LIMIT>, ApiError> {
    read(value).map(StrictJson)
}

/// What a body says.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, ApiError> {
    parse(value.to_string().as_bytes())
}
