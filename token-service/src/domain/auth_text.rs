//! The texts of OAuth settings, one by one: what each may look like.

use std::net::IpAddr;

use jwt_simple::algorithms::{ES256KeyPair, Ed25519KeyPair, RS256KeyPair};
use url::{Host, Url};

const MAX_LENGTH: usize = 2048;
const MAX_SECRET_LENGTH: usize = 16 * 1024;

/// Why a text cannot be used. Never repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("a scope has 1 to 256 visible ASCII characters, none of them a quote, a backslash or a space")]
    Scope,
    #[error("this parameter belongs to OAuth itself and is set by the gateway")]
    ReservedParameter,
    #[error("a parameter's name has 1 to 64 letters, digits and any of _-.")]
    ParameterName,
    #[error("the value is longer than 2048 bytes or has a control character")]
    ParameterValue,
    #[error("it has 1 to 2048 visible ASCII characters")]
    ClientId,
    #[error(
        "a client secret has 1 to 16384 ASCII characters, none of them a control character, and no space at its ends"
    )]
    ClientSecret,
    #[error("this is not the private key of a P-256, RSA (2048 bits or more) or Ed25519 key pair in PEM")]
    PrivateKey,
    #[error(
        "it must be an https URL (http for a loopback host) without user name, password, query or fragment"
    )]
    Issuer,
    #[error("it must be an https URL (http for a loopback host) without user name, password or fragment")]
    Endpoint,
}

/// What a request to the authorization or token endpoint is made of (RFC 6749, 7521, 7523, 7636, 8707, 9101, 9396,
/// 9449, OIDC Core): whoever sets one of these changes whom the tokens are for, or who gets them.
const RESERVED_PARAMETERS: [&str; 30] = [
    "assertion",
    "authorization_details",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "dpop_jkt",
    "grant_type",
    "id_token",
    "iss",
    "nonce",
    "password",
    "redirect_uri",
    "refresh_token",
    "registration",
    "request",
    "request_uri",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "state",
    "subject_token",
    "token",
    "username",
];

/// RFC 6749, section 3.3.
pub fn check_scope(scope: &str) -> Result<(), TextError> {
    let good = (1..=256).contains(&scope.len())
        && scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    good.then_some(()).ok_or(TextError::Scope)
}

/// Whether settings may not set a parameter of a request, because it belongs to the protocol.
pub fn is_reserved_parameter(name: &str) -> bool {
    RESERVED_PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
}

pub fn check_parameter(name: &str, value: &str) -> Result<(), TextError> {
    let well_formed = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if !well_formed {
        return Err(TextError::ParameterName);
    }
    if is_reserved_parameter(name) {
        return Err(TextError::ReservedParameter);
    }
    let good = value.len() <= MAX_LENGTH && !value.chars().any(char::is_control);
    good.then_some(()).ok_or(TextError::ParameterValue)
}

/// Narrower than RFC 6749, appendix A.1, which allows spaces that nobody sees.
pub fn check_client_id(id: &str) -> Result<(), TextError> {
    let good = (1..=MAX_LENGTH).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(()).ok_or(TextError::ClientId)
}

/// RFC 6749, appendix A.2. A space at an end is a slip when copying.
pub fn check_client_secret(secret: &str) -> Result<(), TextError> {
    let good = (1..=MAX_SECRET_LENGTH).contains(&secret.len())
        && secret.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        && secret.trim() == secret;
    good.then_some(()).ok_or(TextError::ClientSecret)
}

/// A key that assertions can be signed with (RFC 7523): ES256, RS256 or `EdDSA`.
pub fn check_private_key(pem: &str) -> Result<(), TextError> {
    let good = pem.len() <= MAX_SECRET_LENGTH
        && (ES256KeyPair::from_pem(pem).is_ok()
            || Ed25519KeyPair::from_pem(pem).is_ok()
            || RS256KeyPair::from_pem(pem).is_ok());
    good.then_some(()).ok_or(TextError::PrivateKey)
}

/// RFC 8414, section 2.
pub fn check_issuer(issuer: &str) -> Result<(), TextError> {
    let url = trusted_url(issuer).ok_or(TextError::Issuer)?;
    url.query().is_none().then_some(()).ok_or(TextError::Issuer)
}

pub fn check_endpoint(endpoint: &str) -> Result<(), TextError> {
    trusted_url(endpoint).map(|_| ()).ok_or(TextError::Endpoint)
}

fn trusted_url(text: &str) -> Option<Url> {
    if text.len() > MAX_LENGTH || text.chars().any(|character| character.is_control() || character == ' ') {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (scheme && plain && url.has_host()).then_some(url)
}

/// Whether a URL names this very machine: what is meant for a laptop is allowed there only.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_of_oauth_are_refused_in_any_case() {
        for name in ["access_type", "prompt", "audience", "user_scope", "login_hint", "hd"] {
            assert_eq!(check_parameter(name, "x"), Ok(()), "{name}");
        }
        for name in RESERVED_PARAMETERS {
            assert_eq!(check_parameter(name, "x"), Err(TextError::ReservedParameter), "{name}");
            assert!(check_parameter(&name.to_uppercase(), "x").is_err(), "{name}");
        }
        assert_eq!(check_parameter("scope ", "x"), Err(TextError::ParameterName));
        assert_eq!(check_parameter("a&state", "x"), Err(TextError::ParameterName));
        assert_eq!(check_parameter("prompt", "a\nb"), Err(TextError::ParameterValue));
    }

    #[test]
    fn urls_of_authorization_servers() {
        for good in
            ["https://as.example", "https://as.example/tenant", "http://127.0.0.1:9/x", "http://localhost:1"]
        {
            assert_eq!(check_issuer(good), Ok(()), "{good}");
            assert_eq!(check_endpoint(good), Ok(()), "{good}");
        }
        for bad in [
            "as.example",
            "http://as.example",
            "http://localhost.example",
            "ftp://as.example",
            "javascript:alert(1)",
            "https://me@as.example",
            "https://as.example#x",
            "https://as.example/ x",
            "https://as.exa\nmple",
        ] {
            assert_eq!(check_issuer(bad), Err(TextError::Issuer), "{bad}");
            assert_eq!(check_endpoint(bad), Err(TextError::Endpoint), "{bad}");
        }
        assert_eq!(check_issuer("https://as.example?x"), Err(TextError::Issuer));
        assert_eq!(check_endpoint("https://as.example/token?tenant=x"), Ok(()));
    }

    #[test]
    fn private_keys() {
        let ed25519 = Ed25519KeyPair::generate().to_pem();
        let p256 = ES256KeyPair::generate().to_pem().expect("PEM");
        for good in [&ed25519, &p256] {
            assert_eq!(check_private_key(good), Ok(()));
        }
        for bad in ["", "hunter2", &p256.replace("PRIVATE", "PUBLIC"), &ed25519[..ed25519.len() / 2]] {
            assert_eq!(check_private_key(bad), Err(TextError::PrivateKey));
        }
    }

    proptest! {
        #[test]
        fn scopes_join_and_split(scopes in proptest::collection::vec(".{0,12}", 0..4)) {
            let good: Vec<String> = scopes.into_iter().filter(|scope| check_scope(scope).is_ok()).collect();
            let joined = good.join(" ");
            let split: Vec<&str> = joined.split_ascii_whitespace().collect();
            prop_assert_eq!(split, good);
        }

        #[test]
        fn secrets_can_be_sent(secret in ".{0,40}") {
            if check_client_secret(&secret).is_ok() {
                prop_assert!(secret.is_ascii() && !secret.contains(['\r', '\n', '\0']));
            }
        }
    }
}
