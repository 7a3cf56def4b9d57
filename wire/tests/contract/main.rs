//! The contract between versions: what this one says is what is recorded, what any has said can be read, and what a later
//! one may add is survived or refused, never passed over.
#![cfg(not(target_family = "wasm"))]

mod additions;
mod recorded;
mod samples;

use std::collections::BTreeMap;

use additions::with_unknown_fields;
use portcullis_wire::api_key::ApiKey;
use portcullis_wire::catalogue::ListsChanged;
use portcullis_wire::decision::DeniedRequest;
use portcullis_wire::lease::{LeaseReply, LeaseRequest};
use portcullis_wire::payload::Capture;
use portcullis_wire::secret::SecretText;
use portcullis_wire::session;
use portcullis_wire::unconnected::{OpenState, OpenedState, SessionReply, SessionRequest};
use portcullis_wire::watch::{Invalidation, PayloadPolicy, WatchQuery, WatchReply};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const REMEDY: &str = "if the change is meant, record it: `make contract`, and see wire/README.md";

fn read<T: DeserializeOwned>(message: &Value) -> Result<T, String> {
    // From text, as it comes.
    serde_json::from_str(&message.to_string()).map_err(|error| error.to_string())
}

/// Reads a message by its type, and writes it again.
fn read_back(name: &str, message: &Value) -> Result<Value, String> {
    fn pass<T: DeserializeOwned + Serialize>(message: &Value) -> Result<Value, String> {
        serde_json::to_value(read::<T>(message)?).map_err(|error| error.to_string())
    }
    match name {
        "lease_request" => pass::<LeaseRequest>(message),
        "lease_reply" => pass::<LeaseReply>(message),
        "watch_query" => pass::<WatchQuery>(message),
        "watch_reply" => pass::<WatchReply>(message),
        "open_state" => pass::<OpenState>(message),
        "opened_state" => pass::<OpenedState>(message),
        "session_request" => pass::<SessionRequest>(message),
        "session_reply" => pass::<SessionReply>(message),
        "lists_changed" => pass::<ListsChanged>(message),
        other => panic!("no message is called {other}"),
    }
}

#[test]
fn this_version_says_what_is_recorded() {
    let version = env!("CARGO_PKG_VERSION");
    let recorded = recorded::messages().into_iter().filter(|(of, ..)| of == version);
    let recorded: BTreeMap<String, recorded::Forms> =
        recorded.map(|(_, name, forms)| (name, forms)).collect();
    let said: BTreeMap<String, recorded::Forms> =
        samples::all().into_iter().map(|(name, forms)| (name.to_owned(), forms)).collect();
    let names = |of: &BTreeMap<String, recorded::Forms>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&said), names(&recorded), "messages of {version}; {REMEDY}");
    for (name, forms) in &said {
        assert_eq!(Some(forms), recorded.get(name), "{name} of {version}; {REMEDY}");
    }
}

#[test]
fn what_any_version_has_said_is_read() {
    for (version, name, forms) in recorded::messages() {
        for (form, message) in forms {
            if name == "spellings" {
                continue;
            }
            let read =
                read_back(&name, &message).unwrap_or_else(|why| panic!("{version} {name} {form}: {why}"));
            if version == env!("CARGO_PKG_VERSION") {
                assert_eq!(read, message, "{version} {name} {form}");
            }
        }
    }
}

#[test]
fn what_any_version_has_spelt_is_understood() {
    for (version, _, forms) in recorded::messages().into_iter().filter(|(_, name, _)| name == "spellings") {
        let key = &forms["api_key"];
        let parsed = ApiKey::parse(key["text"].as_str().expect("a key")).expect("a key that is spelt right");
        assert_eq!(json!(parsed.digest), key["digest"], "{version}");
        let bound = forms["bound_session"].as_str().expect("a session");
        let session = session::unbind(&SecretText::new("session-key".into()), bound);
        assert_eq!(session, Some("upstream-session"), "{version}");
        for decision in forms["decisions"].as_array().expect("decisions") {
            let denied = DeniedRequest::read(decision.as_str().expect("an id")).expect("a decision id");
            assert_eq!((denied.status, denied.revision), (200, Some(42)), "{version}");
        }
    }
}

/// Where an unknown field may be a restriction: the message is refused as a whole.
fn takes_away(name: &str, place: &str) -> bool {
    let within =
        |parts: &[&str]| parts.iter().any(|part| place == *part || place.starts_with(&format!("{part}/")));
    match name {
        "lease_reply" => within(&["/policy", "/limits", "/terms"]),
        "lease_request" | "open_state" | "session_request" => within(&["/proof"]),
        _ => false,
    }
}

/// Where an unknown field may be a restriction that concerns one entry: that entry alone is left out.
fn is_an_entry(name: &str, place: &str) -> bool {
    let is_capture = place.contains("/capture");
    name == "watch_reply" && (place.starts_with("/registry/issuers/") || is_capture)
}

#[test]
fn what_a_later_version_adds_is_skipped_or_refused() {
    let (mut skipped, mut refused) = (0, 0);
    for (version, name, forms) in recorded::messages() {
        for (form, message) in forms.iter().filter(|_| name != "spellings") {
            let as_it_was = read_back(&name, message).expect("reads");
            for (place, added) in with_unknown_fields(message) {
                let at = format!("{version} {name} {form} with a new field in {place:?}");
                // A claim is data, whatever its name.
                if place.starts_with("/proof/claims") || is_an_entry(&name, &place) {
                    continue;
                }
                let read = read_back(&name, &added);
                if takes_away(&name, &place) {
                    assert!(read.is_err(), "{at}");
                    refused += 1;
                } else {
                    assert_eq!(read.as_ref(), Ok(&as_it_was), "{at}");
                    skipped += 1;
                }
            }
        }
    }
    assert!(skipped > 50 && refused > 50, "{skipped} were skipped, {refused} refused");
}

fn watch_replies() -> Vec<(String, Value)> {
    let replies = recorded::messages().into_iter().filter(|(_, name, _)| name == "watch_reply");
    replies
        .flat_map(|(version, _, forms)| {
            forms.into_iter().map(move |(form, reply)| (format!("{version} {form}"), reply))
        })
        .collect()
}

#[test]
fn an_entry_of_the_registry_that_is_not_known_is_left_out_alone() {
    let mut left_out = 0;
    for (form, reply) in watch_replies() {
        let whole: WatchReply = read(&reply).expect("reads");
        for (place, added) in with_unknown_fields(&reply) {
            if !is_an_entry("watch_reply", &place) {
                continue;
            }
            let at = format!("{form} with a new field in {place}");
            let registry = read::<WatchReply>(&added).expect(&at).registry.expect("a registry");
            let before = whole.registry.clone().expect("a registry");
            let parts: Vec<&str> = place.split('/').collect();
            match *parts.as_slice() {
                ["", "registry", "issuers", _] => {
                    assert_eq!(registry.issuers.len() + 1, before.issuers.len(), "{at}");
                    assert_eq!(registry.unread.len(), 1, "{at}");
                }
                ["", "registry", "issuers", issuer, "keys", key] => {
                    let issuer: usize = issuer.parse().expect("an index");
                    let (read, before) = (&registry.issuers[issuer], &before.issuers[issuer]);
                    assert_eq!(read.keys.len() + 1, before.keys.len(), "{at}");
                    assert_eq!(registry.unread, [format!("issuer {}, key {key}", before.issuer)], "{at}");
                }
                ["", "registry", "servers", server, "capture", ..] => {
                    let server: usize = server.parse().expect("an index");
                    let capture = registry.servers[server].capture.as_ref().map(|capture| capture.policy);
                    assert_eq!(capture, Some(PayloadPolicy::Off), "{at}");
                    assert_eq!(registry.servers.len(), before.servers.len(), "{at}");
                }
                _ => panic!("{at}: what becomes of it?"),
            }
            left_out += 1;
        }
    }
    assert!(left_out > 5, "{left_out}");
}

/// Every copy of `message` with another text in one place that holds one of `texts`.
fn with_unknown_text(message: &Value, texts: &[&str]) -> Vec<Value> {
    let text = message.to_string();
    let quoted = texts.iter().map(|text| format!("\"{text}\""));
    let places = quoted.flat_map(|known| {
        text.match_indices(&known).map(|(at, found)| (at, found.len())).collect::<Vec<_>>()
    });
    let with = |(at, length): (usize, usize)| {
        format!("{}\"of_a_later_version\"{}", &text[..at], &text[at + length..])
    };
    places.map(|place| serde_json::from_str(&with(place)).expect("JSON")).collect()
}

#[test]
fn decisions_and_rules_that_are_not_known_grant_nothing() {
    let replies = recorded::messages().into_iter().filter(|(_, name, _)| name == "lease_reply");
    let mut refused = 0;
    let known = [
        "granted",
        "connect_required",
        "denied",
        "organization",
        "workspace",
        "hold",
        "allow_if_read_only",
        "jwt",
        "access_token",
        "unknown_server",
    ];
    for (_, _, forms) in replies {
        for (form, reply) in forms {
            for changed in with_unknown_text(&reply, &known) {
                // As the name of a field it is an unknown one.
                let why = read::<LeaseReply>(&changed).err();
                assert!(why.is_some(), "{form}: {changed}");
                refused += 1;
            }
        }
    }
    assert!(refused > 20, "{refused}");
    for condition in ["equals", "one_of", "prefix", "glob", "range"] {
        let rule = json!({"tool": "t", "argument": "/a", "is": {condition: "x"}});
        let policy = json!({"levels": [{"level": "key", "arguments": [rule]}]});
        for changed in with_unknown_text(&policy, &[condition]) {
            let why = read::<portcullis_wire::policy::Policy>(&changed).expect_err("an unknown condition");
            assert!(why.contains("unknown variant `of_a_later_version`"), "{why}");
        }
    }
}

#[test]
fn what_is_not_known_of_a_watch_is_taken_for_the_most() {
    let invalidations =
        json!([{"kind": "tenant", "id": {"a": 1}}, {"kind": "tenant"}, {"kind": "all", "id": "x"}]);
    let read_all: Vec<Invalidation> = read(&invalidations).expect("reads");
    assert_eq!(read_all, [const { Invalidation::All }; 3]);
    for broken in [json!({"kind": "member"}), json!({"kind": "key", "id": 1}), json!({"id": "x"})] {
        assert!(read::<Invalidation>(&broken).is_err(), "{broken}");
    }

    let upstream = json!({"tls": true, "authority": "a.example", "path": "/"});
    let server = |payload: Value| json!({"id": "s", "slug": "s", "upstream": upstream, "payload": payload});
    for payload in [json!("summarised"), json!({"policy": "full"}), json!(null)] {
        let entry: portcullis_wire::watch::ServerEntry = read(&server(payload)).expect("reads");
        assert_eq!(entry.payload, PayloadPolicy::Off);
    }
    let mut captured = server(json!("full"));
    captured["capture"] = json!({"policy": "summarised", "limit": 1_000});
    let entry: portcullis_wire::watch::ServerEntry = read(&captured).expect("reads");
    let Some(Capture { policy, .. }) = entry.capture else { panic!("a capture") };
    assert_eq!(policy, PayloadPolicy::Off);
}

#[test]
fn a_key_of_an_algorithm_that_is_not_known_is_left_out_alone() {
    let mut left_out = 0;
    for (form, reply) in watch_replies() {
        for changed in with_unknown_text(&reply, &["EdDSA", "ES256", "RS256"]) {
            let registry = read::<WatchReply>(&changed).expect(&form).registry.expect("a registry");
            let keys: usize = registry.issuers.iter().map(|issuer| issuer.keys.len()).sum();
            assert_eq!((registry.issuers.len(), keys, registry.unread.len()), (2, 3, 1), "{form}");
            left_out += 1;
        }
    }
    assert!(left_out > 3, "{left_out}");
}
