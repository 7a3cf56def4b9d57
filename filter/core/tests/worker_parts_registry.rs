//! Compiling the registry: look-ups, and bad rows that take nothing else down.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_filter_core::registry::Registry;
use portcullis_wire::names::Slug;
use portcullis_wire::watch::{
    self, Algorithm, IssuerEntry, PayloadPolicy, ServerEntry, Upstream, VerificationKey,
};
use wasm_bindgen_test::wasm_bindgen_test;

fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

fn server(id: &str, name: &str, authority: &str, path: &str) -> ServerEntry {
    ServerEntry {
        id: id.into(),
        slug: slug(name),
        upstream: Upstream { tls: true, authority: authority.into(), path: path.into() },
        payload: PayloadPolicy::default(),
        capture: None,
        tools: Vec::new(),
    }
}

fn key(key_id: Option<&str>, algorithm: Algorithm, filler: u8) -> VerificationKey {
    let mut der = b"\x30\x2A\x30\x05\x06\x03\x2B\x65\x70\x03\x21\x00".to_vec();
    der.resize(44, filler);
    VerificationKey { key_id: key_id.map(str::to_owned), algorithm, spki: STANDARD.encode(der) }
}

fn issuer(name: &str, keys: Vec<VerificationKey>) -> IssuerEntry {
    IssuerEntry { issuer: name.into(), keys, ..IssuerEntry::default() }
}

fn compile(servers: Vec<ServerEntry>, issuers: Vec<IssuerEntry>) -> (Registry, Vec<String>) {
    let (registry, left_out) =
        Registry::compile(watch::Registry { servers, issuers, ..Default::default() }, 7);
    (registry, left_out.into_iter().map(|entry| entry.entry).collect())
}

#[wasm_bindgen_test(unsupported = test)]
fn servers_are_found_by_their_slug() {
    let (registry, left_out) = compile(
        vec![
            server("s1", "linear", "mcp.linear.example", "/mcp"),
            server("s2", "local", "127.0.0.1:9000", "/"),
            server("s3", "six", "[::1]:9000", "/mcp?x=1&y=%20"),
        ],
        vec![],
    );
    assert_eq!((registry.revision(), left_out), (7, vec![]));
    assert_eq!(registry.server(&slug("linear")).expect("found").id, "s1");
    assert_eq!(registry.server(&slug("six")).expect("found").upstream.path, "/mcp?x=1&y=%20");
    assert!(registry.server(&slug("github")).is_none());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_bad_server_is_left_out_alone() {
    let bad = [
        ("", "mcp.example", "/mcp"),
        ("s", "", "/mcp"),
        ("s", "mcp.example/x", "/mcp"),
        ("s", "user@mcp.example", "/mcp"),
        ("s", "mcp.example:99999", "/mcp"),
        ("s", "mcp.example\r\nx: y", "/mcp"),
        ("s", "mcp.example,other.example", "/mcp"),
        ("s", "mcp example", "/mcp"),
        ("s", ":80", "/mcp"),
        ("s", "mcp.example", ""),
        ("s", "mcp.example", "mcp"),
        ("s", "mcp.example", "/mcp#x"),
        ("s", "mcp.example", "/m cp"),
        ("s", "mcp.example", "/mcp\r\nx: y"),
        ("s", "mcp.example", "/é"),
    ];
    for (id, authority, path) in bad {
        let servers = vec![server(id, "bad", authority, path), server("s1", "good", "mcp.example", "/mcp")];
        let (registry, left_out) = compile(servers, vec![]);
        assert_eq!(left_out, ["server bad"], "{authority:?} {path:?}");
        assert!(registry.server(&slug("bad")).is_none() && registry.server(&slug("good")).is_some());
    }
    let twins = vec![server("s1", "a", "one.example", "/"), server("s2", "a", "two.example", "/")];
    let (registry, left_out) = compile(twins, vec![]);
    assert_eq!(left_out, ["server a"]);
    assert_eq!(registry.server(&slug("a")).expect("the first").id, "s1");
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_are_taken_for_their_own_algorithm_only() {
    let mut not_base64 = key(Some("b64"), Algorithm::EdDsa, 1);
    not_base64.spki.push('!');
    let mut cut = key(Some("cut"), Algorithm::EdDsa, 1);
    cut.spki = STANDARD.encode(&STANDARD.decode(&cut.spki).expect("Base64")[..43]);
    let keys = vec![
        key(Some("good"), Algorithm::EdDsa, 1),
        key(Some("es"), Algorithm::Es256, 2),
        key(Some("rs"), Algorithm::Rs256, 3),
        not_base64,
        cut,
        key(Some("good"), Algorithm::EdDsa, 4),
        VerificationKey { key_id: None, algorithm: Algorithm::EdDsa, spki: String::new() },
    ];
    let (registry, left_out) = compile(vec![], vec![issuer("https://a.example", keys)]);
    let expected: Vec<String> =
        (1..7).map(|index| format!("issuer https://a.example, key {index}")).collect();
    assert_eq!(left_out, expected);
    let issuer = registry.issuer("https://a.example").expect("found");
    assert!(issuer.key(Some("good"), Algorithm::EdDsa).is_some());
    assert!(issuer.key(None, Algorithm::EdDsa).is_some(), "the only one that is left");
    assert!(issuer.key(Some("es"), Algorithm::Es256).is_none());
    assert!(registry.issuer("https://A.example").is_none());
}

#[wasm_bindgen_test(unsupported = test)]
fn issuers_need_a_name_of_their_own() {
    let twins = vec![
        issuer("i", vec![key(None, Algorithm::EdDsa, 1)]),
        issuer("i", vec![key(None, Algorithm::EdDsa, 2)]),
        issuer("", vec![]),
    ];
    let (_, left_out) = compile(vec![], twins);
    assert_eq!(left_out, ["issuer i", "issuer "]);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_digest_of_the_issuers_changes_with_anything_of_theirs_and_nothing_else() {
    let plain = || issuer("i", vec![key(Some("k"), Algorithm::EdDsa, 1)]);
    let digest = |servers, issuers| compile(servers, issuers).0.issuers_digest();
    let before = digest(vec![], vec![plain()]);
    assert_eq!(before, digest(vec![server("s1", "a", "mcp.example", "/")], vec![plain()]));
    let edits: [fn(&mut IssuerEntry); 12] = [
        |issuer| issuer.issuer = "j".into(),
        |issuer| issuer.audiences = vec!["a".into()],
        |issuer| issuer.require_at_jwt = true,
        |issuer| issuer.workspace_claim = Some(String::new()),
        |issuer| issuer.claims = vec!["groups".into()],
        |issuer| issuer.accepts_resource = true,
        |issuer| issuer.clock_tolerance = Some(30),
        |issuer| issuer.introspected = true,
        |issuer| issuer.gateway = true,
        |issuer| issuer.keys[0].key_id = None,
        |issuer| issuer.keys[0] = key(Some("k"), Algorithm::EdDsa, 2),
        |issuer| issuer.keys.clear(),
    ];
    for (index, edit) in edits.into_iter().enumerate() {
        let mut changed = plain();
        edit(&mut changed);
        assert_ne!(before, digest(vec![], vec![changed]), "edit {index}");
    }
}
