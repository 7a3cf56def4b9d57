//! Answers that repeat the credential that they were asked with.
//!
//! What a server says to one member is kept and shown to others, so a server could hand a member's token to everybody.
//! Looked for as text, as the filter does: a credential that is encoded in some other way is not found.

use axum::http::HeaderMap;
use portcullis_wire::secret::SecretText;
use serde_json::Value;

use crate::broker::Credential;
use crate::egress::EgressReply;

/// Shorter texts would be found by chance.
const SHORTEST: usize = 8;

/// What no answer may hold.
pub(super) struct Shown(Vec<SecretText>);

impl Shown {
    /// Each header value, and of `Bearer x` and the like also `x` alone; each also as JSON writes it, once or twice.
    pub(super) fn of(credential: &Credential) -> Self {
        let values = credential.headers.iter().map(|header| header.value.expose());
        let texts = values.flat_map(|value| {
            let bare = value.split_once(' ').map_or(value, |(_, bare)| bare.trim());
            [value, bare]
                .into_iter()
                .flat_map(|text| [text.to_owned(), in_json(text), in_json(&in_json(text))])
        });
        Self(texts.filter(|text| text.len() >= SHORTEST).map(SecretText::new).collect())
    }

    pub(super) fn is_repeated_in(&self, reply: &EgressReply) -> bool {
        // Some encoders escape slashes, which need no escape.
        let body = String::from_utf8_lossy(&reply.body);
        let plain = body.replace("\\\\/", "/").replace("\\/", "/");
        self.is_in(&body) || self.is_in(&plain) || self.is_in_values(&reply.headers)
    }

    fn is_in_values(&self, headers: &HeaderMap) -> bool {
        headers.values().any(|value| value.to_str().is_ok_and(|value| self.is_in(value)))
    }

    fn is_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.expose()))
    }
}

fn in_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use portcullis_wire::lease::CredentialHeader;
    use serde_json::json;

    fn shown(value: &str) -> Shown {
        let value = SecretText::new(value.to_owned());
        let headers = vec![CredentialHeader { name: "authorization".to_owned(), value }];
        Shown::of(&Credential { headers, connection: None, not_after: None })
    }

    fn reply(header: &'static str, body: impl Into<String>) -> EgressReply {
        let headers = HeaderMap::from_iter([(
            "mcp-session-id".parse().expect("a name"),
            HeaderValue::from_static(header),
        )]);
        EgressReply { status: 200, headers, body: body.into().into() }
    }

    #[test]
    fn a_repeated_credential_is_found() {
        let token = r#"to/ken-"5d1f\0c"#;
        let shown = shown(&format!("Bearer {token}"));
        let written = json!({"instructions": format!("you are {token}.")}).to_string();
        let twice = json!({"text": written}).to_string();
        for body in [written.clone(), written.replace('/', "\\/"), twice, format!("data: {token}\n\n")] {
            assert!(shown.is_repeated_in(&reply("s", body)));
        }
        assert!(!shown.is_repeated_in(&reply("s", json!({"a": "to/ken-5d1f0c Bearer"}).to_string())));
        assert!(self::shown("Bearer session-77aa").is_repeated_in(&reply("session-77aa", "")));
    }

    #[test]
    fn short_values_are_not_looked_for() {
        assert!(!shown("Bearer x").is_repeated_in(&reply("s", "x")));
        assert!(shown("Bearer x").is_repeated_in(&reply("s", "Bearer x")));
    }
}
