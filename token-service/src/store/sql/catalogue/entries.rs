//! Entries, as they are shown.

use sqlx::AnyConnection;

use crate::clock::Timestamp;
use crate::domain::catalogue::EntryKind;
use crate::domain::ids::ServerId;
use crate::domain::people::Identity;
use crate::store::catalogue::{Approval, CatalogueEntry, Definitions, EntryFilter};
use crate::store::sql::convert::{Flag, RowName, timestamp, to_json};
use crate::store::{Actor, Result};

#[derive(sqlx::FromRow)]
struct EntryRow {
    kind: String,
    name: String,
    digest: String,
    reads_only: Flag,
    first_seen_at: i64,
    last_seen_at: i64,
    changed_at: i64,
    gone: Flag,
    approved_digest: Option<String>,
    approved_at: Option<i64>,
    approved_actor: Option<String>,
    approved_issuer: Option<String>,
    approved_subject: Option<String>,
}

/// The columns of [`EntryRow`], without the definitions, which may be long.
macro_rules! columns {
    () => {
        "kind, name, digest, reads_only, first_seen_at, last_seen_at, changed_at, gone, approved_digest,
         approved_at, approved_actor, approved_issuer, approved_subject"
    };
}

impl EntryRow {
    fn read(self) -> Result<CatalogueEntry> {
        let row = RowName { table: "catalogue_entries", row: &self.name };
        let digest = row.digest(&self.digest)?;
        let kind = EntryKind::parse(&self.kind).ok_or_else(|| row.corrupt("the kind is unknown"))?;
        let approval = match (&self.approved_digest, &self.approved_actor, self.approved_at) {
            (Some(digest), Some(actor), Some(at)) => {
                let person = self.approved_issuer.zip(self.approved_subject);
                let person = person.map(|(issuer, subject)| Identity { issuer, subject });
                let by = Actor::read(actor, person).ok_or_else(|| row.corrupt("the actor is unknown"))?;
                Some(Approval { digest: row.digest(digest)?, by, at: timestamp(at) })
            }
            _ => None,
        };
        let [first_seen_at, last_seen_at, changed_at]: [Timestamp; 3] =
            [self.first_seen_at, self.last_seen_at, self.changed_at].map(timestamp);
        Ok(CatalogueEntry {
            kind,
            digest,
            reads_only: self.reads_only.0,
            first_seen_at,
            last_seen_at,
            changed_at,
            gone: self.gone.0,
            approval,
            name: self.name,
        })
    }
}

#[derive(sqlx::FromRow)]
struct DefinitionsRow {
    definition: String,
    approved_definition: Option<String>,
    #[sqlx(flatten)]
    entry: EntryRow,
}

pub(super) async fn page(
    connection: &mut AnyConnection,
    server: &ServerId,
    filter: &EntryFilter,
    after: Option<&(EntryKind, String)>,
    limit: u32,
) -> Result<Vec<CatalogueEntry>> {
    let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
    let (kind, name) = after.map_or(("", ""), |(kind, name)| (kind.as_str(), name));
    let rows: Vec<EntryRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM catalogue_entries
         WHERE server_id = $1 AND kind IN (SELECT value FROM json_each($2)) AND (kind, name) > ($3, $4)
             AND ($5 IS NULL OR $5 = CASE
                 WHEN gone = 1 THEN 'gone'
                 WHEN approved_digest IS NULL THEN 'new'
                 WHEN approved_digest = digest THEN 'approved'
                 ELSE 'changed' END)
         ORDER BY kind, name LIMIT $6"
    ))
    .bind(server.as_str())
    .bind(to_json(&kinds))
    .bind(kind)
    .bind(name)
    .bind(filter.state.map(crate::domain::catalogue::State::as_str))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(EntryRow::read).collect()
}

pub(super) async fn one(
    connection: &mut AnyConnection,
    server: &ServerId,
    kind: EntryKind,
    name: &str,
) -> Result<Option<(CatalogueEntry, Definitions)>> {
    let row: Option<DefinitionsRow> = sqlx::query_as(concat!(
        "SELECT definition, approved_definition, ",
        columns!(),
        " FROM catalogue_entries WHERE server_id = $1 AND kind = $2 AND name = $3"
    ))
    .bind(server.as_str())
    .bind(kind.as_str())
    .bind(name)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let definitions = Definitions { present: row.definition, approved: row.approved_definition };
    Ok(Some((row.entry.read()?, definitions)))
}
