//! What the token-service says of a caller who gets no lease.

use std::rc::Rc;

use portcullis_wire::lease::DenyReason;

/// Why there is no lease. The caller is told what follows from the reason; the rest is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub reason: DenyReason,
    /// What exactly decided.
    pub because: Option<Rc<str>>,
    /// The commit that the denial reflects.
    pub revision: Option<u64>,
}

impl From<DenyReason> for Denial {
    fn from(reason: DenyReason) -> Self {
        Self { reason, because: None, revision: None }
    }
}
