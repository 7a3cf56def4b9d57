//! The part of the contract about what servers have: definitions as they were learnt, and approvals of tools.
//!
//! Entries come and change with [`save_catalogue`](super::ConnectionStore::save_catalogue). Each list in it is merged by
//! itself: a definition whose digest is another than before has changed; what a whole list does not have is gone, and
//! keeps its approval, because another member may see it still. What was not seen for [`FORGOTTEN_AFTER`] is forgotten
//! with its approval. Of a server and kind at most [`MOST_ENTRIES`] are kept: those that are gone go first, first those
//! that were never approved, longest unseen first.
//!
//! Names of tools may be labels of metrics ([`RegistrySnapshot::tools`](super::RegistrySnapshot)); a commit that changes
//! those changes the registry.
//!
//! Moving a server to another origin forgets all of its entries: what was approved was somebody else's.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_wire::digest::Digest;

use super::{Actor, Result};
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::catalogue::{EntryKind, MOST_DEFINITIONS, State};
use crate::domain::ids::{MemberId, ServerId};

/// How long what nobody is shown any more is remembered.
pub const FORGOTTEN_AFTER: Duration = Duration::from_hours(30 * 24);

/// How many entries of a server and kind are kept, those that are gone included.
pub const MOST_ENTRIES: usize = 2 * MOST_DEFINITIONS;

#[async_trait]
pub trait CatalogueStore: Send + Sync {
    /// In the order of kinds, as they are spelt, and names; at most `limit`, those after `after`.
    async fn catalogue_entries(
        &self,
        server: &ServerId,
        filter: &EntryFilter,
        after: Option<&(EntryKind, String)>,
        limit: u32,
    ) -> Result<Vec<CatalogueEntry>>;

    /// One entry, with its definitions.
    async fn catalogue_entry(
        &self,
        server: &ServerId,
        kind: EntryKind,
        name: &str,
    ) -> Result<Option<(CatalogueEntry, Definitions)>>;

    /// Approves the definitions of tools, each if its digest still is the present one; if one of them cannot be approved,
    /// none is. A commit that invalidates the server, with an entry in the audit log (`tool.approve`) for each tool that
    /// was not approved already.
    async fn approve_tools(
        &self,
        server: &ServerId,
        approvals: &BTreeMap<String, Digest>,
    ) -> Result<ApprovalOutcome>;

    /// Takes an approval back: the tool is as new. `None` if there is none. Audited as `tool.withdraw_approval`;
    /// invalidates the server if the tool was [`State::Approved`] or would be if it were not gone.
    async fn withdraw_approval(&self, server: &ServerId, tool: &str) -> Result<Option<Revision>>;

    /// All servers, and when the catalogue of each was learnt, if it was.
    async fn catalogue_ages(&self) -> Result<Vec<(ServerId, Option<Timestamp>)>>;

    /// Active members with an active connection to the server, in workspaces that have it, at most `limit`: `preferred`
    /// first if it is one, then by the age of their connections' tokens, newest first.
    async fn learners(
        &self,
        server: &ServerId,
        preferred: Option<&MemberId>,
        limit: u32,
    ) -> Result<Vec<MemberId>>;
}

/// Which entries are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryFilter {
    pub kinds: Vec<EntryKind>,
    /// All if absent.
    pub state: Option<State>,
}

/// What is known of one tool, prompt, resource or template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    pub kind: EntryKind,
    pub name: String,
    /// Of the present definition, or the last that was seen.
    pub digest: Digest,
    pub reads_only: bool,
    pub first_seen_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// When the present definition was first seen.
    pub changed_at: Timestamp,
    pub gone: bool,
    pub approval: Option<Approval>,
}

/// Who has approved which definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub digest: Digest,
    pub by: Actor,
    pub at: Timestamp,
}

/// JSON as the server wrote it; empty where it is too large to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definitions {
    pub present: String,
    pub approved: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalOutcome {
    /// As of this revision; the present one if all were approved already.
    Approved(Revision),
    /// Nothing was approved, because of these.
    Refused(Vec<(String, Unapprovable)>),
}

/// Why a definition cannot be approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unapprovable {
    /// The server has no such tool.
    Missing,
    /// It has another definition by now.
    Stale,
    /// Nobody can look at it.
    TooLarge,
}

impl CatalogueEntry {
    pub fn state(&self) -> State {
        State::of(&self.digest, self.approval.as_ref().map(|approval| &approval.digest), self.gone)
    }
}
