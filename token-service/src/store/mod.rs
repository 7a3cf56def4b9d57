//! The storage contract. Every backend passes the whole of its conformance suite.
//!
//! **Atomic.** Each method is one transaction. It happens whole and durably, or not at all.
//!
//! **Ordered.** A transaction that changes anything takes the next [`Revision`] and records what it changed under it,
//! in the same transaction. Revisions become visible in order: whoever sees `N` sees everything up to `N`, on every
//! handle of the database, and no revision is ever left out. A method that finds nothing to change takes no revision.
//!
//! **Two kinds of owner.** Objects with [`Origin::Config`](crate::domain::Origin) change through [`Store::declare`]
//! only; every other method answers [`StoreError::ReadOnly`] for them, and makes objects of `Origin::Api`.
//!
//! **Compare and set.** Methods that change an object take `expected`: the revision of the object that the change is
//! based on. If the object has changed since, they answer [`StoreError::Stale`]; `None` means "whatever it is now".
//!
//! **Not found is `None`.** An object that is referred to and missing is [`StoreError::Missing`].
//!
//! **Audited.** Each change adds an [`AuditEntry`] in the same transaction, with the actor and the time of
//! [`Store::on_behalf_of`]; a declaration adds one for each object that it changes.
//!
//! **Untrusted.** The store keeps sealed bytes and digests, never a secret.

mod audit;
pub mod authorization;
pub mod browsers;
pub mod catalogue;
pub mod changes;
#[cfg(test)]
mod conformance;
pub mod connections;
pub mod declaration;
mod error;
pub mod governance;
pub mod limits;
pub mod people;
pub mod replicas;
pub mod sealing;
pub mod sql;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use portcullis_wire::digest::Digest;
use portcullis_wire::lease::LeaseRequest;
use portcullis_wire::names::Slug;
use portcullis_wire::watch::VerificationKey;
use tokio::sync::watch;
use url::Url;

pub use self::audit::{Actor, AuditEntry};
pub use self::authorization::AuthorizationStore;
pub use self::browsers::BrowserStore;
pub use self::catalogue::CatalogueStore;
pub use self::changes::{ChangeSet, Since};
pub use self::connections::ConnectionStore;
pub use self::declaration::{Declaration, DeclaredLimit, DeclaredPolicy, DeclaredServer, DeclaredWorkspaces};
pub use self::error::StoreError;
pub use self::governance::GovernanceStore;
pub use self::limits::LimitStore;
pub use self::people::{AdministratorChange, NewAdministrator, PeopleStore, SignInFacts};
pub use self::replicas::ReplicaStore;
pub use self::sealing::{DataKeyRow, DataKeyState, SealedColumn, SealedRow, SealingStore};
#[cfg(test)]
pub(crate) use self::sql::TestDatabase;
pub use self::sql::{Copied, Location, PostgresUrl, SqlStore, Tables, copy, migrate, unsaved};
pub(crate) use self::sql::{Engine, FileOpening, Pools, ServerOpening, from_database, to_database};
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::ids::{KeyId, MemberId, ServerId, WorkspaceId};
use crate::domain::issuer::Issuer;
use crate::domain::people::{ApiKeyRecord, Identity, KeyOwner, KeySettings, Member, MemberRole, Workspace};
use crate::domain::policy::{PolicyEntry, PolicyTarget, ServerRules};
use crate::domain::resolve::LeaseFacts;
use crate::domain::server::{Server, ServerSettings};
use crate::domain::signing::SigningKeyRow;
use crate::domain::staleness::Staleness;

pub type Result<T> = std::result::Result<T, StoreError>;

/// Whatever keeps the registry, the people, the policies and the sealed credentials.
#[async_trait]
pub trait Store:
    ConnectionStore
    + BrowserStore
    + PeopleStore
    + AuthorizationStore
    + LimitStore
    + CatalogueStore
    + GovernanceStore
    + SealingStore
    + ReplicaStore
    + Send
    + Sync
    + 'static
{
    // === Deciding ===

    /// All that is known about a lease request, from one snapshot. Unknown names are `None` inside the facts. Which tools
    /// only read is told where the credential or a policy entry that concerns the caller judges by it.
    async fn lease_facts(&self, request: &LeaseRequest) -> Result<LeaseFacts>;

    /// Makes a member on first use, or returns the one that is there; of two at once both get the same.
    async fn provision_member(&self, member: &NewMember) -> Result<Member>;

    // === Following ===

    /// The newest commit.
    async fn current_revision(&self) -> Result<Revision>;

    /// What changed after `cursor`, in commit order: at most `limit` whole commits (at least one is read).
    async fn changes_since(&self, cursor: Revision, limit: u32) -> Result<Since>;

    /// The servers (by slug), issuers (by issuer) and signing keys (oldest first) as of one commit.
    async fn registry(&self) -> Result<RegistrySnapshot>;

    /// Forgets the changes up to and including `through`. Cursors before it get [`Since::Gap`] from now on. Takes no
    /// revision.
    async fn prune_changes(&self, through: Revision) -> Result<()>;

    /// Announces each commit made through this handle as soon as it is durable. A hint for waiting: commits of other
    /// handles are announced when the database tells of them or a call of this handle sees them, so whoever shares a
    /// database with other processes also calls [`Store::current_revision`] from time to time.
    fn commits(&self) -> watch::Receiver<Revision>;

    // === Auditing ===

    /// A handle on the same database whose changes are recorded as made by `actor` at `now`.
    fn on_behalf_of(&self, actor: Actor, now: Timestamp) -> Arc<dyn Store>;

    /// Audit entries, newest first, at most `limit`, those with a sequence number below `before`.
    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>>;

    // === Configuration ===

    /// Makes the objects of `Origin::Config` exactly those of `declaration`: adds, changes, takes over objects of
    /// `Origin::Api` with the same id, and deletes those no longer declared. `expected` is the revision of the
    /// database that the declaration was worked out from; if there has been a commit since: [`StoreError::Stale`].
    /// Answers the revision, which is `expected` if nothing differed.
    async fn declare(&self, declaration: &Declaration, expected: Revision) -> Result<Revision>;

    // === Servers ===

    /// All servers, by slug.
    async fn servers(&self) -> Result<Vec<Server>>;
    async fn server(&self, id: &ServerId) -> Result<Option<Server>>;
    async fn server_by_slug(&self, slug: &Slug) -> Result<Option<Server>>;
    async fn create_server(&self, server: &NewServer) -> Result<Server>;
    /// When the URL moves to another origin, connections that are `Active` or `NeedsReauth` become `Quarantined`, and
    /// registered clients, the catalogue and upstream sessions are forgotten. The same goes for [`Store::declare`].
    async fn change_server(
        &self,
        id: &ServerId,
        settings: &ServerSettings,
        expected: Option<Revision>,
    ) -> Result<Option<Server>>;
    /// Deletes it with its credentials and connections, its provisions, and the policies and limits on it.
    async fn delete_server(&self, id: &ServerId) -> Result<Option<Revision>>;
    /// The workspaces that have this server.
    async fn provisions(&self, server: &ServerId) -> Result<Option<BTreeSet<WorkspaceId>>>;
    /// Gives a workspace the server or takes it away; `None` if either does not exist. Doing it twice changes nothing.
    async fn set_provision(
        &self,
        server: &ServerId,
        workspace: &WorkspaceId,
        provisioned: bool,
    ) -> Result<Option<Revision>>;

    // === Workspaces and members ===

    /// All workspaces, by slug.
    async fn workspaces(&self) -> Result<Vec<Workspace>>;
    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<Workspace>>;
    async fn workspace_by_slug(&self, slug: &Slug) -> Result<Option<Workspace>>;
    /// Makes it and gives it every server that provisions new workspaces.
    async fn create_workspace(&self, workspace: &NewWorkspace) -> Result<Workspace>;
    async fn change_workspace(
        &self,
        id: &WorkspaceId,
        change: &WorkspaceChange,
        expected: Option<Revision>,
    ) -> Result<Option<Workspace>>;
    /// Deletes it with its members, keys, provisions, policies and limits.
    async fn delete_workspace(&self, id: &WorkspaceId) -> Result<Option<Revision>>;

    /// The members of a workspace in the order of their ids, at most `limit`, those after `after`.
    async fn members(
        &self,
        workspace: &WorkspaceId,
        after: Option<&MemberId>,
        limit: u32,
    ) -> Result<Vec<Member>>;
    async fn member(&self, id: &MemberId) -> Result<Option<Member>>;
    async fn member_by_identity(
        &self,
        workspace: &WorkspaceId,
        identity: &Identity,
    ) -> Result<Option<Member>>;
    async fn create_member(&self, member: &NewMember) -> Result<Member>;
    async fn change_member(
        &self,
        id: &MemberId,
        change: &MemberChange,
        expected: Option<Revision>,
    ) -> Result<Option<Member>>;
    /// Deletes it with its keys, policies, limits and connections.
    async fn delete_member(&self, id: &MemberId) -> Result<Option<Revision>>;

    // === API keys ===

    /// The keys of a workspace in the order of their ids, at most `limit`, those after `after`.
    async fn keys(
        &self,
        workspace: &WorkspaceId,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKeyRecord>>;
    async fn key(&self, id: &KeyId) -> Result<Option<ApiKeyRecord>>;
    /// The owner, if a member, must be of the same workspace; otherwise [`StoreError::Missing`].
    async fn create_key(&self, key: &NewKey) -> Result<ApiKeyRecord>;
    async fn change_key(
        &self,
        id: &KeyId,
        settings: &KeySettings,
        expected: Option<Revision>,
    ) -> Result<Option<ApiKeyRecord>>;
    /// Makes a key in place of another one: with the policies and limits of the old one, which ends at `ends` if it does not end
    /// before. `None` if there is no such key.
    async fn rotate_key(
        &self,
        old: &KeyId,
        new: &NewKey,
        ends: Timestamp,
        expected: Option<Revision>,
    ) -> Result<Option<ApiKeyRecord>>;
    /// Notes when keys were last used, unless a later use is noted already. Unknown keys are passed over. Takes no
    /// revision, and is no change for the audit.
    async fn record_key_uses(&self, uses: &[(KeyId, Timestamp)]) -> Result<()>;
    /// Deletes it with its policies and limits.
    async fn delete_key(&self, id: &KeyId) -> Result<Option<Revision>>;

    // === Policies ===

    /// The entries of one level's object, by server id.
    async fn policies(&self, target: &PolicyTarget) -> Result<Vec<PolicyEntry>>;
    /// Adds or replaces the entry of (target, server). `expected` concerns the entry that is there.
    async fn set_policy(
        &self,
        target: &PolicyTarget,
        server: &ServerId,
        rules: &ServerRules,
        expected: Option<Revision>,
    ) -> Result<PolicyEntry>;
    async fn delete_policy(&self, target: &PolicyTarget, server: &ServerId) -> Result<Option<Revision>>;

    // === Issuers ===

    /// All issuers, by issuer.
    async fn issuers(&self) -> Result<Vec<Issuer>>;
    /// Keeps the keys that were fetched for an issuer at `now`, if its [`TokenSource::Jwks`] still is `address`. A commit
    /// only if they differ from those before; it is not audited. [`Store::declare`] keeps them as long as the address
    /// stays.
    ///
    /// [`TokenSource::Jwks`]: crate::domain::issuer::TokenSource::Jwks
    async fn set_issuer_keys(
        &self,
        issuer: &str,
        address: &Url,
        keys: &[VerificationKey],
        now: Timestamp,
    ) -> Result<()>;

    // === What the service itself needs to start ===

    /// Whether nothing was ever written.
    async fn is_fresh(&self) -> Result<bool>;

    /// The digest of the admin token, if one was ever set.
    async fn admin_token_digest(&self) -> Result<Option<Digest>>;

    /// Replaces the digest of the admin token if it is still `expected`; `false` if it is another. No revision.
    async fn set_admin_token_digest(&self, expected: Option<Digest>, digest: Digest) -> Result<bool>;
}

/// The registry as of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrySnapshot {
    pub revision: Revision,
    pub servers: Vec<Server>,
    /// The names of tools that may be labels: of each server those that were learnt first, at most
    /// [`MAX_LABELLED_TOOLS`](portcullis_wire::watch::MAX_LABELLED_TOOLS), sorted. So a server that keeps renaming its tools
    /// changes nothing here.
    pub tools: BTreeMap<ServerId, Vec<String>>,
    pub issuers: Vec<Issuer>,
    pub signing_keys: Vec<SigningKeyRow>,
}

/// A server to be made. The id is chosen before, because credentials are sealed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewServer {
    pub id: ServerId,
    pub slug: Slug,
    pub settings: ServerSettings,
    pub workspaces: InitialWorkspaces,
}

/// Which of the workspaces that exist get a new server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitialWorkspaces {
    All,
    Only(BTreeSet<WorkspaceId>),
}

/// A workspace to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWorkspace {
    pub id: WorkspaceId,
    pub slug: Slug,
    pub name: String,
    pub staleness: Option<Staleness>,
}

/// What can be changed of a workspace. Its leases are forgotten if another staleness counts from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceChange {
    pub name: String,
    pub staleness: Option<Staleness>,
}

/// A member to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMember {
    pub id: MemberId,
    pub workspace: WorkspaceId,
    pub identity: Identity,
    pub name: String,
    pub role: MemberRole,
}

/// What can be changed about a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberChange {
    pub name: String,
    pub role: MemberRole,
    pub disabled: bool,
}

/// An API key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    pub id: KeyId,
    pub digest: Digest,
    pub workspace: WorkspaceId,
    pub owner: KeyOwner,
    pub made_by: Option<Identity>,
    pub settings: KeySettings,
    pub created_at: Timestamp,
}
