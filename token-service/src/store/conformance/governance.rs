//! Quarantine, and which members a server is for.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_wire::watch::Invalidation;

use super::Database;
use super::declared::sample;
use super::fixtures::*;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::ids::{MemberId, ServerId, WorkspaceId};
use crate::domain::people::KeyOwner;
use crate::domain::policy::PolicyTarget;
use crate::domain::provisioning::{Admission, MemberAccess, Members};
use crate::domain::quarantine::QuarantineTarget;
use crate::store::{Actor, MemberChange, NewKey, Store, StoreError};

/// Whether the objects say that they are in quarantine: member, key, server.
async fn seen(store: &dyn Store, targets: &[QuarantineTarget; 3]) -> Vec<bool> {
    let mut seen = Vec::new();
    for target in targets {
        let id = target.id();
        seen.push(match target {
            QuarantineTarget::Member(_) => {
                store.member(&id.into()).await.expect("reads").expect("one").quarantined
            }
            QuarantineTarget::Key(_) => store.key(&id.into()).await.expect("reads").expect("one").quarantined,
            QuarantineTarget::Server(_) => {
                store.server(&id.into()).await.expect("reads").expect("one").quarantined
            }
        });
    }
    seen
}

pub(in crate::store) async fn quarantines_read_back_as_set_and_are_seen(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let key = store.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect("makes");
    let made = NewKey { made_by: Some(member.identity.clone()), ..new_key(2, &workspace, KeyOwner::Service) };
    let made = store.create_key(&made).await.expect("makes");
    let targets = [
        QuarantineTarget::Member(member.id.clone()),
        QuarantineTarget::Key(key.id.clone()),
        QuarantineTarget::Server(server.id.clone()),
    ];
    assert_eq!(seen(store.as_ref(), &targets).await, [false; 3]);
    let forgotten = [
        // What a service key may do hangs on its maker.
        vec![Invalidation::Member(member.id.to_string()), Invalidation::Key(made.id.to_string())],
        vec![Invalidation::Key(key.id.to_string())],
        vec![Invalidation::Server(server.id.to_string())],
    ];
    for (target, forgotten) in targets.iter().zip(&forgotten) {
        let before = revision(store.as_ref()).await;
        let acting = store.on_behalf_of(Actor::AdminToken, Timestamp(77));
        let set = acting.set_quarantine(target, "stolen", true).await.expect("sets");
        assert_eq!((set.at, set.reason.as_str(), set.by_administrator), (Timestamp(77), "stolen", true));
        assert_eq!(store.quarantine(target).await.expect("reads"), Some(set.clone()));
        assert_eq!(changes(store.as_ref(), before).await.invalidations, *forgotten);
        let again = acting.set_quarantine(target, "stolen", true).await.expect("sets");
        assert_eq!((again, revision(store.as_ref()).await), (set.clone(), set.revision), "nothing changed");
    }
    assert_eq!(seen(store.as_ref(), &targets).await, [true; 3]);
    let all = store.quarantines().await.expect("reads").into_iter().map(|set| set.target);
    assert_eq!(all.collect::<Vec<_>>(), [targets[2].clone(), targets[1].clone(), targets[0].clone()]);
    for (target, forgotten) in targets.iter().zip(&forgotten) {
        let before = revision(store.as_ref()).await;
        assert!(store.lift_quarantine(target).await.expect("lifts").is_some());
        assert_eq!(changes(store.as_ref(), before).await.invalidations, *forgotten);
        assert_eq!(store.lift_quarantine(target).await.expect("lifts"), None);
    }
    assert_eq!(seen(store.as_ref(), &targets).await, [false; 3]);
    let nobody = store.set_quarantine(&QuarantineTarget::Member("mem_none".into()), "x", true).await;
    assert!(matches!(nobody, Err(StoreError::Missing { .. })), "{nobody:?}");
}

pub(in crate::store) async fn quarantine_outlives_a_declaration(database: &dyn Database) {
    let store = database.open().await;
    let one = store.declare(&sample(), Revision(0)).await.expect("declares");
    assert!(one > Revision(0));
    let targets = [QuarantineTarget::Member("mem_1".into()), QuarantineTarget::Server("srv_1".into())];
    for target in &targets {
        store.set_quarantine(target, "stolen", true).await.expect("what the file declares too");
    }
    let now = revision(store.as_ref()).await;
    assert_eq!(store.declare(&sample(), now).await.expect("declares"), now, "nothing differs");
    let mut renamed = sample();
    renamed.members[0].name = "Another".into();
    renamed.servers[0].settings.name = "Another".into();
    store.declare(&renamed, now).await.expect("declares");
    let again = database.open().await;
    for target in &targets {
        assert!(again.quarantine(target).await.expect("reads").is_some(), "{target:?}");
    }
    assert!(again.member(&"mem_1".into()).await.expect("reads").expect("is there").quarantined);
}

pub(in crate::store) async fn quarantines_go_with_their_object(database: &dyn Database) {
    let store = database.open().await;
    let Small { member, server, .. } = small(store.as_ref()).await;
    let target = QuarantineTarget::Member(member.id.clone());
    store.set_quarantine(&target, "stolen", false).await.expect("sets");
    let change = MemberChange { name: "New".into(), role: member.role, disabled: false };
    let changed = store.change_member(&member.id, &change, None).await.expect("changes").expect("is there");
    assert!(changed.quarantined, "a change of something else does not lift it");
    store.set_quarantine(&QuarantineTarget::Server(server.id.clone()), "stolen", true).await.expect("sets");
    store.delete_member(&member.id).await.expect("deletes");
    store.delete_server(&server.id).await.expect("deletes");
    assert_eq!(store.quarantines().await.expect("reads"), []);
}

async fn admission(store: &dyn Store, server: &ServerId) -> Admission {
    store.admission(server).await.expect("reads").expect("is there")
}

pub(in crate::store) async fn members_are_chosen_and_single_ones_told_apart(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    assert_eq!(admission(store.as_ref(), &server.id).await, Admission::default());
    let before = revision(store.as_ref()).await;
    store.set_members(&server.id, &workspace.id, Members::Chosen).await.expect("sets");
    let forgotten = [Invalidation::Workspace(workspace.id.to_string())];
    assert_eq!(changes(store.as_ref(), before).await.invalidations, forgotten);
    let before = revision(store.as_ref()).await;
    store.set_member_access(&server.id, &member.id, Some(MemberAccess::Allow)).await.expect("sets");
    assert_eq!(
        changes(store.as_ref(), before).await.invalidations,
        [Invalidation::Member(member.id.to_string())]
    );
    let chosen = Admission {
        chosen: BTreeSet::from([workspace.id.clone()]),
        members: BTreeMap::from([(member.id.clone(), MemberAccess::Allow)]),
    };
    assert_eq!(admission(store.as_ref(), &server.id).await, chosen);
    let request = super::facts::request("server-1", super::facts::of_subject(1));
    let facts = store.lease_facts(&request).await.expect("reads");
    assert_eq!(facts.server.expect("is there").admission, chosen);

    let before = revision(store.as_ref()).await;
    store.set_members(&server.id, &workspace.id, Members::Chosen).await.expect("again");
    store.set_member_access(&server.id, &member.id, Some(MemberAccess::Allow)).await.expect("again");
    assert_eq!(revision(store.as_ref()).await, before, "nothing changed");
    // A workspace that loses the server and gets it back has it for the same members.
    store.set_provision(&server.id, &workspace.id, false).await.expect("sets");
    store.set_provision(&server.id, &workspace.id, true).await.expect("sets");
    assert_eq!(admission(store.as_ref(), &server.id).await, chosen);
    store.set_member_access(&server.id, &member.id, Some(MemberAccess::Deny)).await.expect("sets");
    store.set_members(&server.id, &workspace.id, Members::All).await.expect("sets");
    let denied = BTreeMap::from([(member.id.clone(), MemberAccess::Deny)]);
    assert_eq!(admission(store.as_ref(), &server.id).await.members, denied);
    store.set_member_access(&server.id, &member.id, None).await.expect("sets");
    assert_eq!(admission(store.as_ref(), &server.id).await, Admission::default());
    let (nobody, nowhere) = (MemberId::from("mem_none"), WorkspaceId::from("wsp_none"));
    assert_eq!(store.set_member_access(&server.id, &nobody, None).await.expect("reads"), None);
    assert_eq!(store.set_members(&server.id, &nowhere, Members::Chosen).await.expect("reads"), None);
    assert_eq!(store.admission(&"srv_none".into()).await.expect("reads"), None);
}

pub(in crate::store) async fn admission_is_declared_as_a_whole(database: &dyn Database) {
    let store = database.open().await;
    let mut declaration = sample();
    let member: MemberId = declaration.members[0].id.clone();
    let server: ServerId = declaration.servers[0].id.clone();
    let workspace: WorkspaceId = declaration.workspaces[0].id.clone();
    declaration.servers[0].admission = Admission {
        chosen: BTreeSet::from([workspace.clone()]),
        members: BTreeMap::from([(member.clone(), MemberAccess::Allow)]),
    };
    let one = store.declare(&declaration, Revision(0)).await.expect("declares");
    assert_eq!(admission(store.as_ref(), &server).await, declaration.servers[0].admission);
    assert_eq!(store.declare(&declaration, one).await.expect("declares"), one, "nothing differs");
    let refused = store.set_member_access(&server, &member, None).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly { what: "server" })), "{refused:?}");
    let refused = store.set_members(&server, &workspace, Members::All).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly { what: "server" })), "{refused:?}");
    store.declare(&sample(), one).await.expect("declares");
    assert_eq!(admission(store.as_ref(), &server).await, Admission::default());
}

pub(in crate::store) async fn the_audit_of_objects_leaves_out_the_rest(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let other = store.create_workspace(&new_workspace(2)).await.expect("makes");
    let since = revision(store.as_ref()).await;
    let rules = denying("x");
    for target in [PolicyTarget::Organization, PolicyTarget::Workspace(workspace.id.clone())] {
        store.set_policy(&target, &server.id, &rules, None).await.expect("sets");
    }
    store
        .set_policy(&PolicyTarget::Workspace(other.id.clone()), &server.id, &rules, None)
        .await
        .expect("sets");
    store.set_member_access(&server.id, &member.id, Some(MemberAccess::Deny)).await.expect("sets");
    let ids = [workspace.id.as_str(), member.id.as_str(), server.id.as_str()];
    let found = store.audit_of(&ids, since, 10).await.expect("reads");
    let actions: Vec<(&str, String)> =
        found.iter().map(|entry| (entry.action.as_str(), entry.object.clone())).collect();
    let (server, member, workspace) = (&server.id, &member.id, &workspace.id);
    let expected = [
        ("server.member", format!("{server} {member}")),
        ("policy.set", format!("workspace:{workspace} {server}")),
        ("policy.set", format!("organization: {server}")),
    ];
    assert_eq!(actions, expected, "and nothing of the other workspace");
    assert_eq!(store.audit_of(&ids, since, 1).await.expect("reads").len(), 1);
    let now = revision(store.as_ref()).await;
    assert_eq!(store.audit_of(&ids, now, 10).await.expect("reads"), []);
}
