//! API keys.

use portcullis_wire::watch::Invalidation;
use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::convert::{Flag, RowName, constraint, from_database, revision, to_database, to_json};
use super::limits;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::ids::{KeyId, MemberId, WorkspaceId};
use crate::domain::people::{ApiKeyRecord, Identity, KeyOwner, KeySettings};
use crate::store::{NewKey, Result, StoreError};

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: String,
    digest: String,
    workspace_id: String,
    member_id: Option<String>,
    made_by_issuer: Option<String>,
    made_by_subject: Option<String>,
    name: String,
    expires_at: Option<i64>,
    disabled: Flag,
    created_at: i64,
    last_used_at: Option<i64>,
    scope: String,
    sources: String,
    replaces: Option<String>,
    revision: i64,
    quarantined: Flag,
}

/// Every column, and whether it is in quarantine.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            columns!(api_keys),
            ", EXISTS (SELECT 1 FROM quarantines WHERE key_id = api_keys.id) AS quarantined FROM api_keys ",
            $rest
        )
    };
}

impl KeyRow {
    fn read(self) -> Result<ApiKeyRecord> {
        let row = RowName { table: "api_keys", row: &self.id };
        Ok(ApiKeyRecord {
            digest: row.digest(&self.digest)?,
            workspace: self.workspace_id.into(),
            made_by: self
                .made_by_issuer
                .zip(self.made_by_subject)
                .map(|(issuer, subject)| Identity { issuer, subject }),
            owner: self.member_id.map_or(KeyOwner::Service, |id| KeyOwner::Member(id.into())),
            settings: KeySettings {
                name: self.name,
                expires_at: self.expires_at.map(|time| Timestamp(from_database(time))),
                disabled: self.disabled.0,
                scope: row.json(&self.scope)?,
                sources: row.json(&self.sources)?,
            },
            replaces: self.replaces.map(KeyId::from),
            created_at: Timestamp(from_database(self.created_at)),
            last_used_at: self.last_used_at.map(|time| Timestamp(from_database(time))),
            revision: revision(self.revision),
            quarantined: self.quarantined.0,
            id: self.id.into(),
        })
    }
}

pub(super) async fn page(
    connection: &mut AnyConnection,
    workspace: &WorkspaceId,
    after: Option<&KeyId>,
    limit: u32,
) -> Result<Vec<ApiKeyRecord>> {
    let rows: Vec<KeyRow> =
        sqlx::query_as(select!("WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3"))
            .bind(workspace.as_str())
            .bind(after.map_or("", KeyId::as_str))
            .bind(i64::from(limit))
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(KeyRow::read).collect()
}

/// The keys of one member in the order of their ids.
pub(super) async fn of_member(
    connection: &mut AnyConnection,
    member: &MemberId,
    after: Option<&KeyId>,
    limit: u32,
) -> Result<Vec<ApiKeyRecord>> {
    let rows: Vec<KeyRow> = sqlx::query_as(select!("WHERE member_id = $1 AND id > $2 ORDER BY id LIMIT $3"))
        .bind(member.as_str())
        .bind(after.map_or("", KeyId::as_str))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(KeyRow::read).collect()
}

/// Service keys can do no more than their maker, so what changes for the maker changes for them.
pub(super) async fn forget_made_by(write: &mut Write, maker: &Identity) -> Result<()> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT id FROM api_keys WHERE made_by_issuer = $1 AND made_by_subject = $2 AND member_id IS NULL ORDER BY id",
    )
    .bind(&maker.issuer)
    .bind(&maker.subject)
    .fetch_all(write.connection())
    .await?;
    for id in ids {
        write.invalidate(Invalidation::Key(id));
    }
    Ok(())
}

pub(super) async fn by_id(connection: &mut AnyConnection, id: &KeyId) -> Result<Option<ApiKeyRecord>> {
    let row: Option<KeyRow> =
        sqlx::query_as(select!("WHERE id = $1")).bind(id.as_str()).fetch_optional(connection).await?;
    row.map(KeyRow::read).transpose()
}

pub(super) async fn create(write: &mut Write, new: &NewKey) -> Result<ApiKeyRecord> {
    insert(write, new, None).await?;
    write.record("key.create", &new.id);
    reread(write, &new.id).await
}

async fn insert(write: &mut Write, new: &NewKey, replaces: Option<&KeyId>) -> Result<()> {
    let (member, refers_to) = match &new.owner {
        KeyOwner::Member(id) => (Some(MemberId::as_str(id)), "workspace or member of it"),
        KeyOwner::Service => (None, "workspace"),
    };
    sqlx::query(
        "INSERT INTO api_keys
             (id, digest, workspace_id, member_id, made_by_issuer, made_by_subject, name, expires_at, disabled,
              scope, sources, replaces, created_at, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(new.id.as_str())
    .bind(new.digest.to_string())
    .bind(new.workspace.as_str())
    .bind(member)
    .bind(new.made_by.as_ref().map(|maker| maker.issuer.as_str()))
    .bind(new.made_by.as_ref().map(|maker| maker.subject.as_str()))
    .bind(&new.settings.name)
    .bind(new.settings.expires_at.map(|time| to_database(time.0)))
    .bind(Flag(new.settings.disabled))
    .bind(to_json(&new.settings.scope))
    .bind(to_json(&new.settings.sources))
    .bind(replaces.map(KeyId::as_str))
    .bind(to_database(new.created_at.0))
    .bind(to_database(write.revision.0))
    .execute(write.connection())
    .await
    .map_err(|error| constraint(error, "API key", new.id.as_str(), refers_to))?;
    // A filter may remember that this key was unknown.
    write.invalidate(Invalidation::Key(new.id.to_string()));
    Ok(())
}

/// Puts a key in the place of another one, with its policies; the old one ends at `ends`, if not before.
pub(super) async fn rotate(
    write: &mut Write,
    old: &KeyId,
    new: &NewKey,
    ends: Timestamp,
    expected: Option<Revision>,
) -> Result<Option<ApiKeyRecord>> {
    let Some(key) = by_id(write.connection(), old).await? else { return Ok(None) };
    if expected.is_some_and(|expected| expected != key.revision) {
        return Err(StoreError::Stale);
    }
    insert(write, new, Some(old)).await?;
    sqlx::query(
        "INSERT INTO policies (server_id, key_id, rules, origin, revision)
         SELECT server_id, $1, rules, origin, $2 FROM policies WHERE key_id = $3",
    )
    .bind(new.id.as_str())
    .bind(to_database(write.revision.0))
    .bind(old.as_str())
    .execute(write.connection())
    .await?;
    limits::copy(write, old, &new.id).await?;
    let ends = key.settings.expires_at.map_or(ends, |end| end.min(ends));
    sqlx::query("UPDATE api_keys SET expires_at = $1, revision = $2 WHERE id = $3")
        .bind(to_database(ends.0))
        .bind(to_database(write.revision.0))
        .bind(old.as_str())
        .execute(write.connection())
        .await?;
    write.record("key.rotate", old);
    write.invalidate(Invalidation::Key(old.to_string()));
    reread(write, &new.id).await.map(Some)
}

pub(super) async fn change(
    write: &mut Write,
    id: &KeyId,
    settings: &KeySettings,
    expected: Option<Revision>,
) -> Result<Option<ApiKeyRecord>> {
    let Some(key) = by_id(write.connection(), id).await? else { return Ok(None) };
    if expected.is_some_and(|expected| expected != key.revision) {
        return Err(StoreError::Stale);
    }
    if key.settings == *settings {
        return Ok(Some(key));
    }
    sqlx::query(
        "UPDATE api_keys SET name = $1, expires_at = $2, disabled = $3, scope = $4, sources = $5, revision = $6
         WHERE id = $7",
    )
    .bind(&settings.name)
    .bind(settings.expires_at.map(|time| to_database(time.0)))
    .bind(Flag(settings.disabled))
    .bind(to_json(&settings.scope))
    .bind(to_json(&settings.sources))
    .bind(to_database(write.revision.0))
    .bind(id.as_str())
    .execute(write.connection())
    .await?;
    write.record("key.change", id);
    write.invalidate(Invalidation::Key(id.to_string()));
    reread(write, id).await.map(Some)
}

async fn reread(write: &mut Write, id: &KeyId) -> Result<ApiKeyRecord> {
    let found = by_id(write.connection(), id).await?;
    found.ok_or_else(|| {
        RowName { table: "api_keys", row: id.as_str() }.corrupt("it was written and is not there")
    })
}

/// Not a commit: it takes no revision.
pub(super) async fn record_uses(connection: &mut AnyConnection, uses: &[(KeyId, Timestamp)]) -> Result<()> {
    for (id, at) in uses {
        sqlx::query("UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), $1) WHERE id = $2")
            .bind(to_database(at.0))
            .bind(id.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn delete(write: &mut Write, id: &KeyId) -> Result<Option<Revision>> {
    sqlx::query("UPDATE api_keys SET replaces = NULL WHERE replaces = $1")
        .bind(id.as_str())
        .execute(write.connection())
        .await?;
    let deleted = sqlx::query("DELETE FROM api_keys WHERE id = $1")
        .bind(id.as_str())
        .execute(write.connection())
        .await?;
    if deleted.rows_affected() == 0 {
        return Ok(None);
    }
    write.record("key.delete", id);
    write.invalidate(Invalidation::Key(id.to_string()));
    Ok(Some(write.outcome()))
}
