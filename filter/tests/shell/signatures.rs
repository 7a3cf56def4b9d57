//! Who verifies a token, and how: by requests that carry one.

use crate::fake_host::{self as host, PAUSE};
use crate::gateway::{ROOT, calls, marked, post_headers, replies, start, take_call};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jwt_simple::prelude::{
    Claims, Duration, ECDSAP256KeyPairLike as _, ES256KeyPair, Ed25519KeyPair, EdDSAKeyPairLike as _,
    JWTClaims, NoCustomClaims, RS256KeyPair, RSAKeyPairLike as _, UnixTimeStamp,
};
use serde_json::{Value, json};

const VERIFIED: &[u8] = &[0x08, 0x01];
const NOT_VERIFIED: &[u8] = b"\x12\x05wrong";

fn claims() -> JWTClaims<NoCustomClaims> {
    let now = Duration::from_millis(host::with(|host| host.now_ms));
    let mut claims = Claims::create(Duration::from_secs(300))
        .with_issuer("https://idp.example")
        .with_subject("ada")
        .with_audience("https://gateway.example/demo/mcp");
    claims.issued_at = Some(UnixTimeStamp::from_secs(now.as_secs()));
    claims.invalid_before = None;
    claims.expires_at = Some(UnixTimeStamp::from_secs(now.as_secs() + 300));
    claims
}

/// A gateway that trusts one issuer with one key.
fn trust(algorithm: &str, spki: &[u8]) {
    start();
    host::tick(ROOT);
    let registry = json!({
        "servers": [{
            "id": "server-1",
            "slug": "demo",
            "upstream": {"tls": true, "authority": "mcp.example", "path": "/mcp"}
        }],
        "issuers": [{
            "issuer": "https://idp.example",
            "keys": [{"algorithm": algorithm, "spki": STANDARD.encode(spki)}]
        }]
    });
    answer_watch(&take_call("/v1/watch"), registry);
}

fn answer_watch(call: &host::Call, registry: Value) {
    let now_ms = host::with(|host| host.now_ms);
    let mut reply = json!({"cursor": 5, "now_ms": now_ms, "hold_ms": 1000});
    if !registry.is_null() {
        reply["registry"] = registry;
    }
    host::answer(call, Some(marked(&reply)));
}

/// Whether a request with this token gets as far as asking for a lease; otherwise it is answered with 401.
fn accepted(id: u32, token: &str) -> bool {
    let mut headers = post_headers();
    headers.retain(|(name, _)| name != b"authorization");
    headers.push((b"authorization".to_vec(), format!("Bearer {token}").into_bytes()));
    host::create_stream(id, ROOT);
    assert_eq!(host::request_headers(id, headers, false), PAUSE);
    let refused = replies(id);
    host::tick(ROOT);
    let asked = calls("/v1/leases");
    assert_eq!(refused.is_empty(), !asked.is_empty(), "{refused:?} {asked:?}");
    assert!(refused.iter().all(|(status, _)| *status == 401), "{refused:?}");
    host::end(id);
    for call in &asked {
        host::answer(call, None);
    }
    !asked.is_empty()
}

/// The token with one byte of its signature changed.
fn tampered(token: &str) -> String {
    let (text, signature) = token.rsplit_once('.').expect("three parts");
    let mut signature = URL_SAFE_NO_PAD.decode(signature).expect("Base64");
    signature[20] ^= 1;
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The fields of a protobuf message that has only fields of bytes.
fn protobuf_fields(mut message: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut fields = Vec::new();
    while let [key, rest @ ..] = message {
        assert_eq!(key & 7, 2);
        let (mut length, mut shift, mut rest) = (0, 0, rest);
        loop {
            let byte = rest[0];
            rest = &rest[1..];
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        fields.push((key >> 3, rest[..length].to_vec()));
        message = &rest[length..];
    }
    fields
}

/// The two numbers of a DER signature, as a JWS spells them.
fn jws_numbers(der: &[u8]) -> Vec<u8> {
    assert_eq!((der[0], usize::from(der[1])), (0x30, der.len() - 2));
    let mut numbers = Vec::new();
    let mut rest = &der[2..];
    while !rest.is_empty() {
        let length = usize::from(rest[1]);
        let digits = &rest[2..2 + length];
        assert!(rest[0] == 0x02 && digits[0] & 0x80 == 0, "a positive integer");
        assert!(length == 1 || digits[0] != 0 || digits[1] & 0x80 != 0, "no needless zero");
        let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
        numbers.extend(std::iter::repeat_n(0, 32 - digits.len()).chain(digits.iter().copied()));
        rest = &rest[2 + length..];
    }
    numbers
}

#[test]
fn the_host_is_asked_in_its_own_terms() {
    let pair = ES256KeyPair::generate();
    let spki = pair.public_key().to_der().expect("a key");
    trust("ES256", &spki);
    host::with(|host| host.verifies = Some(VERIFIED.to_vec()));
    // Enough signatures for numbers with their highest bit set and with leading zeros.
    for round in 0..300_u32 {
        let token = pair.sign(claims().with_jwt_id(round)).expect("signs");
        assert!(accepted(100 + round, &token));
        let (text, signature) = token.rsplit_once('.').expect("three parts");
        let asked = host::with(|host| host.verified.pop()).expect("the host was asked");
        let fields = protobuf_fields(&asked);
        let [(1, hash), (2, key), (3, der), (4, signed)] = fields.as_slice() else { panic!("{fields:?}") };
        assert_eq!((hash.as_slice(), key, signed.as_slice()), (b"sha256".as_slice(), &spki, text.as_bytes()));
        assert_eq!(jws_numbers(der), URL_SAFE_NO_PAD.decode(signature).expect("Base64"));
        // Time goes on, because verifications are rationed, and so does the watch, because silence would end it all.
        host::with(|host| host.now_ms += 1000);
        for call in calls("/v1/watch") {
            answer_watch(&call, json!(null));
        }
    }
}

#[test]
fn the_host_s_verdict_is_final() {
    let pair = ES256KeyPair::generate();
    trust("ES256", &pair.public_key().to_der().expect("a key"));
    let token = |id: u32| pair.sign(claims().with_jwt_id(id)).expect("signs");
    let verdicts = [NOT_VERIFIED, b"", b"\x08\x00", b"\x08\x01\x12\x01x", b"\x08\x02"];
    for (id, verdict) in (11..).zip(verdicts) {
        host::with(|host| host.verifies = Some(verdict.to_vec()));
        assert!(!accepted(id, &token(id)), "{verdict:?}");
    }
    for (id, status) in (20..).zip([2, 3, 6, 10, 12, 99]) {
        host::with(|host| host.fails.insert("proxy_call_foreign_function", status));
        assert!(!accepted(id, &token(id)), "{status}");
    }
    host::with(|host| {
        host.fails.clear();
        host.verifies = Some(VERIFIED.to_vec());
    });
    assert!(accepted(30, &token(30)), "the host is asked again");
}

#[test]
fn without_the_host_s_function_the_module_verifies() {
    let pair = ES256KeyPair::generate();
    trust("ES256", &pair.public_key().to_der().expect("a key"));
    let token = pair.sign(claims()).expect("signs");
    assert!(!accepted(11, &tampered(&token)));
    assert!(accepted(12, &token));
    assert_eq!(host::with(|host| host.verified.len()), 1, "the host is asked once what it lacks");
    let strangers = ES256KeyPair::generate().sign(claims()).expect("signs");
    assert!(!accepted(13, &strangers));
}

#[test]
fn rs256_either_way() {
    let pair = RS256KeyPair::generate(2048).expect("a key");
    trust("RS256", &pair.public_key().to_der().expect("a key"));
    let token = pair.sign(claims()).expect("signs");
    host::with(|host| host.verifies = Some(VERIFIED.to_vec()));
    assert!(accepted(11, &token));
    let fields = protobuf_fields(&host::with(|host| host.verified.pop()).expect("the host was asked"));
    let signature = token.rsplit_once('.').expect("three parts").1;
    assert_eq!(fields[2].1, URL_SAFE_NO_PAD.decode(signature).expect("Base64"));
    host::with(|host| host.verifies = None);
    assert!(!accepted(12, &tampered(&token)));
    assert!(accepted(13, &pair.sign(claims().with_jwt_id("other")).expect("signs")));
}

#[test]
fn eddsa_is_not_for_the_host() {
    let pair = Ed25519KeyPair::generate();
    trust("EdDSA", &pair.public_key().to_der());
    host::with(|host| host.verifies = Some(VERIFIED.to_vec()));
    let token = pair.sign(claims()).expect("signs");
    assert!(!accepted(11, &tampered(&token)));
    assert!(accepted(12, &token));
    assert_eq!(host::with(|host| host.verified.len()), 0);
}

#[test]
fn a_key_of_another_shape_verifies_nothing() {
    let pair = ES256KeyPair::generate();
    let spki = pair.public_key().to_der().expect("a key");
    let mut compressed = spki.clone();
    compressed[26] = 0x02;
    let mut longer = spki.clone();
    longer.push(0);
    for (root_salt, key) in [compressed, longer, spki[..90].to_vec(), Vec::new()].into_iter().enumerate() {
        std::thread::spawn({
            let token = pair.sign(claims()).expect("signs");
            move || {
                trust("ES256", &key);
                host::with(|host| host.verifies = Some(VERIFIED.to_vec()));
                assert!(!accepted(11, &token), "key {root_salt}");
            }
        })
        .join()
        .expect("passes");
    }
}

/// The order of the base point of Ed25519, little endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[test]
fn a_signature_of_ed25519_has_one_spelling() {
    let pair = Ed25519KeyPair::generate();
    trust("EdDSA", &pair.public_key().to_der());
    let token = pair.sign(claims()).expect("signs");
    let (text, signature) = token.rsplit_once('.').expect("three parts");
    let mut signature = URL_SAFE_NO_PAD.decode(signature).expect("Base64");
    let mut carry = 0_u16;
    for (digit, order) in signature[32..].iter_mut().zip(ORDER) {
        carry += u16::from(*digit) + u16::from(order);
        *digit = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    assert_eq!(carry, 0, "still 32 bytes");
    assert!(!accepted(11, &format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))));
    assert!(accepted(12, &token));
}

#[test]
fn an_ed25519_key_of_small_order_verifies_nothing() {
    let identity: [u8; 32] = std::array::from_fn(|index| u8::from(index == 0));
    let spki = [b"\x30\x2A\x30\x05\x06\x03\x2B\x65\x70\x03\x21\x00".as_slice(), &identity].concat();
    trust("EdDSA", &spki);
    let token = Ed25519KeyPair::generate().sign(claims()).expect("signs");
    let (text, _) = token.rsplit_once('.').expect("three parts");
    // R the neutral element and S zero: good for every text, if the key were taken.
    let signature = URL_SAFE_NO_PAD.encode([identity, [0; 32]].concat());
    assert!(!accepted(11, &format!("{text}.{signature}")));
}
