//! Appending: many rows a statement, and no row twice.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use sqlx::AnyConnection;

use super::Engine;
use super::rows::record_id;
use crate::record_store::fields::{NUMBERS, PAYLOADS, TEXTS};
use crate::record_store::query::class_of;
use crate::record_store::{Appended, Arrival, NewRecord, Outcome, RecordId, Result, latency};
use crate::store::{from_database, to_database};

/// How many rows a statement inserts: a few sizes, so that few statements are prepared.
const SIZES: [usize; 3] = [64, 8, 1];

/// Of each of [`SIZES`], for each engine. SQLite gets values without numbers: it looks up each numbered one among all of its
/// statement, which for thousands of them takes longer than inserting.
type Statements = [[String; SIZES.len()]; 2];

static RECORDS: LazyLock<Statements> = LazyLock::new(|| {
    let own = ["id", "arrival", "uid", "outcome", "status_class", "latency_bucket"];
    let columns: Vec<&str> = own.iter().chain(TEXTS).chain(NUMBERS).copied().collect();
    statements("records", &columns, " ON CONFLICT (id) DO NOTHING RETURNING id")
});

static PAYLOADS_OF_RECORDS: LazyLock<Statements> = LazyLock::new(|| {
    let columns: Vec<&str> = ["id"].iter().chain(PAYLOADS).copied().collect();
    statements("record_payloads", &columns, "")
});

fn statements(table: &str, columns: &[&str], end: &str) -> Statements {
    [Engine::Sqlite, Engine::Postgres].map(|engine| {
        SIZES.map(|rows| {
            let mut text = format!("INSERT INTO {table} ({}) VALUES ", columns.join(", "));
            for number in 0..rows * columns.len() {
                text.push_str(match number % columns.len() {
                    0 if number == 0 => "(",
                    0 => "), (",
                    _ => ", ",
                });
                let _infallible = match engine {
                    Engine::Sqlite => write!(text, "?"),
                    Engine::Postgres => write!(text, "${}", number + 1),
                };
            }
            text.push(')');
            text.push_str(end);
            text
        })
    })
}

/// The statement for so many rows, which is one of [`SIZES`].
fn for_rows(statements: &'static Statements, engine: Engine, rows: usize) -> &'static str {
    let [of_sqlite, of_postgres] = statements;
    let of_engine = match engine {
        Engine::Sqlite => of_sqlite,
        Engine::Postgres => of_postgres,
    };
    let of_size = SIZES.iter().zip(of_engine).find(|(size, _)| **size == rows);
    of_size.map_or("", |(_, statement)| statement)
}

/// How many slots are tried.
const MOST_TRIES: usize = 64;

struct Row<'a> {
    id: RecordId,
    arrival: u64,
    record: &'a NewRecord,
}

/// What became of them, and the newest arrival.
pub(super) async fn append(
    connection: &mut AnyConnection,
    engine: Engine,
    records: &[NewRecord],
) -> Result<(Appended, Arrival)> {
    let first: i64 = sqlx::query_scalar(match engine {
        // Whoever writes has the file for itself.
        Engine::Sqlite => "SELECT arrival FROM record_progress",
        Engine::Postgres => "SELECT arrival FROM record_progress FOR UPDATE",
    })
    .fetch_one(&mut *connection)
    .await?;
    let first = from_database(first) + 1;
    let rows: Vec<Row<'_>> = records
        .iter()
        .zip(first..)
        .map(|(record, arrival)| Row { id: RecordId::of(record.started_us, &record.uid), arrival, record })
        .collect();
    let (mut appended, mut kept) = (Appended::default(), Vec::new());
    for rows in in_sizes(rows) {
        let mut new = insert(connection, engine, &rows).await?;
        for mut row in rows {
            // Of two rows with one id the first is the one that was inserted.
            if new.remove(&row.id) {
                kept.push(row);
                continue;
            }
            match place(connection, &row).await? {
                Place::Free(id) => {
                    row.id = id;
                    let row = [row];
                    insert(connection, engine, &row).await?;
                    kept.extend(row);
                }
                Place::Known => appended.duplicates += 1,
                Place::None => appended.lost += 1,
            }
        }
    }
    appended.kept = kept.len() as u64;
    kept.retain(|row| row.record.fields.payloads().iter().any(Option::is_some));
    for rows in in_sizes(kept) {
        insert_payloads(connection, engine, &rows).await?;
    }
    let newest = Arrival(first - 1 + records.len() as u64);
    sqlx::query("UPDATE record_progress SET arrival = $1, kept = kept + $2")
        .bind(to_database(newest.0))
        .bind(to_database(appended.kept))
        .execute(connection)
        .await?;
    Ok((appended, newest))
}

/// In chunks of [`SIZES`].
fn in_sizes(mut rows: Vec<Row<'_>>) -> impl Iterator<Item = Vec<Row<'_>>> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let rest = rows.split_off(size);
        Some(std::mem::replace(&mut rows, rest))
    })
}

/// The ids that were free.
async fn insert(
    connection: &mut AnyConnection,
    engine: Engine,
    rows: &[Row<'_>],
) -> Result<BTreeSet<RecordId>> {
    let mut query = sqlx::query_scalar(for_rows(&RECORDS, engine, rows.len()));
    for row in rows {
        let fields = &row.record.fields;
        query = query
            .bind(to_database(row.id.0))
            .bind(to_database(row.arrival))
            .bind(row.record.uid.to_vec())
            .bind(Outcome::of(fields).as_str())
            .bind(i64::from(class_of(fields.status)))
            .bind(i64::from(latency::bucket(fields.latency_ms.unwrap_or(0))));
        for text in fields.texts() {
            query = query.bind(text);
        }
        for number in fields.numbers() {
            query = query.bind(number.map(to_database));
        }
    }
    let ids: Vec<i64> = query.fetch_all(connection).await?;
    Ok(ids.into_iter().map(record_id).collect())
}

async fn insert_payloads(connection: &mut AnyConnection, engine: Engine, rows: &[Row<'_>]) -> Result<()> {
    let mut query = sqlx::query(for_rows(&PAYLOADS_OF_RECORDS, engine, rows.len()));
    for row in rows {
        query = query.bind(to_database(row.id.0));
        for payload in row.record.fields.payloads() {
            query = query.bind(payload);
        }
    }
    query.execute(connection).await?;
    Ok(())
}

enum Place {
    Free(RecordId),
    /// The record is there.
    Known,
    None,
}

/// Where a record may go whose first slot is taken.
async fn place(connection: &mut AnyConnection, row: &Row<'_>) -> Result<Place> {
    let mut id = row.id;
    for _ in 0..MOST_TRIES {
        let taken: Option<Vec<u8>> = sqlx::query_scalar("SELECT uid FROM records WHERE id = $1")
            .bind(to_database(id.0))
            .fetch_optional(&mut *connection)
            .await?;
        match taken {
            None => return Ok(Place::Free(id)),
            Some(uid) if uid == row.record.uid => return Ok(Place::Known),
            Some(_) => id = id.next_slot(),
        }
    }
    Ok(Place::None)
}
