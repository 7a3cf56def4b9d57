//! What `portcullis.yaml` declares.

use std::collections::BTreeSet;

use portcullis_wire::watch::Invalidation;

use super::Database;
use super::fixtures::*;
use crate::domain::issuer::WorkspaceMapping;
use crate::domain::people::{KeyOwner, MemberRole, OrganizationRole};
use crate::domain::policy::PolicyTarget;
use crate::domain::provisioning::Admission;
use crate::domain::server::ServerSettings;
use crate::domain::{Origin, Revision};
use crate::store::changes::MAX_INVALIDATIONS;
use crate::store::{
    Declaration, DeclaredPolicy, DeclaredServer, DeclaredWorkspaces, MemberChange, NewWorkspace, StoreError,
};

/// A workspace with a member, a server in it, an issuer, and a policy at each level.
pub(super) fn sample() -> Declaration {
    let workspace = new_workspace(1);
    let member = crate::store::NewMember {
        id: "mem_1".into(),
        workspace: workspace.id.clone(),
        identity: identity(1),
        name: "Member 1".into(),
        role: MemberRole::Member,
    };
    let new = new_server(1);
    let targets = [
        PolicyTarget::Organization,
        PolicyTarget::Workspace(workspace.id.clone()),
        PolicyTarget::Member(member.id.clone()),
    ];
    let policy = |target| DeclaredPolicy { target, server: new.id.clone(), rules: denying("x") };
    Declaration {
        policies: targets.into_iter().map(policy).collect(),
        servers: vec![DeclaredServer {
            id: new.id.clone(),
            slug: new.slug,
            settings: new.settings,
            workspaces: DeclaredWorkspaces::Only(BTreeSet::from([workspace.id.clone()])),
            admission: Admission::default(),
        }],
        issuers: vec![issuer(WorkspaceMapping::Fixed(workspace.slug.clone()))],
        workspaces: vec![workspace],
        members: vec![member],
        administrators: vec![new_administrator(1, OrganizationRole::Owner)],
        limits: Vec::new(),
    }
}

pub(in crate::store) async fn declarations_replace_each_other(database: &dyn Database) {
    let store = database.open().await;
    let mut declaration = sample();
    let one = store.declare(&declaration, Revision(0)).await.expect("declares");
    assert_eq!(one, Revision(1));
    let server = store.server(&"srv_1".into()).await.expect("reads").expect("is there");
    assert_eq!(
        (server.origin, server.revision, &server.settings),
        (Origin::Config, one, &new_server(1).settings)
    );
    let issuers = store.issuers().await.expect("reads");
    let expected = crate::domain::issuer::Issuer { revision: one, ..declaration.issuers[0].clone() };
    assert_eq!(issuers, [expected]);
    assert_eq!(store.provisions(&server.id).await.expect("reads"), Some(BTreeSet::from(["wsp_1".into()])));
    assert_eq!(store.policies(&PolicyTarget::Organization).await.expect("reads").len(), 1);

    // The same again is no change.
    assert_eq!(store.declare(&declaration, one).await.expect("declares"), one);

    // One difference is one invalidation.
    declaration.members[0].name = "New".into();
    let two = store.declare(&declaration, one).await.expect("declares");
    let renamed = Invalidation::Member("mem_1".into());
    assert_eq!(changes(store.as_ref(), one).await, change_set(two, false, &[renamed]));

    // Another id may take a slug over in the same breath; all servers are for all workspaces now.
    declaration.workspaces = vec![NewWorkspace { id: "wsp_9".into(), ..new_workspace(1) }];
    declaration.members.clear();
    declaration.policies.clear();
    declaration.servers[0].workspaces = DeclaredWorkspaces::All;
    let three = store.declare(&declaration, two).await.expect("declares");
    assert_eq!(store.workspaces().await.expect("reads")[0].id, "wsp_9".into());
    assert_eq!(store.member(&"mem_1".into()).await.expect("reads"), None);
    assert_eq!(store.provisions(&server.id).await.expect("reads"), Some(BTreeSet::from(["wsp_9".into()])));
    let later = store.create_workspace(&new_workspace(2)).await.expect("makes");
    let both = BTreeSet::from(["wsp_9".into(), later.id.clone()]);
    assert_eq!(store.provisions(&server.id).await.expect("reads"), Some(both));
    assert!(later.revision > three);

    // Nothing declared is nothing left, but for what the API has made.
    let four = store.declare(&Declaration::default(), later.revision).await.expect("declares");
    assert_eq!(store.servers().await.expect("reads"), []);
    assert_eq!(store.issuers().await.expect("reads"), []);
    assert_eq!(store.workspaces().await.expect("reads"), std::slice::from_ref(&later));
    let told = changes(store.as_ref(), later.revision).await;
    assert_eq!(told, change_set(four, true, &[Invalidation::All]));
}

pub(in crate::store) async fn declared_objects_are_read_only(database: &dyn Database) {
    let store = database.open().await;
    store.declare(&sample(), Revision(0)).await.expect("declares");
    let before = revision(store.as_ref()).await;
    let workspace = store.workspace(&"wsp_1".into()).await.expect("reads").expect("is there");
    let organization = PolicyTarget::Organization;
    let change = MemberChange { name: "New".into(), role: MemberRole::Member, disabled: true };
    let refusals = [
        store.change_server(&"srv_1".into(), &settings("New"), None).await.err(),
        store.delete_server(&"srv_1".into()).await.err(),
        store.set_provision(&"srv_1".into(), &workspace.id, false).await.err(),
        store.change_workspace(&workspace.id, &named("New"), None).await.err(),
        store.delete_workspace(&workspace.id).await.err(),
        store.change_member(&"mem_1".into(), &change, None).await.err(),
        store.delete_member(&"mem_1".into()).await.err(),
        store.set_policy(&organization, &"srv_1".into(), &denying("y"), None).await.err(),
        store.delete_policy(&organization, &"srv_1".into()).await.err(),
    ];
    for (position, refusal) in refusals.into_iter().enumerate() {
        assert!(matches!(refusal, Some(StoreError::ReadOnly { .. })), "{position}: {refusal:?}");
    }
    assert_eq!(revision(store.as_ref()).await, before);
    // What is not declared about them can be managed.
    let key =
        store.create_key(&new_key(1, &workspace, KeyOwner::Member("mem_1".into()))).await.expect("makes");
    let target = PolicyTarget::Key(key.id.clone());
    store.set_policy(&target, &"srv_1".into(), &denying("y"), None).await.expect("sets");
    store.create_member(&new_member(2, &workspace)).await.expect("makes");
}

pub(in crate::store) async fn declarations_take_over_and_are_stale(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let key =
        store.create_key(&new_key(1, &workspace, KeyOwner::Member(member.id.clone()))).await.expect("makes");
    let off = MemberChange { name: "Member 1".into(), role: MemberRole::Member, disabled: true };
    store.change_member(&member.id, &off, None).await.expect("changes");
    let now = revision(store.as_ref()).await;

    assert!(matches!(store.declare(&sample(), server.revision).await, Err(StoreError::Stale)));
    assert!(matches!(store.declare(&sample(), Revision(now.0 + 1)).await, Err(StoreError::Stale)));
    let mut mixed_up = sample();
    mixed_up.workspaces[0].slug = slug("other");
    assert!(matches!(store.declare(&mixed_up, now).await, Err(StoreError::Taken { what: "workspace", .. })));
    assert_eq!(revision(store.as_ref()).await, now);

    store.declare(&sample(), now).await.expect("declares");
    let taken_over = store.server(&server.id).await.expect("reads").expect("is there");
    assert_eq!(taken_over.origin, Origin::Config);
    assert_eq!(taken_over.settings, ServerSettings { provision_new_workspaces: false, ..server.settings });
    let member = store.member(&member.id).await.expect("reads").expect("is there");
    assert_eq!((member.origin, member.disabled), (Origin::Config, false));
    assert_eq!(store.key(&key.id).await.expect("reads"), Some(key));
}

pub(in crate::store) async fn a_large_change_forgets_everything(database: &dyn Database) {
    let store = database.open().await;
    let many = u32::try_from(MAX_INVALIDATIONS).expect("fits") + 1;
    let mut declaration = Declaration { workspaces: vec![new_workspace(1)], ..Declaration::default() };
    for number in 1..=many {
        declaration.members.push(crate::store::NewMember {
            id: format!("mem_{number}").into(),
            workspace: "wsp_1".into(),
            identity: identity(number),
            name: "Old".into(),
            role: MemberRole::Member,
        });
    }
    let one = store.declare(&declaration, Revision(0)).await.expect("declares");
    for member in declaration.members.iter_mut().skip(1) {
        member.name = "New".into();
    }
    let two = store.declare(&declaration, one).await.expect("declares");
    assert_eq!(changes(store.as_ref(), one).await.invalidations.len(), MAX_INVALIDATIONS);
    for member in &mut declaration.members {
        member.name = "Newer".into();
    }
    store.declare(&declaration, two).await.expect("declares");
    assert_eq!(changes(store.as_ref(), two).await.invalidations, [Invalidation::All]);
}
