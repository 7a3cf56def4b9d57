//! Appending.

use super::{Database, PLENTY, START, names, record, uid};
use crate::record_store::{
    Appended, Arrival, Bounds, FIELDS, Fields, Kind, NewRecord, Outcome, Query, Range, RecordId,
};

pub(crate) async fn records_read_back_as_written(database: &dyn Database) {
    let store = database.open().await;
    let mut fields = Fields::default();
    for field in FIELDS {
        let value = match field.kind {
            Kind::Number => "207".to_owned(),
            Kind::Text(_) | Kind::Payload(_) => format!("{} 'é\u{2028}\r\n\u{1b}[31m", field.name),
        };
        assert!(fields.set(field.attribute, value), "{field:?}");
    }
    let full = NewRecord { started_us: START, uid: uid("full"), fields };
    let bare = NewRecord { started_us: START + 1, uid: uid("bare"), fields: Fields::default() };
    store.append(&[full.clone(), bare.clone()]).await.expect("appends");
    let all = store.slice(&Query::default(), Range::ALL, Bounds { payloads: true, ..PLENTY }).await;
    let [second, first] = all.expect("finds").records.try_into().expect("two");
    assert_eq!((first.fields.clone(), second.fields), (full.fields, bare.fields));
    assert_eq!((first.id.started_us(), second.id.started_us()), (START, START + 1));
    assert_eq!(second.outcome, Outcome::Error, "neither a decision nor a status");
    assert_eq!(store.record(first.id).await.expect("finds"), Some(first.clone()));
    assert_eq!(store.record(RecordId(first.id.0 + 1)).await.expect("looks"), None);
    let brief = store.slice(&Query::default(), Range::ALL, PLENTY).await.expect("finds").records.remove(1);
    assert_eq!(brief.fields.parameters, None);
    assert_eq!(brief.fields.details, first.fields.details);
}

pub(crate) async fn what_was_received_before_changes_nothing(database: &dyn Database) {
    let store = database.open().await;
    let batch: Vec<NewRecord> = (0..100).map(|number| record(number, "a")).collect();
    let first = store.append(&batch).await.expect("appends");
    assert_eq!(first, Appended { kept: 100, ..Appended::default() });
    // The answer was lost, and the batch comes again with others.
    let again: Vec<NewRecord> = batch.iter().cloned().chain([record(200, "b")]).collect();
    let second = store.append(&again).await.expect("appends");
    assert_eq!(second, Appended { kept: 1, duplicates: 100, lost: 0 });
    let twice = vec![record(300, "c"), record(300, "c")];
    let third = store.append(&twice).await.expect("appends");
    assert_eq!(third, Appended { kept: 1, duplicates: 1, lost: 0 });
    assert_eq!(names(&*store, &Query::default()).await.len(), 102);
    assert_eq!(store.usage().await.expect("tells").records, 102);
}

pub(crate) async fn records_of_the_same_microsecond_are_kept_apart(database: &dyn Database) {
    let store = database.open().await;
    let same_slot = |number: u8| {
        let mut uid = [7; 16];
        uid[15] = number;
        NewRecord { uid, ..record(0, &format!("t{number}")) }
    };
    let batch: Vec<NewRecord> = (0..20).map(same_slot).collect();
    let (one, two) = batch.split_at(3);
    for _ in 0..2 {
        store.append(one).await.expect("appends");
        store.append(two).await.expect("appends");
    }
    let mut found = names(&*store, &Query::default()).await;
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 20);
    assert_eq!(store.usage().await.expect("tells").records, 20);
}

pub(crate) async fn an_append_is_whole_and_announced(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    let arrivals = store.arrivals();
    assert_eq!(*arrivals.borrow(), Arrival(0));
    store.append(&[record(0, "a"), record(1, "b")]).await.expect("appends");
    assert_eq!(*arrivals.borrow(), store.newest().await.expect("tells"));
    assert_eq!(other.newest().await.expect("tells"), Arrival(2));
    assert_eq!(names(&*other, &Query::default()).await, ["b", "a"]);
    store.append(&[]).await.expect("nothing is fine");
}

pub(crate) async fn many_handles_append_at_once(database: &dyn Database) {
    let mut appending = tokio::task::JoinSet::new();
    for handle in 0..4_u64 {
        let store = database.open().await;
        appending.spawn(async move {
            for number in 0..10 {
                store.append(&[record(handle * 10 + number, "a")]).await.expect("appends");
            }
        });
    }
    appending.join_all().await;
    let store = database.open().await;
    assert_eq!(names(&*store, &Query::default()).await.len(), 40);
    assert_eq!(store.newest().await.expect("tells"), Arrival(40));
}
