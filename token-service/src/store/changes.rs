//! What a watcher is told about a run of commits.

use portcullis_wire::watch::Invalidation;

use crate::domain::Revision;

/// More invalidations than this in one commit are recorded as [`Invalidation::All`]: cheaper for everybody.
pub const MAX_INVALIDATIONS: usize = 100;

/// The answer to "what changed after this cursor?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    Changes(ChangeSet),
    /// It can no longer be told, or the cursor is of another database: start over from `current`.
    Gap {
        current: Revision,
    },
}

/// What a run of commits changed; possibly nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeSet {
    /// The last commit of the run; the cursor asked for if there was none.
    pub cursor: Revision,
    /// Whether servers or issuers changed.
    pub registry: bool,
    /// In commit order.
    pub invalidations: Vec<Invalidation>,
}
