//! A database of PostgreSQL for a story.

pub use portcullis_test_postgres::Database;
use serde_json::{Value, json};

/// What `portcullis.yaml` says for a store in it.
pub fn store(database: &Database) -> Value {
    json!({"postgres": {"url": database.url(), "directory": "kept"}})
}
