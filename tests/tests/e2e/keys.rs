//! The keys above every secret: where the root key may be, and all of them replaced while calls go on.

use std::sync::Arc;

use portcullis_tests::mcp::Era;
use portcullis_tests::openbao::OpenBao;
use portcullis_tests::patience::poll;
use portcullis_tests::rotation::{rotate_under_calls, sections, verify};
use portcullis_tests::stack::{Builder, SAMPLE, Stack};
use portcullis_token_service::clock::{SystemEntropy, random};
use portcullis_token_service::vault::root_key::KeyBytes;
use portcullis_token_service::vault::transit::{TransitRootKey, TransitSettings, TransitToken};
use portcullis_token_service::vault::{LocalRootKey, RootKey, VaultError};
use portcullis_wire::secret::SecretText;
use serde_json::{Map, Value, json};

/// What every root key has to do, wherever it is.
async fn keeps_the_contract(root: &dyn RootKey, other: &dyn RootKey) {
    let key = KeyBytes::new(random(&SystemEntropy));
    let wrapped = root.wrap(7, &key).await.expect("wraps");
    assert!(!wrapped.windows(8).any(|part| key.windows(8).any(|secret| part == secret)));
    assert_eq!(*root.unwrap(7, &wrapped).await.expect("unwraps"), *key);
    assert_ne!(root.wrap(7, &key).await.expect("wraps again"), wrapped, "never twice the same");
    // What it wrapped is that very data key.
    root.unwrap(8, &wrapped).await.expect_err("another data key");
    for position in 0..wrapped.len() {
        let mut changed = wrapped.clone();
        changed[position] ^= 1;
        for damaged in [changed.as_slice(), &wrapped[..position]] {
            root.unwrap(7, damaged).await.expect_err("damaged");
        }
    }
    let refused = other.unwrap(7, &wrapped).await.expect_err("another root key");
    let VaultError::WrongRootKey { expected, given, .. } = refused else { panic!("{refused}") };
    assert_eq!((expected.as_str(), given.as_str()), (root.id(), other.id()));
    let foreign = other.wrap(7, &key).await.expect("wraps");
    assert!(matches!(root.unwrap(7, &foreign).await, Err(VaultError::WrongRootKey { .. })));
}

fn local(directory: &tempfile::TempDir, name: &str) -> LocalRootKey {
    LocalRootKey::create(&directory.path().join(name), Arc::new(SystemEntropy)).expect("makes")
}

#[tokio::test]
async fn a_root_key_at_hand_keeps_the_contract() {
    let directory = tempfile::tempdir().expect("a directory");
    keeps_the_contract(&local(&directory, "one"), &local(&directory, "two")).await;
}

fn settings(bao: &OpenBao, token: TransitToken) -> TransitSettings {
    TransitSettings {
        address: bao.address().parse().expect("a URL"),
        mount: "transit".to_owned(),
        key: "portcullis".to_owned(),
        namespace: None,
        ca: Some(bao.ca()),
        token,
    }
}

#[tokio::test]
async fn a_root_key_in_vault_keeps_the_contract_and_says_why_it_cannot_be_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(bao) = OpenBao::start(directory.path()).await.expect("OpenBao starts") else { return };
    let file = || TransitToken::File(bao.token_file());
    let root = TransitRootKey::new(settings(&bao, file()));
    keeps_the_contract(&root, &local(&directory, "local")).await;

    let key = KeyBytes::new(random(&SystemEntropy));
    let wrapped = root.wrap(1, &key).await.expect("wraps");
    // A new version of the key in Vault opens what the one before has wrapped; a new token is read when it is there.
    bao.run(&["write", "-f", "transit/keys/portcullis/rotate"]).await.expect("rotates");
    bao.renew_token().await.expect("another token");
    assert_eq!(*root.unwrap(1, &wrapped).await.expect("unwraps"), *key);

    let wrong = "s.not-the-token-at-all";
    let wrong = settings(&bao, TransitToken::Value(SecretText::new(wrong.to_owned())));
    let other_key = TransitSettings { key: "nobody-s".to_owned(), ..settings(&bao, file()) };
    let other_mount = TransitSettings { mount: "elsewhere".to_owned(), ..settings(&bao, file()) };
    let nobody =
        TransitSettings { address: "https://127.0.0.1:9".parse().expect("a URL"), ..settings(&bao, file()) };
    let unknown_ca = TransitSettings { ca: None, ..settings(&bao, file()) };
    for (settings, says) in [
        (wrong, "403"),
        (other_key, "its token needs update on encrypt and decrypt of this key"),
        (other_mount, "403"),
        (nobody, "127.0.0.1:9"),
        (unknown_ca, "certificate"),
    ] {
        let error = TransitRootKey::new(settings).wrap(1, &key).await.expect_err("cannot be asked");
        assert!(matches!(error, VaultError::RootKeyUnavailable { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains(says) && !error.contains("not-the-token"), "{error}");
    }
}

fn with(sections: impl IntoIterator<Item = (String, Value)>) -> Builder {
    Builder { sections: Map::from_iter(sections), ..Builder::default() }
}

#[tokio::test]
async fn a_service_whose_root_key_is_in_vault_needs_it_at_the_start_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(bao) = OpenBao::start(directory.path()).await.expect("OpenBao starts") else { return };
    let builder = with([("root_key".to_owned(), bao.root_key())]);
    let mut stack = Stack::build(builder).await.expect("a stack");
    let agent = stack.agent(SAMPLE, Era::Modern);
    assert_eq!(agent.call_tool("whoami", json!({})).await.status, 200);
    let keys = stack.admin().get("/v1/data-keys").await.expect("lists");
    assert_eq!(keys["data_keys"][0]["root_key"], "vault:transit/portcullis");
    verify(&stack).await.expect("everything opens");

    // Sealed, Vault answers nobody. Whoever runs goes on, and makes no new key.
    bao.run(&["operator", "seal"]).await.expect("seals");
    let refused = stack.admin().post("/v1/data-keys/rotate", json!(null)).await.expect_err("no key");
    assert!(refused.to_string().contains("root-key-unavailable"), "{refused}");
    assert_eq!(agent.call_tool("whoami", json!({})).await.status, 200);
    assert_eq!(stack.admin().get("/v1/data-keys").await.expect("lists"), keys);
    stack.service.kill().expect("ends");
    let refused = stack.service.restart().await.expect_err("does not start");
    assert!(refused.to_string().contains("has ended"), "{refused}");
    let log = stack.service.process.log();
    assert!(log.contains("root key vault:transit/portcullis cannot be asked"), "{log}");
}

#[tokio::test]
async fn every_key_is_replaced_under_calls() {
    let mut stack = Stack::build(with(sections())).await.expect("a stack");
    let calls = rotate_under_calls(&mut stack, 50).await.expect("rotates");
    assert_eq!(calls.failed, Vec::<String>::new(), "of {}", calls.made);
    verify(&stack).await.expect("everything opens");
    // The old root key is of no use any more, and a start needs only the new one.
    std::fs::remove_file(stack.directory.join("root-key")).expect("removes");
    stack.service.kill().expect("ends");
    stack.service.restart().await.expect("starts again");
    let agent = stack.agent(SAMPLE, Era::Modern);
    let served = poll(async || (agent.call_tool("whoami", json!({})).await.status == 200).then_some(()));
    served.await.expect("is served");
    assert!(stack.filter_never_trapped().await);
}
