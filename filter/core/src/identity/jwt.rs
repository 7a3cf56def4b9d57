//! Whether a token may say what it says: everything about a JWT but its signature (RFC 7519, RFC 8725).

use std::borrow::Cow;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_wire::digest::Digest;
use portcullis_wire::watch::{Algorithm, IssuerEntry};

use super::bearer::MAX_CREDENTIAL_LENGTH;
use super::claims;
use super::fault::Fault;
use super::token::{Audience, VerifiedToken};
use super::verified::Expectations;
use crate::json::{Document, Limits};
use crate::registry::Key;

/// Header parameters that have a meaning here; a twin in other case would have it elsewhere.
const HEADER_NAMES: [&str; 13] =
    ["alg", "b64", "crit", "cty", "enc", "jku", "jwk", "kid", "typ", "x5c", "x5t", "x5u", "zip"];

/// Bounds of header and claims, inside [`MAX_CREDENTIAL_LENGTH`]. Of nested values only `aud` is looked into.
pub(super) const LIMITS: Limits =
    Limits { depth: 16, keys: 256, nodes: 1_024, number_length: 32, record_depth: 2 };

/// A verdict that rests on no signature yet.
#[derive(Debug)]
pub(super) enum Judgement {
    /// The token may say what it says, if it is signed by the key.
    Signed(Box<Judged>),
    /// Its issuer has to be asked.
    Introspected,
}

#[derive(Debug)]
pub(super) struct Judged {
    pub(super) token: VerifiedToken,
    pub(super) audience: Audience,
    /// As the token names it.
    pub(super) key_id: Option<String>,
    pub(super) key: Rc<Key>,
    /// [`Issuer::settings`](crate::registry::Issuer::settings) by which it was judged.
    pub(super) settings: Digest,
}

/// Judges everything that costs little, the cheapest first.
pub(super) fn judge(token: &str, expected: &Expectations<'_>) -> Result<Judgement, Fault> {
    let parts = Parts::split(token)?;
    let header = Header::read(&parts.header)?;
    if header.algorithm.is_some_and(|algorithm| !has_signature_length(algorithm, parts.signature_length)) {
        return Err(Fault::BadSignature);
    }
    let document = Document::read(&parts.claims, &LIMITS).map_err(|_| Fault::BadTokenClaims)?;
    let claims = claims::root(&document)?;
    let issuer = expected.registry.issuer(&claims::issuer(claims)?).ok_or(Fault::UnknownIssuer)?;
    header.judge_type(issuer.entry())?;
    if issuer.entry().introspected {
        claims::judge_introspected(claims, issuer.entry(), expected.resource, expected.now_ms)?;
        return Ok(Judgement::Introspected);
    }
    let algorithm = header.algorithm.ok_or(Fault::AlgorithmNotAllowed)?;
    let key = issuer.key(header.key_id.as_deref(), algorithm).ok_or(Fault::UnknownKey)?;
    let audience = claims::judge_audience(claims, issuer.entry(), expected.resource)?;
    let token = claims::read(claims, issuer.entry())?;
    token.judge_times(expected.now_ms)?;
    let (key, settings) = (Rc::clone(key), issuer.settings());
    Ok(Judgement::Signed(Box::new(Judged { token, audience, key_id: header.key_id, key, settings })))
}

/// Whether only its issuer can tell what a token is: it does not have the form of a signed JWT, good or bad, and is
/// nothing that the gateway itself hands out. Those are judged here, and shown to nobody.
pub(super) fn is_opaque(token: &str) -> bool {
    // Admin tokens, refresh tokens, codes, sessions and the like: `pca_`, `pcl-session.` and their kin.
    let is_ours = matches!(token.as_bytes(), [b'p', b'c', b'a'..=b'z', b'_' | b'-', ..]);
    let has_three_parts = token.bytes().filter(|byte| *byte == b'.').count() == 2;
    let header = token.split('.').next().unwrap_or_default();
    let start = URL_SAFE_NO_PAD.decode(header.get(..4).unwrap_or(header)).unwrap_or_default();
    let starts_as_object = start.first() == Some(&b'{');
    let is_jwt = has_three_parts && starts_as_object;
    !is_ours && !is_jwt
}

/// The decoded parts of a token.
pub(super) struct Parts {
    header: Vec<u8>,
    pub(super) claims: Vec<u8>,
    signature_length: usize,
}

impl Parts {
    /// Three parts in canonical base64url without padding.
    pub(super) fn split(token: &str) -> Result<Self, Fault> {
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
    /// `None` for one that is not verified here.
    algorithm: Option<Algorithm>,
    key_id: Option<String>,
    /// Lower case and without `application/`.
    token_type: Option<String>,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let document = Document::read(bytes, &LIMITS).map_err(|_| Fault::BadTokenHeader)?;
        let header = claims::object(document.root(), &HEADER_NAMES).ok_or(Fault::BadTokenHeader)?;
        // Each changes what is signed or how it is read. `jku`, `jwk`, `x5u` and `x5c` offer keys; none is taken from
        // a token, so they are ignored.
        if ["crit", "b64", "zip", "enc"].iter().any(|name| header.get(name).is_some()) {
            return Err(Fault::BadTokenHeader);
        }
        let string = |name| claims::text(header.get(name)).map_err(|_| Fault::BadTokenHeader);
        let algorithm = match string("alg")?.ok_or(Fault::BadTokenHeader)?.as_ref() {
            "EdDSA" => Some(Algorithm::EdDsa),
            "ES256" => Some(Algorithm::Es256),
            "RS256" => Some(Algorithm::Rs256),
            unsigned if unsigned.eq_ignore_ascii_case("none") => return Err(Fault::AlgorithmNotAllowed),
            _ => None,
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

/// RFC 8032, 5.1.6; RFC 7518, 3.4; and RSA keys from 2048 to 16384 bits.
fn has_signature_length(algorithm: Algorithm, length: usize) -> bool {
    match algorithm {
        Algorithm::EdDsa | Algorithm::Es256 => length == 64,
        Algorithm::Rs256 => (256..=2_048).contains(&length),
    }
}
