//! What the access log holds of a payload; natively and on wasm32.

use portcullis_filter_core::payload::{self, Capture, View};
use portcullis_wire::watch::PayloadPolicy::{self, Digest, Full, Off, Redacted};
use wasm_bindgen_test::wasm_bindgen_test;

const DEFAULT_LIMIT: usize = 4096;

fn excerpt(policy: PayloadPolicy, payload: &[u8], limit: usize) -> Option<String> {
    payload::excerpt(&View::new(policy, limit), payload).map(|excerpt| excerpt.text)
}

fn text(capture: &Capture) -> Option<String> {
    capture.excerpt().map(|excerpt| excerpt.text)
}

fn redacted(payload: &str) -> String {
    excerpt(Redacted, payload.as_bytes(), DEFAULT_LIMIT).expect("not empty")
}

#[wasm_bindgen_test(unsupported = test)]
fn each_policy_shows_what_it_says() {
    let payload = br#"{"password":"hunter2"}"#;
    let digest = "sha256:6d012d4ed96a47f45ef44b9b5f4fdd9dd0b4d6d1a38ba48c7b23d6d7d1ad5a8b";
    assert_eq!(excerpt(Off, payload, 100), None);
    let shown = excerpt(Digest, payload, 100).expect("a digest");
    assert_eq!((shown.len(), &shown[..7], &shown[71..]), (digest.len() + 3, "sha256:", " 22"));
    assert_eq!(excerpt(Redacted, payload, 100).as_deref(), Some(r#"{"password":"[redacted]"}"#));
    assert_eq!(excerpt(Full, payload, 100).as_deref(), Some(r#"{"password":"hunter2"}"#));
    assert_eq!(excerpt(Full, b"", 100), None);
    // SHA-256 of "abc", FIPS 180-4.
    let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3";
    assert_eq!(excerpt(Digest, b"abc", 100).as_deref(), Some(abc));
}

#[wasm_bindgen_test(unsupported = test)]
fn secret_keys_hide_their_values() {
    for key in [
        "password",
        "db_passwd",
        "client_secret",
        "clientSecret",
        "access-token",
        "API_KEY",
        "apiKey",
        "Authorization",
        "credentials",
        "private_key",
        "Set-Cookie",
        "sessionId",
        "pass\\u0077ord",
    ] {
        for value in [r#""x""#, r#"{"deep":["x"]}"#, r#"["x",{"}":"\"]"}]"#] {
            let shown = redacted(&format!(r#"{{"{key}" : {value}, "z":1}}"#));
            assert_eq!(shown, format!(r#"{{"{key}" : "[redacted]", "z":1}}"#));
        }
    }
    assert_eq!(
        redacted(r#"{"password":123456,"secret":null}"#),
        r#"{"password":"[redacted]","secret":null}"#
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_that_only_sound_secret_show_their_values() {
    for payload in [
        r#"{"_meta":{"progressToken":"abc-1"},"cursor":"b2Zmc2V0","nextCursor":""}"#,
        r#"{"maxTokens":1000,"input_tokens" : 12, "session":true}"#,
        r#"{"name":"create_issue","arguments":{"title":"The token: see below","key":"PROJ-1"}}"#,
        r#"{"name":"a","value":"b","description":"Bearer of news, basic skills, task-management"}"#,
        "  [ 1, -2.5e3, \"\\u00e9\\/\\\"\", {}, [], null ]\n",
    ] {
        assert_eq!(redacted(payload), payload);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn credentials_are_recognised_in_texts() {
    for secret in [
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "Bearer abcdefgh12345",
        "basic dXNlcjpwYXNzd29yZA==",
        "pcl_live_0123456789_abcdefghijklmnop",
        "ghp_0123456789abcdef",
        "github_pat_0123456789abcdef",
        "xoxb-123456789-abc",
        "sk-proj-0123456789abcdef",
        "lin_api_0123456789",
        "ntn_0123456789abc",
        "AKIAIOSFODNN7EXAMPLE",
    ] {
        let shown = redacted(&format!(r#"["see {secret}, é","({secret})"]"#));
        assert_eq!(shown, r#"["see [redacted], é","([redacted])"]"#, "{secret}");
    }
    let key = r#"["a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb"]"#;
    assert_eq!(redacted(key), r#"["a\n[redacted]\nb"]"#);
    let public = r#"["-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----"]"#;
    assert_eq!(redacted(public), public);
}

#[wasm_bindgen_test(unsupported = test)]
fn assignments_in_texts_hide_their_values() {
    for (text, shown) in [
        ("DB_PASSWORD=hunter2 psql", "DB_PASSWORD=[redacted] psql"),
        ("api_key: abc, next", "api_key: [redacted], next"),
        ("https://x/?access_token=abcdefgh&y=1", "https://x/?access_token=[redacted]&y=1"),
        ("Authorization: token abc def\nHost: x", "Authorization: [redacted]\nHost: x"),
        ("Cookie: a=b; c=d", "Cookie: [redacted]"),
        ("secret: Bearer abcdefgh!", "secret: [redacted]!"),
        ("{'password': 'hunter2'}", "{'password': '[redacted]'}"),
    ] {
        let json = |text: &str| serde_json::to_string(&[text]).expect("writes");
        assert_eq!(redacted(&json(text)), json(shown));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn documents_inside_strings_and_header_lists_are_looked_into() {
    assert_eq!(
        redacted(r#"{"text":"{\"user\":\"a\",\"credentials\":{\"id\":\"b\",\"x\":1}}"}"#),
        r#"{"text":"{\"user\":\"a\",\"credentials\":\"[redacted]\"}"}"#
    );
    assert_eq!(
        redacted(r#"[{"name":"X-Api-Key","value":"abc"},{"name":"a","value":"abc"}]"#),
        r#"[{"name":"X-Api-Key","value":"[redacted]"},{"name":"a","value":"abc"}]"#
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn long_payloads_are_cut_between_characters_and_marked() {
    let payload = format!(r#"["{}"]"#, "é".repeat(6000));
    for policy in [Redacted, Full] {
        let shown = excerpt(policy, payload.as_bytes(), DEFAULT_LIMIT).expect("not empty");
        assert!(shown.starts_with("[\"éé") && shown.ends_with("é…[truncated, 12004 bytes]"), "{shown}");
        assert!((DEFAULT_LIMIT - 1..=DEFAULT_LIMIT).contains(&shown.len()), "{}", shown.len());
    }
    // A secret at the edge is hidden although its end is far away.
    for secret in ["eyJ", "ghp_", "-----BEGIN PRIVATE KEY-----", "Bearer "] {
        let payload = format!(r#"["{} {secret}{}"]"#, "x".repeat(60), "s3cret".repeat(100_000));
        let shown = excerpt(Redacted, payload.as_bytes(), 100).expect("not empty");
        assert!(!shown.contains("s3c"), "{shown}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_not_json_becomes_a_digest() {
    for payload in [
        &b"<html>"[..],
        b"{",
        b"{\"a\":1} x",
        b"{\"a\" 1}",
        b"[1,]",
        b"[1 2]",
        b"{\"a\"}",
        b"]",
        b"[\"\xFF\"]",
        b"[\"\n\"]",
        b"[tru]",
        b"{\"password\":{",
        b"\x1F\x8B\x08",
        b"[\"\\x\"]",
        b" ",
    ] {
        let shown = excerpt(Redacted, payload, DEFAULT_LIMIT).expect("not empty");
        assert!(shown.starts_with("sha256:"), "{payload:?}: {shown}");
    }
    assert_eq!(excerpt(Full, b"a\xFFb", 100).as_deref(), Some("a\u{FFFD}b"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_payload_in_chunks_is_bounded() {
    let mut json = Capture::new(View::new(Redacted, 100));
    let mut noise = Capture::new(View::new(Redacted, 100));
    let mut digest = Capture::new(View::new(Digest, 100));
    json.push(b"[", usize::MAX);
    for _ in 0..400 {
        json.push(&b"1234567,".repeat(128), usize::MAX);
        noise.push(&[0xFF; 1024], usize::MAX);
        digest.push(&[b'a'; 2500], usize::MAX);
    }
    assert!(json.whole().is_none());
    let shown = text(&json).expect("not empty");
    assert!(
        shown.starts_with("[1234567,1234567,") && shown.ends_with("…[truncated, 409601 bytes]"),
        "{shown}"
    );
    assert_eq!(text(&noise).as_deref(), Some("[unreadable, 409600 bytes]"));
    // SHA-256 of a million times "a", FIPS 180-4.
    let million = "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0 1000000";
    assert_eq!(text(&digest).as_deref(), Some(million));
    assert_eq!(text(&Capture::new(View::new(Off, 100))), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn texts_made_to_be_slow_are_not() {
    for piece in
        ["a-", "-", "eyJ-", "eyJa.", "sk-", "token=1 ", "{\\\"", "-----BEGIN ", "Bearer ", "[", "\\\\"]
    {
        let payload = format!(r#"["{}"]"#, piece.repeat(200_000));
        let shown = excerpt(Redacted, payload.as_bytes(), DEFAULT_LIMIT).expect("not empty");
        assert!(shown.len() <= DEFAULT_LIMIT, "{piece}: {}", shown.len());
    }
}
