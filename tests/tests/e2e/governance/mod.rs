//! Who may use what, exactly and provably.

mod explain;
mod provisioning;
