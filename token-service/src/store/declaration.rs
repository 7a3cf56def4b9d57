//! What `portcullis.yaml` declares, in the store's terms.
//!
//! Whoever makes a declaration looks objects up by their natural names first (slug, identity) and uses the ids they
//! have, fresh ones otherwise. [`Store::declare`](super::Store::declare) then fails if anything was committed since.

use std::collections::BTreeSet;

use portcullis_wire::names::Slug;

use super::{NewAdministrator, NewMember, NewWorkspace};
use crate::domain::ids::{ServerId, WorkspaceId};
use crate::domain::issuer::Issuer;
use crate::domain::limit::{LimitName, LimitRule, LimitScope};
use crate::domain::policy::{PolicyTarget, ServerRules};
use crate::domain::provisioning::Admission;
use crate::domain::server::ServerSettings;

/// All that is declared. The `origin` and `revision` of the issuers are not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declaration {
    pub workspaces: Vec<NewWorkspace>,
    pub members: Vec<NewMember>,
    /// One who is there already, by identity, keeps its id.
    pub administrators: Vec<NewAdministrator>,
    pub servers: Vec<DeclaredServer>,
    pub issuers: Vec<Issuer>,
    pub policies: Vec<DeclaredPolicy>,
    pub limits: Vec<DeclaredLimit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredServer {
    pub id: ServerId,
    pub slug: Slug,
    /// A sealed value that is equal byte for byte to the one kept is no change.
    pub settings: ServerSettings,
    pub workspaces: DeclaredWorkspaces,
    /// Which of the workspaces' members it is for.
    pub admission: Admission,
}

/// Which workspaces have a declared server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeclaredWorkspaces {
    /// All there are, also those made by the admin API. Goes with `provision_new_workspaces`.
    All,
    Only(BTreeSet<WorkspaceId>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredPolicy {
    pub target: PolicyTarget,
    pub server: ServerId,
    pub rules: ServerRules,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredLimit {
    pub target: PolicyTarget,
    pub name: LimitName,
    pub scope: LimitScope,
    pub rule: LimitRule,
}
