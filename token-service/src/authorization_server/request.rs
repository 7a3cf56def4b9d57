//! The authorization request (RFC 6749, 7636, 8707, 9207), read strictly.
//!
//! Nothing of it is kept here: what was checked is sealed, and the browser carries it to the consent page.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_wire::digest::Digest;
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use crate::clock::{Entropy, Timestamp, random};
use crate::domain::client_session::Extent;
use crate::domain::oauth_client::MAX_CLIENT_ID;
use crate::domain::redirect_uri;
use crate::domain::resource::ResourcePath;
use crate::unconnected::sealed;
use crate::vault::{Place, Vault};

/// How long somebody may take to sign in and to read the consent page.
const LIFE: Duration = Duration::from_mins(20);

/// The longest query that is read, in bytes.
pub const MAX_QUERY: usize = 8 * 1024;

/// The longest `state`, in bytes.
const MAX_STATE: usize = 1024;

/// The longest sealed request, in characters: with the address before it less than 2 KiB.
pub const MAX_SEALED: usize = 2_000;

/// An S256 challenge is a SHA-256 digest in Base64.
const CHALLENGE_LENGTH: usize = 43;

/// Parameters that mean something to some authorization servers and nothing that is done here. Whoever sends one must
/// not believe that it was heeded.
const NOT_SUPPORTED: [&str; 10] = [
    "acr_values",
    "authorization_details",
    "claims",
    "dpop_jkt",
    "id_token_hint",
    "login_hint",
    "max_age",
    "registration",
    "request",
    "request_uri",
];

/// A request that is as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Random: a request is agreed to once.
    #[serde(rename = "i")]
    id: String,
    #[serde(rename = "c")]
    pub client_id: String,
    #[serde(rename = "u")]
    pub redirect_uri: String,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(rename = "h")]
    pub challenge: String,
    /// The path.
    #[serde(rename = "r")]
    resource: String,
    #[serde(rename = "w")]
    writes: bool,
    #[serde(rename = "e")]
    expires_at: Timestamp,
}

/// Why the client is sent back without a code. The description is for its developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub error: &'static str,
    pub description: &'static str,
}

impl Refusal {
    const fn invalid_request(description: &'static str) -> Self {
        Self { error: "invalid_request", description }
    }

    pub const TOO_LONG: Self =
        Self::invalid_request("client_id, redirect_uri and state are too long together");
    pub const DENIED: Self = Self { error: "access_denied", description: "the person did not allow it" };
}

/// The parameters of a query, as they came.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub fn read(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The client, and where it wants to be sent back to: once each, or nobody is sent anywhere.
    pub fn opening(&self) -> Option<(&str, &str)> {
        let client_id = self.only("client_id").filter(|id| id.len() <= MAX_CLIENT_ID)?;
        let redirect_uri = self.only("redirect_uri").filter(|uri| uri.len() <= redirect_uri::MAX_LENGTH)?;
        Some((client_id, redirect_uri))
    }

    /// `state`, if it can be repeated.
    pub fn state(&self) -> Option<&str> {
        let printable = |state: &&str| state.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        self.only("state").filter(|state| state.len() <= MAX_STATE).filter(printable)
    }

    /// The value of a parameter that is there once. One without a value counts as absent (RFC 6749, section 3.1).
    fn only(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (Some(value), None) if !value.is_empty() => Some(value),
            _ => None,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(found, _)| found == name)
    }

    fn repeated(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(*one),
            _ => None,
        })
    }
}

impl AuthorizationRequest {
    /// Reads everything but the client and the redirect URI, which are known to belong together.
    pub fn read(
        parameters: &Parameters,
        (client_id, redirect_uri): (&str, &str),
        public_url: &str,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        check_plain(parameters)?;
        let challenge = challenge(parameters)?;
        let extent = Extent::parse(parameters.only("scope")).ok_or(Refusal {
            error: "invalid_scope",
            description: "the scopes are mcp:read, and mcp:write together with it",
        })?;
        let resource = parameters.only("resource").and_then(|url| ResourcePath::of_url(public_url, url));
        let resource = resource.ok_or(Refusal {
            error: "invalid_target",
            description: "resource must be the URL of one server of this gateway (RFC 8707)",
        })?;
        Ok(Self {
            id: URL_SAFE_NO_PAD.encode(random::<16>(entropy)),
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            state: parameters.state().map(str::to_owned),
            challenge: challenge.to_owned(),
            resource: resource.to_string(),
            writes: extent == Extent::Everything,
            expires_at: now.plus(LIFE),
        })
    }

    /// For the address of the consent page; `None` if it would be too long for some browser or proxy.
    pub fn seal(&self, vault: &Vault) -> Option<String> {
        let text = sealed::seal(vault, &Place::authorization_request(), self);
        (text.len() <= MAX_SEALED).then_some(text)
    }

    /// `None` for what was not sealed here.
    pub fn open(vault: &Vault, text: &str) -> Option<Self> {
        sealed::open(vault, &Place::authorization_request(), text)
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }

    /// What the store knows it by.
    pub fn digest(&self) -> Digest {
        Digest::of("portcullis-authorization-request-v1", &[self.id.as_bytes()])
    }

    /// `None` never, for what was sealed here.
    pub fn resource(&self) -> Option<ResourcePath> {
        ResourcePath::parse(&self.resource)
    }

    pub fn extent(&self) -> Extent {
        if self.writes { Extent::Everything } else { Extent::Reading }
    }

    /// Back to the client with a code.
    pub fn with_code(&self, issuer: &str, code: &str) -> Option<Url> {
        response(&self.redirect_uri, self.state.as_deref(), issuer, &[("code", code)])
    }

    /// Back to the client without one.
    pub fn refused(&self, issuer: &str, refusal: Refusal) -> Option<Url> {
        refusal.response(&self.redirect_uri, self.state.as_deref(), issuer)
    }
}

impl Refusal {
    pub fn response(self, redirect_uri: &str, state: Option<&str>, issuer: &str) -> Option<Url> {
        let pairs = [("error", self.error), ("error_description", self.description)];
        response(redirect_uri, state, issuer, &pairs)
    }
}

/// Every response names us (RFC 9207), so that no client takes it for another server's.
fn response(redirect_uri: &str, state: Option<&str>, issuer: &str, pairs: &[(&str, &str)]) -> Option<Url> {
    let mut pairs = pairs.to_vec();
    pairs.extend(state.map(|state| ("state", state)));
    pairs.push(("iss", issuer));
    redirect_uri::with_parameters(redirect_uri, &pairs)
}

/// What is wrong without looking at what is asked for.
fn check_plain(parameters: &Parameters) -> Result<(), Refusal> {
    match parameters.repeated() {
        Some("resource") => {
            return Err(Refusal { error: "invalid_target", description: "a token is for one resource" });
        }
        Some(_) => return Err(Refusal::invalid_request("a parameter is given twice")),
        None => {}
    }
    if parameters.has("state") && parameters.only("state").is_some() && parameters.state().is_none() {
        return Err(Refusal::invalid_request("state has at most 1024 printable ASCII characters"));
    }
    if NOT_SUPPORTED.iter().any(|name| parameters.has(name)) {
        return Err(Refusal::invalid_request("a parameter is not supported; see the metadata"));
    }
    match parameters.only("response_type") {
        Some("code") => {}
        Some(_) => {
            return Err(Refusal {
                error: "unsupported_response_type",
                description: "response_type must be code",
            });
        }
        None => return Err(Refusal::invalid_request("response_type is missing")),
    }
    if !matches!(parameters.only("response_mode"), None | Some("query")) {
        return Err(Refusal::invalid_request("response_mode must be query"));
    }
    match parameters.only("prompt") {
        None | Some("consent") => Ok(()),
        Some("none") => {
            Err(Refusal { error: "interaction_required", description: "consent is always asked for" })
        }
        Some(_) => Err(Refusal::invalid_request("prompt can only be consent")),
    }
}

fn challenge(parameters: &Parameters) -> Result<&str, Refusal> {
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let challenge = parameters
        .only("code_challenge")
        .ok_or(Refusal::invalid_request("code_challenge is missing (PKCE)"))?;
    if parameters.only("code_challenge_method") != Some("S256") {
        return Err(Refusal::invalid_request("code_challenge_method must be S256"));
    }
    if challenge.len() != CHALLENGE_LENGTH || !challenge.bytes().all(base64url) {
        return Err(Refusal::invalid_request("code_challenge is not a SHA-256 digest in Base64url"));
    }
    Ok(challenge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

    const GATEWAY: &str = "https://mcp.example.com";
    const CLIENT: (&str, &str) = ("assistant", "https://app.example/cb");
    const GOOD: &str = "client_id=assistant&redirect_uri=https://app.example/cb&response_type=code&state=a%20b\
                        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
                        &resource=https://mcp.example.com/linear/mcp";

    fn read(query: &str) -> Result<AuthorizationRequest, Refusal> {
        AuthorizationRequest::read(&Parameters::read(query), CLIENT, GATEWAY, &SystemEntropy, Timestamp(0))
    }

    #[test]
    fn a_good_one() {
        assert_eq!(Parameters::read(GOOD).opening(), Some(CLIENT));
        let request = read(GOOD).expect("good");
        assert_eq!((request.state.as_deref(), request.extent()), (Some("a b"), Extent::Everything));
        assert_eq!(
            request.resource().expect("a resource").url(GATEWAY),
            "https://mcp.example.com/linear/mcp"
        );
        assert!(!request.is_over(Timestamp(0).plus(LIFE).minus(Duration::from_millis(1))));
        assert!(request.is_over(Timestamp(0).plus(LIFE)));
        assert_ne!(read(GOOD).expect("good").digest(), request.digest());
        let back = request.with_code(GATEWAY, "x").expect("an address");
        assert_eq!(
            back.as_str(),
            "https://app.example/cb?code=x&state=a+b&iss=https%3A%2F%2Fmcp.example.com"
        );
        for more in ["&prompt=consent", "&response_mode=query", "&nonce=1", "&scope=", "&state2=x"] {
            assert!(read(&format!("{GOOD}{more}")).is_ok(), "{more}");
        }
        let reading = read(&format!("{GOOD}&scope=mcp:read")).expect("good");
        assert_eq!(reading.extent(), Extent::Reading);
    }

    #[test]
    fn without_one_client_and_one_address_nobody_is_sent_anywhere() {
        for query in [
            "",
            "client_id=assistant",
            "redirect_uri=https://app.example/cb",
            "client_id=&redirect_uri=https://app.example/cb",
            "client_id=assistant&client_id=assistant&redirect_uri=https://app.example/cb",
            "client_id=assistant&redirect_uri=https://app.example/cb&redirect_uri=https://evil.example",
        ] {
            assert_eq!(Parameters::read(query).opening(), None, "{query}");
        }
        let long = format!("client_id={}&redirect_uri=x", "a".repeat(MAX_CLIENT_ID + 1));
        assert_eq!(Parameters::read(&long).opening(), None);
    }
}
