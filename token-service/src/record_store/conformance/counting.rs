//! Counting.

use super::{Database, START, record};
use crate::record_store::{
    Column, Intervals, NewRecord, Outcome, Query, Range, RecordId, RecordStore, Tally, latency,
};

async fn tally(store: &dyn RecordStore, query: &Query, rows: u32) -> Tally {
    let range = Range { from: RecordId::first_at(START), until: RecordId::END };
    let intervals = Intervals { origin: range.from, length_us: 100 };
    store.tally(query, range, intervals, rows).await.expect("counts")
}

pub(crate) async fn figures_add_up(database: &dyn Database) {
    let store = database.open().await;
    let mut denied = record(150, "b");
    denied.fields.decision = Some("deny".to_owned());
    denied.fields.latency_ms = Some(900);
    store.append(&[record(0, "a"), record(99, "a"), record(100, "a"), denied]).await.expect("appends");
    let mut cells: Vec<_> = tally(&*store, &Query::default(), 1_000).await.cells;
    cells.sort_by_key(|cell| (cell.interval, cell.outcome));
    let cells: Vec<_> =
        cells.iter().map(|cell| (cell.interval, cell.outcome, cell.bucket, cell.records)).collect();
    assert_eq!(
        cells,
        [
            (0, Outcome::Ok, latency::bucket(5), 2),
            (1, Outcome::Ok, latency::bucket(5), 1),
            (1, Outcome::Denied, latency::bucket(900), 1),
        ]
    );
    let of_a = tally(&*store, &Query::default().with(Column::Name, "a"), 1_000).await;
    assert_eq!(of_a.cells.iter().map(|cell| cell.records).sum::<u64>(), 3);
    assert_eq!(of_a.reached, None);
}

pub(crate) async fn the_most_frequent_come_first(database: &dyn Database) {
    let store = database.open().await;
    let of = |after, name: &str, caller: &str| {
        let mut record = record(after, name);
        record.fields.caller = Some(caller.to_owned());
        record.fields.caller_name = Some(caller.to_uppercase());
        record
    };
    let batch =
        [of(0, "a", "ada"), of(1, "b", "grace"), of(2, "b", "grace"), of(3, "b", "ada"), record(4, "c")];
    store.append(&batch).await.expect("appends");
    let tally = tally(&*store, &Query::default(), 1_000).await;
    let counts = |counts: Vec<crate::record_store::Count>| -> Vec<(String, Option<String>, u64)> {
        counts.into_iter().map(|count| (count.first, count.second, count.records)).collect()
    };
    let text = str::to_owned;
    assert_eq!(
        counts(tally.tools),
        [
            (text("linear"), Some(text("b")), 3),
            (text("linear"), Some(text("a")), 1),
            (text("linear"), Some(text("c")), 1)
        ]
    );
    assert_eq!(
        counts(tally.callers),
        [(text("ada"), Some(text("ADA")), 2), (text("grace"), Some(text("GRACE")), 2)]
    );
    assert_eq!(counts(tally.servers), [(text("linear"), None, 5)]);
}

pub(crate) async fn counting_is_bounded(database: &dyn Database) {
    let store = database.open().await;
    let batch: Vec<NewRecord> = (0..50).map(|number| record(number, "a")).collect();
    store.append(&batch).await.expect("appends");
    let tally = tally(&*store, &Query::default(), 20).await;
    assert_eq!(tally.cells.iter().map(|cell| cell.records).sum::<u64>(), 20);
    assert_eq!(tally.reached.map(RecordId::started_us), Some(START + 30));
}
