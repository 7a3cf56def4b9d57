//! Counting: each figure is one grouping of the same bounded rows.

use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{QueryBuilder, Row as _};

use super::rows::{from_database, to_database};
use super::searching::{newest_rows, other_conditions, reached};
use crate::record_store::{Cell, Count, Intervals, Outcome, Query, Range, RecordId, Result, Tally};

/// How many of the most frequent are told.
const MOST_COUNTS: u32 = 100;

pub(super) async fn tally(
    connection: &mut SqliteConnection,
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
    connection: &'a mut SqliteConnection,
    query: &'a Query,
    range: Range,
    rows: u32,
}

impl Counting<'_> {
    async fn cells(&mut self, intervals: Intervals) -> Result<Vec<Cell>> {
        let interval = RecordId::first_at(intervals.length_us).0.max(1);
        let mut builder = QueryBuilder::<Sqlite>::new("SELECT (r.id - ");
        builder.push_bind(to_database(intervals.origin.0));
        builder.push(") / ").push_bind(to_database(interval));
        builder.push(", r.outcome, r.latency_bucket, COUNT(*)");
        newest_rows(&mut builder, self.query, self.range, self.rows);
        other_conditions(&mut builder, self.query);
        builder.push(" GROUP BY 1, 2, 3");
        let rows = builder.build().fetch_all(&mut *self.connection).await?;
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
        let mut builder = QueryBuilder::<Sqlite>::new("SELECT ");
        builder.push(first).push(", ").push(second).push(", COUNT(*)");
        newest_rows(&mut builder, self.query, self.range, self.rows);
        other_conditions(&mut builder, self.query);
        builder.push(" AND ").push(condition).push(" GROUP BY ").push(first);
        if second.starts_with("r.") {
            builder.push(", ").push(second);
        }
        builder.push(" ORDER BY 3 DESC, 1, 2 LIMIT ").push_bind(MOST_COUNTS);
        let rows = builder.build().fetch_all(&mut *self.connection).await?;
        let mut counts = Vec::with_capacity(rows.len());
        for row in rows {
            let records = from_database(row.try_get(2)?);
            counts.push(Count { first: row.try_get(0)?, second: row.try_get(1)?, records });
        }
        Ok(counts)
    }
}
