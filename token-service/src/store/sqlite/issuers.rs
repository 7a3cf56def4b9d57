//! Issuers.

use portcullis_wire::watch::Invalidation;
use sqlx::sqlite::SqliteConnection;

use super::connection::Write;
use super::convert::{RowName, revision, to_database, to_json};
use crate::domain::Origin;
use crate::domain::issuer::{Issuer, WorkspaceMapping};
use crate::store::Result;

#[derive(sqlx::FromRow)]
struct IssuerRow {
    issuer: String,
    audiences: String,
    require_at_jwt: bool,
    keys: String,
    mapping: String,
    mapping_value: String,
    auto_provision_members: bool,
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
            audiences: row.json(&self.audiences)?,
            require_at_jwt: self.require_at_jwt,
            keys: row.json(&self.keys)?,
            workspaces,
            auto_provision_members: self.auto_provision_members,
            origin: row.origin(&self.origin)?,
            revision: revision(self.revision),
            issuer: self.issuer,
        })
    }
}

pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<Issuer>> {
    let rows: Vec<IssuerRow> =
        sqlx::query_as("SELECT * FROM issuers ORDER BY issuer").fetch_all(connection).await?;
    rows.into_iter().map(IssuerRow::read).collect()
}

pub(super) async fn find(connection: &mut SqliteConnection, issuer: &str) -> Result<Option<Issuer>> {
    let row: Option<IssuerRow> = sqlx::query_as("SELECT * FROM issuers WHERE issuer = ?")
        .bind(issuer)
        .fetch_optional(connection)
        .await?;
    row.map(IssuerRow::read).transpose()
}

/// Adds or replaces an issuer, if that changes anything.
pub(super) async fn declare(write: &mut Write, declared: &Issuer) -> Result<()> {
    let old = find(write.connection(), &declared.issuer).await?;
    let old_revision = old.as_ref().map(|old| old.revision);
    let new = Issuer {
        origin: Origin::Config,
        revision: old_revision.unwrap_or(write.revision),
        ..declared.clone()
    };
    if old.as_ref() == Some(&new) {
        return Ok(());
    }
    let (mapping, mapping_value) = match &new.workspaces {
        WorkspaceMapping::Fixed(slug) => ("fixed", slug.as_str()),
        WorkspaceMapping::Claim(claim) => ("claim", claim.as_str()),
        WorkspaceMapping::Membership => ("membership", ""),
    };
    sqlx::query(
        "INSERT OR REPLACE INTO issuers (issuer, audiences, require_at_jwt, keys, mapping, mapping_value,
             auto_provision_members, origin, revision)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&new.issuer)
    .bind(to_json(&new.audiences))
    .bind(new.require_at_jwt)
    .bind(to_json(&new.keys))
    .bind(mapping)
    .bind(mapping_value)
    .bind(new.auto_provision_members)
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

pub(super) async fn remove(write: &mut Write, issuer: &str) -> Result<()> {
    sqlx::query("DELETE FROM issuers WHERE issuer = ?").bind(issuer).execute(write.connection()).await?;
    write.record("issuer.delete", issuer);
    write.touch_registry();
    write.invalidate(Invalidation::All);
    Ok(())
}
