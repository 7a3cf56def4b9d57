//! Where a database is, and opening it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{PostgresUrl, SqlStore, postgres, sqlite};
use crate::store::Result;

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    Postgres(PostgresUrl),
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(formatter),
            Self::Postgres(url) => url.fmt(formatter),
        }
    }
}

/// What opening does about tables that are not up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    BringUpToDate,
    /// Refuses: somebody else brings them up to date.
    Required,
}

impl SqlStore {
    pub async fn open(location: &Location, tables: Tables) -> Result<Self> {
        match location {
            Location::Sqlite(path) => Self::open_file(path, tables).await,
            Location::Postgres(url) => Self::open_server(url, tables).await,
        }
    }

    /// Opens the file at `path`, makes it if there is none (readable by its owner only), checks it, and brings its tables
    /// up to date.
    pub async fn open_sqlite(path: &Path) -> Result<Self> {
        Self::open_file(path, Tables::BringUpToDate).await
    }

    /// Opens a database and brings its tables up to date.
    pub async fn open_postgres(url: &PostgresUrl) -> Result<Self> {
        Self::open_server(url, Tables::BringUpToDate).await
    }
}

/// Brings the tables of a database up to date; answers which migrations were missing.
pub async fn migrate(location: &Location) -> Result<Vec<String>> {
    match location {
        Location::Sqlite(path) => sqlite::migrate(path).await,
        Location::Postgres(url) => postgres::migrate(url).await,
    }
}
