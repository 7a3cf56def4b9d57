//! The conformance suite on SQLite, and what is SQLite's own.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;

use super::SqliteStore;
use crate::store::conformance::{Database, conformance_tests};
use crate::store::{Store, StoreError};

struct InDirectory(TempDir);

impl InDirectory {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("portcullis.db")
    }
}

#[async_trait]
impl Database for InDirectory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.path()).await.expect("opens"))
    }
}

conformance_tests!(InDirectory::new());

#[tokio::test]
async fn commits_are_durable_and_references_are_checked() {
    let store = SqliteStore::open(&InDirectory::new().path()).await.expect("opens");
    let mut connection = store.writer.acquire().await.expect("connects");
    for (pragma, expected) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1)] {
        let value: i64 = sqlx::query_scalar(pragma).fetch_one(&mut *connection).await.expect("answers");
        assert_eq!(value, expected, "{pragma}");
    }
    let journal: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.expect("answers");
    assert_eq!(journal, "wal");
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let database = InDirectory::new();
    let store = database.open().await;
    store
        .set_admin_token_digest(None, portcullis_wire::digest::Digest::from_bytes([1; 32]))
        .await
        .expect("writes");
    let mut files = 0;
    for entry in std::fs::read_dir(database.0.path()).expect("lists") {
        let entry = entry.expect("lists");
        let mode = entry.metadata().expect("reads").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.file_name());
        files += 1;
    }
    assert!(files >= 2, "the database and its log");
}

#[tokio::test]
async fn readers_cannot_write() {
    let database = InDirectory::new();
    let store = SqliteStore::open(&database.path()).await.expect("opens");
    let refused =
        sqlx::query("DELETE FROM servers").execute(&mut *store.read().await.expect("connects")).await;
    assert!(refused.expect_err("refused").to_string().contains("readonly"));
}

#[tokio::test]
async fn a_damaged_file_and_a_newer_one_are_refused() {
    let database = InDirectory::new();
    std::fs::write(database.path(), b"This is not a database, and it is long enough to be looked at twice.")
        .expect("writes");
    let refused = SqliteStore::open(&database.path()).await.expect_err("not a database");
    assert!(matches!(refused, StoreError::Unavailable { .. }));

    let database = InDirectory::new();
    let store = SqliteStore::open(&database.path()).await.expect("opens");
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', 1, x'00', 0)",
    )
    .execute(&store.writer)
    .await
    .expect("writes");
    drop(store);
    let refused = SqliteStore::open(&database.path()).await.expect_err("made by a later version");
    assert!(matches!(refused, StoreError::Unavailable { .. }));
}

#[tokio::test]
async fn a_corrupt_row_is_named_and_does_not_hide_others() {
    let database = InDirectory::new();
    let store = SqliteStore::open(&database.path()).await.expect("opens");
    for statement in [
        "INSERT INTO workspaces VALUES ('good', 'good', 'Good', 'api', 1)",
        "INSERT INTO workspaces VALUES ('bad', 'Not A Slug', 'Bad', 'api', 1)",
    ] {
        sqlx::query(statement).execute(&store.writer).await.expect("writes");
    }
    let bad = store.workspace(&"bad".into()).await.expect_err("corrupt");
    assert!(
        matches!(bad, StoreError::Corrupt { table: "workspaces", ref row, .. } if row == "bad"),
        "{bad:?}"
    );
    assert!(store.workspace(&"good".into()).await.expect("reads").is_some());
}
