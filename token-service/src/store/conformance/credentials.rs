//! Gateway credentials: rotating keys, fetching the keys of issuers, and what reading alone means.

use std::collections::BTreeMap;

use portcullis_wire::lease::LeaseRequest;
use portcullis_wire::policy::NewTools;
use portcullis_wire::watch::{Algorithm, Invalidation, VerificationKey};
use url::Url;

use super::Database;
use super::facts::{key_proof, request};
use super::fixtures::*;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::issuer::{Issuer, TokenSource, WorkspaceMapping};
use crate::domain::people::{KeyOwner, KeyScope, KeySettings};
use crate::domain::policy::{PolicyTarget, ServerRules};
use crate::store::connections::Catalogue;
use crate::store::{Declaration, NewKey, Store, StoreError};

pub(in crate::store) async fn a_rotated_key_hands_on_its_policies(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let owner = KeyOwner::Member(member.id);
    let old = store.create_key(&new_key(1, &workspace, owner.clone())).await.expect("makes");
    let target = PolicyTarget::Key(old.id.clone());
    store.set_policy(&target, &server.id, &denying("x"), None).await.expect("sets");
    let new = NewKey { settings: old.settings.clone(), ..new_key(2, &workspace, owner) };

    let stale = store.rotate_key(&old.id, &new, Timestamp(100), Some(Revision(0))).await;
    assert!(matches!(stale, Err(StoreError::Stale)));
    assert_eq!(store.rotate_key(&"none".into(), &new, Timestamp(100), None).await.expect("answers"), None);
    let before = revision(store.as_ref()).await;
    let made = store.rotate_key(&old.id, &new, Timestamp(100), Some(old.revision)).await;
    let made = made.expect("rotates").expect("there is such a key");
    assert_eq!((&made.settings, made.replaces.as_ref()), (&old.settings, Some(&old.id)));
    let policies = store.policies(&PolicyTarget::Key(made.id.clone())).await.expect("reads");
    assert_eq!(policies.len(), 1);
    assert_eq!((&policies[0].server, &policies[0].rules), (&server.id, &denying("x")));
    let ended = store.key(&old.id).await.expect("reads").expect("is there");
    assert_eq!(ended.settings.expires_at, Some(Timestamp(100)));
    let told = changes(store.as_ref(), before).await.invalidations;
    assert!(told.contains(&Invalidation::Key(old.id.to_string())), "{told:?}");

    // One that ends earlier anyway still does.
    let newer = NewKey { settings: ended.settings.clone(), ..new_key(3, &workspace, KeyOwner::Service) };
    store.rotate_key(&old.id, &newer, Timestamp(9_000), None).await.expect("rotates");
    let ended = store.key(&old.id).await.expect("reads").expect("is there");
    assert_eq!(ended.settings.expires_at, Some(Timestamp(100)));
    store.delete_key(&old.id).await.expect("deletes");
    assert_eq!(store.key(&made.id).await.expect("reads").expect("is there").replaces, None);
}

fn key(number: u8) -> VerificationKey {
    VerificationKey {
        key_id: Some(number.to_string()),
        algorithm: Algorithm::Es256,
        spki: format!("AA{number}A"),
    }
}

fn fetching(address: &Url) -> Declaration {
    let source = TokenSource::Jwks(address.clone());
    let issuer = Issuer { source, keys: Vec::new(), ..issuer(WorkspaceMapping::Membership) };
    Declaration { issuers: vec![issuer], ..Declaration::default() }
}

pub(in crate::store) async fn fetched_keys_stay_with_their_address(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    let address = |path: &str| Url::parse(&format!("https://idp.example/{path}")).expect("a URL");
    let (here, elsewhere) = (address("jwks"), address("other"));
    let mut at = store.declare(&fetching(&here), Revision(0)).await.expect("declares");
    let known = async || {
        let issuer = other.issuers().await.expect("reads").remove(0);
        (issuer.keys, issuer.keys_fetched_at.map(|time| time.0))
    };
    assert_eq!(known().await, (vec![], None));
    for (from, keys, now, expected, commits) in [
        (&elsewhere, vec![key(9)], 4, (vec![], None), 0),
        (&here, vec![key(1)], 5, (vec![key(1)], Some(5)), 1),
        (&here, vec![key(1)], 6, (vec![key(1)], Some(6)), 0),
        (&here, vec![key(1), key(2)], 7, (vec![key(1), key(2)], Some(7)), 1),
    ] {
        store.set_issuer_keys(ISSUER, from, &keys, Timestamp(now)).await.expect("keeps");
        assert_eq!(known().await, expected);
        let now_at = revision(store.as_ref()).await;
        assert_eq!(now_at.0 - at.0, commits);
        assert_eq!(changes(store.as_ref(), at).await.registry, commits == 1);
        at = now_at;
    }
    store
        .set_issuer_keys("https://nobody.example", &here, &[key(1)], Timestamp(8))
        .await
        .expect("passes over");
    assert_eq!(store.declare(&fetching(&here), at).await.expect("declares"), at, "the same again");
    assert_eq!(known().await, (vec![key(1), key(2)], Some(7)));
    store.declare(&fetching(&elsewhere), at).await.expect("declares");
    assert_eq!(known().await, (vec![], None), "they were another address's");
}

fn catalogue(at: u64, reads: &[(&str, bool)]) -> Catalogue {
    let tools: Vec<_> = reads
        .iter()
        .map(|(name, reads)| serde_json::json!({"name": name, "annotations": {"readOnlyHint": reads}}))
        .collect();
    let list = serde_json::json!({"tools": tools}).to_string();
    Catalogue { learnt_at: Timestamp(at), results: BTreeMap::from([("tools/list".to_owned(), list)]) }
}

pub(in crate::store) async fn what_reads_only_is_told_when_it_changes(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let made = store.create_key(&new_key(1, &workspace, KeyOwner::Member(member.id))).await.expect("makes");
    assert!(made.settings.scope.read_only, "what this is about");
    let request = request("server-1", key_proof(made.id.as_str()));
    for (saved, known, told) in [
        (catalogue(1, &[("write", false)]), vec![], false),
        (catalogue(2, &[("write", false), ("read", true)]), vec!["read"], true),
        (catalogue(3, &[("other", false), ("read", true)]), vec!["read"], false),
        (catalogue(1, &[("late", true)]), vec!["read"], false),
        (catalogue(4, &[("read", false)]), vec![], true),
    ] {
        let before = revision(store.as_ref()).await;
        store.save_catalogue(&server.id, &saved).await.expect("saves");
        assert_eq!(reading_tools(store.as_ref(), &request).await, known);
        let expected = if told { vec![Invalidation::Server(server.id.to_string())] } else { vec![] };
        assert_eq!(changes(store.as_ref(), before).await.invalidations, expected);
    }
}

pub(in crate::store) async fn what_reads_only_is_told_where_a_policy_judges_by_it(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let key = new_key(1, &workspace, KeyOwner::Member(member.id.clone()));
    let free = KeySettings { scope: KeyScope::default(), ..key.settings.clone() };
    let made = store.create_key(&NewKey { settings: free, ..key }).await.expect("makes");
    store
        .save_catalogue(&server.id, &catalogue(1, &[("read", true), ("write", false)]))
        .await
        .expect("saves");
    let request = request("server-1", key_proof(made.id.as_str()));
    let reading = ServerRules { read_only: true, ..ServerRules::default() };
    let careful = ServerRules { new_tools: NewTools::AllowIfReadOnly, ..ServerRules::default() };
    let target = PolicyTarget::Member(member.id);
    for (rules, known) in [
        (denying("x"), vec![]),
        (reading, vec!["read"]),
        (ServerRules::default(), vec![]),
        (careful, vec!["read"]),
    ] {
        store.set_policy(&target, &server.id, &rules, None).await.expect("sets");
        assert_eq!(reading_tools(store.as_ref(), &request).await, known, "{rules:?}");
    }
}

async fn reading_tools(store: &dyn Store, request: &LeaseRequest) -> Vec<String> {
    store.lease_facts(request).await.expect("reads").server.expect("is there").reading_tools
}
