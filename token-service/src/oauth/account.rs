//! What a provider calls an account, so that a person sees which one was connected. Nothing is decided by it.
//!
//! The answer of the token endpoint may say it: in an ID token, or in members of its own. Else the provider is asked:
//! at its userinfo endpoint, or where a preset says.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use super::AuthorizationServer;
use super::json::{self, Object};
use super::token::Tokens;
use crate::egress::{EgressClient, EgressRequest};
use crate::presets;

const MAX_NAME: usize = 120;

/// A shorter part of a token would be found by chance.
const SHORTEST: usize = 8;

/// The largest profile that is read, in bytes.
const MAX_PROFILE: usize = 64 * 1024;

/// What says best whose account it is comes first. OpenID Connect Core, section 5.1; `login` is GitHub's. `sub` is left
/// out: it tells people nothing.
const CLAIMS: [&str; 4] = ["email", "preferred_username", "login", "name"];

/// Where providers that give no ID token put a name into the answer: Slack its team, Notion its workspace.
const MEMBERS: [&str; 2] = ["/team/name", "/workspace_name"];

/// The name in an answer of the token endpoint.
pub(super) fn named_in(answer: &Object) -> Option<String> {
    let claims = answer.get("id_token").and_then(Value::as_str).and_then(claims);
    claims.as_ref().and_then(named_by).or_else(|| {
        let answer = Value::Object(answer.clone());
        MEMBERS.iter().find_map(|pointer| name(answer.pointer(pointer)?))
    })
}

/// The claims of an ID token. Its signature is not checked: it came from the token endpoint itself, over TLS (OpenID
/// Connect Core, section 3.1.3.7, step 6), and nobody is let in by it.
fn claims(token: &str) -> Option<Object> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

fn named_by(profile: &Object) -> Option<String> {
    // Whoever may write any address into a profile could pass for somebody else.
    let unverified = matches!(profile.get("email_verified"), Some(Value::Bool(false)));
    let claims = CLAIMS.iter().filter(|claim| !(unverified && **claim == "email"));
    claims.filter_map(|claim| profile.get(*claim)).find_map(name)
}

/// One line that can be shown: without control characters, and without those that turn the direction of others.
fn name(value: &Value) -> Option<String> {
    let shown = |character: &char| {
        !character.is_control()
            && !matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let text: String = value.as_str()?.chars().filter(shown).take(MAX_NAME).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether a name is none, but one of the tokens or a part of one. A name is kept and shown as it is.
pub fn repeats(name: &str, tokens: &Tokens) -> bool {
    std::iter::once(&tokens.access).chain(&tokens.refresh).any(|token| {
        let token = token.expose_secret();
        name.contains(token) || (name.len() >= SHORTEST && token.contains(name))
    })
}

/// Where the name of an account of this provider can be asked for with the account's own token.
pub fn place(server: &AuthorizationServer, openid: bool) -> Option<Url> {
    let userinfo = server.userinfo_endpoint.clone().filter(|_| openid);
    userinfo.or_else(|| presets::profile_of(&server.issuer))
}

/// Asks; `None` if nothing came of it.
pub async fn ask(egress: &EgressClient, place: Url, access: &SecretString) -> Option<String> {
    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", access.expose_secret())).ok()?;
    authorization.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, authorization);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let request =
        EgressRequest { method: Method::GET, url: place, headers, body: Bytes::new(), limit: MAX_PROFILE };
    let reply = egress.fetch(request).await.ok().filter(|reply| reply.status == 200)?;
    named_by(&json::object(&reply).ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oauth::tests::authorization_server;

    fn answer(value: &Value) -> Option<String> {
        named_in(value.as_object().expect("an object"))
    }

    fn token(claims: &Value) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn the_best_name_is_taken() {
        for (claims, named) in [
            (json!({"sub": "1", "email": "ada@example.com", "name": "Ada"}), Some("ada@example.com")),
            (json!({"email": "ada@example.com", "email_verified": false, "name": "Ada"}), Some("Ada")),
            (json!({"email": "ada@example.com", "email_verified": true}), Some("ada@example.com")),
            (json!({"email": 7, "preferred_username": "", "name": " Ada "}), Some("Ada")),
            (json!({"sub": "248289761001"}), None),
        ] {
            let named = named.map(str::to_owned);
            assert_eq!(answer(&json!({"id_token": token(&claims)})), named, "{claims}");
            assert_eq!(named_by(claims.as_object().expect("an object")), named, "{claims}");
        }
        assert_eq!(answer(&json!({"team": {"id": "T1", "name": "Engines"}})).as_deref(), Some("Engines"));
        assert_eq!(answer(&json!({"workspace_name": "Engines"})).as_deref(), Some("Engines"));
    }

    #[test]
    fn what_is_no_name_is_none() {
        for bad in [
            json!({}),
            json!({"id_token": {}}),
            json!({"id_token": "a.b"}),
            json!({"id_token": "a.!.c"}),
            json!({"id_token": token(&json!([]))}),
            json!({"team": "x", "workspace_name": {"a": 1}}),
            json!({"team": {"name": " \u{202e}\n"}}),
        ] {
            assert_eq!(answer(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_is_one_line_that_reads_as_written() {
        assert_eq!(name(&json!("A\r\nB\u{202e}C\u{0}")).as_deref(), Some("ABC"));
        assert_eq!(name(&json!("ä".repeat(500))).map(|name| name.chars().count()), Some(MAX_NAME));
    }

    #[test]
    fn a_token_is_no_name() {
        let tokens = Tokens {
            access: format!("at-{}", "5d1f0c".repeat(50)).into(),
            refresh: Some("rt-77aa01c3".to_owned().into()),
            expires_in: None,
            scopes: None,
            account: None,
        };
        let cut = format!("at-{}", "5d1f0c".repeat(15));
        for secret in [cut.as_str(), "rt-77aa01c3", "I am rt-77aa01c3", "77aa01c3"] {
            assert!(repeats(secret, &tokens), "{secret}");
        }
        for name in ["ada@example.com", "at-", "5d1f"] {
            assert!(!repeats(name, &tokens), "{name}");
        }
    }

    #[test]
    fn whom_to_ask() {
        let plain = authorization_server();
        assert_eq!(place(&plain, true), None);
        let url = Url::parse("https://as.example/me").expect("a URL");
        let offered = AuthorizationServer { userinfo_endpoint: Some(url.clone()), ..plain.clone() };
        assert_eq!((place(&offered, true), place(&offered, false)), (Some(url), None));
        let github = AuthorizationServer { issuer: "https://github.com/login/oauth".to_owned(), ..plain };
        assert_eq!(place(&github, false).map(String::from).as_deref(), Some("https://api.github.com/user"));
    }
}
