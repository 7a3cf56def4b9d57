//! A database with something in every table, copied and read back.

use std::collections::BTreeSet;

use sqlx::Executor as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tempfile::TempDir;

use super::super::SqlStore;
use super::super::postgres::TestDatabase;
use super::{Copied, TABLES, copy, unsaved};
use crate::store::conformance::{everything, fill, take_flow};
use crate::store::{NewWorkspace, Store as _, StoreError};

struct Source(TempDir);

impl Source {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("portcullis.db")
    }

    async fn open(&self) -> SqlStore {
        SqlStore::open_sqlite(&self.path()).await.expect("opens")
    }

    async fn raw(&self) -> SqlitePool {
        let options = SqliteConnectOptions::new().filename(self.path());
        SqlitePool::connect_with(options).await.expect("opens")
    }
}

fn problem(outcome: Result<Vec<Copied>, StoreError>) -> String {
    outcome.expect_err("refused").to_string()
}

#[tokio::test]
async fn every_table_is_copied() {
    let source = Source::new();
    drop(source.open().await);
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema
         WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT IN ('revisions', 'replicas', '_sqlx_migrations')",
    )
    .fetch_all(&source.raw().await)
    .await
    .expect("reads");
    let tables: BTreeSet<&str> = tables.iter().map(String::as_str).collect();
    assert_eq!(tables, BTreeSet::from(TABLES));
}

#[tokio::test]
async fn a_copy_has_everything_and_goes_on_as_the_original_would() {
    let Some(database) = TestDatabase::make().await else { return };
    let source = Source::new();
    let store = source.open().await;
    fill(&store).await;
    let before = everything(&store).await;

    let copied = copy(&source.path(), &database.url()).await.expect("copies");
    let empty: Vec<&Copied> = copied.iter().filter(|one| one.rows == 0).collect();
    assert_eq!((copied.len(), empty), (TABLES.len(), Vec::new()));

    let target = SqlStore::open_postgres(&database.url()).await.expect("opens");
    assert_eq!(everything(&target).await, before);
    assert_eq!(take_flow(&target).await, take_flow(&store).await);
    // What is counted goes on counting.
    let slug = portcullis_wire::names::Slug::parse("next").expect("a slug");
    let next = NewWorkspace { id: "wsp_next".into(), slug, name: "Next".into(), staleness: None };
    let (made, wanted) = (target.create_workspace(&next).await, store.create_workspace(&next).await);
    assert_eq!(made.expect("makes"), wanted.expect("makes"));
    let (newest, wanted) = (target.audit(None, 1).await, store.audit(None, 1).await);
    assert_eq!(newest.expect("reads"), wanted.expect("reads"));

    let again = problem(copy(&source.path(), &database.url()).await);
    assert!(again.contains("it is not empty (changes, workspaces, "), "{again}");
}

#[tokio::test]
async fn a_copy_that_fails_leaves_nothing() {
    let Some(database) = TestDatabase::make().await else { return };
    let source = Source::new();
    fill(&source.open().await).await;
    // PostgreSQL keeps no such text. The last table that is copied is one of these.
    source.raw().await.execute("UPDATE refresh_tokens SET digest = digest || char(0)").await.expect("writes");
    let refused = problem(copy(&source.path(), &database.url()).await);
    assert!(refused.contains("refresh_tokens: "), "{refused}");
    let target = SqlStore::open_postgres(&database.url()).await.expect("opens");
    assert!(target.is_fresh().await.expect("reads"));
    assert_eq!(target.workspaces().await.expect("reads"), Vec::new());
}

#[tokio::test]
async fn a_source_that_is_not_ready_is_refused() {
    let Some(database) = TestDatabase::make().await else { return };
    let source = Source::new();
    let refused = problem(copy(&source.path(), &database.url()).await);
    assert!(refused.contains("there is no such file"), "{refused}");

    drop(source.open().await);
    let left = unsaved(&source.path());
    std::fs::create_dir(&left).expect("makes");
    std::fs::write(left.join("one"), "token").expect("writes");
    let refused = problem(copy(&source.path(), &database.url()).await);
    assert!(refused.contains("start the service on it once more"), "{refused}");
    std::fs::remove_dir_all(&left).expect("removes");

    source.raw().await.execute("DELETE FROM _sqlx_migrations WHERE version > 9").await.expect("writes");
    let refused = problem(copy(&source.path(), &database.url()).await);
    assert!(refused.contains("run `portcullis migrate` first (0010 staleness, 0011 payload, "), "{refused}");
}
