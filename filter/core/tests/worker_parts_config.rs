//! The plugin configuration: what is accepted, what is assumed, and that every mistake is named.

use portcullis_filter_core::config::{BodyGate, Config, OtherPaths, TokenService};
use portcullis_filter_core::origin::{AllowedHost, AllowedSources};
use wasm_bindgen_test::wasm_bindgen_test;

const LEAST: &str = r#"{
    "config_version": 1,
    "public_url": "https://gateway.example",
    "token_service": {"cluster": "token-service", "authority": "token-service.internal"}
}"#;

const COMPLETE: &str = r#"{
    "config_version": 1,
    "public_url": "https://gateway.example:8443/",
    "token_service": {"cluster": "ts", "authority": "ts.internal:9000", "timeout_ms": 500},
    "body_gate": "hold",
    "allowed_hosts": ["gateway.example:8443", "[::1]"],
    "allowed_origins": ["https://app.example", "http://localhost:6274", "vscode-webview://panel"],
    "replay_cluster": "once-more",
    "max_request_bytes": 1048576,
    "max_event_bytes": 65536,
    "max_list_bytes": 2097152,
    "max_held_bytes": 8388608,
    "staleness_budget_ms": 0,
    "startup_wait_ms": 0,
    "max_leases": 1,
    "max_verified_tokens": 2,
    "verifications_per_second": 3,
    "guesses_per_minute": 7
}"#;

fn hosts(list: &[&str]) -> Vec<AllowedHost> {
    list.iter().map(|host| AllowedHost::parse(host).expect("a host")).collect()
}

/// The keys of all problems, in the order of the report, and the report.
fn problems(json: &str) -> (Vec<String>, String) {
    let problems = Config::read(json.as_bytes()).expect_err(json);
    (problems.0.iter().map(|problem| problem.key.clone()).collect(), problems.to_string())
}

/// The least configuration with one more member, or with another value for one.
fn with(key: &str, value: &str) -> String {
    let mut root: serde_json::Value = serde_json::from_str(LEAST).expect("JSON");
    root[key] = serde_json::from_str(value).expect("JSON");
    root.to_string()
}

#[wasm_bindgen_test(unsupported = test)]
fn the_least_configuration_and_its_defaults() {
    assert_eq!(
        Config::read(LEAST.as_bytes()),
        Ok(Config {
            body_gate: BodyGate::Hold,
            other_paths: OtherPaths::Refuse,
            public_url: "https://gateway.example".into(),
            token_service: TokenService {
                cluster: "token-service".into(),
                authority: "token-service.internal".into(),
                timeout_ms: 800,
            },
            replay_cluster: "replay".into(),
            allowed: AllowedSources {
                hosts: hosts(&["gateway.example"]),
                origins: vec!["https://gateway.example".into()],
            },
            max_request_bytes: 4 * 1024 * 1024,
            max_event_bytes: 1024 * 1024,
            max_list_bytes: 8 * 1024 * 1024,
            max_held_bytes: 16 * 1024 * 1024,
            staleness_budget_ms: 60_000,
            startup_wait_ms: 2_000,
            max_leases: 10_000,
            max_verified_tokens: 10_000,
            verifications_per_second: 50,
            guesses_per_minute: 100,
        })
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn the_complete_configuration() {
    let config = Config::read(COMPLETE.as_bytes()).expect("good");
    assert_eq!(config.public_url, "https://gateway.example:8443");
    assert_eq!(config.token_service.timeout_ms, 500);
    assert_eq!(config.replay_cluster, "once-more");
    assert_eq!(config.allowed.hosts, hosts(&["gateway.example:8443", "[::1]"]));
    assert_eq!(
        config.allowed.origins,
        ["https://app.example", "http://localhost:6274", "vscode-webview://panel"]
    );
    assert_eq!((config.max_request_bytes, config.max_event_bytes), (1_048_576, 65_536));
    assert_eq!((config.max_list_bytes, config.staleness_budget_ms), (2_097_152, 0));
    assert_eq!((config.startup_wait_ms, config.max_leases), (0, 1));
    assert_eq!((config.max_verified_tokens, config.verifications_per_second), (2, 3));
    assert_eq!(config.guesses_per_minute, 7);
}

#[wasm_bindgen_test(unsupported = test)]
fn every_problem_is_named_at_once() {
    let (keys, report) = problems(
        r#"{
            "config_version": 2,
            "public_url": "http://gateway.example",
            "token_service": {"cluster": "", "timeout_ms": "800", "host": "x"},
            "body_gate": "wait",
            "other_paths": true,
            "replay_cluster": "upstream_{name}",
            "allowed_hosts": ["https://gateway.example", 7, "fine.example"],
            "allowed_origins": ["https://App.example", "null", "*"],
            "max_request_bytes": -1,
            "max_lease": 5
        }"#,
    );
    assert_eq!(
        keys,
        [
            "config_version",
            "body_gate",
            "other_paths",
            "public_url",
            "token_service.cluster",
            "token_service.authority",
            "token_service.timeout_ms",
            "token_service.host",
            "replay_cluster",
            "allowed_hosts[0]",
            "allowed_hosts[1]",
            "allowed_origins[0]",
            "allowed_origins[1]",
            "allowed_origins[2]",
            "max_request_bytes",
            "max_lease",
        ]
    );
    for part in [
        "this filter reads version 1 only",
        "has to be `hold` or `stream`",
        "token_service.authority: is missing",
        "write `https://app.example`",
        "has to be a whole number from 1024 to",
        "max_lease: is unknown; the keys here are config_version, ",
    ] {
        assert!(report.contains(part), "{part} in:\n{report}");
    }
    assert_eq!(report.lines().count(), 17, "{report}");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_object_at_all() {
    for json in ["", "null", "[]", "{", "\"x\"", "{} {}", r#"{"config_version":1,"config_version":1}"#] {
        assert_eq!(problems(json).0, [""], "{json}");
    }
    assert_eq!(problems("{}").0, ["config_version", "public_url", "token_service"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn public_urls() {
    for (text, url) in [
        ("https://gateway.example", "https://gateway.example"),
        ("https://Gateway.Example:443/", "https://gateway.example"),
        ("http://127.0.0.1:10000", "http://127.0.0.1:10000"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://gw.localhost", "http://gw.localhost"),
        ("http://[::1]:80", "http://[::1]"),
    ] {
        let config = Config::read(with("public_url", &format!("\"{text}\"")).as_bytes()).expect(text);
        assert_eq!((config.public_url.as_str(), config.allowed.origins), (url, vec![url.to_owned()]));
    }
    for value in [
        "\"\"",
        "\"gateway.example\"",
        "\"https://\"",
        "\"https://gateway.example/mcp\"",
        "\"https://gateway.example?x\"",
        "\"https://gateway.example#x\"",
        "\"https://user@gateway.example\"",
        "\"http://gateway.example\"",
        "\"http://notlocalhost\"",
        "\"ftp://localhost\"",
        "\"data:x\"",
        "null",
        "1",
    ] {
        assert_eq!(problems(&with("public_url", value)).0, ["public_url"], "{value}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn bounds() {
    for (key, good, bad) in [
        ("staleness_budget_ms", vec!["0", "300000"], vec!["300001", "-1", "1.5", "1e3", "null", "\"1\""]),
        ("startup_wait_ms", vec!["0", "10000"], vec!["10001"]),
        ("max_leases", vec!["1", "20000"], vec!["0", "20001"]),
        ("max_verified_tokens", vec!["1", "20000"], vec!["0", "20001"]),
        ("verifications_per_second", vec!["1"], vec!["0", "4294967296"]),
        ("guesses_per_minute", vec!["0", "1000000"], vec!["1000001", "-1"]),
        ("max_request_bytes", vec!["1024", "16777216"], vec!["1023", "16777217", "18446744073709551616"]),
        ("body_gate", vec!["\"hold\"", "\"stream\""], vec!["\"Hold\"", "\"\"", "null", "true"]),
        ("other_paths", vec!["\"refuse\"", "\"pass\""], vec!["\"Pass\"", "[]", "true"]),
        (
            "replay_cluster",
            vec!["\"replay\"", "\"outbound|{port}||{host}\""],
            vec!["\"\"", "\"{Host}\"", "\"a{\"", "\"{host} {port}\"", "1"],
        ),
        ("allowed_hosts", vec!["[\"a\"]"], vec!["[]", "\"a\"", "null", "{}"]),
        ("allowed_origins", vec!["[]"], vec!["\"a\"", "null"]),
    ] {
        for value in good {
            assert!(Config::read(with(key, value).as_bytes()).is_ok(), "{key}: {value}");
        }
        for value in bad {
            assert_eq!(problems(&with(key, value)).0, [key], "{key}: {value}");
        }
    }
    for (key, value) in [
        ("allowed_hosts", "*"),
        ("allowed_hosts", "*.example"),
        ("allowed_hosts", "a/b"),
        ("allowed_hosts", ""),
        ("allowed_origins", "null"),
        ("allowed_origins", "https://app.example/"),
        ("allowed_origins", "https://app.example:443"),
        ("allowed_origins", "app.example"),
        ("allowed_origins", "file:///"),
    ] {
        assert_eq!(
            problems(&with(key, &format!("[\"{value}\"]"))).0,
            [format!("{key}[0]")],
            "{key}: {value}"
        );
    }
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(json in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(Config::read(&json).is_err());
        }

        #[test]
        fn a_refusal_names_a_problem(key in "[a-z_]{1,24}", value in "[0-9\"{}:,a-z\\[\\]]{0,12}") {
            let json = format!("{},\"{key}\":{value}}}", LEAST.trim_end().trim_end_matches('}'));
            if let Err(problems) = Config::read(json.as_bytes()) {
                prop_assert!(!problems.0.is_empty());
            }
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cluster_for_each_upstream() {
    let config =
        Config::read(with("replay_cluster", "\"outbound|{port}||{host}\"").as_bytes()).expect("good");
    assert!(config.replays_directly());
    for (authority, is_tls, cluster) in [
        ("mcp.example", true, "outbound|443||mcp.example"),
        ("mcp.example", false, "outbound|80||mcp.example"),
        ("mcp.example:8443", true, "outbound|8443||mcp.example"),
        ("[::1]", false, "outbound|80||[::1]"),
        ("[::1]:8080", false, "outbound|8080||[::1]"),
    ] {
        assert_eq!(config.replay_cluster_of(authority, is_tls), cluster);
    }
    let shared = Config::read(with("replay_cluster", "\"replay\"").as_bytes()).expect("good");
    assert!(!shared.replays_directly());
    assert_eq!(shared.replay_cluster_of("mcp.example", true), "replay");
}
