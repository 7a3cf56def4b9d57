//! Administrators, what sign-ins say, and keys that hold by their maker.

use std::collections::BTreeMap;

use portcullis_wire::watch::Invalidation;

use super::Database;
use super::fixtures::*;
use crate::clock::Timestamp;
use crate::domain::Origin;
use crate::domain::people::{Identity, KeyOwner, Member, MemberRole, OrganizationRole, Workspace};
use crate::domain::policy::PolicyTarget;
use crate::store::{
    Actor, AdministratorChange, Declaration, MemberChange, NewKey, SignInFacts, Store, StoreError,
};

fn facts(memberships: &[(&Workspace, MemberRole)], role: Option<OrganizationRole>) -> SignInFacts {
    let membership = |(workspace, role): &(&Workspace, MemberRole)| {
        (workspace.id.clone(), (format!("mem_of_{}", workspace.id).into(), *role))
    };
    SignInFacts {
        identity: identity(9),
        name: "Nina".into(),
        memberships: memberships.iter().map(membership).collect::<BTreeMap<_, _>>(),
        administrator: role.map(|role| ("adm_9".into(), role)),
    }
}

async fn nina(store: &dyn Store, workspace: &Workspace) -> Option<Member> {
    store.member_by_identity(&workspace.id, &identity(9)).await.expect("reads")
}

pub(in crate::store) async fn administrators_read_back_as_written(database: &dyn Database) {
    let store = database.open().await;
    let new = new_administrator(1, OrganizationRole::Admin);
    let made = store.create_administrator(&new).await.expect("makes");
    assert_eq!((made.origin, &made.identity, made.role), (Origin::Api, &new.identity, new.role));
    assert_eq!(store.administrator(&made.id).await.expect("reads"), Some(made.clone()));
    assert_eq!(store.administrator_by_identity(&made.identity).await.expect("reads"), Some(made.clone()));
    let twice =
        store.create_administrator(&crate::store::NewAdministrator { id: "adm_x".into(), ..new }).await;
    assert!(matches!(twice, Err(StoreError::Taken { what: "administrator", .. })));
    assert!(!store.has_owner(ISSUER).await.expect("reads"));

    let change = AdministratorChange { name: "New".into(), role: OrganizationRole::Owner };
    let changed = store.change_administrator(&made.id, &change, Some(made.revision)).await.expect("changes");
    assert_eq!(changed.map(|it| (it.name, it.role)), Some(("New".into(), OrganizationRole::Owner)));
    let stale = store.change_administrator(&made.id, &change, Some(made.revision)).await;
    assert!(matches!(stale, Err(StoreError::Stale)));
    assert!(store.has_owner(ISSUER).await.expect("reads"));
    assert!(!store.has_owner("https://other.example").await.expect("reads"));
    assert_eq!(store.administrators().await.expect("reads").len(), 1);
    for gone in ["adm_none", "mem_1"] {
        assert_eq!(store.administrator(&gone.into()).await.expect("reads"), None);
        assert_eq!(store.delete_administrator(&gone.into()).await.expect("reads"), None);
    }
}

pub(in crate::store) async fn the_last_owner_stays(database: &dyn Database) {
    let store = database.open().await;
    for number in 1..=2 {
        store.create_administrator(&new_administrator(number, OrganizationRole::Owner)).await.expect("makes");
    }
    store.create_administrator(&new_administrator(3, OrganizationRole::Admin)).await.expect("makes");
    // Each removes or demotes the other, at the same time.
    let other = database.open().await;
    let demotion = AdministratorChange { name: "x".into(), role: OrganizationRole::Admin };
    let (one, two) = ("adm_1".into(), "adm_2".into());
    let (removed, demoted) =
        tokio::join!(store.delete_administrator(&one), other.change_administrator(&two, &demotion, None));
    let refused = [removed.err(), demoted.err()].into_iter().flatten().collect::<Vec<_>>();
    assert!(matches!(refused.as_slice(), [StoreError::LastOwner]), "{refused:?}");
    let owners = store.administrators().await.expect("reads").into_iter();
    assert_eq!(owners.filter(|it| it.role == OrganizationRole::Owner).count(), 1);
    assert!(store.delete_administrator(&"adm_3".into()).await.expect("an admin may go").is_some());
}

pub(in crate::store) async fn declared_administrators_are_the_files(database: &dyn Database) {
    let store = database.open().await;
    let api =
        store.create_administrator(&new_administrator(1, OrganizationRole::Admin)).await.expect("makes");
    let mut declaration = Declaration {
        administrators: vec![
            crate::store::NewAdministrator {
                id: "adm_fresh".into(),
                ..new_administrator(1, OrganizationRole::Owner)
            },
            new_administrator(2, OrganizationRole::Admin),
        ],
        ..Declaration::default()
    };
    let one = store.declare(&declaration, revision(store.as_ref()).await).await.expect("declares");
    let taken_over = store.administrator(&api.id).await.expect("reads").expect("keeps its id");
    assert_eq!((taken_over.origin, taken_over.role), (Origin::Config, OrganizationRole::Owner));
    assert_eq!(store.declare(&declaration, one).await.expect("declares"), one, "the same changes nothing");
    let change = AdministratorChange { name: "x".into(), role: OrganizationRole::Owner };
    let refused = store.change_administrator(&api.id, &change, None).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly { what: "administrator" })));
    assert!(matches!(store.delete_administrator(&api.id).await, Err(StoreError::ReadOnly { .. })));
    // The file may leave nobody: whoever writes it holds the admin token too.
    declaration.administrators.clear();
    store.declare(&declaration, one).await.expect("declares");
    assert_eq!(store.administrators().await.expect("reads"), []);
}

pub(in crate::store) async fn sign_ins_make_what_they_say_and_lapse_what_they_do_not(
    database: &dyn Database,
) {
    let store = database.open().await;
    let core = store.create_workspace(&new_workspace(1)).await.expect("makes");
    let sales = store.create_workspace(&new_workspace(2)).await.expect("makes");
    let said =
        facts(&[(&core, MemberRole::Manager), (&sales, MemberRole::Member)], Some(OrganizationRole::Admin));
    let one = store.sign_in(&said).await.expect("signs in");
    let in_core = nina(store.as_ref(), &core).await.expect("made");
    assert_eq!(
        (in_core.role, in_core.origin, in_core.name.as_str()),
        (MemberRole::Manager, Origin::SignIn, "Nina")
    );
    assert_eq!(store.sign_in(&said).await.expect("signs in"), one, "the same takes no revision");
    let key = new_key(1, &core, KeyOwner::Member(in_core.id.clone()));
    store.create_key(&key).await.expect("makes");

    // Left one team, is an ordinary member of the other, and administers no longer.
    let before = revision(store.as_ref()).await;
    store.sign_in(&facts(&[(&sales, MemberRole::Member)], None)).await.expect("signs in");
    let lapsed = nina(store.as_ref(), &core).await.expect("the row stays");
    assert!(lapsed.lapsed && !lapsed.is_active());
    assert_eq!(store.administrators().await.expect("reads"), []);
    let heard = changes(store.as_ref(), before).await.invalidations;
    assert_eq!(heard, [Invalidation::Member(in_core.id.to_string())]);
    assert!(store.key(&key.id).await.expect("reads").is_some(), "so do its keys");
    assert_eq!(audited(store.as_ref(), 2).await[0].0, "member.lapse");

    store.sign_in(&facts(&[(&core, MemberRole::Member)], None)).await.expect("signs in");
    let back = nina(store.as_ref(), &core).await.expect("is there");
    assert_eq!((back.id, back.lapsed, back.role), (in_core.id, false, MemberRole::Member));
    assert!(nina(store.as_ref(), &sales).await.expect("is there").lapsed);
}

pub(in crate::store) async fn sign_ins_leave_alone_what_others_have_made(database: &dyn Database) {
    let store = database.open().await;
    let core = store.create_workspace(&new_workspace(1)).await.expect("makes");
    let gone = store.create_workspace(&new_workspace(2)).await.expect("makes");
    store.delete_workspace(&gone.id).await.expect("deletes");
    store.create_member(&new_member(9, &core)).await.expect("makes");
    store.create_administrator(&new_administrator(9, OrganizationRole::Admin)).await.expect("makes");
    let before = revision(store.as_ref()).await;
    for said in [
        facts(&[], None),
        facts(&[(&core, MemberRole::Manager), (&gone, MemberRole::Member)], Some(OrganizationRole::Owner)),
    ] {
        assert_eq!(store.sign_in(&said).await.expect("signs in"), before);
    }
    let member = nina(store.as_ref(), &core).await.expect("is there");
    assert_eq!((member.origin, member.role, member.lapsed), (Origin::Api, MemberRole::Member, false));

    // One that a sign-in has made and an administrator has disabled stays disabled.
    store.delete_member(&member.id).await.expect("deletes");
    store.sign_in(&facts(&[(&core, MemberRole::Member)], None)).await.expect("signs in");
    let member = nina(store.as_ref(), &core).await.expect("made");
    let off = MemberChange { name: "x".into(), role: MemberRole::Member, disabled: true };
    store.change_member(&member.id, &off, None).await.expect("changes").expect("is there");
    store.sign_in(&facts(&[(&core, MemberRole::Member)], None)).await.expect("signs in");
    let member = nina(store.as_ref(), &core).await.expect("is there");
    assert!(member.disabled && member.origin == Origin::SignIn);
}

pub(in crate::store) async fn service_keys_are_forgotten_when_their_maker_changes(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let made_by = |number, owner, by: &Identity| NewKey {
        made_by: Some(by.clone()),
        ..new_key(number, &workspace, owner)
    };
    let ours = store.create_key(&made_by(1, KeyOwner::Service, &member.identity)).await.expect("makes");
    assert_eq!(ours.made_by.as_ref(), Some(&member.identity));
    store.create_key(&made_by(2, KeyOwner::Service, &identity(5))).await.expect("makes");
    let own = KeyOwner::Member(member.id.clone());
    store.create_key(&made_by(3, own, &member.identity)).await.expect("makes");
    let (of_key, of_member) =
        (Invalidation::Key(ours.id.to_string()), Invalidation::Member(member.id.to_string()));

    let cursor = revision(store.as_ref()).await;
    let promoted = MemberChange { name: member.name.clone(), role: MemberRole::Manager, disabled: false };
    store.change_member(&member.id, &promoted, None).await.expect("changes");
    assert_eq!(changes(store.as_ref(), cursor).await.invalidations, [of_member.clone(), of_key.clone()]);

    let cursor = revision(store.as_ref()).await;
    store
        .set_policy(&PolicyTarget::Member(member.id.clone()), &server.id, &denying("x"), None)
        .await
        .expect("sets");
    assert_eq!(changes(store.as_ref(), cursor).await.invalidations, [of_member.clone(), of_key.clone()]);

    let cursor = revision(store.as_ref()).await;
    let administrator = store.create_administrator(&new_administrator(1, OrganizationRole::Admin)).await;
    assert_eq!(changes(store.as_ref(), cursor).await.invalidations, std::slice::from_ref(&of_key));
    let cursor = revision(store.as_ref()).await;
    store.delete_administrator(&administrator.expect("makes").id).await.expect("deletes");
    assert_eq!(changes(store.as_ref(), cursor).await.invalidations, std::slice::from_ref(&of_key));

    let cursor = revision(store.as_ref()).await;
    store.delete_member(&member.id).await.expect("deletes");
    assert_eq!(changes(store.as_ref(), cursor).await.invalidations, [of_member, of_key]);
}

pub(in crate::store) async fn the_keys_of_a_member_are_paged(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, .. } = small(store.as_ref()).await;
    for number in 1..=3 {
        let owner = KeyOwner::Member(member.id.clone());
        store.create_key(&new_key(number, &workspace, owner)).await.expect("makes");
    }
    store.create_key(&new_key(4, &workspace, KeyOwner::Service)).await.expect("makes");
    let two = store.keys_of_member(&member.id, None, 2).await.expect("reads");
    let rest = store.keys_of_member(&member.id, two.last().map(|key| &key.id), 2).await.expect("reads");
    assert_eq!((two.len(), rest.len()), (2, 1));
    assert_eq!(store.memberships(&member.identity).await.expect("reads"), [member]);
}

pub(in crate::store) async fn people_are_audited_by_issuer_and_subject(database: &dyn Database) {
    let store = database.open().await;
    let ada = store.on_behalf_of(Actor::Person(identity(1)), Timestamp(7));
    ada.create_workspace(&new_workspace(1)).await.expect("makes");
    let newest = store.audit(None, 1).await.expect("reads").remove(0);
    assert_eq!((newest.actor, newest.at), (Actor::Person(identity(1)), Timestamp(7)));
}
