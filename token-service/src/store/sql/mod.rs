//! The store in SQL, written once for SQLite (the embedded default) and PostgreSQL (for a cluster). What differs between
//! them is in `sqlite` and `postgres`, and in the migrations.
//!
//! Functions on an `AnyConnection` read; functions on a `Write` change, and note what that means for filters.
//!
//! **Dialect.** `$1` for values; `IS NOT DISTINCT FROM` where nulls may be equal; `= 1` where a flag is a condition, and
//! [`Flag`](convert::Flag) where it is a value; numbers are bound and read as `i64`; lists are JSON texts, taken apart by
//! `json_each`. What PostgreSQL lacks of SQLite's functions, its first migration gives to it.

mod administrators;
mod admissions;
mod audit;
mod authorization;
mod authorizations;
mod browsers;
mod catalogue;
mod changes;
mod client_sessions;
mod clients;
mod columns;
mod connection;
mod connection_changes;
mod connections;
mod convert;
mod copy;
mod data_keys;
mod declaration;
mod delegates;
mod dynamic_clients;
mod facts;
mod governance;
mod issuers;
mod keys;
mod limits;
mod members;
mod migrating;
mod opening;
mod policies;
mod postgres;
mod quarantines;
mod refresh_tokens;
mod renewals;
mod replicas;
mod sealed;
mod sealing;
mod server_auth;
mod servers;
mod sign_in;
mod signing_keys;
mod sqlite;
mod start;
mod upstreams;
mod workspaces;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use portcullis_wire::digest::Digest;
use portcullis_wire::lease::LeaseRequest;
use portcullis_wire::names::Slug;
use portcullis_wire::watch::VerificationKey;
use sqlx::AnyPool;
use tokio::sync::watch;
use url::Url;

use self::audit::Attribution;
use self::columns::columns;
pub(crate) use self::convert::{from_database, to_database};
pub use self::copy::{Copied, copy, unsaved};
pub use self::opening::{Location, Tables, migrate};
pub(crate) use self::postgres::ServerOpening;
#[cfg(test)]
pub(crate) use self::postgres::TestDatabase;
pub use self::postgres::{PostgresUrl, PostgresUrlProblem};
pub(crate) use self::sqlite::{FileOpening, Pools};
use super::{
    Actor, AuditEntry, Declaration, MemberChange, NewKey, NewMember, NewServer, NewWorkspace,
    RegistrySnapshot, Result, Since, Store, WorkspaceChange,
};
use crate::clock::Timestamp;
use crate::domain::ids::{KeyId, MemberId, ServerId, WorkspaceId};
use crate::domain::issuer::Issuer;
use crate::domain::people::{ApiKeyRecord, Identity, KeySettings, Member, Workspace};
use crate::domain::policy::{PolicyEntry, PolicyTarget, ServerRules};
use crate::domain::resolve::LeaseFacts;
use crate::domain::server::{Server, ServerSettings};
use crate::domain::{Origin, Revision};

/// A store in one database.
#[derive(Clone, Debug)]
pub struct SqlStore {
    engine: Engine,
    writer: AnyPool,
    readers: AnyPool,
    commits: watch::Sender<Revision>,
    /// Goes on for as long as a handle is there.
    _listener: Option<Arc<postgres::Listener>>,
    attribution: Attribution,
}

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// Runs a function in a writing transaction and commits what it changed.
macro_rules! writing {
    ($store:expr, $function:path $(, $argument:expr)*) => {{
        let mut write = $store.write().await?;
        let outcome = $function(&mut write $(, $argument)*).await?;
        $store.finish(write).await?;
        Ok(outcome)
    }};
}
use writing;

/// Runs a function in a transaction that takes no revision, while no other one writes.
macro_rules! housekeeping {
    ($store:expr, $function:path $(, $argument:expr)*) => {{
        let mut transaction = $store.begin().await?;
        let outcome = $function(&mut transaction $(, $argument)*).await?;
        transaction.commit().await?;
        Ok(outcome)
    }};
}
use housekeeping;

/// Runs a function that changes one row by one statement, which says under which condition. So it takes no revision, waits
/// for nobody but who changes that row, and never has two rows that others could wait for in another order.
macro_rules! conditional {
    ($store:expr, $function:path $(, $argument:expr)*) => {{
        let mut transaction = $store.begin_unordered().await?;
        let outcome = $function(&mut transaction $(, $argument)*).await?;
        transaction.commit().await?;
        Ok(outcome)
    }};
}
use conditional;

/// The database's own time, in milliseconds since the Unix epoch; a piece of SQL.
macro_rules! database_now {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS BIGINT)"
    };
}
use database_now;

#[async_trait]
impl Store for SqlStore {
    async fn lease_facts(&self, request: &LeaseRequest) -> Result<LeaseFacts> {
        facts::lease_facts(&mut *self.snapshot().await?, request).await
    }

    async fn provision_member(&self, member: &NewMember) -> Result<Member> {
        writing!(self, members::provision, member)
    }

    async fn current_revision(&self) -> Result<Revision> {
        let current = connection::current_revision(&mut *self.read().await?).await?;
        self.announce(current);
        Ok(current)
    }

    async fn changes_since(&self, cursor: Revision, limit: u32) -> Result<Since> {
        let since = changes::since(&mut *self.snapshot().await?, cursor, limit).await?;
        match &since {
            Since::Changes(changes) => self.announce(changes.cursor),
            Since::Gap { current } => self.announce(*current),
        }
        Ok(since)
    }

    async fn registry(&self) -> Result<RegistrySnapshot> {
        let mut snapshot = self.snapshot().await?;
        Ok(RegistrySnapshot {
            revision: connection::current_revision(&mut snapshot).await?,
            servers: servers::all(&mut snapshot).await?,
            tools: catalogue::labels(&mut snapshot).await?,
            issuers: issuers::all(&mut snapshot).await?,
            signing_keys: signing_keys::all(&mut snapshot).await?,
        })
    }

    async fn prune_changes(&self, through: Revision) -> Result<()> {
        housekeeping!(self, changes::prune, through)
    }

    fn commits(&self) -> watch::Receiver<Revision> {
        self.commits.subscribe()
    }

    fn on_behalf_of(&self, actor: Actor, now: Timestamp) -> Arc<dyn Store> {
        Arc::new(Self { attribution: Attribution { actor, at: now }, ..self.clone() })
    }

    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>> {
        audit::page(&mut *self.read().await?, before, limit).await
    }

    async fn declare(&self, declaration: &Declaration, expected: Revision) -> Result<Revision> {
        let mut write = self.write().await?;
        declaration::declare(&mut write, declaration, expected).await?;
        self.finish(write).await
    }

    async fn servers(&self) -> Result<Vec<Server>> {
        servers::all(&mut *self.snapshot().await?).await
    }

    async fn server(&self, id: &ServerId) -> Result<Option<Server>> {
        servers::by_id(&mut *self.snapshot().await?, id).await
    }

    async fn server_by_slug(&self, slug: &Slug) -> Result<Option<Server>> {
        servers::by_slug(&mut *self.snapshot().await?, slug).await
    }

    async fn create_server(&self, server: &NewServer) -> Result<Server> {
        writing!(self, servers::create, server)
    }

    async fn change_server(
        &self,
        id: &ServerId,
        settings: &ServerSettings,
        expected: Option<Revision>,
    ) -> Result<Option<Server>> {
        writing!(self, servers::change, id, settings, expected)
    }

    async fn delete_server(&self, id: &ServerId) -> Result<Option<Revision>> {
        writing!(self, servers::delete, id)
    }

    async fn provisions(&self, server: &ServerId) -> Result<Option<BTreeSet<WorkspaceId>>> {
        let mut snapshot = self.snapshot().await?;
        match servers::by_id(&mut snapshot, server).await? {
            Some(_) => servers::provisions(&mut snapshot, server).await.map(Some),
            None => Ok(None),
        }
    }

    async fn set_provision(
        &self,
        server: &ServerId,
        workspace: &WorkspaceId,
        provisioned: bool,
    ) -> Result<Option<Revision>> {
        writing!(self, servers::set_provision, server, workspace, provisioned)
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        workspaces::all(&mut *self.read().await?).await
    }

    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<Workspace>> {
        workspaces::by_id(&mut *self.read().await?, id).await
    }

    async fn workspace_by_slug(&self, slug: &Slug) -> Result<Option<Workspace>> {
        workspaces::by_slug(&mut *self.read().await?, slug).await
    }

    async fn create_workspace(&self, workspace: &NewWorkspace) -> Result<Workspace> {
        writing!(self, workspaces::create, workspace, Origin::Api)
    }

    async fn change_workspace(
        &self,
        id: &WorkspaceId,
        change: &WorkspaceChange,
        expected: Option<Revision>,
    ) -> Result<Option<Workspace>> {
        writing!(self, workspaces::change, id, change, expected)
    }

    async fn delete_workspace(&self, id: &WorkspaceId) -> Result<Option<Revision>> {
        writing!(self, workspaces::delete, id)
    }

    async fn members(
        &self,
        workspace: &WorkspaceId,
        after: Option<&MemberId>,
        limit: u32,
    ) -> Result<Vec<Member>> {
        members::page(&mut *self.read().await?, workspace, after, limit).await
    }

    async fn member(&self, id: &MemberId) -> Result<Option<Member>> {
        members::by_id(&mut *self.read().await?, id).await
    }

    async fn member_by_identity(
        &self,
        workspace: &WorkspaceId,
        identity: &Identity,
    ) -> Result<Option<Member>> {
        members::by_identity(&mut *self.read().await?, workspace, identity).await
    }

    async fn create_member(&self, member: &NewMember) -> Result<Member> {
        writing!(self, members::create, member, Origin::Api)
    }

    async fn change_member(
        &self,
        id: &MemberId,
        change: &MemberChange,
        expected: Option<Revision>,
    ) -> Result<Option<Member>> {
        writing!(self, members::change, id, change, expected)
    }

    async fn delete_member(&self, id: &MemberId) -> Result<Option<Revision>> {
        writing!(self, members::delete, id)
    }

    async fn keys(
        &self,
        workspace: &WorkspaceId,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKeyRecord>> {
        keys::page(&mut *self.read().await?, workspace, after, limit).await
    }

    async fn key(&self, id: &KeyId) -> Result<Option<ApiKeyRecord>> {
        keys::by_id(&mut *self.read().await?, id).await
    }

    async fn create_key(&self, key: &NewKey) -> Result<ApiKeyRecord> {
        writing!(self, keys::create, key)
    }

    async fn change_key(
        &self,
        id: &KeyId,
        settings: &KeySettings,
        expected: Option<Revision>,
    ) -> Result<Option<ApiKeyRecord>> {
        writing!(self, keys::change, id, settings, expected)
    }

    async fn rotate_key(
        &self,
        old: &KeyId,
        new: &NewKey,
        ends: Timestamp,
        expected: Option<Revision>,
    ) -> Result<Option<ApiKeyRecord>> {
        writing!(self, keys::rotate, old, new, ends, expected)
    }

    async fn record_key_uses(&self, uses: &[(KeyId, Timestamp)]) -> Result<()> {
        housekeeping!(self, keys::record_uses, uses)
    }

    async fn delete_key(&self, id: &KeyId) -> Result<Option<Revision>> {
        writing!(self, keys::delete, id)
    }

    async fn policies(&self, target: &PolicyTarget) -> Result<Vec<PolicyEntry>> {
        policies::of_target(&mut *self.read().await?, target).await
    }

    async fn set_policy(
        &self,
        target: &PolicyTarget,
        server: &ServerId,
        rules: &ServerRules,
        expected: Option<Revision>,
    ) -> Result<PolicyEntry> {
        writing!(self, policies::set, target, server, rules, expected)
    }

    async fn delete_policy(&self, target: &PolicyTarget, server: &ServerId) -> Result<Option<Revision>> {
        writing!(self, policies::delete, target, server)
    }

    async fn issuers(&self) -> Result<Vec<Issuer>> {
        issuers::all(&mut *self.read().await?).await
    }

    async fn set_issuer_keys(
        &self,
        issuer: &str,
        address: &Url,
        keys: &[VerificationKey],
        now: Timestamp,
    ) -> Result<()> {
        let mut write = self.write().await?;
        issuers::set_keys(&mut write, issuer, address, keys, now).await?;
        self.finish(write).await?;
        conditional!(self, issuers::touch_keys, issuer, address, now)
    }

    async fn is_fresh(&self) -> Result<bool> {
        start::is_fresh(&mut *self.read().await?).await
    }

    async fn admin_token_digest(&self) -> Result<Option<Digest>> {
        start::admin_token_digest(&mut *self.read().await?).await
    }

    async fn set_admin_token_digest(&self, expected: Option<Digest>, digest: Digest) -> Result<bool> {
        housekeeping!(self, start::set_admin_token_digest, expected, digest)
    }
}
