//! Issuers.

use portcullis_wire::watch::{Invalidation, VerificationKey};
use sqlx::AnyConnection;
use url::Url;

use super::columns;
use super::connection::Write;
use super::convert::{Flag, RowName, revision, timestamp, to_database, to_json};
use crate::clock::Timestamp;
use crate::domain::Origin;
use crate::domain::issuer::{Issuer, TokenSource, WorkspaceMapping};
use crate::domain::token_rules::TokenRules;
use crate::store::Result;

#[derive(sqlx::FromRow)]
struct IssuerRow {
    issuer: String,
    audiences: String,
    require_at_jwt: Flag,
    keys: String,
    keys_fetched_at: Option<i64>,
    source: String,
    settings: String,
    rules: String,
    mapping: String,
    mapping_value: String,
    auto_provision_members: Flag,
    origin: String,
    revision: i64,
}

impl IssuerRow {
    fn read(self) -> Result<Issuer> {
        let row = RowName { table: "issuers", row: &self.issuer };
        let workspaces = match self.mapping.as_str() {
            "fixed" => WorkspaceMapping::Fixed(row.slug(&self.mapping_value)?),
            "claim" => WorkspaceMapping::Claim(self.mapping_value),
            "membership" => WorkspaceMapping::Membership,
            _ => return Err(row.corrupt("the workspace mapping is unknown")),
        };
        Ok(Issuer {
            rules: TokenRules { audiences: row.json(&self.audiences)?, ..row.json(&self.rules)? },
            settings: row.json(&self.settings)?,
            require_at_jwt: self.require_at_jwt.0,
            source: row.json(&self.source)?,
            keys: row.json(&self.keys)?,
            keys_fetched_at: self.keys_fetched_at.map(timestamp),
            workspaces,
            auto_provision_members: self.auto_provision_members.0,
            origin: row.origin(&self.origin)?,
            revision: revision(self.revision),
            issuer: self.issuer,
        })
    }
}

pub(super) async fn all(connection: &mut AnyConnection) -> Result<Vec<Issuer>> {
    let rows: Vec<IssuerRow> =
        sqlx::query_as(concat!("SELECT ", columns!(issuers), " FROM issuers ORDER BY issuer"))
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(IssuerRow::read).collect()
}

pub(super) async fn find(connection: &mut AnyConnection, issuer: &str) -> Result<Option<Issuer>> {
    let row: Option<IssuerRow> =
        sqlx::query_as(concat!("SELECT ", columns!(issuers), " FROM issuers WHERE issuer = $1"))
            .bind(issuer)
            .fetch_optional(connection)
            .await?;
    row.map(IssuerRow::read).transpose()
}

/// Adds or replaces an issuer, if that changes anything.
pub(super) async fn declare(write: &mut Write, declared: &Issuer) -> Result<()> {
    let old = find(write.connection(), &declared.issuer).await?;
    let old_revision = old.as_ref().map(|old| old.revision);
    let mut new = Issuer {
        origin: Origin::Config,
        revision: old_revision.unwrap_or(write.revision),
        ..declared.clone()
    };
    // A declaration does not know what was fetched.
    if let (TokenSource::Jwks(_), Some(old)) =
        (&new.source, old.as_ref().filter(|old| old.source == new.source))
    {
        new.keys.clone_from(&old.keys);
        new.keys_fetched_at = old.keys_fetched_at;
    }
    if old.as_ref() == Some(&new) {
        return Ok(());
    }
    let (mapping, mapping_value) = match &new.workspaces {
        WorkspaceMapping::Fixed(slug) => ("fixed", slug.as_str()),
        WorkspaceMapping::Claim(claim) => ("claim", claim.as_str()),
        WorkspaceMapping::Membership => ("membership", ""),
    };
    sqlx::query(
        "INSERT INTO issuers (issuer, audiences, rules, settings, require_at_jwt, source, keys,
             keys_fetched_at, mapping, mapping_value, auto_provision_members, origin, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (issuer) DO UPDATE SET
             audiences = excluded.audiences, rules = excluded.rules, settings = excluded.settings,
             require_at_jwt = excluded.require_at_jwt, source = excluded.source, keys = excluded.keys,
             keys_fetched_at = excluded.keys_fetched_at, mapping = excluded.mapping,
             mapping_value = excluded.mapping_value, auto_provision_members = excluded.auto_provision_members,
             origin = excluded.origin, revision = excluded.revision",
    )
    .bind(&new.issuer)
    .bind(to_json(&new.rules.audiences))
    .bind(to_json(&TokenRules { audiences: Vec::new(), ..new.rules.clone() }))
    .bind(to_json(&new.settings))
    .bind(Flag(new.require_at_jwt))
    .bind(to_json(&new.source))
    .bind(to_json(&new.keys))
    .bind(new.keys_fetched_at.map(|time| to_database(time.0)))
    .bind(mapping)
    .bind(mapping_value)
    .bind(Flag(new.auto_provision_members))
    .bind(new.origin.as_str())
    .bind(to_database(write.revision.0))
    .execute(write.connection())
    .await?;
    write.record("issuer.set", &new.issuer);
    write.touch_registry();
    if old.is_some() {
        // Leases do not say which issuer their caller came from.
        write.invalidate(Invalidation::All);
    }
    Ok(())
}

/// Keeps what was fetched from `address`, unless the issuer's keys come from elsewhere by now. The same keys again are
/// no commit.
pub(super) async fn set_keys(
    write: &mut Write,
    issuer: &str,
    address: &Url,
    keys: &[VerificationKey],
    now: Timestamp,
) -> Result<()> {
    let Some(old) = find(write.connection(), issuer).await? else { return Ok(()) };
    if old.source != TokenSource::Jwks(address.clone()) || old.keys == keys {
        return Ok(());
    }
    sqlx::query("UPDATE issuers SET keys = $1, keys_fetched_at = $2, revision = $3 WHERE issuer = $4")
        .bind(to_json(&keys))
        .bind(to_database(now.0))
        .bind(to_database(write.revision.0))
        .bind(issuer)
        .execute(write.connection())
        .await?;
    write.leave_unrecorded();
    write.touch_registry();
    Ok(())
}

/// Not a commit: it takes no revision.
pub(super) async fn touch_keys(
    connection: &mut AnyConnection,
    issuer: &str,
    address: &Url,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "UPDATE issuers SET keys_fetched_at = max(coalesce(keys_fetched_at, 0), $1)
         WHERE issuer = $2 AND source = $3",
    )
    .bind(to_database(now.0))
    .bind(issuer)
    .bind(to_json(&TokenSource::Jwks(address.clone())))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn remove(write: &mut Write, issuer: &str) -> Result<()> {
    sqlx::query("DELETE FROM issuers WHERE issuer = $1").bind(issuer).execute(write.connection()).await?;
    write.record("issuer.delete", issuer);
    write.touch_registry();
    write.invalidate(Invalidation::All);
    Ok(())
}
