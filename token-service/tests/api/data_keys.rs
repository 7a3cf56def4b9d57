//! Data keys and root keys replaced while the service runs.

use std::process::Command;

use portcullis_token_service::domain::server::Sealed;
use portcullis_token_service::http::error::error_chain;
use portcullis_token_service::store::SealedColumn;
use portcullis_token_service::vault::VaultError;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::commands::{done, refused};
use crate::harness::{CANARY, Directory, LOG, Service, key_proof};

const REGISTRY: &str = "
workspaces: [{slug: core}]
servers:
  - slug: linear
    url: https://mcp.linear.example/mcp
    auth: {type: headers, headers: {Authorization: {env: CANARY}}}
    workspaces: [core]
";

const SECOND: u64 = 1_000;

async fn step(service: &Service) -> Result<(), VaultError> {
    service.shared().keep_data_keys().await
}

async fn states(service: &Service) -> Vec<String> {
    let listed = service.get("/v1/data-keys").await;
    let keys = listed.body["data_keys"].as_array().expect("keys").clone();
    let resealed = |key: &Value| if key["resealed_at"].is_string() { " and resealed" } else { "" };
    keys.iter()
        .map(|key| format!("{} {}{}", key["id"], key["state"], resealed(key)).replace('"', ""))
        .collect()
}

async fn credential(service: &Service, key: &str) -> Value {
    service.lease_with_key("linear", key).await.body["credential_headers"][0]["value"].clone()
}

#[tokio::test]
async fn a_data_key_is_published_seals_and_leaves_nothing_of_the_one_before() {
    let service = Service::start(REGISTRY).await;
    let (key, _) = service.service_key("core").await;
    let session_key = service.lease_with_key("linear", &key).await.body["session_key"].clone();
    assert_eq!(states(&service).await, ["1 active"]);
    assert_eq!(service.post("/v1/data-keys/rotate", json!(null)).await.status, 200);
    assert_eq!(states(&service).await, ["1 active", "2 published"]);
    let again = service.post("/v1/data-keys/rotate", json!(null)).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text.contains("15 seconds"), "{}", again.text);
    let audit = service.get("/v1/audit").await.body;
    assert_eq!(audit["entries"][0]["action"], "data_key.publish");

    service.clock.advance(14 * SECOND);
    step(&service).await.expect("nothing to do");
    assert_eq!(states(&service).await, ["1 active", "2 published"]);
    service.clock.advance(SECOND);
    step(&service).await.expect("activates");
    assert_eq!(states(&service).await, ["1 retired", "2 active"]);
    assert_eq!(credential(&service, &key).await, CANARY);

    service.clock.advance(29 * SECOND);
    step(&service).await.expect("waits");
    assert_eq!(states(&service).await, ["1 retired", "2 active"]);
    service.clock.advance(SECOND);
    // Everything is sealed anew, and then nothing is found.
    for _ in 0..2 {
        step(&service).await.expect("seals anew");
    }
    assert_eq!(states(&service).await, ["1 retired and resealed", "2 active"]);
    let lease = service.lease_with_key("linear", &key).await;
    assert_eq!(lease.body["credential_headers"][0]["value"], CANARY);
    assert_eq!(lease.body["session_key"], session_key, "sessions of callers go on");
    let directory = service.stop().await;
    let service = Service::start_in(directory, REGISTRY).await.expect("starts with both keys");
    assert_eq!(credential(&service, &key).await, CANARY);
}

#[tokio::test]
async fn a_replica_that_has_slept_takes_up_the_key_when_it_meets_it() {
    let service = Service::start(REGISTRY).await;
    let (key, _) = service.service_key("core").await;
    let (directory, internal) = (service.directory().clone(), "internal: 127.0.0.1:0");
    let other = Service::start_with_internal(directory, internal, REGISTRY).await.expect("a replica");
    service.post("/v1/data-keys/rotate", json!(null)).await;
    for after in [15, 30, 0] {
        service.clock.advance(after * SECOND);
        step(&service).await.expect("goes on");
    }
    assert_eq!(states(&service).await, ["1 retired and resealed", "2 active"]);
    let lease = json!({"server": "linear", "proof": key_proof(&key)});
    let url = format!("{}/v1/leases", other.addresses.internal);
    let waiting = async {
        // Refused at most until it has looked, which it does at once.
        loop {
            let reply = other.filter.post(&url).json(&lease).send().await.expect("a reply");
            let body: Value = reply.json().await.expect("JSON");
            if body["credential_headers"][0]["value"] == CANARY {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.expect("takes it up");
    assert_eq!(other.shared().vault.active(), 2);
}

const SECOND_KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n";

async fn root_keys(service: &Service) -> (String, usize, Vec<String>) {
    let listed = service.get("/v1/data-keys").await.body;
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    let wrapping = listed["data_keys"].as_array().expect("keys").iter().map(|key| text(&key["root_key"]));
    (text(&listed["root_key"]), listed["other_root_keys"].as_array().expect("ids").len(), wrapping.collect())
}

/// Waits for what the service does by itself when its file changes.
async fn until(service: &Service, holds: impl Fn(&(String, usize, Vec<String>)) -> bool) {
    let waiting = async {
        while !holds(&root_keys(service).await) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "{:?}", root_keys(service).await);
}

#[tokio::test]
async fn a_root_key_is_replaced_without_a_restart() {
    let service = Service::start(REGISTRY).await;
    let (key, _) = service.service_key("core").await;
    let directory = service.directory().clone();
    let (first, ..) = root_keys(&service).await;
    directory.write("second.key", SECOND_KEY);
    let original = std::fs::read_to_string(directory.path("portcullis.yaml")).expect("reads");
    let configure = |others: &str| {
        let other = original.replace("root.key", "second.key");
        directory.write("portcullis.yaml", &format!("{other}other_root_keys: [{others}]\n"))
    };

    // A key that did not wrap what is there, alone: nothing changes.
    configure("");
    LOG.wait_for(|line| line.contains("the root keys stay what they were") && line.contains(&first)).await;
    assert_eq!(root_keys(&service).await, (first.clone(), 0, vec![first.clone()]));

    configure(&format!("{{file: {}}}", directory.path("root.key").display()));
    until(&service, |(present, others, wrapping)| {
        *present != first && *others == 1 && wrapping.iter().all(|id| id == present)
    })
    .await;
    assert_eq!(credential(&service, &key).await, CANARY);
    configure("");
    until(&service, |(_, others, _)| *others == 0).await;

    let directory = service.stop().await;
    let error = Service::start_in(directory.clone(), REGISTRY).await.err().expect("the old key is of no use");
    let said = error_chain(&error);
    assert!(said.contains("other_root_keys"), "{said}");
    std::fs::rename(directory.path("second.key"), directory.path("root.key")).expect("renames");
    let service = Service::start_in(directory, REGISTRY).await.expect("starts with the new key");
    assert_eq!(credential(&service, &key).await, CANARY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_have_commands() {
    let service = Service::start(REGISTRY).await;
    assert!(done(&service, "data-key list").await.contains("active"));
    assert!(done(&service, "data-key rotate").await.contains("published"));
    assert!(refused(&service, "data-key rotate").await.contains("does not seal yet"));
    assert!(done(&service, "signing-key list").await.contains("ES256"));
    assert!(done(&service, "signing-key rotate").await.contains("published"));
    assert!(refused(&service, "signing-key rotate").await.contains("does not sign yet"));
    assert!(!done(&service, "signing-key rotate --replace").await.contains("published"));
}

fn verify(directory: &Directory, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command
        .env_clear()
        .env("CANARY", CANARY)
        .arg("verify")
        .arg("--config")
        .arg(directory.path("portcullis.yaml"));
    let output = command.args(arguments).output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).expect("text"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_opens_everything_and_names_what_does_not_open() {
    let service = Service::start(REGISTRY).await;
    let directory = service.directory().clone();
    let (code, text) = verify(&directory, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.ends_with("everything that is sealed opens where it is\n"), "{text}");
    assert!(text.contains("1 open,   0 do not  server_headers.value"), "{text}");

    let rows = service.store().sealed_rows(SealedColumn::ServerHeader, None, None, 9);
    let row = rows.await.expect("reads").remove(0);
    let mut bytes = row.sealed.as_bytes().to_vec();
    bytes[40] ^= 1;
    let changed = Sealed::new(bytes);
    assert_eq!(service.store().reseal(&[(row.clone(), changed)]).await.expect("changes"), 1);
    let (code, text) = verify(&directory, &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("0 open,   1 do not  server_headers.value"), "{text}");
    assert!(text.contains(&format!("{}: the sealed value was changed", row.key.join(" "))), "{text}");
    let (code, text) = verify(&directory, &["--json"]);
    let columns: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &columns["columns"][0]["bad"][0]["row"]), (Some(1), &json!(row.key)));

    directory.write("root.key", SECOND_KEY);
    let (code, text) = verify(&directory, &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("is wrapped under root key"), "{text}");

    // Where there is no database, it makes none.
    let elsewhere = Directory::new();
    elsewhere.configure(REGISTRY);
    let (code, text) = verify(&elsewhere, &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("there is no such file"), "{text}");
    assert_eq!(elsewhere.files().len(), 1, "{:?}", elsewhere.files());
}
