//! An SQLite file: write-ahead log, full synchronisation, one writer, several readers.

use sqlx::migrate::Migrator;

use crate::store::FileOpening;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite_records");

/// The cache, in KiB with a minus, holds the ends of the indexes, into which records are inserted.
pub(super) const OPENING: FileOpening =
    FileOpening { migrations: &MIGRATIONS, writer_cache: "PRAGMA cache_size = -65536", is_checked: false };

#[cfg(test)]
mod tests;
