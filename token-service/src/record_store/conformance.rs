//! What every backend must do, as tests. A backend calls [`record_conformance_tests!`] with something that makes databases.

mod appending;
mod counting;
mod keeping;
mod searching;

use std::sync::Arc;

use async_trait::async_trait;

pub(crate) use self::appending::*;
pub(crate) use self::counting::*;
pub(crate) use self::keeping::*;
pub(crate) use self::searching::*;
use super::{Bounds, Fields, NewRecord, Query, Range, RecordStore, Uid};

/// One database, empty at first. Lives as long as the test.
#[async_trait]
pub(crate) trait Database: Send + Sync {
    /// A further handle, as another process would have.
    async fn open(&self) -> Arc<dyn RecordStore>;
}

/// When the requests of these tests come: microseconds since the Unix epoch.
const START: u64 = 1_795_428_000_000_000;

/// A request of tool `name` so many microseconds after [`START`].
fn record(after: u64, name: &str) -> NewRecord {
    let uid = uid(&format!("{after} {name}"));
    let fields = Fields {
        request_id: Some(format!("request {after} {name}")),
        server: Some("linear".to_owned()),
        kind: Some("tool".to_owned()),
        name: Some(name.to_owned()),
        decision: Some("allow".to_owned()),
        status: Some(200),
        latency_ms: Some(5),
        ..Fields::default()
    };
    NewRecord { started_us: START + after, uid, fields }
}

fn uid(name: &str) -> Uid {
    let digest = portcullis_wire::digest::Digest::of("test", &[name.as_bytes()]);
    let mut uid = Uid::default();
    uid.copy_from_slice(&digest.as_bytes()[..16]);
    uid
}

/// More than any of these tests has.
const PLENTY: Bounds = Bounds { records: 1_000, rows: 10_000, payloads: false };

/// The names of all records of which `query` holds, newest first.
async fn names(store: &dyn RecordStore, query: &Query) -> Vec<String> {
    let slice = store.slice(query, Range::ALL, PLENTY).await.expect("finds");
    assert_eq!(slice.reached, None);
    slice.records.into_iter().map(|record| record.fields.name.expect("a name")).collect()
}

/// One test per promise of the contract. `$database` makes a [`Database`], or `None` where it cannot be had.
macro_rules! record_conformance_tests {
    ($database:expr) => {
        record_conformance_tests!($database;
            records_read_back_as_written, what_was_received_before_changes_nothing,
            records_of_the_same_microsecond_are_kept_apart, an_append_is_whole_and_announced,
            many_handles_append_at_once,
            each_column_is_searched_by, conditions_hold_together, pages_follow_each_other,
            a_search_looks_at_no_more_rows_than_it_may, statuses_are_searched_by_class_and_number,
            values_are_values, arrivals_are_followed_in_their_order,
            figures_add_up, the_most_frequent_come_first, counting_is_bounded,
            the_oldest_go_first, what_is_too_much_goes, usage_is_told,
        );
    };
    ($database:expr; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let Some(database) = $database else { return };
                crate::record_store::conformance::$case(&database).await;
            }
        )*
    };
}
pub(crate) use record_conformance_tests;
