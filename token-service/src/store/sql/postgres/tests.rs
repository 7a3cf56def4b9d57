//! The conformance suite on PostgreSQL, and what is PostgreSQL's own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_wire::names::Slug;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _};

use super::super::sqlite::MIGRATIONS as SQLITE_MIGRATIONS;
use super::super::{Location, SqlStore, Tables, migrate};
use super::testing::TestDatabase;
use super::{PostgresUrl, STORE};
use crate::domain::Revision;
use crate::domain::ids::WorkspaceId;
use crate::store::conformance::{Database, conformance_tests, everything, fill};
use crate::store::{NewWorkspace, Store, StoreError};

#[async_trait]
impl Database for TestDatabase {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqlStore::open_postgres(&self.url()).await.expect("opens"))
    }

    async fn end_leases(&self) {
        self.connect()
            .await
            .execute("UPDATE connections SET busy_until = 0 WHERE busy_until IS NOT NULL")
            .await
            .expect("writes");
    }
}

conformance_tests!(TestDatabase::make().await);

/// Ends the test where there is no server, which is reported.
macro_rules! database {
    () => {
        match TestDatabase::make().await {
            Some(database) => database,
            None => return,
        }
    };
}

fn workspace(name: &str) -> NewWorkspace {
    let slug = Slug::parse(name).expect("is a slug");
    NewWorkspace { id: WorkspaceId::from(name), slug, name: name.to_owned(), staleness: None }
}

async fn heard(commits: &mut tokio::sync::watch::Receiver<Revision>, revision: Revision) {
    let heard = commits.wait_for(|known| *known >= revision);
    tokio::time::timeout(Duration::from_mins(1), heard).await.expect("is heard of").expect("goes on");
}

/// Ends every other connection, the listeners' among them.
async fn cut_off(connection: &mut PgConnection) {
    connection
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .expect("ends them");
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |migrations: &sqlx::migrate::Migrator| -> Vec<(i64, String)> {
        migrations.iter().map(|one| (one.version, one.description.to_string())).collect()
    };
    assert_eq!(names(&STORE.migrations()), names(&SQLITE_MIGRATIONS));
}

#[tokio::test]
async fn a_commit_wakes_another_handle_that_asks_for_nothing() {
    let database = database!();
    let (one, other) = (database.open().await, database.open().await);
    let mut commits = other.commits();
    for name in ["a", "b"] {
        let made = one.create_workspace(&workspace(name)).await.expect("makes");
        heard(&mut commits, made.revision).await;
    }
}

#[tokio::test]
async fn commits_are_heard_of_again_after_every_connection_was_cut() {
    let database = database!();
    let (one, other) = (database.open().await, database.open().await);
    let mut commits = other.commits();
    let before = one.create_workspace(&workspace("before")).await.expect("makes");
    heard(&mut commits, before.revision).await;
    cut_off(&mut database.connect().await).await;
    for name in ["after", "later"] {
        let made = one.create_workspace(&workspace(name)).await.expect("makes");
        heard(&mut commits, made.revision).await;
    }
}

#[tokio::test]
async fn a_transaction_that_rolls_back_is_not_heard_of() {
    let database = database!();
    let (one, other) = (database.open().await, database.open().await);
    let mut commits = other.commits();
    let made = one.create_workspace(&workspace("a")).await.expect("makes");
    heard(&mut commits, made.revision).await;
    let taken = one.create_workspace(&workspace("a")).await.expect_err("is there already");
    assert!(matches!(taken, StoreError::Taken { .. }), "{taken:?}");
    let next = one.create_workspace(&workspace("b")).await.expect("makes");
    assert_eq!(next.revision, Revision(made.revision.0 + 1), "no revision was lost");
    heard(&mut commits, next.revision).await;
    assert_eq!(*commits.borrow(), next.revision);
}

#[tokio::test]
async fn a_version_runs_beside_a_later_one() {
    let database = database!();
    let before = database.open().await;
    fill(before.as_ref()).await;
    // Its connections have prepared their statements now.
    let known = everything(before.as_ref()).await;
    let mut connection = database.connect().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables
         WHERE table_schema = current_schema() AND table_name NOT LIKE '\\_sqlx%'",
    )
    .fetch_all(&mut connection)
    .await
    .expect("reads");
    assert!(tables.len() > 30, "{tables:?}");
    for table in tables {
        let later = format!("ALTER TABLE {table} ADD COLUMN later TEXT");
        connection.execute(AssertSqlSafe(later)).await.expect("is applied");
    }
    let noted = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', true, '\\x00', 0)";
    connection.execute(noted).await.expect("is applied");

    let after = database.open().await;
    for (name, store) in [("running", &before), ("started", &after)] {
        assert_eq!(everything(store.as_ref()).await, known, "{name}");
    }
    for (name, store) in [("running", &before), ("started", &after)] {
        let made = store.create_workspace(&workspace(name)).await.expect("makes");
        assert_eq!(store.workspace(&made.id).await.expect("reads"), Some(made));
    }
}

#[tokio::test]
async fn replicas_that_start_at_once_make_one_database() {
    let database = database!();
    let (url, mut starting) = (database.url(), tokio::task::JoinSet::new());
    for _ in 0..4 {
        let url = url.clone();
        starting.spawn(async move { SqlStore::open_postgres(&url).await.map(drop) });
    }
    while let Some(started) = starting.join_next().await {
        started.expect("runs").expect("opens");
    }
}

#[tokio::test]
async fn texts_are_compared_by_their_bytes() {
    let database = database!();
    drop(database.open().await);
    let mut connection = database.connect().await;
    let others: Vec<String> = sqlx::query_scalar(
        "SELECT table_name || '.' || column_name FROM information_schema.columns
         WHERE table_schema = current_schema() AND data_type = 'text' AND table_name NOT LIKE '\\_sqlx%'
             AND collation_name IS DISTINCT FROM 'C'",
    )
    .fetch_all(&mut connection)
    .await
    .expect("reads");
    assert_eq!(others, Vec::<String>::new());
}

#[tokio::test]
async fn commits_are_durable_and_readers_cannot_write() {
    let database = database!();
    database
        .connect()
        .await
        .execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$")
        .await
        .expect("changes");
    let store = SqlStore::open_postgres(&database.url()).await.expect("opens");
    let durable: String =
        sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&store.writer).await.expect("answers");
    assert_eq!(durable, "on");
    let refused = sqlx::query("DELETE FROM servers").execute(&store.readers).await.expect_err("refused");
    assert!(refused.to_string().contains("read-only"), "{refused}");
}

#[tokio::test]
async fn the_audit_log_only_grows() {
    let database = database!();
    let store = database.open().await;
    store.create_workspace(&workspace("a")).await.expect("makes");
    let mut connection = database.connect().await;
    for refused in ["UPDATE audit SET object = 'x'", "DELETE FROM audit", "TRUNCATE audit"] {
        let error = connection.execute(refused).await.expect_err(refused);
        assert!(error.to_string().contains("only grows"), "{error}");
    }
    let kinds: BTreeSet<String> =
        store.audit(None, 10).await.expect("reads").into_iter().map(|entry| entry.action).collect();
    assert_eq!(kinds, BTreeSet::from(["workspace.create".to_owned()]));
}

#[tokio::test]
async fn what_is_wrong_with_a_database_is_said_without_its_password() {
    let database = database!();
    let mut url = database.url().url();
    url.set_path("nobody_made_this");
    let url = super::PostgresUrl::parse(url.as_str()).expect("parses").with_password(&"hunter2".into());
    let error = SqlStore::open_postgres(&url).await.expect_err("is not there").to_string();
    assert!(error.contains("nobody_made_this") && error.contains("does not exist"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn tables_are_left_alone_where_that_is_wanted() {
    let database = database!();
    let location = Location::Postgres(database.url());
    let refused = SqlStore::open(&location, Tables::Required).await.expect_err("has no tables").to_string();
    assert!(refused.contains("run `portcullis migrate` first (0001 registry, "), "{refused}");
    assert_eq!(migrate(&location).await.expect("migrates").len(), STORE.migrations().iter().count());
    assert_eq!(migrate(&location).await.expect("migrates"), Vec::<String>::new());
    SqlStore::open(&location, Tables::Required).await.expect("opens");
}

#[tokio::test]
async fn a_replica_that_stands_still_stops_the_others_for_a_while_only() {
    let database = database!();
    let (still, other) =
        (SqlStore::open_postgres(&database.url()).await.expect("opens"), database.open().await);
    // It has its turn and does nothing with it.
    let held = still.begin().await.expect("begins");
    let refused = other.create_workspace(&workspace("a")).await.expect_err("has to wait too long");
    assert!(refused.to_string().contains("lock timeout"), "{refused}");
    let made = async {
        loop {
            if let Ok(made) = other.create_workspace(&workspace("a")).await {
                return made;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), made).await.expect("has its turn");
    assert!(held.commit().await.is_err(), "its transaction was ended");
}

#[tokio::test]
async fn whoever_serves_needs_no_right_to_change_tables() {
    let database = database!();
    drop(database.open().await);
    let mut connection = database.connect().await;
    let role = format!("portcullis_rows_{}", std::process::id());
    for statement in [
        format!("CREATE ROLE {role} LOGIN"),
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"),
    ] {
        connection.execute(AssertSqlSafe(statement)).await.expect("is granted");
    }
    let mut url = database.url().url();
    url.set_username(&role).expect("has a host");
    let url = PostgresUrl::parse(url.as_str()).expect("parses");
    let store = SqlStore::open_postgres(&url).await.expect("opens");
    fill(&store).await;
    let known = everything(&store).await;
    assert_eq!(everything(database.open().await.as_ref()).await, known);
    drop(store);
    let gone = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    connection.execute(AssertSqlSafe(gone)).await.expect("removes");
}
