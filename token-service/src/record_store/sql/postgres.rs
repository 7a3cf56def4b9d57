//! PostgreSQL: in the database of the store, with migrations of their own.

use crate::store::ServerOpening;

/// Appends come one after the other, because each begins with the row of `record_progress`; so arrivals become visible in
/// their order.
pub(super) const OPENING: ServerOpening = ServerOpening {
    migrations: || sqlx::migrate!("migrations/postgres_records"),
    migrations_table: "_sqlx_migrations_of_records",
    // One takes records in, one deletes.
    writers: 2,
    readers: 4,
};

#[cfg(test)]
mod tests;
