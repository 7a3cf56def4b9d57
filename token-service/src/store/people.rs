//! The part of the contract about people: who administers the organization, and what a sign-in says about somebody.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::Result;
use crate::domain::Revision;
use crate::domain::ids::{AdministratorId, KeyId, MemberId, WorkspaceId};
use crate::domain::people::{Administrator, ApiKeyRecord, Identity, Member, MemberRole, OrganizationRole};

#[async_trait]
pub trait PeopleStore: Send + Sync {
    /// Every membership of somebody, disabled and lapsed ones included, by id.
    async fn memberships(&self, identity: &Identity) -> Result<Vec<Member>>;

    /// The keys of a member in the order of their ids, at most `limit`, those after `after`.
    async fn keys_of_member(
        &self,
        member: &MemberId,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKeyRecord>>;

    /// All administrators, by id.
    async fn administrators(&self) -> Result<Vec<Administrator>>;
    async fn administrator(&self, id: &AdministratorId) -> Result<Option<Administrator>>;
    async fn administrator_by_identity(&self, identity: &Identity) -> Result<Option<Administrator>>;
    /// Whether there is an owner whom this issuer knows.
    async fn has_owner(&self, issuer: &str) -> Result<bool>;
    async fn create_administrator(&self, administrator: &NewAdministrator) -> Result<Administrator>;
    /// If there would be no owner any more: [`LastOwner`](super::StoreError::LastOwner).
    async fn change_administrator(
        &self,
        id: &AdministratorId,
        change: &AdministratorChange,
        expected: Option<Revision>,
    ) -> Result<Option<Administrator>>;
    /// If there would be no owner any more: [`LastOwner`](super::StoreError::LastOwner).
    async fn delete_administrator(&self, id: &AdministratorId) -> Result<Option<Revision>>;

    /// Makes memberships and administration what a sign-in says. What is missing is made, with
    /// [`Origin::SignIn`](crate::domain::Origin); what an earlier sign-in has made is changed, lapses, or returns;
    /// an administrator who is none any more goes, also the last owner. What the configuration or the admin API has
    /// made stays as it is. Workspaces that are gone are passed over. Answers the revision.
    async fn sign_in(&self, facts: &SignInFacts) -> Result<Revision>;
}

/// What a sign-in says about somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInFacts {
    pub identity: Identity,
    pub name: String,
    /// Each with an id for the member, should there be none.
    pub memberships: BTreeMap<WorkspaceId, (MemberId, MemberRole)>,
    /// With an id for the administrator, should there be none.
    pub administrator: Option<(AdministratorId, OrganizationRole)>,
}

/// An administrator to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAdministrator {
    pub id: AdministratorId,
    pub identity: Identity,
    pub name: String,
    pub role: OrganizationRole,
}

/// What can be changed about an administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdministratorChange {
    pub name: String,
    pub role: OrganizationRole,
}
