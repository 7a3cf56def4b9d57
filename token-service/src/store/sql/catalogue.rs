//! What servers have, and what was approved of it.

mod approvals;
mod entries;
mod merge;

use std::collections::BTreeMap;

use async_trait::async_trait;
use portcullis_wire::digest::Digest;
use portcullis_wire::policy::KnownTools;
use portcullis_wire::watch::{Invalidation, MAX_LABELLED_TOOLS};
use sqlx::AnyConnection;

use super::convert::{Flag, timestamp};
use super::{SqlStore, upstreams, writing};
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::catalogue::{EntryKind, Listed};
use crate::domain::ids::{MemberId, ServerId};
use crate::store::catalogue::{ApprovalOutcome, CatalogueEntry, Definitions, EntryFilter};
use crate::store::connections::Catalogue;
use crate::store::{CatalogueStore, Result};

#[async_trait]
impl CatalogueStore for SqlStore {
    async fn catalogue_entries(
        &self,
        server: &ServerId,
        filter: &EntryFilter,
        after: Option<&(EntryKind, String)>,
        limit: u32,
    ) -> Result<Vec<CatalogueEntry>> {
        entries::page(&mut *self.read().await?, server, filter, after, limit).await
    }

    async fn catalogue_entry(
        &self,
        server: &ServerId,
        kind: EntryKind,
        name: &str,
    ) -> Result<Option<(CatalogueEntry, Definitions)>> {
        entries::one(&mut *self.read().await?, server, kind, name).await
    }

    async fn approve_tools(
        &self,
        server: &ServerId,
        approvals: &BTreeMap<String, Digest>,
    ) -> Result<ApprovalOutcome> {
        writing!(self, approvals::approve, server, approvals)
    }

    async fn withdraw_approval(&self, server: &ServerId, tool: &str) -> Result<Option<Revision>> {
        writing!(self, approvals::withdraw, server, tool)
    }

    async fn catalogue_ages(&self) -> Result<Vec<(ServerId, Option<Timestamp>)>> {
        let rows: Vec<(String, Option<i64>)> = sqlx::query_as(
            "SELECT servers.id, catalogues.learnt_at FROM servers
             LEFT JOIN catalogues ON catalogues.server_id = servers.id ORDER BY servers.id",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        Ok(rows.into_iter().map(|(id, at)| (id.into(), at.map(timestamp))).collect())
    }

    async fn learners(
        &self,
        server: &ServerId,
        preferred: Option<&MemberId>,
        limit: u32,
    ) -> Result<Vec<MemberId>> {
        let members: Vec<String> = sqlx::query_scalar(
            "SELECT members.id FROM connections
             JOIN members ON members.id = connections.member_id
             JOIN provisions ON provisions.workspace_id = members.workspace_id
                 AND provisions.server_id = connections.server_id
             WHERE connections.server_id = $1 AND connections.state = 'active'
                 AND members.disabled = 0 AND members.lapsed = 0
                 AND NOT EXISTS (SELECT 1 FROM quarantines WHERE quarantines.member_id = members.id)
             ORDER BY members.id = $2 DESC, max(connections.connected_at, connections.refreshed_at) DESC, members.id
             LIMIT $3",
        )
        .bind(server.as_str())
        .bind(preferred.map_or("", MemberId::as_str))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.read().await?)
        .await?;
        Ok(members.into_iter().map(Into::into).collect())
    }
}

/// The sets of tools that policy judges by.
pub(super) async fn known(connection: &mut AnyConnection, server: &ServerId) -> Result<KnownTools> {
    let rows: Vec<(String, Flag, Flag)> = sqlx::query_as(
        "SELECT name, reads_only, approved_digest IS NOT DISTINCT FROM digest FROM catalogue_entries
         WHERE server_id = $1 AND kind = 'tool' AND (reads_only = 1 OR approved_digest IS NOT DISTINCT FROM digest) ORDER BY name",
    )
    .bind(server.as_str())
    .fetch_all(connection)
    .await?;
    let mut known = KnownTools::default();
    for (name, Flag(reads_only), Flag(is_approved)) in rows {
        if is_approved {
            known.approved.push(name.clone());
        }
        if reads_only {
            known.reading.push(name);
        }
    }
    Ok(known)
}

/// The names that may be labels, by server. See [`crate::store::RegistrySnapshot::tools`].
pub(super) async fn labels(connection: &mut AnyConnection) -> Result<BTreeMap<ServerId, Vec<String>>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT server_id, name FROM (
             SELECT server_id, name,
                    row_number() OVER (PARTITION BY server_id ORDER BY first_seen_at, name) AS place
             FROM catalogue_entries WHERE kind = 'tool') AS tools
         WHERE place <= $1 ORDER BY server_id, name",
    )
    .bind(i64::try_from(MAX_LABELLED_TOOLS).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    let mut labels: BTreeMap<ServerId, Vec<String>> = BTreeMap::new();
    for (server, name) in rows {
        labels.entry(server.into()).or_default().push(name);
    }
    Ok(labels)
}

/// Keeps what was learnt, and tells filters if they judge or count by something else from now on.
pub(super) async fn save(store: &SqlStore, server: &ServerId, learnt: &Catalogue) -> Result<()> {
    // Before the transaction, for which others wait.
    let lists = EntryKind::ALL.into_iter().filter_map(|kind| {
        let result = learnt.results.get(kind.method())?;
        Listed::read(kind, result, !learnt.cut.contains(kind.method()))
    });
    let lists: Vec<Listed> = lists.collect();
    let mut transaction = store.begin().await?;
    if !upstreams::save_catalogue(&mut transaction, server, learnt).await? {
        return Ok(());
    }
    let before = (known(&mut transaction, server).await?, labels(&mut transaction).await?);
    for list in &lists {
        merge::merge(&mut transaction, server, list, learnt.learnt_at).await?;
    }
    merge::forget(&mut transaction, server, learnt.learnt_at).await?;
    let after = (known(&mut transaction, server).await?, labels(&mut transaction).await?);
    if after == before {
        transaction.commit().await?;
        return Ok(());
    }
    let mut write = store.write_within(transaction).await?;
    write.leave_unrecorded();
    if after.0 != before.0 {
        write.invalidate(Invalidation::Server(server.to_string()));
    }
    if after.1 != before.1 {
        write.touch_registry();
    }
    store.finish(write).await.map(drop)
}
