//! The conformance suite on SQLite, and what is SQLite's own.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _};
use tempfile::TempDir;

use super::super::SqlStore;
use super::MIGRATIONS;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::policy::PolicyTarget;
use crate::store::conformance::{Database, conformance_tests};
use crate::store::{Actor, Store, StoreError};

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
        Arc::new(SqlStore::open_sqlite(&self.path()).await.expect("opens"))
    }

    async fn end_leases(&self) {
        let store = SqlStore::open_sqlite(&self.path()).await.expect("opens");
        sqlx::query("UPDATE connections SET busy_until = 0 WHERE busy_until IS NOT NULL")
            .execute(&store.writer)
            .await
            .expect("writes");
    }
}

conformance_tests!(Some(InDirectory::new()));

#[tokio::test]
async fn commits_are_durable_and_references_are_checked() {
    let store = SqlStore::open_sqlite(&InDirectory::new().path()).await.expect("opens");
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
    let store = SqlStore::open_sqlite(&database.path()).await.expect("opens");
    let refused =
        sqlx::query("DELETE FROM servers").execute(&mut *store.read().await.expect("connects")).await;
    assert!(refused.expect_err("refused").to_string().contains("readonly"));
}

#[tokio::test]
async fn a_damaged_file_and_a_newer_one_are_refused() {
    let database = InDirectory::new();
    std::fs::write(database.path(), b"This is not a database, and it is long enough to be looked at twice.")
        .expect("writes");
    let refused = SqlStore::open_sqlite(&database.path()).await.expect_err("not a database");
    assert!(matches!(refused, StoreError::Unavailable { .. }));

    let database = InDirectory::new();
    let store = SqlStore::open_sqlite(&database.path()).await.expect("opens");
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', 1, x'00', 0)",
    )
    .execute(&store.writer)
    .await
    .expect("writes");
    drop(store);
    let refused = SqlStore::open_sqlite(&database.path()).await.expect_err("made by a later version");
    assert!(matches!(refused, StoreError::Unavailable { .. }));
}

#[tokio::test]
async fn a_corrupt_row_is_named_and_does_not_hide_others() {
    let database = InDirectory::new();
    let store = SqlStore::open_sqlite(&database.path()).await.expect("opens");
    for statement in [
        "INSERT INTO workspaces (id, slug, name, origin, revision) VALUES ('good', 'good', 'Good', 'api', 1)",
        "INSERT INTO workspaces (id, slug, name, origin, revision) VALUES ('bad', 'Not A Slug', 'Bad', 'api', 1)",
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

/// A row in every table of a database of the first release.
const FIRST_RELEASE: [&str; 13] = [
    "UPDATE revisions SET current = 7, pruned = 2",
    "INSERT INTO changes VALUES (7, 0, 'registry', '')",
    "INSERT INTO workspaces (id, slug, name, origin, revision) VALUES ('wsp_1', 'core', 'Core', 'config', 1)",
    "INSERT INTO members VALUES ('mem_1', 'wsp_1', 'https://idp.example', 'ada', 'Ada', 0, 'api', 2)",
    "INSERT INTO api_keys VALUES ('key_1', 'd1', 'wsp_1', 'mem_1', 'Key', 9, 0, 5, 3, 6)",
    "INSERT INTO servers VALUES
         ('srv_1', 'one', 'One', 'https://mcp.example/mcp', 'headers', 'full', 1, 'config', 4),
         ('srv_2', 'two', 'Two', 'https://mcp.example/mcp', 'none', 'off', 0, 'api', 5)",
    "INSERT INTO server_headers VALUES ('srv_1', 0, 'authorization', 3, x'00ff')",
    "INSERT INTO provisions VALUES ('srv_1', 'wsp_1'), ('srv_2', 'wsp_1')",
    "INSERT INTO policies VALUES ('srv_1', 'wsp_1', NULL, NULL, '{}', 'api', 6),
         ('srv_1', NULL, 'mem_1', NULL, '{}', 'config', 6), ('srv_2', NULL, NULL, 'key_1', '{}', 'api', 6)",
    "INSERT INTO issuers VALUES ('https://idp.example', '[]', 1, '[]', 'membership', '', 0, 'api', 7)",
    "INSERT INTO data_keys VALUES (1, x'01', x'02', 'active')",
    "INSERT INTO admin_token VALUES (1, 'd2')",
    "INSERT INTO audit VALUES (4, 1, 'admin_token', 'server.create', 'srv_1', 4),
         (5, 2, 'configuration', 'server.change', 'srv_1', 5)",
];

/// Every row of the tables of the first release, column by column.
async fn queries(connection: &mut SqliteConnection) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT format('SELECT ''%s'' || %s AS line FROM %s ORDER BY line', tables.name,
             group_concat(format(' '' %s='' || quote(%s)', columns.name, columns.name), ' || ' ORDER BY columns.name),
             tables.name)
         FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
         WHERE tables.type = 'table' AND tables.name IN
             ('revisions', 'changes', 'workspaces', 'members', 'api_keys', 'servers', 'server_headers',
              'provisions', 'policies', 'issuers', 'data_keys', 'admin_token', 'audit')
         GROUP BY tables.name ORDER BY tables.name",
    )
    .fetch_all(&mut *connection)
    .await
    .expect("reads")
}

async fn everything(connection: &mut SqliteConnection, queries: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for query in queries {
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query.clone()))
            .fetch_all(&mut *connection)
            .await
            .expect("reads");
        lines.extend(rows);
    }
    lines
}

#[tokio::test]
async fn a_database_of_the_first_release_is_brought_up_to_date_whole() {
    let database = InDirectory::new();
    let options =
        SqliteConnectOptions::new().filename(database.path()).create_if_missing(true).foreign_keys(true);
    let mut old = SqliteConnection::connect_with(&options).await.expect("opens");
    MIGRATIONS.run_to(2, &mut old).await.expect("makes the tables");
    for statement in FIRST_RELEASE {
        sqlx::query(statement).execute(&mut old).await.expect("writes");
    }
    let queries = queries(&mut old).await;
    let before = everything(&mut old, &queries).await;
    assert_eq!(before.len(), 18, "{before:#?}");
    assert!(before.iter().any(|line| line.contains("auth='headers'")), "{before:#?}");
    old.close().await.expect("closes");

    let store = SqlStore::open_sqlite(&database.path()).await.expect("opens");
    let mut connection = SqliteConnection::connect_with(&options).await.expect("opens");
    assert_eq!(everything(&mut connection, &queries).await, before);
    let integrity: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut connection).await.expect("answers");
    assert_eq!(integrity, ["ok"]);
    let dangling = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut connection).await.expect("answers");
    assert!(dangling.is_empty());
    for refused in [
        "UPDATE servers SET auth = 'magic'",
        "UPDATE audit SET object = 'x'",
        "DELETE FROM audit",
        "INSERT INTO audit (at, actor, action, object, revision) VALUES (1, 'nobody', 'x', 'x', 1)",
    ] {
        sqlx::query(refused).execute(&mut connection).await.expect_err(refused);
    }
    connection.close().await.expect("closes");

    // It goes on as any other: what refers to a server goes with it, and the audit log counts on.
    let server = store.server(&"srv_2".into()).await.expect("reads").expect("is there");
    let member = store.on_behalf_of(Actor::Member, Timestamp(9));
    member.delete_server(&server.id).await.expect("deletes").expect("was there");
    assert_eq!(store.policies(&PolicyTarget::Key("key_1".into())).await.expect("reads"), []);
    let newest = store.audit(None, 1).await.expect("reads").remove(0);
    assert_eq!((newest.sequence, newest.actor, newest.revision), (6, Actor::Member, Revision(8)));
}

#[tokio::test]
async fn the_limits_of_a_caller_are_found_by_index() {
    let directory = InDirectory::new();
    let store = SqlStore::open_sqlite(&directory.path()).await.expect("opens");
    let explain = format!("EXPLAIN QUERY PLAN {}", super::super::limits::CONCERNING);
    let steps: Vec<(i64, i64, i64, String)> =
        sqlx::query_as(AssertSqlSafe(explain)).fetch_all(&store.writer).await.expect("explains");
    let of_limits = steps.iter().map(|(.., step)| step).filter(|step| step.contains(" limits"));
    let (by_index, other): (Vec<&String>, Vec<&String>) =
        of_limits.partition(|step| step.starts_with("SEARCH limits USING INDEX"));
    assert_eq!((by_index.len(), other), (4, Vec::new()), "{steps:?}");
}
