//! Who may do what on the admin side: the one place that decides.
//!
//! Somebody stands somewhere towards an object ([`Standing`]); an operation needs a standing, and an object can be seen
//! from one. Whoever stands too low is refused: openly where the object can be seen, and otherwise as if there were no
//! such object, so that nobody learns what there is elsewhere.

use super::ids::{MemberId, WorkspaceId};
use super::people::{Identity, Member, MemberRole, OrganizationRole};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Whoever holds the admin token; stands where an owner does.
    AdminToken,
    Person {
        identity: Identity,
        /// `None`: does not administer the organization.
        role: Option<OrganizationRole>,
        /// In workspaces. Those that are not active say nothing.
        memberships: Vec<Member>,
    },
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// See the object and, of a member, what it has: keys, connections.
    See,
    /// Use up or change what is one's own: keys and connections. In a workspace: have keys.
    Use,
    /// Look after members, keys, policies and connections.
    Manage,
    /// Everything else but the next.
    Administer,
    /// Say who administers.
    Appoint,
}

/// What it is asked of.
#[derive(Clone, Copy, Debug)]
pub enum Object<'a> {
    /// What is not in any workspace.
    Organization,
    Administrator,
    Workspace(&'a WorkspaceId),
    /// The member, or something that is the member's own: a key, a connection.
    Member(&'a Member),
    /// What a workspace has and nobody in it owns: a service key.
    Shared(&'a WorkspaceId),
    /// A server, by the workspaces that have it.
    Server(&'a [WorkspaceId]),
    /// What a server has, and what was approved of it, by the workspaces that have the server.
    Catalogue(&'a [WorkspaceId]),
    /// What the organization has and nobody else sees, such as a connection that everybody shares.
    Internal,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As if it did not exist.
    Hidden,
    /// It can be seen; this cannot be done.
    Forbidden,
}

/// Where a principal stands towards an object; whoever stands higher can do all that is possible below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Stranger,
    /// In the same workspace.
    Fellow,
    /// It is the principal's own.
    Oneself,
    /// Manages the workspace that it is in.
    Manager,
    Admin,
    Owner,
}

/// Whether `principal` may do this.
pub fn authorize(principal: &Principal, operation: Operation, object: Object<'_>) -> Result<(), Refusal> {
    let standing = standing(principal, object);
    if standing >= needed(operation, object) {
        Ok(())
    } else if standing >= seen_from(object) {
        Err(Refusal::Forbidden)
    } else {
        Err(Refusal::Hidden)
    }
}

/// Whose requests somebody may see the records of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
    Everything,
    /// These, which have no record in common.
    Of(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Of everybody in it, service keys included.
    Workspace(WorkspaceId),
    /// The member's own.
    Member(MemberId),
}

impl Principal {
    /// Whose requests it may see the records of: everybody's, those of the workspaces that it manages, its own.
    pub fn visible_records(&self) -> Visibility {
        if self.administers() {
            return Visibility::Everything;
        }
        let part = |member: &Member| match member.role {
            MemberRole::Manager => Part::Workspace(member.workspace.clone()),
            MemberRole::Member => Part::Member(member.id.clone()),
        };
        Visibility::Of(self.active().map(part).collect())
    }

    /// Whether it looks after the organization as a whole.
    pub fn administers(&self) -> bool {
        match self {
            Self::AdminToken => true,
            Self::Person { role, .. } => role.is_some(),
        }
    }

    /// Whether it may appoint administrators.
    pub fn owns(&self) -> bool {
        matches!(self, Self::AdminToken | Self::Person { role: Some(OrganizationRole::Owner), .. })
    }

    /// Who it is; the admin token is nobody.
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::AdminToken => None,
            Self::Person { identity, .. } => Some(identity),
        }
    }

    /// Its active membership in a workspace.
    pub fn membership(&self, workspace: &WorkspaceId) -> Option<&Member> {
        self.active().find(|member| member.workspace == *workspace)
    }

    fn active(&self) -> impl Iterator<Item = &Member> {
        let memberships = match self {
            Self::AdminToken => &[],
            Self::Person { memberships, .. } => memberships.as_slice(),
        };
        memberships.iter().filter(|member| member.is_active())
    }
}

fn standing(principal: &Principal, object: Object<'_>) -> Standing {
    match principal {
        Principal::AdminToken | Principal::Person { role: Some(OrganizationRole::Owner), .. } => {
            return Standing::Owner;
        }
        Principal::Person { role: Some(OrganizationRole::Admin), .. } => return Standing::Admin,
        Principal::Person { role: None, .. } => {}
    }
    let in_workspace = |workspace: &WorkspaceId| match principal.membership(workspace) {
        Some(Member { role: MemberRole::Manager, .. }) => Standing::Manager,
        Some(_) => Standing::Fellow,
        None => Standing::Stranger,
    };
    match object {
        Object::Organization | Object::Administrator | Object::Internal => Standing::Stranger,
        Object::Workspace(workspace) | Object::Shared(workspace) => in_workspace(workspace),
        Object::Member(member) => {
            let own = principal.active().any(|membership| membership.id == member.id);
            in_workspace(&member.workspace).max(if own { Standing::Oneself } else { Standing::Stranger })
        }
        // A manager looks after people, not after servers.
        Object::Server(workspaces) => {
            workspaces.iter().map(in_workspace).max().unwrap_or(Standing::Stranger).min(Standing::Fellow)
        }
        Object::Catalogue(workspaces) => {
            workspaces.iter().map(in_workspace).max().unwrap_or(Standing::Stranger)
        }
    }
}

/// The lowest standing that may do this.
fn needed(operation: Operation, object: Object<'_>) -> Standing {
    match (operation, object) {
        (Operation::Appoint, _) => Standing::Owner,
        (Operation::Administer, _)
        | (_, Object::Organization | Object::Administrator | Object::Internal)
        | (Operation::Use | Operation::Manage, Object::Server(_) | Object::Catalogue(_)) => Standing::Admin,
        (Operation::Manage, _) | (_, Object::Shared(_) | Object::Catalogue(_)) => Standing::Manager,
        (Operation::See | Operation::Use, Object::Workspace(_)) | (Operation::See, Object::Server(_)) => {
            Standing::Fellow
        }
        (Operation::See | Operation::Use, Object::Member(_)) => Standing::Oneself,
    }
}

/// The lowest standing from which it can be seen that there is such an object.
fn seen_from(object: Object<'_>) -> Standing {
    match object {
        Object::Organization => Standing::Stranger,
        Object::Workspace(_) | Object::Server(_) | Object::Catalogue(_) => Standing::Fellow,
        Object::Member(_) => Standing::Oneself,
        Object::Shared(_) => Standing::Manager,
        Object::Administrator | Object::Internal => Standing::Admin,
    }
}

#[cfg(test)]
mod tests;
