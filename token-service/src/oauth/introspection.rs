//! Asking an issuer about a token (RFC 7662).

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use super::Client;
use super::authentication::{Form, UnreadableKey};
use super::json::{self, Object};
use crate::clock::{Entropy, Timestamp};
use crate::egress::{EgressClient, EgressError, EgressReply};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// What an issuer says of a token that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveToken {
    pub subject: String,
    pub audiences: Vec<String>,
    /// Seconds since the epoch, as the others.
    pub issued_at: Option<u64>,
    pub expires_at: Option<u64>,
    /// Everything that was said, these included.
    pub claims: BTreeMap<String, Value>,
}

/// Why nothing is known of a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntrospectionError {
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("the issuer refuses the gateway's client (status {0}): check its id, secret and method")]
    Refused(u16),
    #[error("the answer has status {0}")]
    Status(u16),
    #[error("the answer cannot be used: {0}")]
    Malformed(&'static str),
}

impl From<UnreadableKey> for IntrospectionError {
    fn from(_: UnreadableKey) -> Self {
        Self::Malformed("the client has no usable key")
    }
}

/// The gateway as it asks, and whom.
pub struct Question<'a> {
    pub endpoint: &'a Url,
    pub client: &'a Client,
    /// The answer's `iss`, where it has one, has to be this.
    pub issuer: &'a str,
    pub token: &'a SecretString,
}

/// `None` if the token is not good, or not good for this.
pub async fn ask(
    egress: &EgressClient,
    entropy: &dyn Entropy,
    question: &Question<'_>,
    now: Timestamp,
) -> Result<Option<ActiveToken>, IntrospectionError> {
    let mut form = Form::default();
    form.add("token", question.token.expose_secret());
    form.add("token_type_hint", "access_token");
    form.authenticate(question.client, question.issuer, entropy, now)?;
    let reply = egress.fetch(form.post(question.endpoint, MAX_ANSWER)).await?;
    read(&reply, question.issuer)
}

fn read(reply: &EgressReply, issuer: &str) -> Result<Option<ActiveToken>, IntrospectionError> {
    match reply.status {
        200 => {}
        status @ (400 | 401 | 403) => return Err(IntrospectionError::Refused(status)),
        status => return Err(IntrospectionError::Status(status)),
    }
    let said = json::object(reply)
        .map_err(|_| IntrospectionError::Malformed("it is not a JSON object, or has a key twice"))?;
    match said.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(None),
        _ => return Err(IntrospectionError::Malformed("`active` is neither true nor false")),
    }
    // A token that is bound to a key or a certificate is worth nothing without the proof, which nobody checks here.
    if said.contains_key("cnf") {
        return Ok(None);
    }
    if said.get("iss").is_some_and(|found| found != issuer) {
        return Ok(None);
    }
    active(said).map(Some)
}

fn active(said: Object) -> Result<ActiveToken, IntrospectionError> {
    let malformed = IntrospectionError::Malformed;
    let subject = said.get("sub").and_then(Value::as_str).filter(|subject| !subject.is_empty());
    let subject = subject.ok_or(malformed("it names no subject (`sub`)"))?.to_owned();
    let audiences = match said.get("aud") {
        None => Vec::new(),
        Some(Value::String(only)) => vec![only.clone()],
        Some(Value::Array(all)) => {
            let all: Option<Vec<String>> = all.iter().map(|one| one.as_str().map(str::to_owned)).collect();
            all.ok_or(malformed("`aud` is not a list of texts"))?
        }
        Some(_) => return Err(malformed("`aud` is neither a text nor a list")),
    };
    let time = |name| match said.get(name) {
        None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or(malformed("a time is not a whole number of seconds")),
    };
    let (issued_at, expires_at) = (time("iat")?, time("exp")?);
    Ok(ActiveToken { subject, audiences, issued_at, expires_at, claims: said.into_iter().collect() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://idp.example";

    fn answer(status: u16, body: &Value) -> EgressReply {
        EgressReply { status, headers: axum::http::HeaderMap::new(), body: body.to_string().into() }
    }

    #[test]
    fn a_good_token_says_whose_it_is() {
        let said = json!({
            "active": true, "iss": ISSUER, "sub": "ada", "aud": ["a", "b"], "iat": 1, "exp": 2, "groups": ["mcp"],
        });
        let token = read(&answer(200, &said), ISSUER).expect("reads").expect("active");
        assert_eq!((&*token.subject, token.issued_at, token.expires_at), ("ada", Some(1), Some(2)));
        assert_eq!(token.audiences, ["a", "b"]);
        assert_eq!(token.claims["groups"], json!(["mcp"]));
        let least = read(&answer(200, &json!({"active": true, "sub": "ada", "aud": "a"})), ISSUER);
        let least = least.expect("reads").expect("active");
        assert_eq!((least.audiences, least.expires_at), (vec!["a".to_owned()], None));
    }

    #[test]
    fn what_is_not_good_for_us_is_not_good() {
        for said in [
            json!({"active": false}),
            json!({"active": false, "sub": "ada"}),
            json!({"active": true, "sub": "ada", "iss": "https://other.example"}),
            json!({"active": true, "sub": "ada", "iss": "https://idp.example/"}),
            json!({"active": true, "sub": "ada", "iss": 1}),
            json!({"active": true, "sub": "ada", "cnf": {"jkt": "x"}}),
        ] {
            assert_eq!(read(&answer(200, &said), ISSUER), Ok(None), "{said}");
        }
    }

    #[test]
    fn an_answer_that_says_nothing_clear_is_none() {
        for said in [
            json!({}),
            json!({"active": "true", "sub": "ada"}),
            json!({"active": 1, "sub": "ada"}),
            json!({"active": true}),
            json!({"active": true, "sub": 17}),
            json!({"active": true, "sub": ""}),
            json!({"active": true, "sub": "ada", "aud": [1]}),
            json!({"active": true, "sub": "ada", "aud": {}}),
            json!({"active": true, "sub": "ada", "exp": "2"}),
            json!({"active": true, "sub": "ada", "exp": -2}),
            json!({"active": true, "sub": "ada", "iat": 1.5}),
            json!([{"active": true}]),
        ] {
            let found = read(&answer(200, &said), ISSUER);
            assert!(matches!(found, Err(IntrospectionError::Malformed(_))), "{said}: {found:?}");
        }
        let twice = EgressReply {
            body: r#"{"active":false,"active":true,"sub":"ada"}"#.into(),
            ..answer(200, &json!({}))
        };
        assert!(matches!(read(&twice, ISSUER), Err(IntrospectionError::Malformed(_))));
    }

    #[test]
    fn a_refused_client_is_told_from_an_outage() {
        let good = json!({"active": true, "sub": "ada"});
        for (status, expected) in [
            (401, IntrospectionError::Refused(401)),
            (403, IntrospectionError::Refused(403)),
            (400, IntrospectionError::Refused(400)),
            (500, IntrospectionError::Status(500)),
            (302, IntrospectionError::Status(302)),
            (204, IntrospectionError::Status(204)),
        ] {
            assert_eq!(read(&answer(status, &good), ISSUER), Err(expected));
        }
    }
}
