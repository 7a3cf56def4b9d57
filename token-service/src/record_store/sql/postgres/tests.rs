//! The conformance suite on PostgreSQL, and what is PostgreSQL's own.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::SqlRecordStore;
use super::super::sqlite::OPENING as SQLITE;
use super::OPENING;
use crate::record_store::conformance::{Database, record_conformance_tests};
use crate::record_store::fields::{NUMBERS, PAYLOADS, TEXTS};
use crate::record_store::{Column, RecordStore, migrate};
use crate::store::{Location, SqlStore, Tables, TestDatabase};

async fn open(database: &TestDatabase) -> SqlRecordStore {
    let location = Location::Postgres(database.url());
    SqlRecordStore::open(&location, Tables::BringUpToDate).await.expect("opens")
}

#[async_trait]
impl Database for TestDatabase {
    async fn open(&self) -> Arc<dyn RecordStore> {
        Arc::new(open(self).await)
    }
}

record_conformance_tests!(TestDatabase::make().await);

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |migrations: &sqlx::migrate::Migrator| -> Vec<(i64, String)> {
        migrations.iter().map(|migration| (migration.version, migration.description.to_string())).collect()
    };
    assert_eq!(names(&(OPENING.migrations)()), names(SQLITE.migrations));
}

#[tokio::test]
async fn records_are_kept_beside_the_store() {
    let Some(database) = TestDatabase::make().await else { return };
    let location = Location::Postgres(database.url());
    let refused = SqlRecordStore::open(&location, Tables::Required).await.map(drop);
    assert!(refused.is_err_and(|error| error.to_string().contains("portcullis migrate")));
    assert_eq!(migrate(&location).await.expect("migrates"), ["0001 records"]);
    SqlRecordStore::open(&location, Tables::Required).await.expect("opens");
    SqlStore::open(&location, Tables::BringUpToDate).await.expect("opens the store in the same database");
    assert_eq!(migrate(&location).await.expect("finds nothing to do"), <[String; 0]>::default());
}

#[tokio::test]
async fn every_field_has_a_column() {
    let Some(database) = TestDatabase::make().await else { return };
    let store = open(&database).await;
    for (table, fields) in [("records", [TEXTS, NUMBERS].concat()), ("record_payloads", PAYLOADS.to_vec())] {
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT CAST(column_name AS TEXT) FROM information_schema.columns WHERE table_name = $1",
        )
        .bind(table)
        .fetch_all(&store.readers)
        .await
        .expect("columns");
        for field in fields {
            assert!(columns.iter().any(|column| column == field), "{table} has no {field}");
        }
    }
}

/// Each filter has an index that gives its rows in the order of the answer.
#[tokio::test]
async fn every_column_that_is_searched_by_has_an_index() {
    let Some(database) = TestDatabase::make().await else { return };
    let store = open(&database).await;
    let indexes: Vec<String> =
        sqlx::query_scalar("SELECT indexdef FROM pg_indexes WHERE tablename = 'records'")
            .fetch_all(&store.readers)
            .await
            .expect("indexes");
    let columns = Column::ALL.iter().map(|column| column.as_str());
    for column in columns.chain(["status_class"]) {
        let wanted = format!("({column}, id)");
        assert!(indexes.iter().any(|index| index.contains(&wanted)), "{column} has none: {indexes:?}");
    }
}
