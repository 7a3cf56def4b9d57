//! What token-services of any released version have said is understood by this filter.
#![cfg(not(target_family = "wasm"))]

#[path = "../../../wire/tests/contract/recorded.rs"]
mod recorded;

use portcullis_filter_core::registry::Registry;
use portcullis_filter_core::step::{Call, CallOutcome, Effect};
use portcullis_filter_core::worker::{Readiness, Worker};
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000_000;

/// A worker that has asked for everything, and the call by which it did.
fn asking() -> (Worker, u64) {
    let config = json!({
        "config_version": 1,
        "public_url": "https://gateway.example",
        "token_service": {"cluster": "token_service", "authority": "token-service"},
        "body_gate": "hold",
    });
    let mut worker =
        Worker::configure(config.to_string().as_bytes(), "vm-1".into()).expect("a configuration");
    let poll = poll(worker.on_tick(NOW)).expect("a poll");
    (worker, poll.id)
}

fn poll(effects: Vec<Effect>) -> Option<Call> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Call(call) => Some(call),
        _ => None,
    })
}

fn answered(reply: &Value) -> CallOutcome {
    let headers = [(":status", "200"), ("x-portcullis-service", "1")];
    let headers = headers.map(|(name, value)| (name.into(), value.into())).into();
    CallOutcome::Replied { headers, body: reply.to_string().into_bytes() }
}

fn registry(worker: &mut Worker) -> Option<std::rc::Rc<Registry>> {
    match worker.readiness(1, NOW) {
        Readiness::Ready(registry) => Some(registry),
        Readiness::Waiting | Readiness::Unready => None,
    }
}

#[test]
fn the_registry_of_any_version_is_used_whole() {
    let mut read = 0;
    for (version, _, forms) in recorded::messages().into_iter().filter(|(_, name, _)| name == "watch_reply") {
        for (form, reply) in forms {
            let (mut worker, id) = asking();
            let is_first = reply.get("registry").is_some();
            worker.on_call(id, answered(&reply), NOW);
            let notices = worker.take_notices();
            if !is_first {
                assert_eq!(notices.len(), 1, "{version} {form}: it is no first answer");
                continue;
            }
            assert_eq!(notices, [""; 0], "{version} {form}");
            let registry = registry(&mut worker).expect("a registry");
            let servers = reply["registry"]["servers"].as_array().expect("servers");
            for server in servers {
                assert!(registry.has_server(server["slug"].as_str().expect("a slug")), "{version} {form}");
            }
            read += 1;
        }
    }
    assert!(read > 0);
}

#[test]
fn what_any_version_tells_after_the_first_answer_is_taken() {
    let mut read = 0;
    for (version, _, forms) in recorded::messages().into_iter().filter(|(_, name, _)| name == "watch_reply") {
        for (form, reply) in &forms {
            let (mut worker, id) = asking();
            let effects = worker.on_call(id, answered(&forms["first"]), NOW);
            let next = poll(effects).expect("the next poll at once");
            worker.on_call(next.id, answered(reply), NOW);
            assert_eq!(worker.take_notices(), [""; 0], "{version} {form}");
            read += 1;
        }
    }
    assert!(read > 0);
}
