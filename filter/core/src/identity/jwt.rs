//! What a token says, and whether it may say so: everything about a JWT but its signature (RFC 7519, RFC 8725).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_wire::digest::Digest;
use portcullis_wire::lease::CallerProof;
use portcullis_wire::watch::{Algorithm, IssuerEntry};

use super::bearer::MAX_CREDENTIAL_LENGTH;
use super::fault::Fault;
use super::verified::Expectations;
use crate::json::{Document, Limits, Value};
use crate::registry::{Issuer, Key};

/// How far the clock of an issuer may be off, in milliseconds.
pub const LEEWAY_MS: u64 = 30_000;

/// The end of the year 9999, in seconds since the epoch. A later time is no time but an attempt.
const LAST_TIME: u64 = 253_402_300_799;

/// Header parameters that have a meaning here; a twin in other case would have it elsewhere.
const HEADER_NAMES: [&str; 13] =
    ["alg", "b64", "crit", "cty", "enc", "jku", "jwk", "kid", "typ", "x5c", "x5t", "x5u", "zip"];

const CLAIM_NAMES: [&str; 8] = ["aud", "cnf", "exp", "iat", "iss", "jti", "nbf", "sub"];

/// Bounds of header and claims, inside [`MAX_CREDENTIAL_LENGTH`]. Of nested values only `aud` is looked into.
const LIMITS: Limits = Limits { depth: 16, keys: 256, nodes: 1_024, number_length: 32, record_depth: 2 };

/// A token whose signature, issuer, audience and times are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    pub issuer: String,
    pub subject: String,
    /// The value of the issuer's workspace claim, where the issuer has one and the token too.
    pub workspace_claim: Option<String>,
    /// Seconds since the epoch, as [`Self::not_before`].
    pub expires_at: u64,
    /// The later of `nbf` and `iat`; 0 without both.
    pub not_before: u64,
}

/// A token that may say what it says, if it is signed by `key`.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) token: VerifiedToken,
    pub(super) audience: Audience,
    /// As the token names it.
    pub(super) key_id: Option<String>,
    pub(super) key: Rc<Key>,
    /// [`Issuer::settings`] by which it was judged.
    pub(super) settings: Digest,
}

/// For whom a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// For an audience that its issuer's settings accept, so for every server.
    OfIssuer,
    /// For the one resource with this URL.
    Resource(String),
}

impl VerifiedToken {
    /// Judges the times by the token-service's clock.
    pub(super) fn judge_times(&self, now_ms: u64) -> Result<(), Fault> {
        if now_ms >= self.expires_at.saturating_mul(1_000).saturating_add(LEEWAY_MS) {
            return Err(Fault::Expired);
        }
        if now_ms.saturating_add(LEEWAY_MS) < self.not_before.saturating_mul(1_000) {
            return Err(Fault::NotYetValid);
        }
        Ok(())
    }

    /// What a lease is asked for with.
    pub fn proof(&self) -> CallerProof {
        CallerProof::Jwt {
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            workspace_claim: self.workspace_claim.clone(),
            audiences: Vec::new(),
            issued_at: None,
            claims: BTreeMap::new(),
            expires_at: self.expires_at,
        }
    }
}

/// Judges everything that costs little, the cheapest first.
pub(super) fn judge(token: &str, expected: &Expectations<'_>) -> Result<Judged, Fault> {
    let parts = Parts::split(token)?;
    let header = Header::read(&parts.header)?;
    if !header.algorithm.has_signature_length(parts.signature_length) {
        return Err(Fault::BadSignature);
    }
    let claims = Document::read(&parts.claims, &LIMITS).map_err(|_| Fault::BadTokenClaims)?;
    let claims = object(claims.root(), &CLAIM_NAMES).ok_or(Fault::BadTokenClaims)?;
    let issuer = text(claims.get("iss"))?.ok_or(Fault::BadTokenClaims)?;
    let issuer = expected.registry.issuer(&issuer).ok_or(Fault::UnknownIssuer)?;
    header.judge_type(issuer.entry())?;
    let key = issuer.key(header.key_id.as_deref(), header.algorithm).ok_or(Fault::UnknownKey)?;
    let audience = judge_audience(claims, issuer.entry(), expected.resource)?;
    let token = read_claims(claims, issuer)?;
    token.judge_times(expected.now_ms)?;
    Ok(Judged { token, audience, key_id: header.key_id, key: Rc::clone(key), settings: issuer.settings() })
}

/// The decoded parts of a token.
struct Parts {
    header: Vec<u8>,
    claims: Vec<u8>,
    signature_length: usize,
}

impl Parts {
    /// Three parts in canonical base64url without padding.
    fn split(token: &str) -> Result<Self, Fault> {
        if token.len() > MAX_CREDENTIAL_LENGTH {
            return Err(Fault::CredentialTooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::NotAToken);
        };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Fault::NotAToken);
        let parts = Self {
            header: decode(header)?,
            claims: decode(claims)?,
            signature_length: decode(signature)?.len(),
        };
        if parts.header.is_empty() || parts.claims.is_empty() {
            return Err(Fault::NotAToken);
        }
        Ok(parts)
    }
}

/// The JOSE header (RFC 7515, section 4).
struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
    /// Lower case and without `application/`.
    token_type: Option<String>,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let document = Document::read(bytes, &LIMITS).map_err(|_| Fault::BadTokenHeader)?;
        let header = object(document.root(), &HEADER_NAMES).ok_or(Fault::BadTokenHeader)?;
        // Each changes what is signed or how it is read. `jku`, `jwk`, `x5u` and `x5c` offer keys; none is taken from
        // a token, so they are ignored.
        if ["crit", "b64", "zip", "enc"].iter().any(|name| header.get(name).is_some()) {
            return Err(Fault::BadTokenHeader);
        }
        let string = |name| text(header.get(name)).map_err(|_| Fault::BadTokenHeader);
        let algorithm = match string("alg")?.ok_or(Fault::BadTokenHeader)?.as_ref() {
            "EdDSA" => Algorithm::EdDsa,
            "ES256" => Algorithm::Es256,
            "RS256" => Algorithm::Rs256,
            _ => return Err(Fault::AlgorithmNotAllowed),
        };
        let token_type = string("typ")?.map(|text| {
            // A media type, which has no case (RFC 7515, section 4.1.9).
            let text = text.to_ascii_lowercase();
            text.strip_prefix("application/").map_or(text.clone(), ToOwned::to_owned)
        });
        Ok(Self { algorithm, key_id: string("kid")?.map(Cow::into_owned), token_type })
    }

    fn judge_type(&self, issuer: &IssuerEntry) -> Result<(), Fault> {
        match self.token_type.as_deref() {
            Some("at+jwt") => Ok(()),
            Some("jwt") | None if !issuer.require_at_jwt => Ok(()),
            _ => Err(Fault::WrongTokenType),
        }
    }
}

trait SignatureLength {
    fn has_signature_length(self, length: usize) -> bool;
}

impl SignatureLength for Algorithm {
    /// RFC 8032, 5.1.6; RFC 7518, 3.4; and RSA keys from 2048 to 16384 bits.
    fn has_signature_length(self, length: usize) -> bool {
        match self {
            Self::EdDsa | Self::Es256 => length == 64,
            Self::Rs256 => (256..=2_048).contains(&length),
        }
    }
}

/// The value if it is an object without a member whose key is one of `names` in other case.
fn object<'d, 'a>(value: Value<'d, 'a>, names: &[&str]) -> Option<Value<'d, 'a>> {
    (value.is_object() && !names.iter().any(|name| has_twin(value, name))).then_some(value)
}

/// Whether a member's key is `name` but for its case.
fn has_twin(object: Value<'_, '_>, name: &str) -> bool {
    object.members().any(|(key, _)| key != name && key.eq_ignore_ascii_case(name))
}

/// A claim that is a string that says something, or absent. A wrong type is never the same as absent.
fn text<'a>(value: Option<Value<'_, 'a>>) -> Result<Option<Cow<'a, str>>, Fault> {
    let Some(value) = value else { return Ok(None) };
    let text = value.as_str().filter(|text| !text.is_empty());
    text.map(Some).ok_or(Fault::BadTokenClaims)
}

/// A claim that is a whole number of seconds since the epoch, or absent.
fn time(value: Option<Value<'_, '_>>) -> Result<Option<u64>, Fault> {
    let Some(value) = value else { return Ok(None) };
    value.as_u64().filter(|time| *time <= LAST_TIME).map(Some).ok_or(Fault::BadTokenClaims)
}

fn judge_audience(claims: Value<'_, '_>, issuer: &IssuerEntry, resource: &str) -> Result<Audience, Fault> {
    let claim = claims.get("aud").ok_or(Fault::BadTokenClaims)?;
    let audiences: Vec<Cow<'_, str>> = if claim.is_array() {
        claim.items().map(|item| item.as_str()).collect::<Option<_>>()
    } else {
        claim.as_str().map(|audience| vec![audience])
    }
    .ok_or(Fault::BadTokenClaims)?;
    if !issuer.audiences.is_empty() {
        let accepted = |audience: &Cow<'_, str>| issuer.audiences.iter().any(|other| other == audience);
        return if audiences.iter().any(accepted) {
            Ok(Audience::OfIssuer)
        } else {
            Err(Fault::WrongAudience)
        };
    }
    // A token that is also for somebody else could be replayed here by that somebody.
    match audiences.as_slice() {
        [audience] if audience == resource => Ok(Audience::Resource(resource.to_owned())),
        _ => Err(Fault::WrongAudience),
    }
}

fn read_claims(claims: Value<'_, '_>, issuer: &Issuer) -> Result<VerifiedToken, Fault> {
    if claims.get("cnf").is_some() {
        return Err(Fault::BoundToken);
    }
    let workspace_name = issuer.entry().workspace_claim.as_deref();
    if workspace_name.is_some_and(|name| has_twin(claims, name)) {
        return Err(Fault::BadTokenClaims);
    }
    let workspace = workspace_name.and_then(|name| claims.get(name));
    let not_before = time(claims.get("nbf"))?.max(time(claims.get("iat"))?);
    Ok(VerifiedToken {
        issuer: issuer.entry().issuer.clone(),
        subject: text(claims.get("sub"))?.ok_or(Fault::BadTokenClaims)?.into_owned(),
        workspace_claim: text(workspace)?.map(Cow::into_owned),
        expires_at: time(claims.get("exp"))?.ok_or(Fault::BadTokenClaims)?,
        not_before: not_before.unwrap_or(0),
    })
}
