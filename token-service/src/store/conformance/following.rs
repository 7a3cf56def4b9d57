//! Following changes: what is recorded, in which order, and who sees it when.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_wire::watch::Invalidation;

use super::Database;
use super::fixtures::*;
use crate::domain::Revision;
use crate::domain::people::{KeyOwner, KeySettings, MemberRole};
use crate::domain::policy::PolicyTarget;
use crate::domain::staleness::Staleness;
use crate::store::{MemberChange, NewMember, Since, Store, WorkspaceChange};

pub(in crate::store) async fn every_change_says_what_to_forget(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let for_workspace = Invalidation::Workspace(workspace.id.to_string());
    let for_member = Invalidation::Member(member.id.to_string());
    let for_server = Invalidation::Server(server.id.to_string());
    let mut cursor = revision(store.as_ref()).await;
    let mut expect = async |what: &str, registry: bool, invalidations: &[Invalidation]| {
        let next = Revision(cursor.0 + 1);
        assert_eq!(
            changes(store.as_ref(), cursor).await,
            change_set(next, registry, invalidations),
            "{what}"
        );
        cursor = next;
    };

    let key = store.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect("makes");
    let for_key = Invalidation::Key(key.id.to_string());
    expect("new key", false, std::slice::from_ref(&for_key)).await;
    store
        .change_key(&key.id, &KeySettings { disabled: true, ..key.settings.clone() }, None)
        .await
        .expect("changes");
    expect("changed key", false, std::slice::from_ref(&for_key)).await;
    for (target, invalidation) in [
        (PolicyTarget::Organization, &for_server),
        (PolicyTarget::Workspace(workspace.id.clone()), &for_workspace),
        (PolicyTarget::Member(member.id.clone()), &for_member),
        (PolicyTarget::Key(key.id.clone()), &for_key),
    ] {
        store.set_policy(&target, &server.id, &denying("x"), None).await.expect("sets");
        expect("new policy", false, std::slice::from_ref(invalidation)).await;
        store.set_policy(&target, &server.id, &denying("y"), None).await.expect("sets");
        expect("changed policy", false, std::slice::from_ref(invalidation)).await;
        store.delete_policy(&target, &server.id).await.expect("deletes");
        expect("deleted policy", false, std::slice::from_ref(invalidation)).await;
    }
    store.delete_key(&key.id).await.expect("deletes");
    expect("deleted key", false, &[for_key]).await;
    store.change_server(&server.id, &settings("New"), None).await.expect("changes");
    expect("changed server", true, std::slice::from_ref(&for_server)).await;
    store.set_provision(&server.id, &workspace.id, false).await.expect("sets");
    expect("taken away", false, std::slice::from_ref(&for_workspace)).await;
    store.set_provision(&server.id, &workspace.id, true).await.expect("sets");
    expect("given", false, std::slice::from_ref(&for_workspace)).await;
    store.create_server(&new_server(2)).await.expect("makes");
    expect("new server", true, &[]).await;
    store.delete_server(&server.id).await.expect("deletes");
    expect("deleted server", true, &[for_server]).await;
    store.create_member(&new_member(2, &workspace)).await.expect("makes");
    expect("new member", false, &[]).await;
    store
        .change_member(
            &member.id,
            &MemberChange { name: "x".into(), role: MemberRole::Member, disabled: true },
            None,
        )
        .await
        .expect("changes");
    expect("changed member", false, std::slice::from_ref(&for_member)).await;
    store.delete_member(&member.id).await.expect("deletes");
    expect("deleted member", false, &[for_member]).await;
    store.create_workspace(&new_workspace(2)).await.expect("makes");
    expect("new workspace", false, &[]).await;
    store.change_workspace(&workspace.id, &named("New"), None).await.expect("changes");
    expect("renamed workspace", false, &[]).await;
    let strict = WorkspaceChange { staleness: Staleness::parse("strict").ok(), ..named("New") };
    let changed = store.change_workspace(&workspace.id, &strict, None).await.expect("changes");
    assert_eq!(changed.map(|workspace| workspace.staleness), Some(strict.staleness));
    expect("workspace of another staleness", false, std::slice::from_ref(&for_workspace)).await;
    let found = store.workspace(&workspace.id).await.expect("reads").expect("is there");
    assert_eq!(found.staleness, strict.staleness);
    store.delete_workspace(&workspace.id).await.expect("deletes");
    expect("deleted workspace", false, &[for_workspace]).await;
}

pub(in crate::store) async fn what_changes_nothing_takes_no_revision(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let key = store.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect("makes");
    let target = PolicyTarget::Organization;
    let policy = store.set_policy(&target, &server.id, &denying("x"), None).await.expect("sets");
    let before = revision(store.as_ref()).await;

    let same = MemberChange { name: member.name.clone(), role: member.role, disabled: member.disabled };
    assert_eq!(
        store.change_server(&server.id, &server.settings, None).await.expect("changes"),
        Some(server.clone())
    );
    assert_eq!(
        store.change_workspace(&workspace.id, &named(&workspace.name), None).await.expect("changes"),
        Some(workspace.clone())
    );
    assert_eq!(store.change_member(&member.id, &same, None).await.expect("changes"), Some(member.clone()));
    assert_eq!(store.change_key(&key.id, &key.settings, None).await.expect("changes"), Some(key));
    assert_eq!(store.set_policy(&target, &server.id, &policy.rules, None).await.expect("sets"), policy);
    assert_eq!(store.set_provision(&server.id, &workspace.id, true).await.expect("sets"), Some(before));
    assert_eq!(store.provision_member(&new_member(1, &workspace)).await.expect("finds"), member);
    assert_eq!(revision(store.as_ref()).await, before);
}

pub(in crate::store) async fn failures_leave_no_trace(database: &dyn Database) {
    let store = database.open().await;
    let workspace = store.create_workspace(&new_workspace(1)).await.expect("makes");
    store.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect("makes");
    let before = revision(store.as_ref()).await;
    store.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect_err("it is taken");
    assert_eq!(revision(store.as_ref()).await, before);
    let key = store.create_key(&new_key(2, &workspace, KeyOwner::Service)).await.expect("makes");
    assert_eq!(key.revision, Revision(before.0 + 1));
    let invalidation = Invalidation::Key(key.id.to_string());
    assert_eq!(changes(store.as_ref(), before).await, change_set(key.revision, false, &[invalidation]));
}

pub(in crate::store) async fn cursors_page_through_commits(database: &dyn Database) {
    let store = database.open().await;
    let workspace = store.create_workspace(&new_workspace(1)).await.expect("makes");
    let start = revision(store.as_ref()).await;
    for number in 1..=5 {
        store.create_key(&new_key(number, &workspace, KeyOwner::Service)).await.expect("makes");
    }
    let mut cursor = start;
    let mut sizes = Vec::new();
    loop {
        let Since::Changes(changes) = store.changes_since(cursor, 2).await.expect("reads") else {
            panic!("no gap")
        };
        if changes.cursor == cursor {
            assert_eq!(changes, change_set(cursor, false, &[]));
            break;
        }
        sizes.push(changes.invalidations.len());
        cursor = changes.cursor;
    }
    assert_eq!((sizes, cursor), (vec![2, 2, 1], Revision(start.0 + 5)));
    // The same change twice is told once.
    let key = new_key(1, &workspace, KeyOwner::Service).id;
    store.delete_key(&key).await.expect("deletes");
    let told = changes(store.as_ref(), start).await.invalidations;
    assert_eq!(told.iter().filter(|one| **one == Invalidation::Key(key.to_string())).count(), 1);
    // A limit of zero would never get anywhere.
    let Since::Changes(one) = store.changes_since(start, 0).await.expect("reads") else { panic!("no gap") };
    assert_eq!(one.cursor, Revision(start.0 + 1));
}

pub(in crate::store) async fn pruned_and_foreign_cursors_are_gaps(database: &dyn Database) {
    let store = database.open().await;
    let workspace = store.create_workspace(&new_workspace(1)).await.expect("makes");
    for number in 1..=4 {
        store.create_key(&new_key(number, &workspace, KeyOwner::Service)).await.expect("makes");
    }
    let current = revision(store.as_ref()).await;
    store.prune_changes(Revision(3)).await.expect("prunes");
    for cursor in [0, 1, 2, current.0 + 1, u64::MAX] {
        assert_eq!(
            store.changes_since(Revision(cursor), 10).await.expect("reads"),
            Since::Gap { current },
            "{cursor}"
        );
    }
    assert_eq!(changes(store.as_ref(), Revision(3)).await.invalidations.len(), 2);
    assert_eq!(revision(store.as_ref()).await, current);
    // Pruning neither goes back nor beyond what there is.
    store.prune_changes(Revision(1)).await.expect("prunes");
    assert_eq!(changes(store.as_ref(), Revision(3)).await.invalidations.len(), 2);
    store.prune_changes(Revision(u64::MAX)).await.expect("prunes");
    assert_eq!(changes(store.as_ref(), current).await, change_set(current, false, &[]));
    store.create_key(&new_key(9, &workspace, KeyOwner::Service)).await.expect("makes");
    assert_eq!(changes(store.as_ref(), current).await.invalidations.len(), 1);
}

pub(in crate::store) async fn commits_are_announced(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    let mut commits = store.commits();
    let workspace = store.create_workspace(&new_workspace(1)).await.expect("makes");
    commits.changed().await.expect("announces");
    assert_eq!(*commits.borrow_and_update(), workspace.revision);
    // Nothing is announced that did not happen.
    store.create_workspace(&new_workspace(1)).await.expect_err("it is taken");
    assert!(!commits.has_changed().expect("the store lives"));
    // Another handle's commit is announced once this one sees it.
    let key = other.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect("makes");
    assert_eq!(store.current_revision().await.expect("reads"), key.revision);
    assert_eq!(*commits.borrow_and_update(), key.revision);
}

pub(in crate::store) async fn handles_see_each_others_commits(database: &dyn Database) {
    let (one, two) = (database.open().await, database.open().await);
    let server = one.create_server(&new_server(1)).await.expect("makes");
    assert_eq!(two.server(&server.id).await.expect("reads").as_ref(), Some(&server));
    let changed =
        two.change_server(&server.id, &settings("New"), Some(server.revision)).await.expect("changes");
    let late = one.change_server(&server.id, &settings("Late"), Some(server.revision)).await;
    assert!(matches!(late, Err(crate::store::StoreError::Stale)));
    let registry = one.registry().await.expect("reads");
    let changed = changed.expect("was there");
    assert_eq!((registry.revision, registry.servers), (changed.revision, vec![changed]));
}

/// Two handles write at once while a third follows. It must see each commit once, in order, whole, and with
/// everything that was committed before.
pub(in crate::store) async fn concurrent_commits_are_seen_in_order_and_whole(database: &dyn Database) {
    const WRITERS: u32 = 4;
    const WRITES: u32 = 25;
    let first = database.open().await;
    let workspace = Arc::new(first.create_workspace(&new_workspace(1)).await.expect("makes"));
    let start = revision(first.as_ref()).await;
    let handles: Vec<Arc<dyn Store>> = vec![first, database.open().await];
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&handles[writer as usize % handles.len()]);
        let workspace = Arc::clone(&workspace);
        writers.push(tokio::spawn(async move {
            let mut written = Vec::new();
            for number in 0..WRITES {
                let new = new_key(writer * 1000 + number, &workspace, KeyOwner::Service);
                let key = store.create_key(&new).await.expect("makes");
                written.push((key.revision, Invalidation::Key(key.id.to_string())));
            }
            written
        }));
    }

    let follower = database.open().await;
    let end = Revision(start.0 + u64::from(WRITERS * WRITES));
    let mut seen = BTreeMap::new();
    let mut cursor = start;
    while cursor < end {
        let Since::Changes(changes) = follower.changes_since(cursor, 1).await.expect("reads") else {
            panic!("no gap")
        };
        if changes.cursor == cursor {
            tokio::task::yield_now().await;
            continue;
        }
        assert_eq!(changes.cursor, Revision(cursor.0 + 1), "no commit is left out");
        let [Invalidation::Key(id)] = changes.invalidations.as_slice() else { panic!("one key each") };
        let key = follower.key(&id.as_str().into()).await.expect("reads").expect("what is told is there");
        assert_eq!(key.revision, changes.cursor);
        seen.insert(changes.cursor, changes.invalidations[0].clone());
        cursor = changes.cursor;
    }
    let mut written = BTreeMap::new();
    for writer in writers {
        written.extend(writer.await.expect("no panic"));
    }
    assert_eq!(seen, written);
    assert_eq!(revision(follower.as_ref()).await, end);
}

pub(in crate::store) async fn newcomers_at_once_become_one_member(database: &dyn Database) {
    let handles = [database.open().await, database.open().await];
    let workspace = handles[0].create_workspace(&new_workspace(1)).await.expect("makes");
    let before = revision(handles[0].as_ref()).await;
    let mut tasks = Vec::new();
    for number in 0..8_usize {
        let store = Arc::clone(&handles[number % 2]);
        let member = NewMember { id: format!("mem_try_{number}").into(), ..new_member(1, &workspace) };
        tasks.push(tokio::spawn(async move { store.provision_member(&member).await.expect("provisions") }));
    }
    let mut ids = std::collections::BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.expect("no panic").id);
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(revision(handles[0].as_ref()).await, Revision(before.0 + 1));
}
