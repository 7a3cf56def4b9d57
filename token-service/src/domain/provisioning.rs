//! Which members of a workspace may use a server that the workspace has.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{MemberId, WorkspaceId};
use super::people::Member;

/// Whom a workspace's server is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Members {
    /// For every member who is not denied.
    #[default]
    All,
    /// For members who are allowed, and for nobody else.
    Chosen,
}

/// What is said of one member on one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberAccess {
    Allow,
    Deny,
}

impl Members {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Chosen => "chosen",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::All, Self::Chosen].into_iter().find(|members| members.as_str() == text)
    }
}

impl MemberAccess {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Allow, Self::Deny].into_iter().find(|access| access.as_str() == text)
    }
}

/// Who is admitted to one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The workspaces whose members have to be chosen.
    pub chosen: BTreeSet<WorkspaceId>,
    /// Members of whom something is said.
    pub members: BTreeMap<MemberId, MemberAccess>,
}

impl Admission {
    /// Whether this member of the workspace is admitted. Nobody is behind a service key that an administrator made who is no
    /// member of its workspace: it may use what the workspace has.
    pub fn admits(&self, workspace: &WorkspaceId, member: Option<&Member>) -> bool {
        let Some(member) = member else { return true };
        match self.members.get(&member.id) {
            Some(access) => *access == MemberAccess::Allow,
            None => !self.chosen.contains(workspace),
        }
    }

    /// Whether somebody who becomes a member of the workspace is admitted.
    pub fn admits_newcomers(&self, workspace: &WorkspaceId) -> bool {
        !self.chosen.contains(workspace)
    }
}
