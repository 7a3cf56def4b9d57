//! Counting: each figure is one grouping of the same bounded rows.

use sqlx::{AnyConnection, Row as _};

use super::searching::{newest_rows, other_conditions, reached};
use super::statement::Statement;
use crate::record_store::{Cell, Count, Intervals, Outcome, Query, Range, RecordId, Result, Tally};
use crate::store::{from_database, to_database};

/// How many of the most frequent are told.
const MOST_COUNTS: i64 = 100;

pub(super) async fn tally(
    connection: &mut AnyConnection,
    query: &Query,
    range: Range,
    intervals: Intervals,
    rows: u32,
) -> Result<Tally> {
    let reached = reached(connection, query, range, rows).await?;
    let mut counting = Counting { connection, query, range, rows };
    Ok(Tally {
        cells: counting.cells(intervals).await?,
        tools: counting.counts("r.server", "r.name", "r.kind = 'tool' AND r.server IS NOT NULL").await?,
        callers: counting.counts("r.caller", "MAX(r.caller_name)", "r.caller IS NOT NULL").await?,
        servers: counting.counts("r.server", "NULL", "r.server IS NOT NULL").await?,
        reached,
    })
}

struct Counting<'a> {
    connection: &'a mut AnyConnection,
    query: &'a Query,
    range: Range,
    rows: u32,
}

impl Counting<'_> {
    async fn cells(&mut self, intervals: Intervals) -> Result<Vec<Cell>> {
        let interval = RecordId::first_at(intervals.length_us).0.max(1);
        let mut statement = Statement::new("SELECT (r.id - ");
        statement.bind(to_database(intervals.origin.0));
        statement.push(") / ").bind(to_database(interval));
        statement.push(", r.outcome, r.latency_bucket, COUNT(*)");
        newest_rows(&mut statement, self.query, self.range, self.rows);
        other_conditions(&mut statement, self.query);
        statement.push(" GROUP BY 1, 2, 3");
        let rows = statement.rows(&mut *self.connection).await?;
        let mut cells = Vec::with_capacity(rows.len());
        for row in rows {
            cells.push(Cell {
                interval: from_database(row.try_get(0)?),
                outcome: Outcome::parse(row.try_get(1)?).unwrap_or(Outcome::Error),
                bucket: u16::try_from(row.try_get::<i64, _>(2)?).unwrap_or(u16::MAX),
                records: from_database(row.try_get(3)?),
            });
        }
        Ok(cells)
    }

    /// `second` is a column that is grouped by too, or an aggregate.
    async fn counts(
        &mut self,
        first: &'static str,
        second: &'static str,
        condition: &'static str,
    ) -> Result<Vec<Count>> {
        let mut statement = Statement::new("SELECT ");
        statement.push(first).push(", ").push(second).push(", COUNT(*)");
        newest_rows(&mut statement, self.query, self.range, self.rows);
        other_conditions(&mut statement, self.query);
        statement.push(" AND ").push(condition).push(" GROUP BY ").push(first);
        if second.starts_with("r.") {
            statement.push(", ").push(second);
        }
        statement.push(" ORDER BY 3 DESC, 1, 2 LIMIT ").bind(MOST_COUNTS);
        let rows = statement.rows(&mut *self.connection).await?;
        let mut counts = Vec::with_capacity(rows.len());
        for row in rows {
            let records = from_database(row.try_get(2)?);
            counts.push(Count { first: row.try_get(0)?, second: row.try_get(1)?, records });
        }
        Ok(counts)
    }
}
