//! Which migrations a database lacks.

use std::collections::BTreeSet;

use sqlx::migrate::Migrator;

use super::Tables;

/// The names of those that are not among `applied`, such as `0003 connections`.
pub(super) fn missing(migrations: &Migrator, applied: &[i64]) -> Vec<String> {
    let applied: BTreeSet<i64> = applied.iter().copied().collect();
    let missing = migrations.iter().filter(|migration| !applied.contains(&migration.version));
    missing.map(|migration| format!("{:04} {}", migration.version, migration.description)).collect()
}

/// Whether those may be applied; the problem if not.
pub(super) fn allow(missing: &[String], tables: Tables) -> Result<(), String> {
    if tables == Tables::BringUpToDate || missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "its tables are not up to date, and nothing is changed without being asked: run `portcullis migrate` first ({})",
        missing.join(", ")
    ))
}
