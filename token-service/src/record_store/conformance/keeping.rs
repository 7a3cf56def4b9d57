//! What may stay.

use super::{Database, START, names, record};
use crate::record_store::{NewRecord, Query, RecordId, RecordStore, Retention};

const EVERYTHING: Retention = Retention { from: RecordId(0), most_records: u64::MAX, most_bytes: u64::MAX };

async fn fill(store: &dyn RecordStore, count: u64) {
    let batch: Vec<NewRecord> = (0..count)
        .map(|number| {
            let mut record = record(number, &format!("t{number}"));
            record.fields.response = Some("x".repeat(1_000));
            record
        })
        .collect();
    store.append(&batch).await.expect("appends");
}

async fn prune(store: &dyn RecordStore, retention: Retention, most: u32) -> u32 {
    store.prune(&retention, most).await.expect("prunes")
}

pub(crate) async fn the_oldest_go_first(database: &dyn Database) {
    let store = database.open().await;
    fill(&*store, 10).await;
    assert_eq!(prune(&*store, EVERYTHING, 100).await, 0);
    let from_seven = Retention { from: RecordId::first_at(START + 7), ..EVERYTHING };
    assert_eq!(prune(&*store, from_seven, 3).await, 3, "no more at once than it may");
    assert_eq!(prune(&*store, from_seven, 100).await, 4);
    assert_eq!(prune(&*store, from_seven, 100).await, 0);
    assert_eq!(names(&*store, &Query::default()).await, ["t9", "t8", "t7"]);
    let two = Retention { most_records: 2, ..EVERYTHING };
    assert_eq!(prune(&*store, two, 100).await, 1);
    assert_eq!(names(&*store, &Query::default()).await, ["t9", "t8"]);
}

pub(crate) async fn what_is_too_much_goes(database: &dyn Database) {
    let store = database.open().await;
    fill(&*store, 2_000).await;
    let before = store.usage().await.expect("tells").bytes;
    assert!(before > 2_000_000, "{before}");
    let half = Retention { most_bytes: before / 2, ..EVERYTHING };
    while prune(&*store, half, 500).await > 0 {}
    let after = store.usage().await.expect("tells");
    assert!(after.bytes <= before / 2, "{after:?} of {before}");
    assert!(after.records > 500, "no more went than had to: {after:?}");
    let nothing = Retention { most_bytes: 0, ..EVERYTHING };
    while prune(&*store, nothing, 500).await > 0 {}
    assert_eq!(store.usage().await.expect("tells").records, 0);
}

pub(crate) async fn usage_is_told(database: &dyn Database) {
    let store = database.open().await;
    assert_eq!(store.usage().await.expect("tells").oldest, None);
    fill(&*store, 3).await;
    let usage = store.usage().await.expect("tells");
    assert_eq!((usage.records, usage.oldest.map(RecordId::started_us)), (3, Some(START)));
}
