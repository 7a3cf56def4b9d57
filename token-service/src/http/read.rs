//! Reading requests: JSON bodies and queries, bounded in size. How strictly their types say: those of the admin API know
//! every field, those of filters have the rule of `wire/README.md`.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::error::{ApiError, FieldProblem};

/// The most bytes read of a body, unless its type says otherwise.
pub const BODY_LIMIT: usize = 64 * 1024;

/// A JSON body. Types of the admin API say `deny_unknown_fields`, so that a misspelt field is an error and not ignored.
///
/// At most `LIMIT` bytes are read. The content type must be `application/json`: a form in a browser cannot send that to another origin.
#[derive(Debug)]
pub struct StrictJson<T, const LIMIT: usize = BODY_LIMIT>(pub T);

impl<T: DeserializeOwned, S: Send + Sync, const LIMIT: usize> FromRequest<S> for StrictJson<T, LIMIT> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::NotJson);
        }
        let body = read_body(request.into_body(), LIMIT).await?;
        parse(&body).map(Self)
    }
}

/// Whether a request says that its body is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = declared.and_then(|value| value.split(';').next()).map(str::trim);
    media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"))
}

pub async fn read_body(body: Body, limit: usize) -> Result<Vec<u8>, ApiError> {
    match to_bytes(body, limit).await {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) if is_limit(&error) => Err(ApiError::TooLarge { limit }),
        Err(_) => Err(ApiError::Malformed { detail: "the body ended early".to_owned() }),
    }
}

fn is_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
}

/// Reads JSON strictly: a fault names its field.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() {
            ApiError::Invalid(vec![FieldProblem {
                field,
                problem: error.to_string(),
                remedy: "see /openapi.json for the fields and their types".to_owned(),
            }])
        } else {
            not_json(&error)
        }
    })?;
    json.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

fn not_json(error: &serde_json::Error) -> ApiError {
    let (line, column) = (error.line(), error.column());
    ApiError::Malformed { detail: format!("the body is not JSON: line {line}, column {column}") }
}

/// A query string. Types of the admin API say `deny_unknown_fields`.
#[derive(Debug)]
pub struct StrictQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for StrictQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let detail = format!("the query cannot be read: {}", rejection.body_text());
                Err(ApiError::Malformed { detail })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        number: u8,
    }

    #[test]
    fn faults_name_their_field() {
        for (body, expected_field) in [
            (r#"{"inner":{"number":"x"}}"#, "inner.number"),
            (r#"{"inner":{"number":1,"extra":1}}"#, "inner.extra"),
            (r#"{"inner":{"number":1,"number":2}}"#, "inner"),
        ] {
            let Err(ApiError::Invalid(problems)) = parse::<Sample>(body.as_bytes()) else { panic!("{body}") };
            assert_eq!(problems[0].field, expected_field, "{body}");
        }
        let whole: Sample = parse(br#"{"inner":{"number":1}}"#).expect("reads");
        assert_eq!(whole.inner.number, 1);
    }

    #[test]
    fn what_is_not_one_json_value_is_malformed() {
        for body in ["", "{", r#"{"inner":{"number":1}} x"#, "\u{feff}{}"] {
            assert!(matches!(parse::<Sample>(body.as_bytes()), Err(ApiError::Malformed { .. })), "{body}");
        }
    }
}
