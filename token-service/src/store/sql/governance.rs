//! The parts of the contract about quarantine and admission: which function runs in which kind of transaction.

use async_trait::async_trait;

use super::{SqlStore, admissions, audit, quarantines, servers, writing};
use crate::domain::Revision;
use crate::domain::ids::{MemberId, ServerId, WorkspaceId};
use crate::domain::provisioning::{Admission, MemberAccess, Members};
use crate::domain::quarantine::{Quarantine, QuarantineTarget};
use crate::store::{AuditEntry, GovernanceStore, Result};

#[async_trait]
impl GovernanceStore for SqlStore {
    async fn quarantines(&self) -> Result<Vec<Quarantine>> {
        quarantines::all(&mut *self.read().await?).await
    }

    async fn quarantine(&self, target: &QuarantineTarget) -> Result<Option<Quarantine>> {
        quarantines::find(&mut *self.read().await?, target).await
    }

    async fn set_quarantine(
        &self,
        target: &QuarantineTarget,
        reason: &str,
        by_administrator: bool,
    ) -> Result<Quarantine> {
        writing!(self, quarantines::set, target, reason, by_administrator)
    }

    async fn lift_quarantine(&self, target: &QuarantineTarget) -> Result<Option<Revision>> {
        writing!(self, quarantines::lift, target)
    }

    async fn admission(&self, server: &ServerId) -> Result<Option<Admission>> {
        let mut snapshot = self.snapshot().await?;
        match servers::by_id(&mut snapshot, server).await? {
            Some(_) => admissions::of_server(&mut snapshot, server).await.map(Some),
            None => Ok(None),
        }
    }

    async fn set_members(
        &self,
        server: &ServerId,
        workspace: &WorkspaceId,
        members: Members,
    ) -> Result<Option<Revision>> {
        writing!(self, admissions::set_members, server, workspace, members)
    }

    async fn set_member_access(
        &self,
        server: &ServerId,
        member: &MemberId,
        access: Option<MemberAccess>,
    ) -> Result<Option<Revision>> {
        writing!(self, admissions::set_member_access, server, member, access)
    }

    async fn audit_of(&self, ids: &[&str], since: Revision, limit: usize) -> Result<Vec<AuditEntry>> {
        audit::of(&mut *self.read().await?, ids, since, limit).await
    }
}
