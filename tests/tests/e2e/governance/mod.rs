//! Who may use what, and how soon a change of that counts.

mod restart;
mod revocation;
mod staleness;
