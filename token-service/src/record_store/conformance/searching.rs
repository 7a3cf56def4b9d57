//! Searching and following.

use super::{Database, PLENTY, START, names, record};
use crate::record_store::{
    Arrival, Bounds, Column, Fields, NewRecord, Outcome, Query, Range, RecordId, RecordStore, StatusFilter,
};

fn with(after: u64, name: &str, change: impl FnOnce(&mut Fields)) -> NewRecord {
    let mut record = record(after, name);
    change(&mut record.fields);
    record
}

pub(crate) async fn each_column_is_searched_by(database: &dyn Database) {
    let store = database.open().await;
    let wanted = with(1, "wanted", |fields| {
        let value = Some("x".to_owned());
        fields.request_id.clone_from(&value);
        fields.trace_id.clone_from(&value);
        fields.decision_id.clone_from(&value);
        fields.key.clone_from(&value);
        fields.caller.clone_from(&value);
        fields.rule.clone_from(&value);
        fields.error_code.clone_from(&value);
        fields.server.clone_from(&value);
        fields.workspace.clone_from(&value);
        fields.workspace_id.clone_from(&value);
        fields.method = value;
        fields.decision = Some("deny".to_owned());
    });
    store.append(&[record(0, "other"), wanted, record(2, "other")]).await.expect("appends");
    for column in Column::ALL {
        let value = match column {
            Column::Name => "wanted",
            Column::Outcome => "denied",
            Column::Decision => "deny",
            _ => "x",
        };
        let query = Query::default().with(column, value);
        assert_eq!(names(&*store, &query).await, ["wanted"], "{column:?}");
        let nothing = Query::default().with(column, "nothing of the kind");
        assert!(names(&*store, &nothing).await.is_empty(), "{column:?}");
    }
}

pub(crate) async fn conditions_hold_together(database: &dyn Database) {
    let store = database.open().await;
    let denied = |after, name| with(after, name, |fields| fields.decision = Some("deny".to_owned()));
    let batch = [record(0, "a"), denied(1, "a"), denied(2, "b"), record(3, "b")];
    store.append(&batch).await.expect("appends");
    let query = Query::default().with(Column::Name, "a").with_outcome(Outcome::Denied);
    assert_eq!(names(&*store, &query).await, ["a"]);
    let query = query.with(Column::Server, "notion");
    assert!(names(&*store, &query).await.is_empty());
}

/// All names of pages of `bounds`, and how many pages there were.
async fn walk(store: &dyn RecordStore, query: &Query, bounds: Bounds) -> (Vec<String>, usize) {
    let (mut range, mut found, mut pages) = (Range::ALL, Vec::new(), 0);
    loop {
        let slice = store.slice(query, range, bounds).await.expect("finds");
        assert!(slice.records.len() <= bounds.records as usize);
        found.extend(slice.records.into_iter().map(|record| record.fields.name.expect("a name")));
        pages += 1;
        match slice.reached {
            Some(reached) => range.until = reached,
            None => return (found, pages),
        }
    }
}

pub(crate) async fn pages_follow_each_other(database: &dyn Database) {
    let store = database.open().await;
    let batch: Vec<NewRecord> = (0..25).map(|number| record(number, &format!("t{number}"))).collect();
    store.append(&batch).await.expect("appends");
    let expected: Vec<String> = (0..25).rev().map(|number| format!("t{number}")).collect();
    for query in [Query::default(), Query::default().with(Column::Server, "linear")] {
        let (found, pages) = walk(&*store, &query, Bounds { records: 10, ..PLENTY }).await;
        assert_eq!((found, pages), (expected.clone(), 3));
    }
    let range = Range { from: RecordId::first_at(START + 5), until: RecordId::first_at(START + 8) };
    let slice = store.slice(&Query::default(), range, PLENTY).await.expect("finds");
    let found: Vec<_> = slice.records.iter().map(|record| record.id.started_us() - START).collect();
    assert_eq!(found, [7, 6, 5]);
}

pub(crate) async fn a_search_looks_at_no_more_rows_than_it_may(database: &dyn Database) {
    let store = database.open().await;
    let mut batch: Vec<NewRecord> = (1..100).map(|number| record(number, "common")).collect();
    batch.push(with(0, "rare", |fields| fields.method = Some("tools/call".to_owned())));
    store.append(&batch).await.expect("appends");
    let query = Query::default().with(Column::Server, "linear").with(Column::Method, "tools/call");
    let bounds = Bounds { records: 10, rows: 20, payloads: false };
    let first = store.slice(&query, Range::ALL, bounds).await.expect("looks");
    assert!(first.records.is_empty());
    assert_eq!(first.reached.map(RecordId::started_us), Some(START + 80));
    let (found, pages) = walk(&*store, &query, bounds).await;
    assert_eq!((found, pages), (vec!["rare".to_owned()], 6), "the last page is empty");
}

pub(crate) async fn statuses_are_searched_by_class_and_number(database: &dyn Database) {
    let store = database.open().await;
    let status = |after, name, status| with(after, name, |fields| fields.status = status);
    let batch = [
        status(0, "none", None),
        status(1, "zero", Some(0)),
        status(2, "fine", Some(200)),
        status(3, "missing", Some(404)),
        status(4, "gone", Some(410)),
        status(5, "absurd", Some(99_999)),
    ];
    store.append(&batch).await.expect("appends");
    for (filter, expected) in [
        (StatusFilter::Exactly(404), &["missing"][..]),
        (StatusFilter::Class(4), &["gone", "missing"]),
        (StatusFilter::Class(2), &["fine"]),
        (StatusFilter::Exactly(0), &["absurd", "zero", "none"]),
        (StatusFilter::Exactly(500), &[]),
    ] {
        let query = Query::default().with_status(filter);
        assert_eq!(names(&*store, &query).await, expected, "{filter:?}");
        let query = query.with(Column::Server, "linear");
        assert_eq!(names(&*store, &query).await, expected, "{filter:?} of a server");
    }
}

/// Nothing in a value is an operator, a pattern or an end.
pub(crate) async fn values_are_values(database: &dyn Database) {
    let store = database.open().await;
    let odd = ["' OR '1'='1", "%", "a_b", "\"; DROP TABLE records; --", "\\", "é\u{2028}", "$1", "?"];
    let batch: Vec<NewRecord> = (0..).zip(odd).map(|(number, name)| record(number, name)).collect();
    store.append(&batch).await.expect("appends");
    store.append(&[record(100, "acb")]).await.expect("appends");
    for name in odd {
        let query = Query::default().with(Column::Name, name);
        assert_eq!(names(&*store, &query).await, [name]);
        assert!(names(&*store, &query.with(Column::Server, name)).await.is_empty(), "{name}");
    }
}

pub(crate) async fn arrivals_are_followed_in_their_order(database: &dyn Database) {
    let store = database.open().await;
    // The second one took long: it came earlier and arrives later.
    store.append(&[record(10, "quick")]).await.expect("appends");
    store.append(&[record(5, "slow"), record(11, "other")]).await.expect("appends");
    let names_since = async |query: &Query, after, bounds| {
        let arrived = store.since(query, after, bounds).await.expect("finds");
        let names: Vec<_> = arrived.records.into_iter().filter_map(|record| record.fields.name).collect();
        (names, arrived.through)
    };
    let all = Query::default();
    let (found, through) = names_since(&all, Arrival(0), PLENTY).await;
    assert_eq!((found, through), (vec!["quick".into(), "slow".into(), "other".into()], Arrival(3)));
    assert_eq!(names_since(&all, through, PLENTY).await, (vec![], through));
    let one = Bounds { records: 1, ..PLENTY };
    assert_eq!(names_since(&all, Arrival(1), one).await, (vec!["slow".into()], Arrival(2)));
    let slow = Query::default().with(Column::Name, "slow");
    assert_eq!(names_since(&slow, Arrival(0), PLENTY).await, (vec!["slow".into()], Arrival(3)));
    let few_rows = Bounds { rows: 1, ..PLENTY };
    assert_eq!(names_since(&slow, Arrival(0), few_rows).await, (vec![], Arrival(1)));
}
