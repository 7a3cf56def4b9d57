//! Records of requests: how many a core takes in, and how soon the first page of a search is there among very many.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use portcullis_token_service::clock::Timestamp;
use portcullis_token_service::record_store::{
    Bounds, Column, Fields, NewRecord, Query, Range, RecordId, RecordStore, SqliteRecordStore, StatusFilter,
};
use portcullis_token_service::records::Records;
use portcullis_token_service::records::otlp::{
    self, AnyValue, Export, KeyValue, LogRecord, ResourceLogs, Scalar, ScopeLogs,
};
use portcullis_token_service::records::retention::Keep;
use prost::Message as _;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Extent;
use crate::figures::Figures;

/// A full bench has as many as the default of `max_records`.
const MANY: u64 = 10_000_000;
const FEW: u64 = 200_000;

/// How long the slowest of a hundred first pages may take.
const MOST_MS: f64 = 100.0;

/// What one core has to take in: more than one Envoy's worker lets through.
const LEAST_INGESTED: f64 = 5_000.0;

const START_US: u64 = 1_795_428_000_000_000;
const PER_EXPORT: u64 = 50;

/// Adds how many records a core takes in, whether all of them arrive, and the first pages by each filter.
///
/// # Errors
/// If the store fails.
pub async fn measure(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    ingest(figures, extent, &directory.path().join("ingest.db")).await?;
    let count = if extent.is_short() { FEW } else { MANY };
    search(figures, count, &directory.path().join("search.db")).await
}

/// From the bytes of an export to the commit, without the way over the network.
async fn ingest(figures: &mut Figures, extent: Extent, path: &Path) -> anyhow::Result<()> {
    let count = if extent.is_short() { 20_000 } else { 200_000 };
    let store = Arc::new(SqliteRecordStore::open(path).await?);
    let keep = Keep { age: Duration::MAX, records: u64::MAX, bytes: u64::MAX };
    let records = Arc::new(Records::new(store.clone(), keep));
    let exports: Vec<Vec<u8>> = (0..count / PER_EXPORT).map(export).collect();
    let before = cpu_time()?;
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
    let (took, cpu) = (begun.elapsed().as_secs_f64(), cpu_time()? - before);
    let kept = store.usage().await?.records;
    figures.note("records_ingested_per_second", rate(count, took), "records/s");
    let per_core = rate(count, cpu);
    let target = format!("≥ {LEAST_INGESTED}");
    figures.add("records_ingested_per_core", per_core, "records/s", target, per_core >= LEAST_INGESTED);
    figures.add("records_lost", count - kept, "records", "0".into(), kept == count);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for a table")]
fn rate(count: u64, seconds: f64) -> f64 {
    (count as f64 / seconds).round()
}

/// Seconds that this process has used of all cores, by `/proc/self/stat` in hundredths.
fn cpu_time() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in parentheses, may hold spaces.
    let (_, rest) = stat.rsplit_once(')').context("a name")?;
    let ticks: Result<Vec<f64>, _> = rest.split_whitespace().skip(11).take(2).map(str::parse).collect();
    Ok(ticks?.iter().sum::<f64>() / 100.0)
}

async fn search(figures: &mut Figures, count: u64, path: &Path) -> anyhow::Result<()> {
    let store = SqliteRecordStore::open(path).await?;
    let begun = Instant::now();
    let mut number = 0;
    while number < count {
        let batch: Vec<NewRecord> = (number..(number + 5_000).min(count)).map(record).collect();
        number += batch.len() as u64;
        store.append(&batch).await?;
    }
    figures.note("records_searched", count, "records");
    figures.note("records_appended_per_second", rate(count, begun.elapsed().as_secs_f64()), "records/s");
    let usage = store.usage().await?;
    figures.note("records_bytes_each", usage.bytes / count.max(1), "bytes");
    for (name, query) in filters() {
        let mut took = Vec::new();
        for round in 0..100 {
            let (query, range) = query(round * 7_919 % count, count);
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

/// The query for the record of this number.
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
            Box::new(|number, count| {
                let until = RecordId::first_at(record(number % count).started_us + 1);
                (Query::default(), Range { until, ..Range::ALL })
            }),
        ),
    ]
}

/// The same record for the same number; ten in a millisecond.
fn record(number: u64) -> NewRecord {
    // Spreads neighbours.
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    let pick = |many: u64, salt: u64| (mixed >> salt) % many;
    let denied = pick(50, 3) == 0;
    let failed = !denied && pick(100, 7) == 0;
    let text = |text: String| Some(text);
    let caller = pick(20_000, 11);
    let fields = Fields {
        request_id: text(format!("{mixed:016x}-{number:019x}")),
        trace_id: text(format!("{number:016x}{mixed:016x}")),
        source: text(format!("10.0.{}.{}", pick(256, 5), pick(256, 9))),
        user_agent: text("an-agent/1.0".into()),
        http_method: text("POST".into()),
        server: text(format!("server-{}", pick(20, 13))),
        workspace: text(format!("team-{}", caller % 200)),
        workspace_id: text(format!("wsp_{:032x}", caller % 200)),
        caller: text(format!("mem_{caller:032x}")),
        caller_name: text(format!("Member {caller}")),
        credential: text("member_key".into()),
        key: text(format!("key{caller:07}")),
        version: text("2026-07-28".into()),
        method: text("tools/call".into()),
        kind: text("tool".into()),
        name: text(format!("tool_{}", pick(300, 17))),
        decision: text(if denied { "deny" } else { "allow" }.into()),
        rule: denied.then(|| "workspace/tools.deny:delete_*".to_owned()),
        decision_id: denied.then(|| format!("dec_{number:0100x}")),
        revision: text("12345".into()),
        error_code: denied.then(|| "-32602".to_owned()),
        details: text("via_upstream".into()),
        upstream_host: text("203.0.113.7:443".into()),
        status: Some(if failed { 502 } else { 200 }),
        latency_ms: Some(pick(400, 19)),
        upstream_ms: Some(pick(400, 19)),
        bytes_in: Some(400),
        bytes_out: Some(2_000),
        parameters: text("{\"name\":\"x\",\"arguments\":{\"query\":\"the gate is stuck\"}}".into()),
        ..Fields::default()
    };
    let mut uid = [0; 16];
    let (first, second) = uid.split_at_mut(8);
    first.copy_from_slice(&mixed.to_be_bytes());
    second.copy_from_slice(&number.to_be_bytes());
    NewRecord { started_us: START_US + number * 100, uid, fields }
}

/// As Envoy sends it.
fn export(number: u64) -> Vec<u8> {
    let log_record = |number: u64| {
        let record = record(number);
        let named = portcullis_token_service::record_store::FIELDS;
        let texts = record.fields.texts().map(|text| text.map(str::to_owned));
        let numbers = record.fields.numbers().map(|number| number.map(|number| number.to_string()));
        let sent = record.fields.payloads().map(|text| text.map(str::to_owned));
        let values = texts.into_iter().chain(numbers).chain(sent);
        let uid = ("log.record.uid", Some(format!("{number:036x}")));
        let pairs = named.iter().map(|field| field.attribute).zip(values).chain([uid]);
        let attribute = |(name, value): (&str, Option<String>)| {
            let text = value.unwrap_or_else(|| "-".to_owned());
            let value = AnyValue { scalar: Some(Scalar::Text(text.into_bytes())) };
            KeyValue { key: name.into(), value: Some(value) }
        };
        let attributes = pairs.map(attribute).collect();
        LogRecord { time_unix_nano: record.started_us * 1_000, attributes, trace_id: Vec::new() }
    };
    let first = number * PER_EXPORT;
    let log_records = (first..first + PER_EXPORT).map(log_record).collect();
    let scope_logs = vec![ScopeLogs { log_records }];
    Export { resource_logs: vec![ResourceLogs { scope_logs }] }.encode_to_vec()
}
