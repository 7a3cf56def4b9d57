//! Records of requests: how many a core takes in, and how soon the first page of a search is there among very many.

mod many;
mod samples;

use std::ops::Range as Span;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use portcullis_token_service::clock::Timestamp;
use portcullis_token_service::record_store::{
    Bounds, Column, Fields, Query, Range, RecordId, RecordStore, SqlRecordStore, StatusFilter,
};
use portcullis_token_service::records::Records;
use portcullis_token_service::records::otlp::{self, Export};
use portcullis_token_service::records::retention::Keep;
use portcullis_token_service::store::{Location, Tables};
use prost::Message as _;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::samples::{PER_EXPORT, START_US, export, record};
use super::Extent;
use crate::figures::Figures;
use crate::soak::usage::processor_seconds;

/// A full bench has as many as the default of `max_records`.
const MANY: u64 = 10_000_000;
const FEW: u64 = 200_000;

/// How long the slowest of a hundred first pages may take.
const MOST_MS: f64 = 100.0;

/// What one core has to take in at first: more than one Envoy's worker lets through. Among many it is told beside it.
const LEAST_INGESTED: f64 = 5_000.0;

/// Adds how many records a core takes in, at first and among very many, whether all of them arrive, and the first pages by
/// each filter.
///
/// # Errors
/// If the store fails.
pub async fn measure(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("records.db");
    let (count, few) = if extent.is_short() { (FEW, FEW / 10) } else { (MANY, MANY / 50) };
    ingest(figures, "at_first", 0..few, &path).await?;
    eprintln!("filling up to {count} records ...");
    many::multiply(&path, few, count / few - 2).await?;
    ingest(figures, "among_many", count - few..count, &path).await?;
    eprintln!("searching ...");
    search(figures, few, count, &path).await
}

async fn open(path: &Path) -> anyhow::Result<SqlRecordStore> {
    Ok(SqlRecordStore::open(&Location::Sqlite(path.to_owned()), Tables::BringUpToDate).await?)
}

/// From the bytes of an export to the commit, without the way over the network.
async fn ingest(figures: &mut Figures, when: &str, numbers: Span<u64>, path: &Path) -> anyhow::Result<()> {
    let count = numbers.end - numbers.start;
    let store = Arc::new(open(path).await?);
    let keep = Keep { age: Duration::MAX, records: u64::MAX, bytes: u64::MAX };
    let records = Arc::new(Records::new(store.clone(), keep));
    let exports: Vec<Vec<u8>> = (numbers.start / PER_EXPORT..numbers.end / PER_EXPORT).map(export).collect();
    let kept_before = store.usage().await?.records;
    let before = processor_seconds(std::process::id())?;
    let begun = Instant::now();
    let mut sending = JoinSet::new();
    for bytes in exports {
        while sending.len() >= 16 {
            sending.join_next().await.context("one ends")???;
        }
        let records = Arc::clone(&records);
        sending.spawn(async move {
            let place = records.intake.place()?;
            let (kept, rejected, _) = otlp::read(Export::decode(&bytes[..])?, Timestamp(START_US / 1_000));
            anyhow::ensure!(rejected == 0, "{rejected} are rejected");
            records.intake.keep(kept, &place).await?;
            anyhow::Ok(())
        });
    }
    while let Some(sent) = sending.join_next().await {
        sent??;
    }
    let (took, cpu) = (begun.elapsed().as_secs_f64(), processor_seconds(std::process::id())? - before);
    let kept = store.usage().await?.records - kept_before;
    figures.note(&format!("records_ingested_per_second_{when}"), rate(count, took), "records/s");
    let per_core = rate(count, cpu);
    let name = format!("records_ingested_per_core_{when}");
    if kept_before == 0 {
        let target = format!("≥ {LEAST_INGESTED}");
        figures.add(&name, per_core, "records/s", target, per_core >= LEAST_INGESTED);
    } else {
        figures.note(&name, per_core, "records/s");
    }
    figures.add(&format!("records_lost_{when}"), count - kept, "records", "0".into(), kept == count);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for a table")]
fn rate(count: u64, seconds: f64) -> f64 {
    (count as f64 / seconds).round()
}

/// Looks for what the first `few` of `count` records say.
async fn search(figures: &mut Figures, few: u64, count: u64, path: &Path) -> anyhow::Result<()> {
    let store = open(path).await?;
    let usage = store.usage().await?;
    anyhow::ensure!(usage.records == count, "{} of {count} records are there", usage.records);
    figures.note("records_searched", count, "records");
    figures.note("records_bytes_each", usage.bytes / count, "bytes");
    for (name, query) in filters() {
        let mut took = Vec::new();
        for round in 0..100 {
            let (query, range) = query(round * 7_919 % few, count / few);
            let begun = Instant::now();
            let slice =
                store.slice(&query, range, Bounds { records: 100, rows: 10_000, payloads: false }).await?;
            took.push(begun.elapsed());
            anyhow::ensure!(!slice.records.is_empty(), "{name} finds something");
        }
        took.sort_unstable();
        let milliseconds =
            |index: usize| took.get(index).map_or(0.0, |took| (took.as_secs_f64() * 1e5).round() / 100.0);
        figures.note(&format!("records_first_page_{name}_p50"), milliseconds(49), "ms");
        let slowest = milliseconds(98);
        let target = format!("≤ {MOST_MS}");
        figures.add(&format!("records_first_page_{name}_p99"), slowest, "ms", target, slowest <= MOST_MS);
    }
    Ok(())
}

/// The query for the record of this number, in a store that has so many times as many.
type Filter = Box<dyn Fn(u64, u64) -> (Query, Range)>;

fn filters() -> Vec<(&'static str, Filter)> {
    let by = |column: Column, of: fn(Fields) -> Option<String>| -> Filter {
        Box::new(move |number, _| {
            let value = of(record(number).fields).unwrap_or_default();
            (Query::default().with(column, value), Range::ALL)
        })
    };
    let always = |query: Query| -> Filter { Box::new(move |_, _| (query.clone(), Range::ALL)) };
    vec![
        ("none", always(Query::default())),
        ("server", by(Column::Server, |fields| fields.server)),
        ("workspace", by(Column::Workspace, |fields| fields.workspace)),
        ("caller", by(Column::Caller, |fields| fields.caller)),
        ("key", by(Column::Key, |fields| fields.key)),
        ("name", by(Column::Name, |fields| fields.name)),
        ("method", by(Column::Method, |fields| fields.method)),
        ("decision", by(Column::Decision, |fields| fields.decision)),
        ("request_id", by(Column::RequestId, |fields| fields.request_id)),
        ("trace_id", by(Column::TraceId, |fields| fields.trace_id)),
        ("rule", always(Query::default().with(Column::Rule, "workspace/tools.deny:delete_*"))),
        ("outcome", always(Query::default().with(Column::Outcome, "error"))),
        ("error_code", always(Query::default().with(Column::ErrorCode, "-32602"))),
        ("status", always(Query::default().with_status(StatusFilter::Class(5)))),
        (
            "server_and_outcome",
            Box::new(|number, _| {
                let server = record(number).fields.server.unwrap_or_default();
                (Query::default().with(Column::Server, server).with(Column::Outcome, "denied"), Range::ALL)
            }),
        ),
        (
            "time",
            Box::new(|number, times| {
                let until = RecordId::first_at(record(number * times).started_us + 1);
                (Query::default(), Range { until, ..Range::ALL })
            }),
        ),
    ]
}
