//! Places where a test may stop the process dead, to prove that nothing is lost there.

use crate::store::StoreError;

/// The steps of a renewal, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// Before the lock is taken.
    Acquire,
    AfterAcquire,
    BeforeSend,
    /// The request counts as sent, and is not.
    AfterMarkSent,
    /// The provider has answered.
    AfterReply,
    AfterSeal,
    BeforeCommit,
    AfterCommit,
    BeforeNotify,
    /// The tokens could not be committed and are being written beside the database.
    SpillWrite,
    /// Tokens beside the database were committed, and are still there.
    SpillReplay,
    /// The shared connection was made, and nothing fetched for it yet.
    SharedMade,
}

impl Failpoint {
    pub const ALL: [Self; 12] = [
        Self::Acquire,
        Self::AfterAcquire,
        Self::BeforeSend,
        Self::AfterMarkSent,
        Self::AfterReply,
        Self::AfterSeal,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BeforeNotify,
        Self::SpillWrite,
        Self::SpillReplay,
        Self::SharedMade,
    ];
}

/// What happens at the failpoints: nothing, except in tests.
pub trait Failpoints: Send + Sync {
    fn hit(&self, _point: Failpoint) {}

    /// Makes the commit of renewed tokens fail.
    fn commit_fails(&self) -> Option<StoreError> {
        None
    }
}

/// For every service that is not a test.
#[derive(Clone, Copy, Debug)]
pub struct NoFailpoints;

impl Failpoints for NoFailpoints {}
