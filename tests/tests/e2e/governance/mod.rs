//! Who may use what, how much of it, and what happens when that changes.

mod limits;
mod rate_limit_service;
