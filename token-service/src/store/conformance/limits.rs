//! Limits.

use portcullis_wire::policy::Pattern;
use portcullis_wire::watch::Invalidation;

use super::Database;
use super::facts::{key_proof, request};
use super::fixtures::*;
use crate::clock::Timestamp;
use crate::domain::limit::{Each, LimitName, LimitRule, LimitScope, Per};
use crate::domain::people::KeyOwner;
use crate::domain::policy::PolicyTarget;
use crate::domain::{Origin, Revision};
use crate::store::{Declaration, DeclaredLimit, NewKey, Store, StoreError};

fn name(text: &str) -> LimitName {
    LimitName::parse(text).expect("a name")
}

fn rule(requests: u32) -> LimitRule {
    LimitRule {
        tools: vec![Pattern("create_*".into())],
        each: [Each::Member, Each::Tool].into(),
        requests,
        per: Per::Hour,
    }
}

pub(super) async fn set(store: &dyn Store, target: &PolicyTarget, text: &str) -> Revision {
    let limit = store.set_limit(target, &name(text), &LimitScope::default(), &rule(5), None).await;
    limit.expect("sets").revision
}

pub(in crate::store) async fn limits_read_back_as_written(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let key = store.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect("makes");
    let targets = [
        PolicyTarget::Organization,
        PolicyTarget::Workspace(workspace.id.clone()),
        PolicyTarget::Member(member.id),
        PolicyTarget::Key(key.id),
    ];
    let scope = LimitScope { server: Some(server.id), workspace: Some(workspace.id) };
    for target in &targets {
        let made = store.set_limit(target, &name("b"), &scope, &rule(5), None).await.expect("sets");
        assert_eq!(
            (&made.target, &made.scope, &made.rule, made.origin),
            (target, &scope, &rule(5), Origin::Api)
        );
        set(store.as_ref(), target, "a").await;
        let limits = store.limits(target).await.expect("reads");
        let names: Vec<&str> = limits.iter().map(|limit| limit.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(limits[1], made);

        let stale = store.set_limit(target, &name("b"), &scope, &rule(6), Some(Revision(1))).await;
        assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
        let gone = store.set_limit(target, &name("c"), &scope, &rule(6), Some(made.revision)).await;
        assert!(matches!(gone, Err(StoreError::Stale)), "{gone:?}");
        let changed = store.set_limit(target, &name("b"), &scope, &rule(6), Some(made.revision)).await;
        let changed = changed.expect("sets");
        assert!(changed.revision > made.revision && changed.rule == rule(6));
        let again = store.set_limit(target, &name("b"), &scope, &rule(6), None).await.expect("sets");
        assert_eq!(again.revision, changed.revision, "what changes nothing takes no revision");

        assert!(store.delete_limit(target, &name("a")).await.expect("deletes").is_some());
        assert_eq!(store.delete_limit(target, &name("a")).await.expect("deletes"), None);
        assert_eq!(store.limits(target).await.expect("reads"), [changed]);
    }
    let nowhere = PolicyTarget::Workspace("wsp_nothing".into());
    let missing = store.set_limit(&nowhere, &name("a"), &LimitScope::default(), &rule(1), None).await;
    assert!(matches!(missing, Err(StoreError::Missing { .. })), "{missing:?}");
    let audit = audited(store.as_ref(), 1).await;
    assert_eq!(audit, [("limit.delete".to_owned(), "key:key0000001 a".to_owned())]);
}

pub(in crate::store) async fn limits_say_whom_to_forget(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let key =
        store.create_key(&new_key(1, &workspace, KeyOwner::Member(member.id.clone()))).await.expect("makes");
    let of_server = LimitScope { server: Some(server.id.clone()), workspace: None };
    let of_workspace = LimitScope { server: Some(server.id.clone()), workspace: Some(workspace.id.clone()) };
    let organization = PolicyTarget::Organization;
    for (target, scope, expected) in [
        (organization.clone(), LimitScope::default(), Invalidation::All),
        (organization.clone(), of_server.clone(), Invalidation::Server(server.id.to_string())),
        (organization.clone(), of_workspace, Invalidation::Workspace(workspace.id.to_string())),
        (
            PolicyTarget::Workspace(workspace.id.clone()),
            of_server.clone(),
            Invalidation::Workspace(workspace.id.to_string()),
        ),
        (
            PolicyTarget::Member(member.id.clone()),
            of_server.clone(),
            Invalidation::Member(member.id.to_string()),
        ),
        (PolicyTarget::Key(key.id.clone()), of_server.clone(), Invalidation::Key(key.id.to_string())),
    ] {
        let before = revision(store.as_ref()).await;
        let made = store.set_limit(&target, &name("x"), &scope, &rule(5), None).await.expect("sets").revision;
        let told = changes(store.as_ref(), before).await;
        assert_eq!(told, change_set(made, false, std::slice::from_ref(&expected)), "{target:?} {scope:?}");
        let gone = store.delete_limit(&target, &name("x")).await.expect("deletes").expect("is there");
        assert_eq!(changes(store.as_ref(), made).await, change_set(gone, false, &[expected]));
    }
    // Whoever it was for is told as well as whoever it is for now.
    store.set_limit(&organization, &name("x"), &of_server, &rule(5), None).await.expect("sets");
    let before = revision(store.as_ref()).await;
    let moved = LimitScope { server: None, workspace: Some(workspace.id.clone()) };
    let after =
        store.set_limit(&organization, &name("x"), &moved, &rule(5), None).await.expect("sets").revision;
    let both =
        [Invalidation::Server(server.id.to_string()), Invalidation::Workspace(workspace.id.to_string())];
    assert_eq!(changes(store.as_ref(), before).await, change_set(after, false, &both));
}

pub(in crate::store) async fn limits_go_with_what_they_name(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let organization = PolicyTarget::Organization;
    let of_server = LimitScope { server: Some(server.id.clone()), workspace: None };
    let of_workspace = LimitScope { server: None, workspace: Some(workspace.id.clone()) };
    for (text, scope) in [("a", LimitScope::default()), ("b", of_server), ("c", of_workspace)] {
        store.set_limit(&organization, &name(text), &scope, &rule(5), None).await.expect("sets");
    }
    let of_member = PolicyTarget::Member(member.id.clone());
    set(store.as_ref(), &of_member, "d").await;
    store.delete_server(&server.id).await.expect("deletes");
    assert_eq!(store.limits(&organization).await.expect("reads").len(), 2);
    store.delete_workspace(&workspace.id).await.expect("deletes");
    let left = store.limits(&organization).await.expect("reads");
    assert_eq!(left.iter().map(|limit| limit.name.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(store.limits(&of_member).await.expect("reads"), []);
}

pub(in crate::store) async fn facts_have_the_limits_that_concern_them(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let other_server = store.create_server(&new_server(2)).await.expect("makes").id;
    let other_workspace = store.create_workspace(&new_workspace(2)).await.expect("makes");
    let other_member = store.create_member(&new_member(2, &workspace)).await.expect("makes");
    let owner = KeyOwner::Member(member.id.clone());
    let key = store.create_key(&new_key(1, &workspace, owner.clone())).await.expect("makes");
    let other_key = store.create_key(&new_key(2, &workspace, owner)).await.expect("makes");
    let mine = [
        PolicyTarget::Organization,
        PolicyTarget::Workspace(workspace.id),
        PolicyTarget::Member(member.id),
        PolicyTarget::Key(key.id.clone()),
    ];
    let others = [
        PolicyTarget::Workspace(other_workspace.id),
        PolicyTarget::Member(other_member.id),
        PolicyTarget::Key(other_key.id),
    ];
    for target in mine.iter().chain(&others) {
        for (text, server) in [("all", None), ("this", Some(&server.id)), ("other", Some(&other_server))] {
            let scope = LimitScope { server: server.cloned(), workspace: None };
            store.set_limit(target, &name(text), &scope, &rule(5), None).await.expect("sets");
        }
    }
    let facts = store.lease_facts(&request("server-1", key_proof(key.id.as_str()))).await.expect("reads");
    let limits = facts.server.expect("is there").limits;
    let mut found: Vec<(PolicyTarget, String)> =
        limits.into_iter().map(|limit| (limit.target, limit.name.to_string())).collect();
    found.sort();
    let expected: Vec<(PolicyTarget, String)> = mine
        .into_iter()
        .flat_map(|target| ["all", "this"].map(|text| (target.clone(), text.to_owned())))
        .collect();
    assert_eq!(found, expected);
}

pub(in crate::store) async fn declared_limits_are_the_files(database: &dyn Database) {
    let store = database.open().await;
    let organization = PolicyTarget::Organization;
    set(store.as_ref(), &organization, "by-api").await;
    let taken_over = set(store.as_ref(), &organization, "b").await;
    let limit = |text: &str, requests| DeclaredLimit {
        target: organization.clone(),
        name: name(text),
        scope: LimitScope::default(),
        rule: rule(requests),
    };
    let declaration = |limits: Vec<DeclaredLimit>| Declaration { limits, ..Declaration::default() };
    let both = declaration(vec![limit("a", 1), limit("b", 2)]);
    let one = store.declare(&both, taken_over).await.expect("declares");
    assert_eq!(store.declare(&both, one).await.expect("declares"), one, "the same again is no change");
    let found = store.limits(&organization).await.expect("reads");
    let origins: Vec<(&str, Origin)> =
        found.iter().map(|limit| (limit.name.as_str(), limit.origin)).collect();
    assert_eq!(origins, [("a", Origin::Config), ("b", Origin::Config), ("by-api", Origin::Api)]);
    let set = store.set_limit(&organization, &name("a"), &LimitScope::default(), &rule(9), None).await;
    assert!(matches!(set, Err(StoreError::ReadOnly { .. })), "{set:?}");
    let deleted = store.delete_limit(&organization, &name("a")).await;
    assert!(matches!(deleted, Err(StoreError::ReadOnly { .. })), "{deleted:?}");
    store.declare(&declaration(vec![limit("b", 3)]), one).await.expect("declares");
    let found = store.limits(&organization).await.expect("reads");
    let left: Vec<(&str, u32)> =
        found.iter().map(|limit| (limit.name.as_str(), limit.rule.requests)).collect();
    assert_eq!(left, [("b", 3), ("by-api", 5)]);
}

pub(in crate::store) async fn a_rotated_key_hands_on_its_limits(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, .. } = small(store.as_ref()).await;
    let old = store.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect("makes");
    set(store.as_ref(), &PolicyTarget::Key(old.id.clone()), "a").await;
    let new: NewKey = new_key(2, &workspace, KeyOwner::Service);
    store.rotate_key(&old.id, &new, Timestamp(2_000), None).await.expect("rotates").expect("is there");
    let handed_on = store.limits(&PolicyTarget::Key(new.id)).await.expect("reads");
    assert_eq!(handed_on.iter().map(|limit| &limit.rule).collect::<Vec<_>>(), [&rule(5)]);
}
