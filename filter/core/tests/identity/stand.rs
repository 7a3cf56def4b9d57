//! Issuers, tokens and a worker's part in judging them. Signatures are made up, so that the same tests run natively and on
//! wasm32; `identity_signatures.rs` has real ones.

use std::cell::Cell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_filter_core::exchange::SignatureVerifier;
use portcullis_filter_core::identity::{Expectations, Fault, Identity, VerifiedToken, VerifiedTokens};
use portcullis_filter_core::registry::Registry;
use portcullis_wire::digest::Digest;
use portcullis_wire::secret::SecretText;
use portcullis_wire::watch::{self, Algorithm, IssuerEntry, VerificationKey};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const RESOURCE: &str = "https://gw.example/linear/mcp";
pub(crate) const HEADER: &str = r#"{"alg":"EdDSA","kid":"k1","typ":"JWT"}"#;

pub(crate) fn spki(algorithm: Algorithm, filler: u8) -> Vec<u8> {
    let (start, length): (&[u8], usize) = match algorithm {
        Algorithm::EdDsa => (b"\x30\x2A\x30\x05\x06\x03\x2B\x65\x70\x03\x21\x00", 44),
        Algorithm::Es256 => (
            b"\x30\x59\x30\x13\x06\x07\x2A\x86\x48\xCE\x3D\x02\x01\x06\x08\x2A\x86\x48\xCE\x3D\x03\x01\x07\x03\x42\x00\x04",
            91,
        ),
        Algorithm::Rs256 => (
            b"\x30\x82\x01\x22\x30\x0D\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01\x05\x00\x03\x82\x01\x0F\x00",
            294,
        ),
    };
    let mut der = start.to_vec();
    der.resize(length, filler);
    der
}

pub(crate) fn key(key_id: Option<&str>, algorithm: Algorithm, filler: u8) -> VerificationKey {
    VerificationKey {
        key_id: key_id.map(str::to_owned),
        algorithm,
        spki: STANDARD.encode(spki(algorithm, filler)),
    }
}

pub(crate) fn issuer(name: &str, keys: Vec<VerificationKey>) -> IssuerEntry {
    IssuerEntry { issuer: name.into(), keys, ..IssuerEntry::default() }
}

/// Tokens for one resource come from `idp`, tokens for an audience from `corp`; `two` has two keys of one algorithm.
pub(crate) fn issuers() -> Vec<IssuerEntry> {
    vec![
        issuer(
            "https://idp.example",
            vec![
                key(Some("k1"), Algorithm::EdDsa, 1),
                key(Some("k2"), Algorithm::Es256, 2),
                key(Some("k3"), Algorithm::Rs256, 3),
            ],
        ),
        IssuerEntry {
            audiences: vec!["portcullis".into(), "gateway".into()],
            require_at_jwt: true,
            workspace_claim: Some("team".into()),
            ..issuer("https://corp.example", vec![key(None, Algorithm::EdDsa, 4)])
        },
        issuer(
            "https://two.example",
            vec![key(Some("a"), Algorithm::EdDsa, 5), key(Some("b"), Algorithm::EdDsa, 6)],
        ),
    ]
}

pub(crate) fn registry(issuers: Vec<IssuerEntry>, revision: u64) -> Registry {
    let (registry, left_out) = Registry::compile(watch::Registry { issuers, ..Default::default() }, revision);
    assert_eq!(left_out, []);
    registry
}

/// With an issuer that can be asked about tokens that are no JWT.
pub(crate) fn registry_with_opaque_tokens(issuers: Vec<IssuerEntry>) -> Registry {
    let wire = watch::Registry { issuers, accepts_opaque_tokens: true, ..Default::default() };
    Registry::compile(wire, 1).0
}

/// A signature that only the holder of `filler` could make, if this were cryptography.
pub(crate) fn signature(input: &str, algorithm: Algorithm, filler: u8) -> Vec<u8> {
    let length = if algorithm == Algorithm::Rs256 { 256 } else { 64 };
    let digest = Digest::of("signature", &[input.as_bytes(), &spki(algorithm, filler)]);
    digest.as_bytes().repeat(length / 32)
}

pub(crate) fn sign(header: &str, claims: &str, algorithm: Algorithm, filler: u8) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(signature(&input, algorithm, filler));
    format!("{input}.{signature}")
}

pub(crate) fn claims(aud: &str, exp: u64, more: &str) -> String {
    format!(r#"{{"iss":"https://idp.example","sub":"u1","aud":{aud},"exp":{exp}{more}}}"#)
}

pub(crate) fn good_claims() -> String {
    claims(&format!("\"{RESOURCE}\""), NOW + 300, "")
}

#[derive(Default)]
pub(crate) struct Checker {
    pub(crate) checks: Cell<u32>,
}

impl SignatureVerifier for Checker {
    fn verify(&self, token: &str, key: &VerificationKey) -> bool {
        self.checks.set(self.checks.get() + 1);
        let (input, signature_part) = token.rsplit_once('.').expect("judged before");
        let spki = STANDARD.decode(&key.spki).expect("compiled before");
        let filler = *spki.last().expect("not empty");
        URL_SAFE_NO_PAD.encode(signature(input, key.algorithm, filler)) == signature_part
    }
}

/// A worker's part in all this, with a clock that tests set.
pub(crate) struct Worker {
    pub(crate) tokens: VerifiedTokens,
    pub(crate) registry: Registry,
    pub(crate) checker: Checker,
    pub(crate) now_ms: u64,
}

impl Worker {
    pub(crate) fn new() -> Self {
        Self {
            tokens: VerifiedTokens::new(100, 50),
            registry: registry(issuers(), 1),
            checker: Checker::default(),
            now_ms: NOW * 1_000,
        }
    }

    /// Under these issuers.
    pub(crate) fn trusting(issuers: Vec<IssuerEntry>) -> Self {
        Self { registry: registry(issuers, 1), ..Self::new() }
    }

    pub(crate) fn identify_at(&mut self, token: &str, resource: &str) -> Result<Identity, Fault> {
        let digest = Digest::of("credential", &[token.as_bytes()]);
        let expected = Expectations { registry: &self.registry, resource, now_ms: self.now_ms };
        self.tokens.verify(&SecretText::new(token.to_owned()), digest, &expected, &self.checker)
    }

    pub(crate) fn verify_at(&mut self, token: &str, resource: &str) -> Result<Rc<VerifiedToken>, Fault> {
        match self.identify_at(token, resource)? {
            Identity::Verified(token) => Ok(token),
            other => panic!("a token that is verified here, not {other:?}"),
        }
    }

    pub(crate) fn verify(&mut self, token: &str) -> Result<Rc<VerifiedToken>, Fault> {
        self.verify_at(token, RESOURCE)
    }

    pub(crate) fn checks(&self) -> u32 {
        self.checker.checks.get()
    }
}

/// The verdict on a token that has the signature of k1, and that it was reached without a look at the signature if it
/// is a refusal.
pub(crate) fn verdict(header: &str, claims: &str) -> Result<Rc<VerifiedToken>, Fault> {
    let mut worker = Worker::new();
    let verdict = worker.verify(&sign(header, claims, Algorithm::EdDsa, 1));
    if verdict.is_err() {
        assert_eq!(worker.checks(), 0, "{header} {claims} cost a verification");
    }
    verdict
}

pub(crate) fn with_header(header: &str) -> Option<Fault> {
    verdict(header, &good_claims()).err()
}

pub(crate) fn with_claims(claims: &str) -> Option<Fault> {
    verdict(HEADER, claims).err()
}

/// What `corp` issues: access tokens for an audience, with the caller's team.
pub(crate) fn corp_token(typ: &str, aud: &str, more: &str) -> String {
    let header = format!(r#"{{"alg":"EdDSA"{typ}}}"#);
    let claims =
        format!(r#"{{"iss":"https://corp.example","sub":"u1","aud":{aud},"exp":{}{more}}}"#, NOW + 300);
    sign(&header, &claims, Algorithm::EdDsa, 4)
}

pub(crate) const AT_JWT: &str = r#","typ":"at+jwt""#;
