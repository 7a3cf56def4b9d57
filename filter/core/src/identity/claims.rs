//! What the claims of a token say, and whether they may (RFC 7519, RFC 9068).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use portcullis_wire::watch::IssuerEntry;

use super::fault::Fault;
use super::jwt::{LIMITS, Parts};
use super::token::{Audience, Grant, Times, VerifiedToken};
use crate::json::{Document, Value};

/// The end of the year 9999, in seconds since the epoch. A later time is no time but an attempt.
const LAST_TIME: u64 = 253_402_300_799;

/// Claims that have a meaning in every token; a twin in other case would have it elsewhere.
const CLAIM_NAMES: [&str; 8] = ["aud", "cnf", "exp", "iat", "iss", "jti", "nbf", "sub"];

/// Those that have one in the gateway's own tokens besides.
const GATEWAY_NAMES: [&str; 2] = ["scope", "sid"];

/// What the token-service judges. A token is not longer than
/// [`MAX_CREDENTIAL_LENGTH`](super::bearer::MAX_CREDENTIAL_LENGTH), so all of it together is not either.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Every value of `aud`.
    pub(super) audiences: Vec<String>,
    pub(super) issued_at: Option<u64>,
    /// Those that were asked for and are there.
    pub(super) claims: BTreeMap<String, serde_json::Value>,
}

impl Shown {
    /// Reads a token's text again; `None` if it is not one that was judged before.
    pub(super) fn out_of(token: &str, names: &[String]) -> Option<Self> {
        let parts = Parts::split(token).ok()?;
        let document = Document::read(&parts.claims, &LIMITS).ok()?;
        Self::read(document.root(), names).ok()
    }

    fn read(claims: Value<'_, '_>, names: &[String]) -> Result<Self, Fault> {
        let audiences = audiences(claims)?.into_iter().map(Cow::into_owned).collect();
        let there = names.iter().filter_map(|name| Some((name, claims.get(name)?)));
        let read =
            |value: Value<'_, '_>| serde_json::from_slice(value.raw()).map_err(|_| Fault::BadTokenClaims);
        let claims_shown = there.map(|(name, value)| Ok((name.clone(), read(value)?)));
        Ok(Self {
            audiences,
            issued_at: time(claims.get("iat"))?,
            claims: claims_shown.collect::<Result<_, Fault>>()?,
        })
    }
}

/// The claims as an object in which every name that counts is there once, in whatever case.
pub(super) fn root<'d, 'a>(document: &'d Document<'a>) -> Result<Value<'d, 'a>, Fault> {
    object(document.root(), &CLAIM_NAMES).ok_or(Fault::BadTokenClaims)
}

pub(super) fn issuer<'a>(claims: Value<'_, 'a>) -> Result<Cow<'a, str>, Fault> {
    text(claims.get("iss"))?.ok_or(Fault::BadTokenClaims)
}

/// For whom the token is, where that is the resource that is called or an audience of its issuer's.
pub(super) fn judge_audience(
    claims: Value<'_, '_>,
    issuer: &IssuerEntry,
    resource: &str,
) -> Result<Audience, Fault> {
    let audiences = audiences(claims)?;
    if audiences.iter().any(|audience| issuer.audiences.iter().any(|accepted| accepted == audience)) {
        return Ok(Audience::OfIssuer);
    }
    let accepts_resource = issuer.accepts_resource || issuer.audiences.is_empty();
    // The gateway writes one audience as a string. What has another form, it has not written for this.
    let has_form = !issuer.gateway || claims.get("aud").is_some_and(|claim| claim.is_string());
    // A token that is also for somebody else could be replayed here by that somebody.
    match audiences.as_slice() {
        [audience] if accepts_resource && has_form && audience == resource => {
            Ok(Audience::Resource(resource.to_owned()))
        }
        _ => Err(Fault::WrongAudience),
    }
}

/// Reads what a token that is verified here has to say.
pub(super) fn read(claims: Value<'_, '_>, issuer: &Rc<IssuerEntry>) -> Result<VerifiedToken, Fault> {
    refuse_bound(claims)?;
    let mut named = issuer.workspace_claim.iter().chain(&issuer.claims);
    if named.any(|name| has_twin(claims, name)) {
        return Err(Fault::BadTokenClaims);
    }
    // What is read again later has to be readable.
    Shown::read(claims, &issuer.claims)?;
    let workspace = issuer.workspace_claim.as_deref().and_then(|name| claims.get(name));
    let times = times(claims)?;
    Ok(VerifiedToken {
        issuer: Rc::clone(issuer),
        subject: text(claims.get("sub"))?.ok_or(Fault::BadTokenClaims)?.into_owned(),
        workspace_claim: text(workspace)?.map(Cow::into_owned),
        grant: if issuer.gateway { Some(grant(claims)?) } else { None },
        times: times.ok_or(Fault::BadTokenClaims)?,
    })
}

/// Judges a token that its issuer will be asked about, as far as it speaks for itself. What it leaves out, the issuer says.
pub(super) fn judge_introspected(
    claims: Value<'_, '_>,
    issuer: &IssuerEntry,
    resource: &str,
    now_ms: u64,
) -> Result<(), Fault> {
    refuse_bound(claims)?;
    if claims.get("aud").is_some() {
        judge_audience(claims, issuer, resource)?;
    }
    times(claims)?.map_or(Ok(()), |times| times.judge(issuer, now_ms))
}

fn refuse_bound(claims: Value<'_, '_>) -> Result<(), Fault> {
    if claims.get("cnf").is_some() { Err(Fault::BoundToken) } else { Ok(()) }
}

fn grant(claims: Value<'_, '_>) -> Result<Grant, Fault> {
    if GATEWAY_NAMES.iter().any(|name| has_twin(claims, name)) {
        return Err(Fault::BadTokenClaims);
    }
    let session = text(claims.get("sid"))?.ok_or(Fault::BadTokenClaims)?.into_owned();
    let scopes = scopes(&text(claims.get("scope"))?.ok_or(Fault::BadTokenClaims)?)?;
    Ok(Grant { session, scopes })
}

/// Scopes, each once, with one space between (RFC 6749, section 3.3).
fn scopes(text: &str) -> Result<Vec<String>, Fault> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in text.split(' ') {
        let well_formed = !scope.is_empty()
            && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
            && !scopes.iter().any(|other| other == scope);
        if !well_formed {
            return Err(Fault::BadTokenClaims);
        }
        scopes.push(scope.to_owned());
    }
    Ok(scopes)
}

/// Every value of `aud`, which has to be there.
fn audiences<'a>(claims: Value<'_, 'a>) -> Result<Vec<Cow<'a, str>>, Fault> {
    let claim = claims.get("aud").ok_or(Fault::BadTokenClaims)?;
    let audiences = if claim.is_array() {
        claim.items().map(|item| item.as_str()).collect()
    } else {
        claim.as_str().map(|audience| vec![audience])
    };
    audiences.ok_or(Fault::BadTokenClaims)
}

/// `None` without `exp`.
fn times(claims: Value<'_, '_>) -> Result<Option<Times>, Fault> {
    let not_before = time(claims.get("nbf"))?.max(time(claims.get("iat"))?).unwrap_or(0);
    Ok(time(claims.get("exp"))?.map(|expires_at| Times { expires_at, not_before }))
}

/// The value if it is an object without a member whose key is one of `names` in other case.
pub(super) fn object<'d, 'a>(value: Value<'d, 'a>, names: &[&str]) -> Option<Value<'d, 'a>> {
    (value.is_object() && !names.iter().any(|name| has_twin(value, name))).then_some(value)
}

/// Whether a member's key is `name` but for its case.
fn has_twin(object: Value<'_, '_>, name: &str) -> bool {
    object.members().any(|(key, _)| key != name && key.eq_ignore_ascii_case(name))
}

/// A claim that is a string that says something, or absent. A wrong type is never the same as absent.
pub(super) fn text<'a>(value: Option<Value<'_, 'a>>) -> Result<Option<Cow<'a, str>>, Fault> {
    let Some(value) = value else { return Ok(None) };
    let text = value.as_str().filter(|text| !text.is_empty());
    text.map(Some).ok_or(Fault::BadTokenClaims)
}

/// A claim that is a whole number of seconds since the epoch, or absent.
fn time(value: Option<Value<'_, '_>>) -> Result<Option<u64>, Fault> {
    let Some(value) = value else { return Ok(None) };
    value.as_u64().filter(|time| *time <= LAST_TIME).map(Some).ok_or(Fault::BadTokenClaims)
}
