use super::*;
use crate::domain::{Origin, Revision};

fn member(id: &str, workspace: &str, role: MemberRole) -> Member {
    Member {
        id: id.into(),
        workspace: workspace.into(),
        identity: Identity { issuer: "https://idp.example".into(), subject: id.into() },
        name: id.into(),
        role,
        disabled: false,
        lapsed: false,
        origin: Origin::Api,
        revision: Revision(1),
        quarantined: false,
    }
}

fn person(role: Option<OrganizationRole>, memberships: Vec<Member>) -> Principal {
    let identity = Identity { issuer: "https://idp.example".into(), subject: "x".into() };
    Principal::Person { identity, role, memberships }
}

/// `.` allowed, `x` forbidden, `-` hidden; in the order of the operations.
fn may(principal: &Principal, object: Object<'_>) -> String {
    let operations =
        [Operation::See, Operation::Use, Operation::Manage, Operation::Administer, Operation::Appoint];
    let outcome = |operation| match authorize(principal, operation, object) {
        Ok(()) => '.',
        Err(Refusal::Forbidden) => 'x',
        Err(Refusal::Hidden) => '-',
    };
    operations.into_iter().map(outcome).collect()
}

#[test]
fn the_table_of_rights() {
    let ada = member("ada", "core", MemberRole::Member);
    let core: WorkspaceId = "core".into();
    let here = ["sales".into(), core.clone()];
    let objects = [
        Object::Organization,
        Object::Administrator,
        Object::Internal,
        Object::Workspace(&core),
        Object::Member(&ada),
        Object::Shared(&core),
        Object::Server(&here),
        Object::Server(&[]),
        Object::Catalogue(&here),
    ];
    for (who, principal, expected) in [
        ("the admin token", Principal::AdminToken, ["....."; 9]),
        ("an owner", person(Some(OrganizationRole::Owner), vec![]), ["....."; 9]),
        ("an admin", person(Some(OrganizationRole::Admin), vec![]), ["....x"; 9]),
        (
            "a manager here",
            person(None, vec![member("mia", "core", MemberRole::Manager)]),
            ["xxxxx", "-----", "-----", "...xx", "...xx", "...xx", ".xxxx", "-----", ".xxxx"],
        ),
        (
            "oneself",
            person(None, vec![ada.clone()]),
            ["xxxxx", "-----", "-----", "..xxx", "..xxx", "-----", ".xxxx", "-----", "xxxxx"],
        ),
        (
            "a fellow",
            person(None, vec![member("grace", "core", MemberRole::Member)]),
            ["xxxxx", "-----", "-----", "..xxx", "-----", "-----", ".xxxx", "-----", "xxxxx"],
        ),
        (
            "a manager elsewhere",
            person(None, vec![member("max", "design", MemberRole::Manager)]),
            ["xxxxx", "-----", "-----", "-----", "-----", "-----", "-----", "-----", "-----"],
        ),
    ] {
        for (object, expected) in objects.iter().zip(expected) {
            assert_eq!(may(&principal, *object), expected, "{who}: {object:?}");
        }
    }
}

#[test]
fn a_membership_that_is_not_active_says_nothing() {
    let core: WorkspaceId = "core".into();
    let manager = member("mia", "core", MemberRole::Manager);
    for away in [Member { disabled: true, ..manager.clone() }, Member { lapsed: true, ..manager.clone() }] {
        let own = away.clone();
        let principal = person(None, vec![away]);
        assert_eq!(may(&principal, Object::Workspace(&core)), "-----");
        assert_eq!(may(&principal, Object::Member(&own)), "-----");
    }
}
