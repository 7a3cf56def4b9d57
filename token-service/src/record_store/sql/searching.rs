//! Searching: an index gives a bounded number of rows in the order of the answer, and the rest of the query is compared.

use sqlx::{AnyConnection, Row as _};

use super::rows::{columns, read, record_id};
use super::statement::Statement;
use crate::record_store::{
    Arrival, Arrived, Bounds, Query, Range, Record, RecordId, Result, Slice, StatusFilter,
};
use crate::store::{from_database, to_database};

/// One comparison.
enum Condition<'a> {
    Text(&'static str, &'a str),
    StatusClass(u8),
    Status(u16),
}

impl Condition<'_> {
    fn push(&self, statement: &mut Statement) {
        match *self {
            Self::Text(column, value) => statement.push(column).push(" = ").bind(value),
            Self::StatusClass(class) => statement.push("status_class = ").bind(i64::from(class)),
            // Never the first one, which is looked up: the class is.
            Self::Status(status) => statement.push("status = ").bind(i64::from(status)),
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
pub(super) fn newest_rows(statement: &mut Statement, query: &Query, range: Range, rows: u32) {
    statement.push(" FROM (SELECT id FROM records WHERE ");
    if let Some(first) = conditions(query).first() {
        first.push(statement);
        statement.push(" AND ");
    }
    statement.push("id >= ").bind(to_database(range.from.0));
    statement.push(" AND id < ").bind(to_database(range.until.0));
    statement.push(" ORDER BY id DESC LIMIT ").bind(i64::from(rows)).push(") AS s CROSS JOIN records AS r");
}

/// ` WHERE <the other conditions>`, for more conditions to follow.
pub(super) fn other_conditions(statement: &mut Statement, query: &Query) {
    statement.push(" WHERE r.id = s.id");
    for condition in conditions(query).iter().skip(1) {
        statement.push(" AND r.");
        condition.push(statement);
    }
}

/// The oldest row of those that [`newest_rows`] gives, if there may be more.
pub(super) async fn reached(
    connection: &mut AnyConnection,
    query: &Query,
    range: Range,
    rows: u32,
) -> Result<Option<RecordId>> {
    let mut statement = Statement::new("SELECT id FROM records WHERE ");
    if let Some(first) = conditions(query).first() {
        first.push(&mut statement);
        statement.push(" AND ");
    }
    statement.push("id >= ").bind(to_database(range.from.0));
    statement.push(" AND id < ").bind(to_database(range.until.0));
    statement.push(" ORDER BY id DESC LIMIT 1 OFFSET ").bind(i64::from(rows.saturating_sub(1)));
    let row = statement.row(connection).await?;
    row.map(|row| Ok(record_id(row.try_get(0)?))).transpose()
}

pub(super) async fn slice(
    connection: &mut AnyConnection,
    query: &Query,
    range: Range,
    bounds: Bounds,
) -> Result<Slice> {
    // With one condition every row that is looked at is found.
    let is_simple = conditions(query).len() <= 1;
    let looked_at = if is_simple { bounds.rows.min(bounds.records) } else { bounds.rows };
    let mut statement = Statement::new("SELECT ");
    statement.push(&columns(bounds.payloads));
    newest_rows(&mut statement, query, range, looked_at);
    join_payloads(&mut statement, bounds.payloads);
    other_conditions(&mut statement, query);
    statement.push(" ORDER BY r.id DESC LIMIT ").bind(i64::from(bounds.records));
    let rows = statement.rows(&mut *connection).await?;
    let records: Result<Vec<Record>> = rows.iter().map(|row| Ok(read(row, bounds.payloads)?.0)).collect();
    let records = records?;
    let reached = match records.last() {
        Some(last) if records.len() >= bounds.records as usize => Some(last.id),
        _ => reached(connection, query, range, looked_at).await?,
    };
    Ok(Slice { records, reached })
}

fn join_payloads(statement: &mut Statement, payloads: bool) {
    if payloads {
        statement.push(" LEFT JOIN record_payloads AS p ON p.id = r.id");
    }
}

pub(super) async fn record(connection: &mut AnyConnection, id: RecordId) -> Result<Option<Record>> {
    let mut statement = Statement::new("SELECT ");
    statement.push(&columns(true)).push(" FROM records AS r");
    join_payloads(&mut statement, true);
    statement.push(" WHERE r.id = ").bind(to_database(id.0));
    let row = statement.row(connection).await?;
    row.map(|row| Ok(read(&row, true)?.0)).transpose()
}

pub(super) async fn since(
    connection: &mut AnyConnection,
    query: &Query,
    after: Arrival,
    bounds: Bounds,
) -> Result<Arrived> {
    let mut statement = Statement::new("SELECT ");
    statement.push(&columns(bounds.payloads));
    statement.push(" FROM (SELECT id FROM records WHERE arrival > ").bind(to_database(after.0));
    statement
        .push(" ORDER BY arrival LIMIT ")
        .bind(i64::from(bounds.rows))
        .push(") AS s CROSS JOIN records AS r");
    join_payloads(&mut statement, bounds.payloads);
    statement.push(" WHERE r.id = s.id");
    for condition in &conditions(query) {
        statement.push(" AND r.");
        condition.push(&mut statement);
    }
    statement.push(" ORDER BY r.arrival LIMIT ").bind(i64::from(bounds.records));
    let rows = statement.rows(&mut *connection).await?;
    let records: Result<Vec<_>> = rows.iter().map(|row| read(row, bounds.payloads)).collect();
    let records = records?;
    let through = match records.last() {
        Some((_, arrival)) if records.len() >= bounds.records as usize => *arrival,
        _ => looked_at(connection, after, bounds.rows).await?,
    };
    Ok(Arrived { records: records.into_iter().map(|(record, _)| record).collect(), through })
}

/// The newest arrival of so many rows after `after`.
async fn looked_at(connection: &mut AnyConnection, after: Arrival, rows: u32) -> Result<Arrival> {
    let newest: Option<i64> = sqlx::query_scalar(
        "SELECT MAX(arrival)
         FROM (SELECT arrival FROM records WHERE arrival > $1 ORDER BY arrival LIMIT $2) AS looked_at",
    )
    .bind(to_database(after.0))
    .bind(i64::from(rows))
    .fetch_one(connection)
    .await?;
    Ok(newest.map_or(after, |newest| Arrival(from_database(newest))))
}
