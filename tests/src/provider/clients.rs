//! Clients, and how they show who they are (RFC 6749 section 2.3, RFC 7523).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jwt_simple::prelude::{
    Duration, ECDSAP256PublicKeyLike as _, ES256PublicKey, Ed25519PublicKey, EdDSAPublicKeyLike as _,
    NoCustomClaims, RS256PublicKey, RSAPublicKeyLike as _, Token, VerificationOptions,
};
use url::form_urlencoded;

use super::ledger::Refusal;
use super::params::Params;

/// RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// No assertion may be good for longer than this.
const LONGEST_ASSERTION: Duration = Duration::from_mins(10);

#[derive(Clone, Debug)]
pub struct Client {
    pub client_id: String,
    pub authentication: Authentication,
    /// Compared byte for byte.
    pub redirect_uris: Vec<String>,
    /// Whether its `grant_types` has `refresh_token`.
    pub may_refresh: bool,
    /// Whether it may fetch tokens for itself.
    pub may_act_for_itself: bool,
}

#[derive(Clone, Debug)]
pub enum Authentication {
    None,
    SecretBasic(String),
    SecretPost(String),
    /// The public key in PEM.
    PrivateKeyJwt(String),
}

impl Authentication {
    /// The name of the method in OAuth metadata.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic(_) => "client_secret_basic",
            Self::SecretPost(_) => "client_secret_post",
            Self::PrivateKeyJwt(_) => "private_key_jwt",
        }
    }
}

impl Client {
    /// A web application that somebody registered by hand.
    pub fn confidential(client_id: &str, secret: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            authentication: Authentication::SecretBasic(secret.to_owned()),
            redirect_uris: Vec::new(),
            may_refresh: true,
            may_act_for_itself: false,
        }
    }

    /// A client that fetches tokens for itself.
    pub fn machine(client_id: &str, authentication: Authentication) -> Self {
        Self {
            client_id: client_id.to_owned(),
            authentication,
            redirect_uris: Vec::new(),
            may_refresh: false,
            may_act_for_itself: true,
        }
    }
}

/// How a request to the token or revocation endpoint shows its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    None { client_id: String },
    Basic { client_id: String, secret: String },
    Post { client_id: String, secret: String },
    Assertion { client_id: String, jwt: String },
}

impl Shown {
    pub(super) fn read(authorization: Option<&str>, params: &Params) -> Result<Self, Refusal> {
        let client_id = params.get("client_id").map(str::to_owned);
        let secret = params.get("client_secret").map(str::to_owned);
        let jwt = params.get("client_assertion").map(str::to_owned);
        match (authorization, secret, jwt) {
            (Some(basic), None, None) => read_basic(basic).ok_or(INVALID_CLIENT),
            (None, Some(secret), None) => {
                let client_id = client_id.ok_or(INVALID_CLIENT)?;
                Ok(Self::Post { client_id, secret })
            }
            (None, None, Some(jwt)) => {
                if params.get("client_assertion_type") != Some(ASSERTION_TYPE) {
                    return Err(INVALID_CLIENT);
                }
                let client_id = client_id.or_else(|| issuer_of(&jwt)).ok_or(INVALID_CLIENT)?;
                Ok(Self::Assertion { client_id, jwt })
            }
            (None, None, None) => Ok(Self::None { client_id: client_id.ok_or(INVALID_CLIENT)? }),
            _ => Err(Refusal::new(400, "invalid_request", "more than one way of authentication")),
        }
    }

    pub(super) fn client_id(&self) -> &str {
        match self {
            Self::None { client_id }
            | Self::Basic { client_id, .. }
            | Self::Post { client_id, .. }
            | Self::Assertion { client_id, .. } => client_id,
        }
    }

    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::None { .. } => "none",
            Self::Basic { .. } => "client_secret_basic",
            Self::Post { .. } => "client_secret_post",
            Self::Assertion { .. } => "private_key_jwt",
        }
    }

    /// Whether this is `client`, by the method that it registered. An assertion's id is returned: it counts once.
    pub(super) fn proves(&self, client: &Client, issuer: &str) -> Result<Option<String>, Refusal> {
        match (self, &client.authentication) {
            (Self::None { .. }, Authentication::None) => Ok(None),
            (Self::Basic { secret, .. }, Authentication::SecretBasic(right))
            | (Self::Post { secret, .. }, Authentication::SecretPost(right))
                if secret == right =>
            {
                Ok(None)
            }
            (Self::Assertion { jwt, .. }, Authentication::PrivateKeyJwt(key)) => {
                assertion_id(jwt, key, &client.client_id, issuer).map(Some).ok_or(INVALID_CLIENT)
            }
            _ => Err(INVALID_CLIENT),
        }
    }
}

pub(super) const INVALID_CLIENT: Refusal = Refusal::new(401, "invalid_client", "this client is not known");

/// Both parts are form-encoded before they are put together (RFC 6749, section 2.3.1).
fn read_basic(authorization: &str) -> Option<Shown> {
    let decoded = STANDARD.decode(authorization.strip_prefix("Basic ")?).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (client_id, secret) = decoded.split_once(':')?;
    let form_decoded = |text: &str| -> Option<String> {
        let (decoded, _) = form_urlencoded::parse(text.as_bytes()).next()?;
        Some(decoded.into_owned())
    };
    Some(Shown::Basic { client_id: form_decoded(client_id)?, secret: form_decoded(secret)? })
}

/// Who an assertion says it is from, before anything is verified.
fn issuer_of(jwt: &str) -> Option<String> {
    let claims = jwt.split('.').nth(1)?;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    Some(claims["iss"].as_str()?.to_owned())
}

/// The `jti` of a good assertion: signed by the client, about itself, for this issuer and nobody else, short-lived.
fn assertion_id(jwt: &str, key: &str, client_id: &str, issuer: &str) -> Option<String> {
    let options = VerificationOptions {
        allowed_issuers: Some([client_id.to_owned()].into()),
        required_subject: Some(client_id.to_owned()),
        allowed_audiences: Some([issuer.to_owned()].into()),
        max_validity: Some(LONGEST_ASSERTION),
        ..VerificationOptions::default()
    };
    let options = Some(options);
    let claims = match Token::decode_metadata(jwt).ok()?.algorithm() {
        "ES256" => ES256PublicKey::from_pem(key).ok()?.verify_token::<NoCustomClaims>(jwt, options),
        "RS256" => RS256PublicKey::from_pem(key).ok()?.verify_token::<NoCustomClaims>(jwt, options),
        "EdDSA" => Ed25519PublicKey::from_pem(key).ok()?.verify_token::<NoCustomClaims>(jwt, options),
        _ => return None,
    };
    let claims = claims.ok()?;
    // A list of audiences, ours among them, could be shown to the others as well.
    let single = matches!(claims.audiences, Some(jwt_simple::claims::Audiences::AsString(_)));
    (single && claims.expires_at.is_some()).then_some(claims.jwt_id).flatten()
}
