//! The conformance suite on SQLite, and what is SQLite's own.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use super::super::SqlRecordStore;
use crate::record_store::conformance::{Database, record_conformance_tests};
use crate::record_store::fields::{NUMBERS, PAYLOADS, TEXTS};
use crate::record_store::{Column, RecordStore};
use crate::store::{Location, Tables};

struct InDirectory(TempDir);

impl InDirectory {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    async fn open(&self) -> SqlRecordStore {
        let location = Location::Sqlite(self.0.path().join("records.db"));
        SqlRecordStore::open(&location, Tables::BringUpToDate).await.expect("opens")
    }
}

#[async_trait]
impl Database for InDirectory {
    async fn open(&self) -> Arc<dyn RecordStore> {
        Arc::new(Self::open(self).await)
    }
}

record_conformance_tests!(Some(InDirectory::new()));

#[tokio::test]
async fn the_file_is_for_its_owner() {
    let directory = InDirectory::new();
    directory.open().await;
    for entry in std::fs::read_dir(directory.0.path()).expect("the directory") {
        let mode = entry.expect("an entry").metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}

#[tokio::test]
async fn every_field_has_a_column() {
    let directory = InDirectory::new();
    let store = directory.open().await;
    for (table, fields) in [("records", [TEXTS, NUMBERS].concat()), ("record_payloads", PAYLOADS.to_vec())] {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info($1)")
            .bind(table)
            .fetch_all(&store.readers)
            .await
            .expect("columns");
        for field in fields {
            assert!(columns.iter().any(|column| column == field), "{table} has no {field}");
        }
    }
}

/// Each filter gets its rows from an index in the order of the answer: nothing is sorted, nothing is scanned.
#[tokio::test]
async fn every_column_that_is_searched_by_has_an_index() {
    let directory = InDirectory::new();
    let store = directory.open().await;
    let columns = Column::ALL.iter().map(|column| format!("{} = 'x'", column.as_str()));
    for condition in columns.chain(["status_class = 4".to_owned()]) {
        let sql = format!(
            "EXPLAIN QUERY PLAN SELECT * FROM records WHERE {condition} AND id < 5 ORDER BY id DESC LIMIT 9"
        );
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&store.readers).await.expect("a plan");
        let plan: Vec<String> = plan.into_iter().map(|(.., detail)| detail).collect();
        assert_eq!(plan.len(), 1, "{condition}: {plan:?}");
        assert!(plan[0].starts_with("SEARCH records USING INDEX records_"), "{condition}: {plan:?}");
    }
}
