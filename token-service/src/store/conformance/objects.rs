//! Objects: written, read, changed, deleted.

use std::collections::BTreeSet;

use portcullis_wire::watch::PayloadPolicy;

use super::Database;
use super::fixtures::*;
use crate::domain::ids::{KeyId, MemberId, ServerId, WorkspaceId};
use crate::domain::payload::PayloadSettings;
use crate::domain::people::{KeyOwner, KeySettings, MemberRole};
use crate::domain::policy::{PolicyTarget, ServerRules};
use crate::domain::server::{ServerAuth, ServerSettings};
use crate::domain::{Origin, Revision};
use crate::store::{InitialWorkspaces, MemberChange, NewKey, NewMember, NewServer, NewWorkspace, StoreError};

pub(in crate::store) async fn objects_read_back_as_written(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let key =
        store.create_key(&new_key(1, &workspace, KeyOwner::Member(member.id.clone()))).await.expect("makes");
    let service = store.create_key(&new_key(2, &workspace, KeyOwner::Service)).await.expect("makes");
    let target = PolicyTarget::Key(key.id.clone());
    let policy = store.set_policy(&target, &server.id, &denying("delete_*"), None).await.expect("sets");

    // A handle of its own has only the database to know from.
    let store = database.open().await;
    assert_eq!(store.server(&server.id).await.expect("reads"), Some(server.clone()));
    assert_eq!(store.server_by_slug(&server.slug).await.expect("reads"), Some(server.clone()));
    assert_eq!(store.servers().await.expect("reads"), std::slice::from_ref(&server));
    assert_eq!(server.settings, new_server(1).settings);
    assert_eq!(store.workspace(&workspace.id).await.expect("reads"), Some(workspace.clone()));
    assert_eq!(store.workspace_by_slug(&workspace.slug).await.expect("reads"), Some(workspace.clone()));
    assert_eq!(store.workspaces().await.expect("reads"), std::slice::from_ref(&workspace));
    assert_eq!(store.member(&member.id).await.expect("reads"), Some(member.clone()));
    let found = store.member_by_identity(&workspace.id, &member.identity).await.expect("reads");
    assert_eq!(found, Some(member.clone()));
    assert_eq!(store.key(&key.id).await.expect("reads"), Some(key.clone()));
    assert_eq!(key.owner, KeyOwner::Member(member.id));
    assert_eq!(store.keys(&workspace.id, None, 10).await.expect("reads"), [key, service]);
    assert_eq!(store.policies(&target).await.expect("reads"), std::slice::from_ref(&policy));
    assert_eq!((policy.rules, policy.origin), (denying("delete_*"), Origin::Api));
}

pub(in crate::store) async fn payload_settings_read_back_as_written(database: &dyn Database) {
    let store = database.open().await;
    let Small { server, .. } = small(store.as_ref()).await;
    for policy in [PayloadPolicy::Off, PayloadPolicy::Digest, PayloadPolicy::Redacted, PayloadPolicy::Full] {
        for payload in [
            PayloadSettings::from(policy),
            PayloadSettings { policy, ..settings("x").payload },
            PayloadSettings { limit: 256, ..policy.into() },
        ] {
            let settings = ServerSettings { payload, ..settings("x") };
            store.change_server(&server.id, &settings, None).await.expect("changes");
            let read = database.open().await.server(&server.id).await.expect("reads").expect("is there");
            assert_eq!(read.settings.payload, settings.payload);
        }
    }
}

pub(in crate::store) async fn what_is_not_there_is_none(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, server, .. } = small(store.as_ref()).await;
    let before = revision(store.as_ref()).await;
    let (no_server, no_workspace) = (ServerId::from("x"), WorkspaceId::from("x"));
    let (no_member, no_key) = (MemberId::from("x"), KeyId::from("x"));
    let change = MemberChange { name: "x".into(), role: MemberRole::Member, disabled: true };
    let target = PolicyTarget::Workspace(workspace.id.clone());

    assert_eq!(store.server(&no_server).await.expect("reads"), None);
    assert_eq!(store.server_by_slug(&slug("x")).await.expect("reads"), None);
    assert_eq!(store.change_server(&no_server, &settings("x"), None).await.expect("reads"), None);
    assert_eq!(store.delete_server(&no_server).await.expect("reads"), None);
    assert_eq!(store.provisions(&no_server).await.expect("reads"), None);
    assert_eq!(store.set_provision(&no_server, &workspace.id, true).await.expect("reads"), None);
    assert_eq!(store.set_provision(&server.id, &no_workspace, true).await.expect("reads"), None);
    assert_eq!(store.workspace(&no_workspace).await.expect("reads"), None);
    assert_eq!(store.workspace_by_slug(&slug("x")).await.expect("reads"), None);
    assert_eq!(store.change_workspace(&no_workspace, &named("x"), None).await.expect("reads"), None);
    assert_eq!(store.delete_workspace(&no_workspace).await.expect("reads"), None);
    assert_eq!(store.member(&no_member).await.expect("reads"), None);
    assert_eq!(store.member_by_identity(&workspace.id, &identity(9)).await.expect("reads"), None);
    assert_eq!(store.change_member(&no_member, &change, None).await.expect("reads"), None);
    assert_eq!(store.delete_member(&no_member).await.expect("reads"), None);
    assert_eq!(store.key(&no_key).await.expect("reads"), None);
    assert_eq!(store.change_key(&no_key, &key_settings("x"), None).await.expect("reads"), None);
    assert_eq!(store.delete_key(&no_key).await.expect("reads"), None);
    assert_eq!(store.delete_policy(&target, &server.id).await.expect("reads"), None);
    assert_eq!(store.policies(&target).await.expect("reads"), []);
    assert_eq!(revision(store.as_ref()).await, before);
}

pub(in crate::store) async fn names_are_unique(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, .. } = small(store.as_ref()).await;
    store.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect("makes");
    let before = revision(store.as_ref()).await;

    let same_slug = NewServer { id: "srv_other".into(), ..new_server(1) };
    let server = store.create_server(&same_slug).await.expect_err("the slug is taken");
    assert!(matches!(server, StoreError::Taken { what: "server", .. }), "{server:?}");
    let twice = ServerAuth::Headers(vec![header("x-a", 1), header("x-a", 2)]);
    let twice = NewServer { settings: ServerSettings { auth: twice, ..settings("x") }, ..new_server(2) };
    let header = store.create_server(&twice).await.expect_err("the header is taken");
    assert!(matches!(header, StoreError::Taken { what: "header", .. }), "{header:?}");
    let same_slug = NewWorkspace { id: "wsp_other".into(), ..new_workspace(1) };
    let taken = store.create_workspace(&same_slug).await.expect_err("the slug is taken");
    assert!(matches!(taken, StoreError::Taken { what: "workspace", .. }), "{taken:?}");
    let same_identity = NewMember { id: "mem_other".into(), ..new_member(1, &workspace) };
    let taken = store.create_member(&same_identity).await.expect_err("the identity is taken");
    assert!(matches!(taken, StoreError::Taken { what: "member", .. }), "{taken:?}");
    let taken =
        store.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect_err("the id is taken");
    assert!(matches!(taken, StoreError::Taken { what: "API key", .. }), "{taken:?}");
    assert_eq!(revision(store.as_ref()).await, before);

    // The same person may be in another workspace.
    let other = store.create_workspace(&new_workspace(2)).await.expect("makes");
    let again = NewMember { id: "mem_other".into(), ..new_member(1, &other) };
    let again = store.create_member(&again).await.expect("makes");
    assert_eq!(again.identity, member.identity);
}

pub(in crate::store) async fn references_must_lead_somewhere(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let other = store.create_workspace(&new_workspace(2)).await.expect("makes");
    let before = revision(store.as_ref()).await;
    let nowhere = WorkspaceId::from("nowhere");

    let lost = NewMember { workspace: nowhere.clone(), ..new_member(2, &workspace) };
    assert!(matches!(store.create_member(&lost).await, Err(StoreError::Missing { .. })));
    assert!(matches!(store.provision_member(&lost).await, Err(StoreError::Missing { .. })));
    let lost = NewKey { workspace: nowhere.clone(), ..new_key(1, &workspace, KeyOwner::Service) };
    assert!(matches!(store.create_key(&lost).await, Err(StoreError::Missing { .. })));
    let foreign = new_key(1, &other, KeyOwner::Member(member.id));
    assert!(matches!(store.create_key(&foreign).await, Err(StoreError::Missing { .. })));
    let lost = InitialWorkspaces::Only(BTreeSet::from([nowhere.clone()]));
    let lost = NewServer { workspaces: lost, ..new_server(2) };
    assert!(matches!(store.create_server(&lost).await, Err(StoreError::Missing { .. })));
    for target in [
        PolicyTarget::Workspace(nowhere),
        PolicyTarget::Member("nobody".into()),
        PolicyTarget::Key("nothing".into()),
    ] {
        let refused = store.set_policy(&target, &server.id, &denying("x"), None).await;
        assert!(matches!(refused, Err(StoreError::Missing { .. })), "{target:?}");
    }
    let refused = store.set_policy(&PolicyTarget::Organization, &"x".into(), &denying("x"), None).await;
    assert!(matches!(refused, Err(StoreError::Missing { .. })));
    assert_eq!(revision(store.as_ref()).await, before);
}

pub(in crate::store) async fn stale_changes_are_refused(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let key = store.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect("makes");
    let stale = Some(Revision(999));
    let member_change = MemberChange { name: "New".into(), role: MemberRole::Member, disabled: true };
    let key_change = KeySettings { disabled: true, ..key_settings("New") };

    assert!(matches!(store.change_server(&server.id, &settings("New"), stale).await, Err(StoreError::Stale)));
    assert!(matches!(
        store.change_workspace(&workspace.id, &named("New"), stale).await,
        Err(StoreError::Stale)
    ));
    assert!(matches!(store.change_member(&member.id, &member_change, stale).await, Err(StoreError::Stale)));
    assert!(matches!(store.change_key(&key.id, &key_change, stale).await, Err(StoreError::Stale)));
    let organization = PolicyTarget::Organization;
    let refused = store.set_policy(&organization, &server.id, &denying("x"), stale).await;
    assert!(matches!(refused, Err(StoreError::Stale)));

    let changed =
        store.change_server(&server.id, &settings("New"), Some(server.revision)).await.expect("changes");
    assert_eq!(changed.map(|server| server.settings), Some(settings("New")));
    let changed = store
        .change_workspace(&workspace.id, &named("New"), Some(workspace.revision))
        .await
        .expect("changes");
    assert_eq!(changed.map(|workspace| workspace.name), Some("New".into()));
    let changed =
        store.change_member(&member.id, &member_change, Some(member.revision)).await.expect("changes");
    assert_eq!(changed.map(|member| (member.name, member.disabled)), Some(("New".into(), true)));
    let changed = store.change_key(&key.id, &key_change, Some(key.revision)).await.expect("changes");
    assert_eq!(changed.map(|key| key.settings), Some(key_change));
    let first = store.set_policy(&organization, &server.id, &denying("x"), None).await.expect("sets");
    let second = store.set_policy(&organization, &server.id, &denying("y"), Some(first.revision)).await;
    assert_eq!(second.expect("sets").rules, denying("y"));
    let late = store.set_policy(&organization, &server.id, &denying("z"), Some(first.revision)).await;
    assert!(matches!(late, Err(StoreError::Stale)));
    let all = store.policies(&organization).await.expect("reads");
    assert_eq!(all.into_iter().map(|entry| entry.rules).collect::<Vec<ServerRules>>(), [denying("y")]);
}

pub(in crate::store) async fn deleting_takes_what_belongs_to_it(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let key =
        store.create_key(&new_key(1, &workspace, KeyOwner::Member(member.id.clone()))).await.expect("makes");
    let service = store.create_key(&new_key(2, &workspace, KeyOwner::Service)).await.expect("makes");
    let targets = [
        PolicyTarget::Workspace(workspace.id.clone()),
        PolicyTarget::Member(member.id.clone()),
        PolicyTarget::Key(key.id.clone()),
        PolicyTarget::Key(service.id.clone()),
    ];
    for target in &targets {
        store.set_policy(target, &server.id, &denying("x"), None).await.expect("sets");
    }

    store.delete_member(&member.id).await.expect("deletes").expect("was there");
    assert_eq!(store.key(&key.id).await.expect("reads"), None);
    assert_eq!(store.policies(&targets[1]).await.expect("reads"), []);
    assert_eq!(store.policies(&targets[2]).await.expect("reads"), []);
    assert_eq!(store.key(&service.id).await.expect("reads").as_ref(), Some(&service));

    let revision = store.delete_workspace(&workspace.id).await.expect("deletes").expect("was there");
    assert_eq!(store.key(&service.id).await.expect("reads"), None);
    assert_eq!(store.policies(&targets[0]).await.expect("reads"), []);
    assert_eq!(store.policies(&targets[3]).await.expect("reads"), []);
    assert_eq!(store.provisions(&server.id).await.expect("reads"), Some(BTreeSet::new()));

    let organization = PolicyTarget::Organization;
    store.set_policy(&organization, &server.id, &denying("x"), None).await.expect("sets");
    let last = store.delete_server(&server.id).await.expect("deletes").expect("was there");
    assert!(last > revision);
    assert_eq!(store.policies(&organization).await.expect("reads"), []);
    assert_eq!(store.servers().await.expect("reads"), []);
}

pub(in crate::store) async fn provisions_toggle_and_new_workspaces_get_theirs(database: &dyn Database) {
    let store = database.open().await;
    let first = store.create_workspace(&new_workspace(1)).await.expect("makes").id;
    let asks = ServerSettings { provision_new_workspaces: true, ..settings("Asks") };
    let asks = store.create_server(&NewServer { settings: asks, ..new_server(1) }).await.expect("makes").id;
    let all = NewServer { workspaces: InitialWorkspaces::All, ..new_server(2) };
    let all = store.create_server(&all).await.expect("makes").id;
    let second = store.create_workspace(&new_workspace(2)).await.expect("makes").id;

    // The flag concerns workspaces made later; "all" those that were there.
    assert_eq!(store.provisions(&asks).await.expect("reads"), Some(BTreeSet::from([second.clone()])));
    assert_eq!(store.provisions(&all).await.expect("reads"), Some(BTreeSet::from([first.clone()])));

    let on = store.set_provision(&all, &second, true).await.expect("sets").expect("both are there");
    let again = store.set_provision(&all, &second, true).await.expect("sets").expect("both are there");
    assert_eq!(on, again);
    assert_eq!(
        store.provisions(&all).await.expect("reads"),
        Some(BTreeSet::from([first.clone(), second.clone()]))
    );
    store.set_provision(&all, &first, false).await.expect("sets").expect("both are there");
    assert_eq!(store.provisions(&all).await.expect("reads"), Some(BTreeSet::from([second.clone()])));
    assert_eq!(store.provisions(&asks).await.expect("reads"), Some(BTreeSet::from([second])));
}

pub(in crate::store) async fn lists_are_paged_in_order(database: &dyn Database) {
    let store = database.open().await;
    let workspace = store.create_workspace(&new_workspace(1)).await.expect("makes");
    let other = store.create_workspace(&new_workspace(2)).await.expect("makes");
    for number in [3, 1, 2] {
        store.create_member(&new_member(number, &workspace)).await.expect("makes");
        store.create_key(&new_key(number, &workspace, KeyOwner::Service)).await.expect("makes");
    }
    store.create_member(&new_member(4, &other)).await.expect("makes");
    store.create_key(&new_key(4, &other, KeyOwner::Service)).await.expect("makes");

    let page = store.members(&workspace.id, None, 2).await.expect("reads");
    let ids: Vec<&str> = page.iter().map(|member| member.id.as_str()).collect();
    assert_eq!(ids, ["mem_1", "mem_2"]);
    let page = store.members(&workspace.id, Some(&page[1].id), 2).await.expect("reads");
    assert_eq!(page.into_iter().map(|member| member.id).collect::<Vec<_>>(), ["mem_3".into()]);

    let page = store.keys(&workspace.id, None, 2).await.expect("reads");
    let ids: Vec<&str> = page.iter().map(|key| key.id.as_str()).collect();
    assert_eq!(ids, ["key0000001", "key0000002"]);
    let page = store.keys(&workspace.id, Some(&page[1].id), 2).await.expect("reads");
    assert_eq!(page.into_iter().map(|key| key.id).collect::<Vec<_>>(), ["key0000003".into()]);
}
