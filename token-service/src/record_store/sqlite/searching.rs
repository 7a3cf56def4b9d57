//! Searching: an index gives a bounded number of rows in the order of the answer, and the rest of the query is compared.

use sqlx::QueryBuilder;
use sqlx::sqlite::{Sqlite, SqliteConnection};

use super::rows::{columns, read, record_id, to_database};
use crate::record_store::{
    Arrival, Arrived, Bounds, Query, Range, Record, RecordId, Result, Slice, StatusFilter,
};

/// One comparison.
enum Condition<'a> {
    Text(&'static str, &'a str),
    StatusClass(u8),
    Status(u16),
}

impl Condition<'_> {
    fn push(&self, builder: &mut QueryBuilder<Sqlite>) {
        match *self {
            Self::Text(column, value) => builder.push(column).push(" = ").push_bind(value),
            Self::StatusClass(class) => builder.push("status_class = ").push_bind(i64::from(class)),
            // Never the first one, which is looked up: the class is.
            Self::Status(status) => builder.push("status = ").push_bind(i64::from(status)),
        };
    }
}

/// The one that is looked up in an index comes first.
fn conditions(query: &Query) -> Vec<Condition<'_>> {
    let texts = query.equals().iter().map(|(column, value)| Condition::Text(column.as_str(), value));
    let mut conditions: Vec<_> = texts.collect();
    if let Some(status) = query.status {
        conditions.push(Condition::StatusClass(status.class()));
        match status {
            // Without a response the status is 0 or absent, and the class says both.
            StatusFilter::Exactly(0) | StatusFilter::Class(_) => {}
            StatusFilter::Exactly(status) => conditions.push(Condition::Status(status)),
        }
    }
    conditions
}

/// ` FROM <the newest rows of the range that the first condition finds, as ids> AS s CROSS JOIN records AS r`. The ids come
/// from an index alone; of the rows themselves only what is compared and shown is read.
pub(super) fn newest_rows(builder: &mut QueryBuilder<Sqlite>, query: &Query, range: Range, rows: u32) {
    builder.push(" FROM (SELECT id FROM records WHERE ");
    if let Some(first) = conditions(query).first() {
        first.push(builder);
        builder.push(" AND ");
    }
    builder.push("id >= ").push_bind(to_database(range.from.0));
    builder.push(" AND id < ").push_bind(to_database(range.until.0));
    builder.push(" ORDER BY id DESC LIMIT ").push_bind(rows).push(") AS s CROSS JOIN records AS r");
}

/// ` WHERE <the other conditions>`, for more conditions to follow.
pub(super) fn other_conditions(builder: &mut QueryBuilder<Sqlite>, query: &Query) {
    builder.push(" WHERE r.id = s.id");
    for condition in conditions(query).iter().skip(1) {
        builder.push(" AND r.");
        condition.push(builder);
    }
}

/// The oldest row of those that [`newest_rows`] gives, if there may be more.
pub(super) async fn reached(
    connection: &mut SqliteConnection,
    query: &Query,
    range: Range,
    rows: u32,
) -> Result<Option<RecordId>> {
    let mut builder = QueryBuilder::<Sqlite>::new("SELECT id FROM records WHERE ");
    if let Some(first) = conditions(query).first() {
        first.push(&mut builder);
        builder.push(" AND ");
    }
    builder.push("id >= ").push_bind(to_database(range.from.0));
    builder.push(" AND id < ").push_bind(to_database(range.until.0));
    builder.push(" ORDER BY id DESC LIMIT 1 OFFSET ").push_bind(rows.saturating_sub(1));
    let id: Option<i64> = builder.build_query_scalar().fetch_optional(connection).await?;
    Ok(id.map(record_id))
}

pub(super) async fn slice(
    connection: &mut SqliteConnection,
    query: &Query,
    range: Range,
    bounds: Bounds,
) -> Result<Slice> {
    // With one condition every row that is looked at is found.
    let is_simple = conditions(query).len() <= 1;
    let looked_at = if is_simple { bounds.rows.min(bounds.records) } else { bounds.rows };
    let mut builder = QueryBuilder::<Sqlite>::new("SELECT ");
    builder.push(columns(bounds.payloads));
    newest_rows(&mut builder, query, range, looked_at);
    join_payloads(&mut builder, bounds.payloads);
    other_conditions(&mut builder, query);
    builder.push(" ORDER BY r.id DESC LIMIT ").push_bind(bounds.records);
    let rows = builder.build().fetch_all(&mut *connection).await?;
    let records: Result<Vec<Record>> = rows.iter().map(|row| Ok(read(row, bounds.payloads)?.0)).collect();
    let records = records?;
    let reached = match records.last() {
        Some(last) if records.len() >= bounds.records as usize => Some(last.id),
        _ => reached(connection, query, range, looked_at).await?,
    };
    Ok(Slice { records, reached })
}

fn join_payloads(builder: &mut QueryBuilder<Sqlite>, payloads: bool) {
    if payloads {
        builder.push(" LEFT JOIN record_payloads AS p ON p.id = r.id");
    }
}

pub(super) async fn record(connection: &mut SqliteConnection, id: RecordId) -> Result<Option<Record>> {
    let mut builder = QueryBuilder::<Sqlite>::new("SELECT ");
    builder.push(columns(true)).push(" FROM records AS r");
    join_payloads(&mut builder, true);
    builder.push(" WHERE r.id = ").push_bind(to_database(id.0));
    let row = builder.build().fetch_optional(connection).await?;
    row.map(|row| Ok(read(&row, true)?.0)).transpose()
}

pub(super) async fn since(
    connection: &mut SqliteConnection,
    query: &Query,
    after: Arrival,
    bounds: Bounds,
) -> Result<Arrived> {
    let mut builder = QueryBuilder::<Sqlite>::new("SELECT ");
    builder.push(columns(bounds.payloads));
    builder.push(" FROM (SELECT id FROM records WHERE arrival > ").push_bind(to_database(after.0));
    builder.push(" ORDER BY arrival LIMIT ").push_bind(bounds.rows).push(") AS s CROSS JOIN records AS r");
    join_payloads(&mut builder, bounds.payloads);
    builder.push(" WHERE r.id = s.id");
    for condition in &conditions(query) {
        builder.push(" AND r.");
        condition.push(&mut builder);
    }
    builder.push(" ORDER BY r.arrival LIMIT ").push_bind(bounds.records);
    let rows = builder.build().fetch_all(&mut *connection).await?;
    let records: Result<Vec<_>> = rows.iter().map(|row| read(row, bounds.payloads)).collect();
    let records = records?;
    let through = match records.last() {
        Some((_, arrival)) if records.len() >= bounds.records as usize => *arrival,
        _ => looked_at(connection, after, bounds.rows).await?,
    };
    Ok(Arrived { records: records.into_iter().map(|(record, _)| record).collect(), through })
}

/// The newest arrival of so many rows after `after`.
async fn looked_at(connection: &mut SqliteConnection, after: Arrival, rows: u32) -> Result<Arrival> {
    let newest: Option<i64> = sqlx::query_scalar(
        "SELECT MAX(arrival) FROM (SELECT arrival FROM records WHERE arrival > ? ORDER BY arrival LIMIT ?)",
    )
    .bind(to_database(after.0))
    .bind(rows)
    .fetch_one(connection)
    .await?;
    Ok(newest.map_or(after, |newest| Arrival(super::rows::from_database(newest))))
}
