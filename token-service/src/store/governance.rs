//! The part of the contract about quarantine and about which members a server is for.

use async_trait::async_trait;

use super::{AuditEntry, Result};
use crate::domain::Revision;
use crate::domain::ids::{MemberId, ServerId, WorkspaceId};
use crate::domain::provisioning::{Admission, MemberAccess, Members};
use crate::domain::quarantine::{Quarantine, QuarantineTarget};

#[async_trait]
pub trait GovernanceStore {
    /// All that is in quarantine, the newest first.
    async fn quarantines(&self) -> Result<Vec<Quarantine>>;

    async fn quarantine(&self, target: &QuarantineTarget) -> Result<Option<Quarantine>>;

    /// Switches an object off, whoever declared it; [`StoreError::Missing`](super::StoreError::Missing) if there is none. It
    /// stays so until it is lifted or the object is deleted. Setting what is set already changes nothing.
    async fn set_quarantine(
        &self,
        target: &QuarantineTarget,
        reason: &str,
        by_administrator: bool,
    ) -> Result<Quarantine>;

    /// `None` if it was not in quarantine.
    async fn lift_quarantine(&self, target: &QuarantineTarget) -> Result<Option<Revision>>;

    /// Whom a server is for, in all workspaces; `None` if there is no such server.
    async fn admission(&self, server: &ServerId) -> Result<Option<Admission>>;

    /// Says whom a server is for in a workspace, whether the workspace has it or not; `None` if either does not exist. Doing
    /// it twice changes nothing.
    async fn set_members(
        &self,
        server: &ServerId,
        workspace: &WorkspaceId,
        members: Members,
    ) -> Result<Option<Revision>>;

    /// Says something of one member, or nothing any more; `None` if either does not exist. Doing it twice changes nothing.
    async fn set_member_access(
        &self,
        server: &ServerId,
        member: &MemberId,
        access: Option<MemberAccess>,
    ) -> Result<Option<Revision>>;

    /// Audit entries after `since` whose object is made of nothing but these ids, newest first, at most `limit`.
    async fn audit_of(&self, ids: &[&str], since: Revision, limit: usize) -> Result<Vec<AuditEntry>>;
}
