//! The authorization request and what comes back (RFC 6749 section 4.1, RFC 7636, RFC 8707, RFC 9207).

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};
use secrecy::{ExposeSecret, SecretString};
use url::{Url, form_urlencoded};

use super::AuthorizationServer;
use crate::clock::{Entropy, random};
use crate::domain::auth_text::is_reserved_parameter;

pub struct AuthorizationRequest<'a> {
    pub server: &'a AuthorizationServer,
    pub client_id: &'a str,
    pub redirect_uri: &'a str,
    pub resource: &'a str,
    pub scopes: &'a BTreeSet<String>,
    pub parameters: &'a BTreeMap<String, String>,
    pub state: &'a str,
    pub verifier: &'a SecretString,
}

/// A fresh PKCE verifier: 43 characters, 256 bits.
pub fn new_verifier(entropy: &dyn Entropy) -> SecretString {
    URL_SAFE_NO_PAD.encode(random::<32>(entropy)).into()
}

impl AuthorizationRequest<'_> {
    /// Where to send the browser. An error says what an administrator can do.
    pub fn url(&self) -> Result<Url, String> {
        let endpoint = self.endpoint()?;
        if let Some(name) = self.parameters.keys().find(|name| is_reserved_parameter(name)) {
            return Err(format!(
                "the authorization parameter {name:?} is not for settings to set; remove it"
            ));
        }
        let redirect = RedirectUrl::new(self.redirect_uri.to_owned()).map_err(|error| error.to_string())?;
        let client = BasicClient::new(ClientId::new(self.client_id.to_owned()))
            .set_auth_uri(AuthUrl::from_url(endpoint))
            .set_redirect_uri(redirect);
        let mut request = client
            .authorize_url(|| CsrfToken::new(self.state.to_owned()))
            .set_pkce_challenge(self.challenge()?)
            .add_scopes(self.scopes.iter().cloned().map(Scope::new))
            .add_extra_param("resource", self.resource);
        for (name, value) in self.parameters {
            request = request.add_extra_param(name, value);
        }
        Ok(request.url().0)
    }

    /// The endpoint may have a query of its own, which must not speak for the request.
    fn endpoint(&self) -> Result<Url, String> {
        let endpoint = self.server.authorization_endpoint.clone().ok_or_else(|| {
            format!(
                "{} names no authorization endpoint; nobody can connect an account there",
                self.server.issuer
            )
        })?;
        let clash = endpoint
            .query_pairs()
            .any(|(name, _)| is_reserved_parameter(&name) || self.parameters.contains_key(name.as_ref()));
        if clash {
            return Err(format!(
                "the authorization endpoint of {} sets a parameter that belongs to the request",
                self.server.issuer
            ));
        }
        Ok(endpoint)
    }

    fn challenge(&self) -> Result<PkceCodeChallenge, String> {
        let verifier = self.verifier.expose_secret();
        // RFC 7636, section 4.1; the library panics beyond it.
        if !(43..=128).contains(&verifier.len()) {
            return Err("a PKCE verifier has 43 to 128 characters".to_owned());
        }
        Ok(PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.to_owned())))
    }
}

/// The query of a callback. Parameters that appear twice make it unreadable.
#[derive(Clone, Debug)]
pub struct AuthorizationResponse {
    pub state: String,
    pub iss: Option<String>,
    pub outcome: Result<SecretString, AuthorizationRefusal>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationRefusal {
    /// A code of RFC 6749, section 4.1.2.1, or of RFC 8707; `other` for one that is not.
    pub error: String,
}

/// The longest query that is read, in bytes.
const MAX_QUERY: usize = 8 * 1024;

const ERRORS: [&str; 8] = [
    "invalid_request",
    "unauthorized_client",
    "access_denied",
    "unsupported_response_type",
    "invalid_scope",
    "server_error",
    "temporarily_unavailable",
    "invalid_target",
];

impl AuthorizationResponse {
    /// Reads a query without its `?`. `None` if it is no authorization response: a parameter twice, no `state`, both
    /// or neither of `code` and `error`.
    pub fn read(query: &str) -> Option<Self> {
        if query.len() > MAX_QUERY {
            return None;
        }
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            if parameters.insert(name, value).is_some() {
                return None;
            }
        }
        let mut take = |name: &str| parameters.remove(name);
        let outcome = match (take("code"), take("error")) {
            (Some(code), None) if !code.is_empty() => Ok(SecretString::from(code)),
            (None, Some(error)) => Err(AuthorizationRefusal::of(&error)),
            _ => return None,
        };
        let state = take("state").filter(|state| !state.is_empty())?;
        Some(Self { state, iss: take("iss"), outcome })
    }

    /// The table of RFC 9207 and MCP: whether this response is from `issuer`. `iss_parameter`: it says that its
    /// responses name it. Compared as it is, with no normal form.
    pub fn is_from(&self, issuer: &str, iss_parameter: bool) -> bool {
        match &self.iss {
            Some(iss) => iss == issuer,
            None => !iss_parameter,
        }
    }
}

impl AuthorizationRefusal {
    fn of(code: &str) -> Self {
        let known = ERRORS.contains(&code);
        Self { error: if known { code } else { "other" }.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;
    use crate::oauth::tests::authorization_server;
    use proptest::prelude::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn url(endpoint: Option<&str>, scopes: &[&str], parameters: &[(&str, &str)]) -> Result<Url, String> {
        let mut server = authorization_server();
        server.authorization_endpoint = endpoint.map(|text| Url::parse(text).expect("a URL"));
        AuthorizationRequest {
            server: &server,
            client_id: "https://mcp.example.com/oauth/client",
            redirect_uri: "https://mcp.example.com/callback/srv_1",
            resource: "https://mcp.linear.app/mcp",
            scopes: &scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            parameters: &parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            state: "st&te",
            verifier: &VERIFIER.to_owned().into(),
        }
        .url()
    }

    #[test]
    fn everything_that_has_to_be_in_a_request() {
        let url =
            url(Some("https://as.example/authorize?tenant=1"), &["write", "read"], &[("prompt", "consent")])
                .expect("a URL");
        assert!(url.as_str().starts_with("https://as.example/authorize?tenant=1&"));
        let mut pairs: Vec<_> = url.query_pairs().into_owned().collect();
        pairs.sort();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            pairs,
            [
                pair("client_id", "https://mcp.example.com/oauth/client"),
                // The example of RFC 7636, appendix B.
                pair("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
                pair("code_challenge_method", "S256"),
                pair("prompt", "consent"),
                pair("redirect_uri", "https://mcp.example.com/callback/srv_1"),
                pair("resource", "https://mcp.linear.app/mcp"),
                pair("response_type", "code"),
                pair("scope", "read write"),
                pair("state", "st&te"),
                pair("tenant", "1"),
            ]
        );
    }

    #[test]
    fn nothing_speaks_for_the_request() {
        let plain = Some("https://as.example/authorize");
        assert!(!url(plain, &[], &[]).expect("a URL").as_str().contains("scope"));
        assert!(url(None, &[], &[]).is_err());
        for name in ["state", "redirect_uri", "resource", "code_challenge_method", "request_uri"] {
            assert!(url(plain, &[], &[(name, "x")]).is_err(), "{name}");
            assert!(
                url(Some(&format!("https://as.example/authorize?{name}=x")), &[], &[]).is_err(),
                "{name}"
            );
        }
        assert!(
            url(Some("https://as.example/authorize?prompt=none"), &[], &[("prompt", "consent")]).is_err()
        );
    }

    #[test]
    fn verifiers_are_long_and_new() {
        let (one, two) = (new_verifier(&SystemEntropy), new_verifier(&SystemEntropy));
        assert_eq!(one.expose_secret().len(), 43);
        assert_ne!(one.expose_secret(), two.expose_secret());
    }

    #[test]
    fn responses() {
        let response = AuthorizationResponse::read("code=c%2B1&state=s+1&iss=https%3A%2F%2Fas.example&x=y")
            .expect("one");
        assert_eq!((response.state.as_str(), response.iss.as_deref()), ("s 1", Some("https://as.example")));
        assert_eq!(response.outcome.as_ref().map(ExposeSecret::expose_secret), Ok("c+1"));
        assert!(!format!("{response:?}").contains("c+1"));
        for (code, error) in [("access_denied", "access_denied"), ("<script>", "other"), ("", "other")] {
            let response = AuthorizationResponse::read(&format!("state=s&error={code}&error_description=d"))
                .expect("one");
            assert_eq!(response.outcome.err(), Some(AuthorizationRefusal { error: error.to_owned() }));
        }
    }

    #[test]
    fn what_is_no_response() {
        let long = format!("code=c&state={}", "s".repeat(MAX_QUERY));
        for query in [
            "",
            "code=c",
            "state=s",
            "code=&state=s",
            "code=c&state=",
            "code=c&error=access_denied&state=s",
            "code=c&code=c&state=s",
            "code=c&state=s&state=s",
            "code=c&state=s&iss=a&iss=a",
            "code=c&state=s&x=1&x=2",
            "code=c&state=s&%73tate=s",
            &long,
        ] {
            assert!(AuthorizationResponse::read(query).is_none(), "{query}");
        }
    }

    #[test]
    fn whose_response_it_is() {
        let issuer = "https://as.example/t1";
        for (iss, advertised, expected) in [
            (None, false, true),
            (None, true, false),
            (Some(issuer), false, true),
            (Some(issuer), true, true),
            (Some("https://as.example/t1/"), true, false),
            (Some("https://AS.example/t1"), false, false),
            (Some("https://as.example:443/t1"), false, false),
            (Some("https://as.example/%741"), true, false),
            (Some(""), false, false),
        ] {
            let response = AuthorizationResponse {
                state: "s".to_owned(),
                iss: iss.map(str::to_owned),
                outcome: Err(AuthorizationRefusal::of("access_denied")),
            };
            assert_eq!(response.is_from(issuer, advertised), expected, "{iss:?} {advertised}");
        }
    }

    proptest! {
        #[test]
        fn any_query_is_read_without_panic(query in "((code|state|iss|error|x)=[a-z%&+0-9\u{e4}]{0,4}&?){0,5}") {
            if let Some(response) = AuthorizationResponse::read(&query) {
                prop_assert!(!response.state.is_empty());
            }
        }
    }
}
