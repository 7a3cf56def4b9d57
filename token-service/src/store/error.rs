//! What can go wrong with the store. That an object is not there is not an error but `None`.

/// Why a call of the store did nothing. Every failure leaves the database as it was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another object has this slug, id or identity.
    #[error("there is already a {what} {value:?}")]
    Taken { what: &'static str, value: String },
    /// The object, or for a declaration the database, has changed since the revision that the caller expected.
    #[error("it has changed in the meantime")]
    Stale,
    /// The object is declared in `portcullis.yaml`.
    #[error("this {what} is declared in portcullis.yaml and can only be changed there")]
    ReadOnly { what: &'static str },
    /// An object that the new one refers to is not there.
    #[error("there is no such {what}")]
    Missing { what: &'static str },
    /// There would be no owner any more.
    #[error("this is the last owner")]
    LastOwner,
    /// A row holds what this program never writes.
    #[error("the {table} row {row} is corrupt: {problem}")]
    Corrupt { table: &'static str, row: String, problem: String },
    /// The database cannot be used now, or at all. `problem` is for operators' logs, never for callers.
    #[error("the database failed: {problem}")]
    Unavailable { problem: String },
}
