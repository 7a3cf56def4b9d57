//! Who changed what, and when keys were used.

use super::Database;
use super::fixtures::*;
use crate::clock::Timestamp;
use crate::domain::issuer::WorkspaceMapping;
use crate::domain::people::{KeyOwner, KeySettings, MemberRole};
use crate::domain::policy::PolicyTarget;
use crate::store::{Actor, Declaration, MemberChange};

pub(in crate::store) async fn every_change_is_audited_with_its_author(database: &dyn Database) {
    let store = database.open().await;
    let admin = store.on_behalf_of(Actor::AdminToken, Timestamp(7));
    let Small { workspace, member, server } = small(admin.as_ref()).await;
    let key = admin.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect("makes");
    let settings = KeySettings { disabled: true, ..key.settings.clone() };
    admin.change_key(&key.id, &settings, None).await.expect("changes");
    let target = PolicyTarget::Key(key.id.clone());
    admin.set_policy(&target, &server.id, &denying("x"), None).await.expect("sets");
    admin.set_policy(&target, &server.id, &denying("y"), None).await.expect("sets");
    admin.delete_policy(&target, &server.id).await.expect("deletes");
    admin.delete_key(&key.id).await.expect("deletes");
    admin.change_server(&server.id, &super::fixtures::settings("New"), None).await.expect("changes");
    admin.set_provision(&server.id, &workspace.id, false).await.expect("sets");
    admin.set_provision(&server.id, &workspace.id, true).await.expect("sets");
    admin.delete_server(&server.id).await.expect("deletes");
    let change = MemberChange { name: "x".into(), role: MemberRole::Member, disabled: true };
    admin.change_member(&member.id, &change, None).await.expect("changes");
    admin.delete_member(&member.id).await.expect("deletes");
    admin.change_workspace(&workspace.id, &named("New"), None).await.expect("changes");
    admin.delete_workspace(&workspace.id).await.expect("deletes");

    let mut entries = store.audit(None, 100).await.expect("reads");
    entries.reverse();
    let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
    let expected = [
        "workspace.create",
        "member.create",
        "server.create",
        "server.provision",
        "key.create",
        "key.change",
        "policy.set",
        "policy.set",
        "policy.delete",
        "key.delete",
        "server.change",
        "server.withdraw",
        "server.provision",
        "server.delete",
        "member.change",
        "member.delete",
        "workspace.change",
        "workspace.delete",
    ];
    assert_eq!(actions, expected);
    for (number, entry) in (1..).zip(&entries) {
        assert_eq!(entry.sequence, number);
        assert_eq!((&entry.actor, entry.at), (&Actor::AdminToken, Timestamp(7)));
    }
    let revisions: Vec<u64> = entries.iter().map(|entry| entry.revision.0).collect();
    assert_eq!(revisions[..6], [1, 2, 3, 3, 4, 5], "one commit may change several things");
    assert_eq!(entries[4].object, key.id.to_string());
    let page = store.audit(Some(3), 1).await.expect("reads");
    assert_eq!(page, entries[1..2]);
}

pub(in crate::store) async fn declarations_are_audited_object_by_object(database: &dyn Database) {
    let store = database.open().await;
    let declaration = Declaration {
        workspaces: vec![new_workspace(1)],
        issuers: vec![issuer(WorkspaceMapping::Membership)],
        ..Declaration::default()
    };
    let author = store.on_behalf_of(Actor::Configuration, Timestamp(9));
    let revision = author.declare(&declaration, revision(store.as_ref()).await).await.expect("declares");
    author.declare(&declaration, revision).await.expect("changes nothing");
    let entries = store.audit(None, 10).await.expect("reads");
    let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["issuer.set", "workspace.create"]);
    assert!(entries.iter().all(|entry| entry.actor == Actor::Configuration && entry.revision == revision));
}

pub(in crate::store) async fn failures_and_repetitions_are_not_audited(database: &dyn Database) {
    let store = database.open().await;
    let workspace = store.create_workspace(&new_workspace(1)).await.expect("makes");
    store.create_workspace(&new_workspace(1)).await.expect_err("it is taken");
    store.change_workspace(&workspace.id, &named(&workspace.name), None).await.expect("changes nothing");
    store.delete_key(&"none".into()).await.expect("deletes nothing");
    let entries = store.audit(None, 10).await.expect("reads");
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].actor, Actor::System);
}

pub(in crate::store) async fn the_last_use_of_a_key_is_kept_without_a_commit(database: &dyn Database) {
    let store = database.open().await;
    let workspace = store.create_workspace(&new_workspace(1)).await.expect("makes");
    let key = store.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect("makes");
    assert_eq!(key.last_used_at, None);
    let before = revision(store.as_ref()).await;
    for at in [20, 10] {
        let uses = [(key.id.clone(), Timestamp(at)), ("none".into(), Timestamp(at))];
        store.record_key_uses(&uses).await.expect("notes");
    }
    let used = store.key(&key.id).await.expect("reads").expect("a key");
    assert_eq!((used.last_used_at, used.revision), (Some(Timestamp(20)), key.revision));
    assert_eq!(revision(store.as_ref()).await, before);
}
