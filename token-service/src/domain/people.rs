//! Workspaces, the members in them, the API keys they use, and who administers all of it.

use std::collections::BTreeSet;

use ipnet::IpNet;
use portcullis_wire::digest::Digest;
use portcullis_wire::lease::WorkspaceRef;
use portcullis_wire::names::Slug;
use portcullis_wire::policy::NameRules;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{AdministratorId, KeyId, MemberId, ServerId, WorkspaceId};
use super::staleness::Staleness;
use super::{Origin, Revision};
use crate::clock::Timestamp;

/// A team; the unit of provisioning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub slug: Slug,
    pub name: String,
    pub origin: Origin,
    /// The commit that last changed it.
    pub revision: Revision,
    /// `None` leaves it to the filter.
    pub staleness: Option<Staleness>,
}

impl Workspace {
    pub fn reference(&self) -> WorkspaceRef {
        WorkspaceRef { id: self.id.to_string(), slug: self.slug.clone() }
    }
}

/// Who somebody is, for ever: what an issuer calls a subject. An email address is not an identity; it changes hands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Compared byte for byte with a token's `iss`.
    pub issuer: String,
    /// Compared byte for byte with a token's `sub`.
    pub subject: String,
}

/// A user in one workspace. The same [`Identity`] may be a member of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: MemberId,
    pub workspace: WorkspaceId,
    pub identity: Identity,
    /// What people call this member; shown and logged, never compared.
    pub name: String,
    pub role: MemberRole,
    pub disabled: bool,
    /// The company's sign-in has made it, and has not said so again at the last one. Refused like a disabled one.
    pub lapsed: bool,
    pub origin: Origin,
    /// The commit that last changed it.
    pub revision: Revision,
    /// Switched off in an emergency, whatever else is said of it.
    pub quarantined: bool,
}

impl Member {
    /// Whether this member is one at present.
    pub fn is_active(&self) -> bool {
        !self.disabled && !self.lapsed && !self.quarantined
    }
}

/// What a member may do in the workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Uses what the workspace has.
    #[default]
    Member,
    /// Looks after the workspace's members, keys, policies and connections besides.
    Manager,
}

impl MemberRole {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Manager => "manager",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Member, Self::Manager].into_iter().find(|role| role.as_str() == text)
    }
}

/// Somebody who looks after the organization as a whole, whether a member of a workspace or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administrator {
    pub id: AdministratorId,
    pub identity: Identity,
    /// For people; never compared.
    pub name: String,
    pub role: OrganizationRole,
    pub origin: Origin,
    /// The commit that last changed it.
    pub revision: Revision,
}

/// What an administrator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationRole {
    /// Everything but saying who administers.
    Admin,
    Owner,
}

impl OrganizationRole {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Admin, Self::Owner].into_iter().find(|role| role.as_str() == text)
    }
}

/// An API key as it is kept: whatever is needed to recognise it, nothing to make it again.
///
/// Keys are made through the admin API only, so they have no [`Origin`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRecord {
    pub id: KeyId,
    pub digest: Digest,
    pub workspace: WorkspaceId,
    pub owner: KeyOwner,
    /// A service key can do no more than its maker may at present. `None`: the admin token has made it.
    pub made_by: Option<Identity>,
    pub settings: KeySettings,
    pub created_at: Timestamp,
    /// Written now and then, so it may be a minute old; `None` if it was never used.
    pub last_used_at: Option<Timestamp>,
    /// The key that it took the place of, if that one is not deleted yet.
    pub replaces: Option<KeyId>,
    /// The commit that last changed it.
    pub revision: Revision,
    /// Switched off in an emergency.
    pub quarantined: bool,
}

/// Whose key it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// Acts as this member, and stops when the member does.
    Member(MemberId),
    /// Acts for the workspace; no person is behind it.
    Service,
}

/// What can be changed about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySettings {
    pub name: String,
    /// No longer valid from this moment on; `None` means that it never expires.
    pub expires_at: Option<Timestamp>,
    pub disabled: bool,
    pub scope: KeyScope,
    /// The networks that it may be used from; empty means any.
    pub sources: Vec<IpNet>,
}

/// What a key leaves of its owner's rights, on every server. The default takes nothing away; further rules for single
/// servers are a policy of the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyScope {
    /// The only servers that it may be used at; `None` means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<BTreeSet<ServerId>>,
    #[serde(default, skip_serializing_if = "NameRules::is_empty")]
    pub tools: NameRules,
    /// Only tools that are known to read only.
    #[serde(default)]
    pub read_only: bool,
}
