//! Signatures of JSON Web Tokens.
//!
//! The host checks RS256 and ES256 fifteen to fifty times as fast as code inside the VM can, so it is asked first;
//! `jwt-simple` checks what the host has no function for, and Ed25519, which Envoy's function does not know. Both
//! paths see the same keys and signatures: shapes are judged before either, more strictly than either would.

use std::cell::Cell;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jwt_simple::prelude::{
    ECDSAP256PublicKeyLike as _, ES256PublicKey, Ed25519PublicKey, EdDSAPublicKeyLike as _, NoCustomClaims,
    RS256PublicKey, RSAPublicKeyLike as _, UnixTimeStamp, VerificationOptions,
};
use portcullis_filter_core::exchange::SignatureVerifier;
use portcullis_wire::watch::{Algorithm, VerificationKey};

use crate::host::{self, Status};

/// Envoy's function; its arguments and result are the protobuf messages of
/// `source/extensions/common/wasm/ext/verify_signature.proto`.
const HOST_FUNCTION: &str = "verify_signature";

/// Up to the point of a P-256 key in a `SubjectPublicKeyInfo`: id-ecPublicKey, prime256v1, uncompressed (RFC 5480).
const P256_PREFIX: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";

/// Up to the 32 bytes of an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410).
const ED25519_PREFIX: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// The algorithm of an RSA key in a `SubjectPublicKeyInfo`: rsaEncryption with NULL parameters (RFC 3279).
const RSA_ALGORITHM: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

/// The public exponent 65537, the only one in use, as a DER integer.
const RSA_EXPONENT: &[u8] = b"\x02\x03\x01\x00\x01";

/// Bytes of an RSA modulus of 2048 to 4096 bits.
const RSA_MODULUS: std::ops::RangeInclusive<usize> = 256..=512;

/// Verifies signatures by the host or in the VM.
#[derive(Default)]
pub(crate) struct Verifier {
    /// Found out at the first use; a host does not change.
    host_lacks_function: Cell<bool>,
}

impl SignatureVerifier for Verifier {
    fn verify(&self, token: &str, key: &VerificationKey) -> bool {
        self.check(token, key).unwrap_or(false)
    }
}

impl Verifier {
    /// `None` for a key or token of the wrong shape.
    fn check(&self, token: &str, key: &VerificationKey) -> Option<bool> {
        let (text, signature) = token.rsplit_once('.')?;
        if text.split('.').count() != 2 {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let spki = STANDARD.decode(&key.spki).ok()?;
        match key.algorithm {
            Algorithm::EdDsa => {
                (spki.strip_prefix(ED25519_PREFIX)?.len() == 32 && signature.len() == 64).then_some(())?;
                Some(ed25519_in_vm(token, &spki))
            }
            Algorithm::Es256 => {
                (spki.strip_prefix(P256_PREFIX)?.len() == 64).then_some(())?;
                let signature = ecdsa_der(&signature)?;
                let by_host = self.by_host(&spki, &signature, text);
                Some(by_host.unwrap_or_else(|| es256_in_vm(token, &spki)))
            }
            Algorithm::Rs256 => {
                (rsa_modulus(&spki)?.len() == signature.len()).then_some(())?;
                let by_host = self.by_host(&spki, &signature, text);
                Some(by_host.unwrap_or_else(|| rs256_in_vm(token, &spki)))
            }
        }
    }

    /// `None` if the host has no such function; any other failure is its verdict, so that making the host fail is no
    /// way to another judge.
    fn by_host(&self, spki: &[u8], signature: &[u8], text: &str) -> Option<bool> {
        if self.host_lacks_function.get() {
            return None;
        }
        let mut arguments = Vec::with_capacity(
            spki.len().saturating_add(signature.len()).saturating_add(text.len()).saturating_add(32),
        );
        protobuf_field(&mut arguments, 1, b"sha256");
        protobuf_field(&mut arguments, 2, spki);
        protobuf_field(&mut arguments, 3, signature);
        protobuf_field(&mut arguments, 4, text.as_bytes());
        match host::call_foreign_function(HOST_FUNCTION, Some(&arguments)) {
            // Field 1, `result`, is true, and there is no field 2, `error`.
            Ok(result) => Some(result == [0x08, 0x01]),
            Err(Status::NotFound) => {
                log::info!("the host has no {HOST_FUNCTION}: tokens are verified inside the VM");
                self.host_lacks_function.set(true);
                None
            }
            Err(status) => {
                log::warn!("the host's {HOST_FUNCTION} failed: {status:?}");
                Some(false)
            }
        }
    }
}

/// Claims are the core's business, which has judged them by the right clock: here it is 1970 and the future is fine.
fn signature_only() -> VerificationOptions {
    VerificationOptions {
        accept_future: true,
        time_tolerance: None,
        artificial_time: Some(UnixTimeStamp::from_secs(0)),
        ..VerificationOptions::default()
    }
}

fn ed25519_in_vm(token: &str, spki: &[u8]) -> bool {
    Ed25519PublicKey::from_der(spki)
        .and_then(|key| key.verify_token::<NoCustomClaims>(token, Some(signature_only())))
        .is_ok()
}

fn es256_in_vm(token: &str, spki: &[u8]) -> bool {
    ES256PublicKey::from_der(spki)
        .and_then(|key| key.verify_token::<NoCustomClaims>(token, Some(signature_only())))
        .is_ok()
}

fn rs256_in_vm(token: &str, spki: &[u8]) -> bool {
    RS256PublicKey::from_der(spki)
        .and_then(|key| key.verify_token::<NoCustomClaims>(token, Some(signature_only())))
        .is_ok()
}

/// The modulus, without its leading zero, of an RSA key with the exponent 65537; `None` for any other key.
fn rsa_modulus(spki: &[u8]) -> Option<&[u8]> {
    let key_info = der_block(spki, 0x30)?.strip_prefix(RSA_ALGORITHM)?;
    let numbers = der_block(der_block(key_info, 0x03)?.strip_prefix(&[0])?, 0x30)?;
    // A modulus of whole bytes has its highest bit set, so DER puts a zero before it.
    let modulus = der_block(numbers.strip_suffix(RSA_EXPONENT)?, 0x02)?.strip_prefix(&[0])?;
    let well_formed = RSA_MODULUS.contains(&modulus.len())
        && modulus.first().is_some_and(|byte| byte & 0x80 != 0)
        && modulus.last().is_some_and(|byte| byte & 1 == 1);
    well_formed.then_some(modulus)
}

/// The content of the one DER block with `tag` and a length of two bytes that `bytes` must be.
fn der_block(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let content = bytes.strip_prefix(&[tag, 0x82])?;
    let (length, content) = content.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    (length >= 256 && content.len() == length).then_some(content)
}

/// Turns the two 32-byte numbers of a JWS (RFC 7518, 3.4) into the DER sequence that the host reads (RFC 3279, 2.2.3).
fn ecdsa_der(signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(32)?;
    if s.len() != 32 {
        return None;
    }
    let mut numbers = Vec::with_capacity(72);
    for number in [r, s] {
        let start = number.iter().position(|byte| *byte != 0)?;
        let digits = number.get(start..)?;
        let padded = digits.first().is_some_and(|byte| byte & 0x80 != 0);
        numbers.extend([0x02, u8::try_from(digits.len()).ok()?.checked_add(u8::from(padded))?]);
        if padded {
            numbers.push(0);
        }
        numbers.extend(digits);
    }
    let mut der = vec![0x30, u8::try_from(numbers.len()).ok()?];
    der.extend(numbers);
    Some(der)
}

/// Appends a length-delimited protobuf field with a number below 16.
fn protobuf_field(message: &mut Vec<u8>, number: u8, value: &[u8]) {
    message.push((number << 3) | 2);
    let mut length = value.len();
    while length >= 0x80 {
        message.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    message.push(u8::try_from(length).unwrap_or(0));
    message.extend_from_slice(value);
}
