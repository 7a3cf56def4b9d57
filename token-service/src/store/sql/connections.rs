//! Connections as rows. How they change is in `connection_changes` and `renewals`.

use sqlx::any::{Any, AnyArguments};
use sqlx::query::QueryAs;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::columns;
use super::convert::{Flag, RowName, from_database, revision, timestamp, to_database, to_json};
use super::database_now;
use crate::clock::Timestamp;
use crate::domain::connection::{
    Attempt, Binding, Connection, ConnectionId, ConnectionOwner, ConnectionState, ReauthReason, SealedTokens,
    StepUp,
};
use crate::domain::ids::{MemberId, ServerId, WorkspaceId};
use crate::domain::server::Sealed;
use crate::store::Result;
use crate::store::connections::ConnectionFilter;

#[derive(sqlx::FromRow)]
pub(super) struct ConnectionRow {
    id: String,
    server_id: String,
    member_id: Option<String>,
    pub(super) state: String,
    reason: Option<String>,
    origin: String,
    issuer: String,
    client_id: String,
    pub(super) generation: i64,
    access_token: Option<Vec<u8>>,
    refresh_token: Option<Vec<u8>>,
    expires_at: Option<i64>,
    refresh_at: Option<i64>,
    scopes: String,
    account: Option<String>,
    attempt: Option<String>,
    attempt_sent: Flag,
    pub(super) busy_until: Option<i64>,
    unanswered: Option<String>,
    unanswered_until: Option<i64>,
    step_up_wanted: String,
    step_up_count: i64,
    step_up_since: i64,
    connected_at: i64,
    refreshed_at: i64,
    revision: i64,
}

impl ConnectionRow {
    pub(super) fn read(self) -> Result<Connection> {
        let row = RowName { table: "connections", row: &self.id };
        Ok(Connection {
            state: state(row, &self.state, self.reason.as_deref())?,
            scopes: row.json(&self.scopes)?,
            step_up: StepUp {
                wanted: row.json(&self.step_up_wanted)?,
                count: u32::try_from(self.step_up_count).map_err(|error| row.corrupt(error))?,
                window_start: timestamp(self.step_up_since),
            },
            attempt: self.attempt().or_else(|| self.unanswered()),
            owner: self.member_id.map_or(ConnectionOwner::Shared, |id| ConnectionOwner::Member(id.into())),
            binding: Binding { origin: self.origin, issuer: self.issuer, client_id: self.client_id },
            tokens: self.access_token.map(|access| SealedTokens {
                access: Sealed::new(access),
                refresh: self.refresh_token.map(Sealed::new),
                expires_at: self.expires_at.map(timestamp),
                refresh_at: self.refresh_at.map(timestamp),
            }),
            generation: from_database(self.generation),
            account: self.account,
            connected_at: timestamp(self.connected_at),
            refreshed_at: timestamp(self.refreshed_at),
            revision: revision(self.revision),
            server: self.server_id.into(),
            id: self.id.into(),
        })
    }

    fn attempt(&self) -> Option<Attempt> {
        let (id, until) = (self.attempt.clone()?, self.busy_until?);
        Some(Attempt { id, lease_until: timestamp(until), ambiguous: self.attempt_sent.0 })
    }

    /// The last attempt before the present one that brought no answer.
    pub(super) fn unanswered(&self) -> Option<Attempt> {
        let (id, until) = (self.unanswered.clone()?, self.unanswered_until?);
        Some(Attempt { id, lease_until: timestamp(until), ambiguous: true })
    }
}

fn state(row: RowName<'_>, state: &str, reason: Option<&str>) -> Result<ConnectionState> {
    Ok(match state {
        "active" => ConnectionState::Active,
        "quarantined" => ConnectionState::Quarantined,
        "disconnected" => ConnectionState::Disconnected,
        "needs_reauth" => {
            let reason = ReauthReason::ALL.into_iter().find(|known| Some(known.as_str()) == reason);
            ConnectionState::NeedsReauth(reason.ok_or_else(|| row.corrupt("the reason is unknown"))?)
        }
        _ => return Err(row.corrupt("the state is unknown")),
    })
}

/// Binds access token, refresh token, end and time of renewal, in this order.
pub(super) fn with_tokens<'q>(
    query: QueryAs<'q, Any, ConnectionRow, AnyArguments>,
    tokens: &'q SealedTokens,
) -> QueryAs<'q, Any, ConnectionRow, AnyArguments> {
    query
        .bind(tokens.access.as_bytes())
        .bind(tokens.refresh.as_ref().map(Sealed::as_bytes))
        .bind(tokens.expires_at.map(|time| to_database(time.0)))
        .bind(tokens.refresh_at.map(|time| to_database(time.0)))
}

pub(super) async fn by_id(connection: &mut AnyConnection, id: &ConnectionId) -> Result<Option<Connection>> {
    let row: Option<ConnectionRow> =
        sqlx::query_as(concat!("SELECT ", columns!(connections), " FROM connections WHERE id = $1"))
            .bind(id.as_str())
            .fetch_optional(connection)
            .await?;
    row.map(ConnectionRow::read).transpose()
}

pub(super) async fn page(
    connection: &mut AnyConnection,
    filter: &ConnectionFilter,
    after: Option<&ConnectionId>,
    limit: u32,
) -> Result<Vec<Connection>> {
    // Only the conditions that there are, so that each finds its index.
    let mut statement =
        concat!("SELECT ", columns!(connections), " FROM connections WHERE id > $1").to_owned();
    let mut values = vec![after.map_or("", ConnectionId::as_str)];
    for (condition, value) in [
        ("server_id = ?", filter.server.as_ref().map(ServerId::as_str)),
        ("member_id = ?", filter.member.as_ref().map(MemberId::as_str)),
        (
            "member_id IN (SELECT id FROM members WHERE workspace_id = ?)",
            filter.workspace.as_ref().map(WorkspaceId::as_str),
        ),
    ] {
        if let Some(value) = value {
            values.push(value);
            statement += " AND ";
            statement += &condition.replace('?', &format!("${}", values.len()));
        }
    }
    statement += " ORDER BY id LIMIT $";
    statement += &(values.len() + 1).to_string();
    let query = values.into_iter().fold(sqlx::query_as(AssertSqlSafe(statement)), QueryAs::bind);
    let rows: Vec<ConnectionRow> = query.bind(i64::from(limit)).fetch_all(connection).await?;
    rows.into_iter().map(ConnectionRow::read).collect()
}

pub(super) async fn counts(connection: &mut AnyConnection) -> Result<Vec<(String, u64)>> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT state, count(*) FROM connections GROUP BY state ORDER BY state")
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().map(|(state, count)| (state, from_database(count))).collect())
}

pub(super) async fn due(
    connection: &mut AnyConnection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ConnectionId>> {
    let ids: Vec<String> = sqlx::query_scalar(concat!(
        "SELECT id FROM connections
         WHERE state = 'active' AND refresh_at <= $1 AND (refresh_token IS NOT NULL OR member_id IS NULL)
             AND (busy_until IS NULL OR busy_until <= ",
        database_now!(),
        ")
         ORDER BY refresh_at, id LIMIT $2"
    ))
    .bind(to_database(now.0))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(ConnectionId::from).collect())
}

/// Not a commit: it takes no revision.
pub(super) async fn set_step_up(
    connection: &mut AnyConnection,
    id: &ConnectionId,
    generation: u64,
    step_up: &StepUp,
) -> Result<Option<Connection>> {
    let row: Option<ConnectionRow> = sqlx::query_as(concat!(
        "UPDATE connections SET step_up_wanted = $1, step_up_count = $2, step_up_since = $3
         WHERE id = $4 AND generation = $5 RETURNING ",
        columns!(connections)
    ))
    .bind(to_json(&step_up.wanted))
    .bind(i64::from(step_up.count))
    .bind(to_database(step_up.window_start.0))
    .bind(id.as_str())
    .bind(to_database(generation))
    .fetch_optional(connection)
    .await?;
    row.map(ConnectionRow::read).transpose()
}

/// Not a commit: it takes no revision.
pub(super) async fn set_account(
    connection: &mut AnyConnection,
    id: &ConnectionId,
    generation: u64,
    account: &str,
) -> Result<Option<Connection>> {
    let row: Option<ConnectionRow> = sqlx::query_as(concat!(
        "UPDATE connections SET account = $1 WHERE id = $2 AND generation = $3 RETURNING ",
        columns!(connections)
    ))
    .bind(account)
    .bind(id.as_str())
    .bind(to_database(generation))
    .fetch_optional(connection)
    .await?;
    row.map(ConnectionRow::read).transpose()
}
