//! An SQLite file: write-ahead log, full synchronisation, one writer, several readers.

use sqlx::migrate::Migrator;

use crate::store::FileOpening;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite_records");

/// The cache, in KiB with a minus, holds the ends of the indexes, into which records are inserted.
pub(super) const OPENING: FileOpening = FileOpening {
    migrations: &MIGRATIONS,
    of_writer: "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL;
        PRAGMA cache_size = -65536",
    is_checked: false,
};

#[cfg(test)]
mod tests;
