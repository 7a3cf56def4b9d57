//! Administrators.

use std::collections::BTreeSet;

use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::convert::{Flag, RowName, changeable, constraint, revision, to_database};
use super::keys;
use crate::domain::ids::AdministratorId;
use crate::domain::people::{Administrator, Identity, OrganizationRole};
use crate::domain::{Origin, Revision};
use crate::store::{AdministratorChange, NewAdministrator, Result, StoreError};

#[derive(sqlx::FromRow)]
struct AdministratorRow {
    id: String,
    issuer: String,
    subject: String,
    name: String,
    role: String,
    origin: String,
    revision: i64,
}

impl AdministratorRow {
    fn read(self) -> Result<Administrator> {
        let row = RowName { table: "administrators", row: &self.id };
        Ok(Administrator {
            role: OrganizationRole::parse(&self.role).ok_or_else(|| row.corrupt("the role is unknown"))?,
            origin: row.origin(&self.origin)?,
            identity: Identity { issuer: self.issuer, subject: self.subject },
            name: self.name,
            revision: revision(self.revision),
            id: self.id.into(),
        })
    }
}

pub(super) async fn all(connection: &mut AnyConnection) -> Result<Vec<Administrator>> {
    let rows: Vec<AdministratorRow> =
        sqlx::query_as(concat!("SELECT ", columns!(administrators), " FROM administrators ORDER BY id"))
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(AdministratorRow::read).collect()
}

pub(super) async fn by_id(
    connection: &mut AnyConnection,
    id: &AdministratorId,
) -> Result<Option<Administrator>> {
    let row: Option<AdministratorRow> =
        sqlx::query_as(concat!("SELECT ", columns!(administrators), " FROM administrators WHERE id = $1"))
            .bind(id.as_str())
            .fetch_optional(connection)
            .await?;
    row.map(AdministratorRow::read).transpose()
}

pub(super) async fn by_identity(
    connection: &mut AnyConnection,
    identity: &Identity,
) -> Result<Option<Administrator>> {
    let row: Option<AdministratorRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(administrators),
        " FROM administrators WHERE issuer = $1 AND subject = $2"
    ))
    .bind(&identity.issuer)
    .bind(&identity.subject)
    .fetch_optional(connection)
    .await?;
    row.map(AdministratorRow::read).transpose()
}

pub(super) async fn has_owner(connection: &mut AnyConnection, issuer: &str) -> Result<bool> {
    let Flag(found) = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM administrators WHERE role = 'owner' AND issuer = $1)",
    )
    .bind(issuer)
    .fetch_one(connection)
    .await?;
    Ok(found)
}

pub(super) async fn create(
    write: &mut Write,
    new: &NewAdministrator,
    origin: Origin,
) -> Result<Administrator> {
    let made = Administrator {
        id: new.id.clone(),
        identity: new.identity.clone(),
        name: new.name.clone(),
        role: new.role,
        origin,
        revision: write.revision,
    };
    sqlx::query(
        "INSERT INTO administrators (id, issuer, subject, name, role, origin, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(made.id.as_str())
    .bind(&made.identity.issuer)
    .bind(&made.identity.subject)
    .bind(&made.name)
    .bind(made.role.as_str())
    .bind(origin.as_str())
    .bind(to_database(made.revision.0))
    .execute(write.connection())
    .await
    .map_err(|error| constraint(error, "administrator", &made.identity.subject, "administrator"))?;
    write.record("administrator.create", &made.id);
    keys::forget_made_by(write, &made.identity).await?;
    Ok(made)
}

pub(super) async fn change(
    write: &mut Write,
    id: &AdministratorId,
    change: &AdministratorChange,
    expected: Option<Revision>,
) -> Result<Option<Administrator>> {
    let Some(old) = by_id(write.connection(), id).await? else { return Ok(None) };
    changeable("administrator", old.origin, old.revision, expected)?;
    if change.role != OrganizationRole::Owner {
        another_owner(write, &old).await?;
    }
    let origin = old.origin;
    replace(write, &old, change, origin).await.map(Some)
}

/// Writes the change, if it is one.
pub(super) async fn replace(
    write: &mut Write,
    old: &Administrator,
    change: &AdministratorChange,
    origin: Origin,
) -> Result<Administrator> {
    let new = Administrator { name: change.name.clone(), role: change.role, origin, ..old.clone() };
    if new == *old {
        return Ok(new);
    }
    let new = Administrator { revision: write.revision, ..new };
    sqlx::query("UPDATE administrators SET name = $1, role = $2, origin = $3, revision = $4 WHERE id = $5")
        .bind(&new.name)
        .bind(new.role.as_str())
        .bind(origin.as_str())
        .bind(to_database(new.revision.0))
        .bind(new.id.as_str())
        .execute(write.connection())
        .await?;
    write.record("administrator.change", &new.id);
    keys::forget_made_by(write, &new.identity).await?;
    Ok(new)
}

pub(super) async fn delete(write: &mut Write, id: &AdministratorId) -> Result<Option<Revision>> {
    let Some(old) = by_id(write.connection(), id).await? else { return Ok(None) };
    changeable("administrator", old.origin, old.revision, None)?;
    another_owner(write, &old).await?;
    remove(write, &old).await?;
    Ok(Some(write.outcome()))
}

pub(super) async fn remove(write: &mut Write, old: &Administrator) -> Result<()> {
    sqlx::query("DELETE FROM administrators WHERE id = $1")
        .bind(old.id.as_str())
        .execute(write.connection())
        .await?;
    write.record("administrator.delete", &old.id);
    keys::forget_made_by(write, &old.identity).await
}

/// An owner may go only if there is another. Writing transactions come one after the other, so of two owners who
/// remove each other one stays.
async fn another_owner(write: &mut Write, old: &Administrator) -> Result<()> {
    let all = all(write.connection()).await?;
    let others = all.iter().any(|other| other.role == OrganizationRole::Owner && other.id != old.id);
    if old.role == OrganizationRole::Owner && !others { Err(StoreError::LastOwner) } else { Ok(()) }
}

/// Makes the declared ones exactly these. Whoever can write the file can also read the admin token, so the last owner
/// may go.
pub(super) async fn declare(write: &mut Write, declared: &[NewAdministrator]) -> Result<()> {
    let kept: BTreeSet<&Identity> = declared.iter().map(|administrator| &administrator.identity).collect();
    for old in all(write.connection()).await? {
        if old.origin == Origin::Config && !kept.contains(&old.identity) {
            remove(write, &old).await?;
        }
    }
    for new in declared {
        match by_identity(write.connection(), &new.identity).await? {
            Some(old) => {
                let change = AdministratorChange { name: new.name.clone(), role: new.role };
                replace(write, &old, &change, Origin::Config).await?;
            }
            None => drop(create(write, new, Origin::Config).await?),
        }
    }
    Ok(())
}
