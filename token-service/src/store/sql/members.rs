//! Members.

use portcullis_wire::watch::Invalidation;
use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::convert::{Flag, RowName, changeable, constraint, revision, to_database};
use super::keys;
use crate::domain::ids::{MemberId, WorkspaceId};
use crate::domain::people::{Identity, Member, MemberRole};
use crate::domain::{Origin, Revision};
use crate::store::{MemberChange, NewMember, Result};

#[derive(sqlx::FromRow)]
struct MemberRow {
    id: String,
    workspace_id: String,
    issuer: String,
    subject: String,
    name: String,
    role: String,
    disabled: Flag,
    lapsed: Flag,
    origin: String,
    revision: i64,
    quarantined: Flag,
}

/// Every column, and whether it is in quarantine.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            columns!(members),
            ", EXISTS (SELECT 1 FROM quarantines WHERE member_id = members.id) AS quarantined FROM members ",
            $rest
        )
    };
}

impl MemberRow {
    fn read(self) -> Result<Member> {
        let row = RowName { table: "members", row: &self.id };
        Ok(Member {
            origin: row.origin(&self.origin)?,
            role: MemberRole::parse(&self.role).ok_or_else(|| row.corrupt("the role is unknown"))?,
            lapsed: self.lapsed.0,
            workspace: self.workspace_id.into(),
            identity: Identity { issuer: self.issuer, subject: self.subject },
            name: self.name,
            disabled: self.disabled.0,
            quarantined: self.quarantined.0,
            revision: revision(self.revision),
            id: self.id.into(),
        })
    }
}

pub(super) async fn page(
    connection: &mut AnyConnection,
    workspace: &WorkspaceId,
    after: Option<&MemberId>,
    limit: u32,
) -> Result<Vec<Member>> {
    let rows: Vec<MemberRow> =
        sqlx::query_as(select!("WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3"))
            .bind(workspace.as_str())
            .bind(after.map_or("", MemberId::as_str))
            .bind(i64::from(limit))
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(MemberRow::read).collect()
}

pub(super) async fn by_id(connection: &mut AnyConnection, id: &MemberId) -> Result<Option<Member>> {
    let row: Option<MemberRow> =
        sqlx::query_as(select!("WHERE id = $1")).bind(id.as_str()).fetch_optional(connection).await?;
    row.map(MemberRow::read).transpose()
}

pub(super) async fn by_identity(
    connection: &mut AnyConnection,
    workspace: &WorkspaceId,
    identity: &Identity,
) -> Result<Option<Member>> {
    let row: Option<MemberRow> =
        sqlx::query_as(select!("WHERE issuer = $1 AND subject = $2 AND workspace_id = $3"))
            .bind(&identity.issuer)
            .bind(&identity.subject)
            .bind(workspace.as_str())
            .fetch_optional(connection)
            .await?;
    row.map(MemberRow::read).transpose()
}

/// Every membership of one identity.
pub(super) async fn of_identity(connection: &mut AnyConnection, identity: &Identity) -> Result<Vec<Member>> {
    let rows: Vec<MemberRow> = sqlx::query_as(select!("WHERE issuer = $1 AND subject = $2 ORDER BY id"))
        .bind(&identity.issuer)
        .bind(&identity.subject)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(MemberRow::read).collect()
}

/// All that `portcullis.yaml` has declared.
pub(super) async fn declared(connection: &mut AnyConnection) -> Result<Vec<Member>> {
    let rows: Vec<MemberRow> =
        sqlx::query_as(select!("WHERE origin = 'config' ORDER BY id")).fetch_all(connection).await?;
    rows.into_iter().map(MemberRow::read).collect()
}

pub(super) async fn provision(write: &mut Write, new: &NewMember) -> Result<Member> {
    match by_identity(write.connection(), &new.workspace, &new.identity).await? {
        Some(member) => Ok(member),
        None => create(write, new, Origin::Api).await,
    }
}

pub(super) async fn create(write: &mut Write, new: &NewMember, origin: Origin) -> Result<Member> {
    let member = Member {
        id: new.id.clone(),
        workspace: new.workspace.clone(),
        identity: new.identity.clone(),
        name: new.name.clone(),
        role: new.role,
        disabled: false,
        lapsed: false,
        origin,
        revision: write.revision,
        quarantined: false,
    };
    sqlx::query(
        "INSERT INTO members (id, workspace_id, issuer, subject, name, role, disabled, origin, revision)
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)",
    )
    .bind(member.id.as_str())
    .bind(member.workspace.as_str())
    .bind(&member.identity.issuer)
    .bind(&member.identity.subject)
    .bind(&member.name)
    .bind(member.role.as_str())
    .bind(origin.as_str())
    .bind(to_database(member.revision.0))
    .execute(write.connection())
    .await
    .map_err(|error| constraint(error, "member", &member.identity.subject, "workspace"))?;
    write.record("member.create", &member.id);
    Ok(member)
}

pub(super) async fn change(
    write: &mut Write,
    id: &MemberId,
    change: &MemberChange,
    expected: Option<Revision>,
) -> Result<Option<Member>> {
    let Some(member) = by_id(write.connection(), id).await? else { return Ok(None) };
    changeable("member", member.origin, member.revision, expected)?;
    let origin = member.origin;
    replace(write, member, change, origin).await.map(Some)
}

/// Writes the change, if it is one. Only what the company's sign-in has made can lapse.
pub(super) async fn replace(
    write: &mut Write,
    member: Member,
    change: &MemberChange,
    origin: Origin,
) -> Result<Member> {
    let changed = Member {
        name: change.name.clone(),
        role: change.role,
        disabled: change.disabled,
        lapsed: member.lapsed && origin == Origin::SignIn,
        origin,
        ..member.clone()
    };
    save(write, "member.change", &member, changed).await
}

/// Writes what differs from `member`, as `action`.
pub(super) async fn save(
    write: &mut Write,
    action: &'static str,
    member: &Member,
    changed: Member,
) -> Result<Member> {
    if changed == *member {
        return Ok(changed);
    }
    let changed = Member { revision: write.revision, ..changed };
    sqlx::query(
        "UPDATE members SET name = $1, role = $2, disabled = $3, lapsed = $4, origin = $5, revision = $6 WHERE id = $7",
    )
    .bind(&changed.name)
    .bind(changed.role.as_str())
    .bind(Flag(changed.disabled))
    .bind(Flag(changed.lapsed))
    .bind(changed.origin.as_str())
    .bind(to_database(changed.revision.0))
    .bind(changed.id.as_str())
    .execute(write.connection())
    .await?;
    write.record(action, &changed.id);
    forget(write, &changed).await?;
    Ok(changed)
}

/// The leases of a member, and those of service keys that hold by what this person may do.
pub(super) async fn forget(write: &mut Write, member: &Member) -> Result<()> {
    write.invalidate(Invalidation::Member(member.id.to_string()));
    keys::forget_made_by(write, &member.identity).await
}

pub(super) async fn delete(write: &mut Write, id: &MemberId) -> Result<Option<Revision>> {
    let Some(member) = by_id(write.connection(), id).await? else { return Ok(None) };
    changeable("member", member.origin, member.revision, None)?;
    remove(write, &member).await?;
    Ok(Some(write.outcome()))
}

pub(super) async fn remove(write: &mut Write, member: &Member) -> Result<()> {
    sqlx::query("DELETE FROM members WHERE id = $1")
        .bind(member.id.as_str())
        .execute(write.connection())
        .await?;
    write.record("member.delete", &member.id);
    // Leases through the member's keys name the member too.
    forget(write, member).await
}
