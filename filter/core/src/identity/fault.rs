//! Why a credential is not accepted, and how to say so (RFC 6750, section 3).

use std::fmt;

use portcullis_wire::scopes;

/// The protection space that challenges name.
const REALM: &str = "portcullis";

/// Why nobody is behind a request. The texts are ASCII without quotes and backslashes, because they also stand in the
/// challenge, and say what to do next. None tells whether a key, a member or a server exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No credential at all.
    NoCredential,
    /// `Authorization` with a scheme other than `Bearer`.
    UnsupportedScheme,
    /// More than one credential, in one header or in two.
    SeveralCredentials,
    /// A header that holds no well-formed credential.
    MalformedCredential,
    CredentialTooLong,
    /// It claims to be an API key of this gateway and is misspelt.
    MisspeltApiKey,
    /// Neither an API key nor a token in JWS compact serialisation (RFC 7515, section 7.1).
    NotAToken,
    /// The JOSE header is unreadable, ambiguous, or asks for what is not done.
    BadTokenHeader,
    /// The claims are unreadable, ambiguous, or of the wrong types.
    BadTokenClaims,
    AlgorithmNotAllowed,
    /// `typ` is not that of an access token.
    WrongTokenType,
    /// The token may be used only with a proof that this gateway cannot check (`cnf`, RFC 7800).
    BoundToken,
    UnknownIssuer,
    UnknownKey,
    WrongAudience,
    Expired,
    NotYetValid,
    BadSignature,
    /// The token-service knows no such key, or nobody by this issuer and subject.
    Unknown,
    /// An administrator switched it off.
    Disabled,
    /// It is good, but its scopes are too narrow for the request.
    InsufficientScope,
    /// Too many new tokens at this moment to verify one more.
    Busy,
}

/// The `error` of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChallengeError {
    /// None: nothing was shown that could be wrong.
    Nothing,
    InvalidRequest,
    InvalidToken,
    InsufficientScope,
}

impl Fault {
    /// HTTP status.
    pub fn status(self) -> u32 {
        match self {
            Self::SeveralCredentials => 400,
            Self::InsufficientScope => 403,
            Self::Busy => 503,
            _ => 401,
        }
    }

    /// Seconds for `Retry-After`.
    pub fn retry_after_seconds(self) -> Option<u32> {
        (self == Self::Busy).then_some(1)
    }

    /// Goes into the response-code details, behind `portcullis_`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::UnsupportedScheme => "unsupported_scheme",
            Self::SeveralCredentials => "several_credentials",
            Self::MalformedCredential => "malformed_credential",
            Self::CredentialTooLong => "credential_too_long",
            Self::MisspeltApiKey => "misspelt_api_key",
            Self::NotAToken => "not_a_token",
            Self::BadTokenHeader => "bad_token_header",
            Self::BadTokenClaims => "bad_token_claims",
            Self::AlgorithmNotAllowed => "token_algorithm_not_allowed",
            Self::WrongTokenType => "wrong_token_type",
            Self::BoundToken => "bound_token",
            Self::UnknownIssuer => "unknown_issuer",
            Self::UnknownKey => "unknown_token_key",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "credential_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::BadSignature => "bad_token_signature",
            Self::Unknown => "unknown_credential",
            Self::Disabled => "disabled_credential",
            Self::InsufficientScope => "insufficient_scope",
            Self::Busy => "verification_busy",
        }
    }

    /// The value of `WWW-Authenticate`; none if a better credential would not help. `resource_metadata` is the URL of
    /// the protected resource metadata (RFC 9728, section 5.1). The scopes are all that there are, because a client adds
    /// what a challenge asks for to what it has.
    pub fn challenge(self, resource_metadata: &str) -> Option<String> {
        let error = match self {
            Self::Busy => return None,
            Self::NoCredential | Self::UnsupportedScheme => ChallengeError::Nothing,
            Self::SeveralCredentials => ChallengeError::InvalidRequest,
            Self::InsufficientScope => ChallengeError::InsufficientScope,
            _ => ChallengeError::InvalidToken,
        };
        let scope = scopes::ALL.join(" ");
        let start =
            format!("Bearer realm=\"{REALM}\", resource_metadata=\"{resource_metadata}\", scope=\"{scope}\"");
        let code = match error {
            ChallengeError::Nothing => return Some(start),
            ChallengeError::InvalidRequest => "invalid_request",
            ChallengeError::InvalidToken => "invalid_token",
            ChallengeError::InsufficientScope => "insufficient_scope",
        };
        Some(format!("{start}, error=\"{code}\", error_description=\"{self}\""))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoCredential => {
                "Show a gateway credential: send Authorization: Bearer with an API key or access token of this \
                 gateway."
            }
            Self::UnsupportedScheme => {
                "This gateway accepts the Bearer scheme only: send Authorization: Bearer with an API key or access \
                 token."
            }
            Self::SeveralCredentials => {
                "Send exactly one credential: one Authorization header or one x-portcullis-api-key header."
            }
            Self::MalformedCredential => {
                "The credential header is malformed: send Bearer, one space, and the credential, without commas."
            }
            Self::CredentialTooLong => "The credential is longer than 8 KiB: ask for a token with fewer claims.",
            Self::MisspeltApiKey => "This API key is misspelt or cut off: copy it again, whole.",
            Self::NotAToken => {
                "This is neither an API key nor an access token for this gateway: use one of the two."
            }
            Self::BadTokenHeader => {
                "The header of this token cannot be accepted: ask its issuer for a plain signed access token."
            }
            Self::BadTokenClaims => {
                "The claims of this token cannot be accepted: it needs iss, sub, aud and exp, each once and of the \
                 right type."
            }
            Self::AlgorithmNotAllowed => "Tokens must be signed with EdDSA, ES256 or RS256.",
            Self::WrongTokenType => {
                "This is not an access token: do not use an ID token or another kind of token here."
            }
            Self::BoundToken => {
                "This token needs a proof of possession, which this gateway does not accept: ask for a bearer token."
            }
            Self::UnknownIssuer => {
                "The issuer of this token is not trusted here: sign in again, or have the gateway's operator add it."
            }
            Self::UnknownKey => "This token is signed with a key that is not trusted (any more): sign in again.",
            Self::WrongAudience => {
                "This token is for another audience: ask for one whose resource is the URL of this server, or whose \
                 audience the gateway's operator configured."
            }
            Self::Expired => "This credential has expired: refresh the token, sign in again, or ask for a new key.",
            Self::NotYetValid => "This token is not valid yet: check the clock of its issuer.",
            Self::BadSignature => "The signature of this token is wrong: sign in again.",
            Self::Unknown => {
                "This credential is not known here: check that it was copied whole, or ask an administrator for one."
            }
            Self::Disabled => "This credential is switched off: ask an administrator.",
            Self::InsufficientScope => {
                "This access token lacks a scope that this request needs: authorize again with the scopes named here."
            }
            Self::Busy => "Too many new tokens at this moment: try again in a second.",
        })
    }
}

impl std::error::Error for Fault {}
