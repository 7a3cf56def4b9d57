//! The ID token: whether it holds, and what it says.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreJwsSigningAlgorithm, CoreTokenResponse};
use openidconnect::{
    AccessTokenHash, ClaimsVerificationError, Nonce, OAuth2TokenResponse as _, TokenResponse as _,
};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::provider::Client;
use super::{Arrival, CompanyError, TOLERANCE, moment};
use crate::clock::Timestamp;
use crate::config::CompanySignIn;
use crate::domain::people::Identity;

/// Signatures of keys that only the provider has: neither `none` nor a secret that we share.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 10] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EcdsaP521Sha512,
    CoreJwsSigningAlgorithm::EdDsa,
];

const LONGEST_SUBJECT: usize = 1024;
const LONGEST_NAME: usize = 100;

/// Why an ID token does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Missing,
    Audience,
    AuthorizedParty,
    Issuer,
    Nonce,
    Time,
    Hash,
    Signature,
    Other,
}

impl Fault {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Missing => "is missing",
            Self::Audience => "is not for us alone",
            Self::AuthorizedParty => "was made for another client (azp)",
            Self::Issuer => "is another issuer's",
            Self::Nonce => "is not the answer to this sign-in (nonce)",
            Self::Time => "is too old or not yet valid",
            Self::Hash => "belongs to another access token (at_hash)",
            Self::Signature => "is not signed with a key of the provider",
            Self::Other => "cannot be used",
        }
    }
}

/// The claims of an ID token that holds in every respect.
pub(super) fn verified(
    client: &Client,
    tokens: &CoreTokenResponse,
    nonce: &Nonce,
    now: Timestamp,
) -> Result<Map<String, Value>, Fault> {
    let token = tokens.id_token().ok_or(Fault::Missing)?;
    let (past, future) =
        (moment(Timestamp(now.0.saturating_sub(millis(TOLERANCE)))), moment(now.plus(TOLERANCE)));
    let verifier = client
        .id_token_verifier()
        .set_allowed_algs(ALGORITHMS)
        .set_other_audience_verifier_fn(|_| false)
        .set_time_fn(move || past)
        .set_issue_time_verifier_fn(move |issued| if issued <= future { Ok(()) } else { Err(String::new()) });
    let claims = token.claims(&verifier, nonce).map_err(|error| fault(&error))?;
    if claims.authorized_party().is_some_and(|party| party != client.client_id()) {
        return Err(Fault::AuthorizedParty);
    }
    if let Some(hash) = claims.access_token_hash() {
        same_access_token(token, &verifier, tokens, hash)?;
    }
    payload(token).ok_or(Fault::Other)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn fault(error: &ClaimsVerificationError) -> Fault {
    match error {
        ClaimsVerificationError::Expired(_) => Fault::Time,
        ClaimsVerificationError::InvalidAudience(_) => Fault::Audience,
        ClaimsVerificationError::InvalidIssuer(_) => Fault::Issuer,
        ClaimsVerificationError::InvalidNonce(_) => Fault::Nonce,
        ClaimsVerificationError::SignatureVerification(_) => Fault::Signature,
        _ => Fault::Other,
    }
}

fn same_access_token(
    token: &CoreIdToken,
    verifier: &CoreIdTokenVerifier<'_>,
    tokens: &CoreTokenResponse,
    claimed: &AccessTokenHash,
) -> Result<(), Fault> {
    let algorithm = token.signing_alg().map_err(|_| Fault::Signature)?;
    let key = token.signing_key(verifier).map_err(|_| Fault::Signature)?;
    let actual =
        AccessTokenHash::from_token(tokens.access_token(), algorithm, key).map_err(|_| Fault::Hash)?;
    let same = actual.as_str().as_bytes().ct_eq(claimed.as_str().as_bytes());
    if same.into() { Ok(()) } else { Err(Fault::Hash) }
}

/// All claims, from the very text that was verified.
fn payload(token: &CoreIdToken) -> Option<Map<String, Value>> {
    let text = token.to_string();
    let payload = URL_SAFE_NO_PAD.decode(text.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Who has come, by claims that hold.
pub(super) fn arrival(config: &CompanySignIn, claims: &Map<String, Value>) -> Result<Arrival, CompanyError> {
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    let good = (1..=LONGEST_SUBJECT).contains(&subject.len()) && !subject.chars().any(char::is_control);
    if !good {
        return Err(CompanyError::Untrusted("names nobody (sub)"));
    }
    let named = claims.get(&config.name_claim).and_then(Value::as_str).map(presentable);
    let name = named.filter(|name| !name.is_empty()).unwrap_or_else(|| presentable(subject));
    let identity = Identity { issuer: config.issuer.clone(), subject: subject.to_owned() };
    Ok(Arrival { identity, name, groups: groups(config, claims)? })
}

/// On one line, and not too long for a page.
fn presentable(text: &str) -> String {
    let visible: String =
        text.chars().filter(|character| !character.is_control()).take(LONGEST_NAME).collect();
    visible.trim().to_owned()
}

/// Somebody whose groups are not known is not somebody without groups. A claim that is absent is none: that is how
/// providers say it.
fn groups(config: &CompanySignIn, claims: &Map<String, Value>) -> Result<BTreeSet<String>, CompanyError> {
    let name = config.groups_claim.as_str();
    let elsewhere = claims.get("_claim_names").is_some_and(|names| match names.as_object() {
        Some(names) => names.contains_key(name),
        None => true,
    });
    if elsewhere {
        return Err(CompanyError::Groups("is somewhere else, for there are too many groups (_claim_names)"));
    }
    let Some(claim) = claims.get(name) else { return Ok(BTreeSet::new()) };
    let list = claim.as_array().ok_or(CompanyError::Groups("is not a list"))?;
    let group = |group: &Value| group.as_str().map(str::to_owned);
    list.iter()
        .map(group)
        .collect::<Option<_>>()
        .ok_or(CompanyError::Groups("holds something that is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::auth_draft::ClientMethod;
    use serde_json::json;

    fn config() -> CompanySignIn {
        CompanySignIn {
            issuer: "https://login.example.com".into(),
            client_id: "portcullis".into(),
            secret: None,
            method: ClientMethod::None,
            scopes: Vec::new(),
            name_claim: "name".into(),
            groups_claim: "groups".into(),
            rules: Vec::new(),
        }
    }

    fn read(claims: &Value) -> Result<Arrival, CompanyError> {
        arrival(&config(), claims.as_object().expect("claims"))
    }

    #[test]
    fn groups_are_a_list_of_texts_or_nobody_comes_in() {
        let groups = |claim: Value| read(&json!({"sub": "1", "groups": claim})).map(|arrival| arrival.groups);
        assert_eq!(groups(json!(["a", "B"])), Ok(BTreeSet::from(["a".into(), "B".into()])));
        assert_eq!(groups(json!([])), Ok(BTreeSet::new()));
        let many: Vec<String> = (0..10_000).map(|number| format!("group-{number}")).collect();
        assert_eq!(groups(json!(many)).expect("reads").len(), 10_000);
        for odd in [json!("a"), json!(null), json!({"a": true}), json!(["a", 1]), json!([["a"]]), json!(true)]
        {
            assert!(matches!(groups(odd.clone()), Err(CompanyError::Groups(_))), "{odd}");
        }
        assert_eq!(read(&json!({"sub": "1"})).expect("none").groups, BTreeSet::new());
        for names in [json!({"groups": "src1"}), json!("groups"), json!(["groups"])] {
            let overage = json!({"sub": "1", "_claim_names": names, "_claim_sources": {}});
            assert!(matches!(read(&overage), Err(CompanyError::Groups(_))), "{names}");
        }
        assert!(read(&json!({"sub": "1", "_claim_names": {"address": "src1"}})).is_ok());
    }

    #[test]
    fn people_are_known_by_subject_and_called_what_can_be_shown() {
        let name = |claims: Value| read(&claims).map(|arrival| arrival.name);
        assert_eq!(name(json!({"sub": "1", "name": "Ada"})).as_deref(), Ok("Ada"));
        assert_eq!(name(json!({"sub": "1", "name": "A\r\nB"})).as_deref(), Ok("AB"));
        for nameless in
            [json!({"sub": "1"}), json!({"sub": "1", "name": " "}), json!({"sub": "1", "name": 7})]
        {
            assert_eq!(name(nameless).as_deref(), Ok("1"));
        }
        assert_eq!(name(json!({"sub": "1", "name": "x".repeat(500)})).map(|name| name.len()), Ok(100));
        for nobody in [json!({}), json!({"sub": ""}), json!({"sub": 1}), json!({"sub": "a\nb"})] {
            assert!(matches!(read(&nobody), Err(CompanyError::Untrusted(_))));
        }
        // An address that somebody else had makes nobody somebody else.
        let of = |sub: &str| read(&json!({"sub": sub, "email": "ada@example.com"})).expect("reads").identity;
        assert_ne!(of("1"), of("2"));
    }
}
