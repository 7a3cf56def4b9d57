//! Databases for the tests inside this crate.

use portcullis_test_postgres::Database;
use sqlx::postgres::PgConnection;

use super::PostgresUrl;

/// An empty database.
pub(crate) struct TestDatabase(Database);

impl TestDatabase {
    /// `None` where there is no server, which is reported.
    pub(crate) async fn make() -> Option<Self> {
        Database::make().await.map(Self)
    }

    pub(crate) fn url(&self) -> PostgresUrl {
        PostgresUrl::parse(self.0.url().as_str()).expect("is a URL of PostgreSQL")
    }

    /// For what is no business of the store.
    pub(crate) async fn connect(&self) -> PgConnection {
        self.0.connect().await
    }
}
