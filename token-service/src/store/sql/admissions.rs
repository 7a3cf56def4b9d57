//! Which members of a workspace a server is for.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_wire::watch::Invalidation;
use sqlx::AnyConnection;

use super::connection::Write;
use super::convert::{RowName, changeable, to_json};
use super::{members, servers, workspaces};
use crate::domain::Revision;
use crate::domain::ids::{MemberId, ServerId, WorkspaceId};
use crate::domain::provisioning::{Admission, MemberAccess, Members};
use crate::store::Result;

/// All that is said of a server.
pub(super) async fn of_server(connection: &mut AnyConnection, server: &ServerId) -> Result<Admission> {
    let chosen = sqlx::query_scalar("SELECT workspace_id FROM chosen_members WHERE server_id = $1")
        .bind(server.as_str())
        .fetch_all(&mut *connection)
        .await?;
    let members = sqlx::query_as("SELECT member_id, access FROM member_access WHERE server_id = $1")
        .bind(server.as_str())
        .fetch_all(connection)
        .await?;
    read(server, chosen, members)
}

/// What is said of these workspaces and members on a server.
pub(super) async fn concerning(
    connection: &mut AnyConnection,
    server: &ServerId,
    workspaces: &[&str],
    members: &[&str],
) -> Result<Admission> {
    let chosen = sqlx::query_scalar(
        "SELECT workspace_id FROM chosen_members
         WHERE server_id = $1 AND workspace_id IN (SELECT value FROM json_each($2))",
    )
    .bind(server.as_str())
    .bind(to_json(&workspaces))
    .fetch_all(&mut *connection)
    .await?;
    let members = sqlx::query_as(
        "SELECT member_id, access FROM member_access
         WHERE server_id = $1 AND member_id IN (SELECT value FROM json_each($2))",
    )
    .bind(server.as_str())
    .bind(to_json(&members))
    .fetch_all(connection)
    .await?;
    read(server, chosen, members)
}

fn read(server: &ServerId, chosen: Vec<String>, members: Vec<(String, String)>) -> Result<Admission> {
    let row = RowName { table: "member_access", row: server.as_str() };
    let access = |(member, access): (String, String)| {
        let access = MemberAccess::parse(&access).ok_or_else(|| row.corrupt("the access is unknown"))?;
        Ok((MemberId::from(member), access))
    };
    let members = members.into_iter().map(access).collect::<Result<BTreeMap<_, _>>>()?;
    Ok(Admission { chosen: chosen.into_iter().map(WorkspaceId::from).collect(), members })
}

pub(super) async fn set_members(
    write: &mut Write,
    id: &ServerId,
    workspace: &WorkspaceId,
    members: Members,
) -> Result<Option<Revision>> {
    let Some(server) = servers::by_id(write.connection(), id).await? else { return Ok(None) };
    if workspaces::by_id(write.connection(), workspace).await?.is_none() {
        return Ok(None);
    }
    changeable("server", server.origin, server.revision, None)?;
    choose(write, id, workspace, members).await?;
    Ok(Some(write.outcome()))
}

async fn choose(
    write: &mut Write,
    server: &ServerId,
    workspace: &WorkspaceId,
    members: Members,
) -> Result<()> {
    let statement = match members {
        Members::All => "DELETE FROM chosen_members WHERE server_id = $1 AND workspace_id = $2",
        Members::Chosen => {
            "INSERT INTO chosen_members (server_id, workspace_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
        }
    };
    let changed = sqlx::query(statement)
        .bind(server.as_str())
        .bind(workspace.as_str())
        .execute(write.connection())
        .await?;
    if changed.rows_affected() > 0 {
        write.record("server.members", format_args!("{server} {workspace}"));
        write.invalidate(Invalidation::Workspace(workspace.to_string()));
    }
    Ok(())
}

pub(super) async fn set_member_access(
    write: &mut Write,
    id: &ServerId,
    member: &MemberId,
    access: Option<MemberAccess>,
) -> Result<Option<Revision>> {
    let Some(server) = servers::by_id(write.connection(), id).await? else { return Ok(None) };
    if members::by_id(write.connection(), member).await?.is_none() {
        return Ok(None);
    }
    changeable("server", server.origin, server.revision, None)?;
    say(write, id, member, access).await?;
    Ok(Some(write.outcome()))
}

async fn say(
    write: &mut Write,
    server: &ServerId,
    member: &MemberId,
    access: Option<MemberAccess>,
) -> Result<()> {
    let changed = match access {
        None => sqlx::query("DELETE FROM member_access WHERE server_id = $1 AND member_id = $2")
            .bind(server.as_str())
            .bind(member.as_str()),
        Some(access) => sqlx::query(
            "INSERT INTO member_access (server_id, member_id, access) VALUES ($1, $2, $3)
             ON CONFLICT (server_id, member_id) DO UPDATE SET access = excluded.access
             WHERE member_access.access <> excluded.access",
        )
        .bind(server.as_str())
        .bind(member.as_str())
        .bind(access.as_str()),
    };
    if changed.execute(write.connection()).await?.rows_affected() == 0 {
        return Ok(());
    }
    write.record("server.member", format_args!("{server} {member}"));
    if let Some(member) = members::by_id(write.connection(), member).await? {
        members::forget(write, &member).await?;
    }
    Ok(())
}

/// Makes what is said of a declared server exactly this.
pub(super) async fn declare(write: &mut Write, server: &ServerId, wanted: &Admission) -> Result<()> {
    let present = of_server(write.connection(), server).await?;
    for workspace in wanted.chosen.difference(&present.chosen) {
        choose(write, server, workspace, Members::Chosen).await?;
    }
    for workspace in present.chosen.difference(&wanted.chosen) {
        choose(write, server, workspace, Members::All).await?;
    }
    let all: BTreeSet<&MemberId> = wanted.members.keys().chain(present.members.keys()).collect();
    for member in all {
        say(write, server, member, wanted.members.get(member).copied()).await?;
    }
    Ok(())
}
