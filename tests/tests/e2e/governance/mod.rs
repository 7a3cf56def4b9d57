//! Who may use what, how much of it, and what happens when that changes: from the admin API to what an agent sees.

mod catalogue;
mod explain;
mod explain_credentials;
mod limits;
mod provisioning;
mod rate_limit_service;
mod restart;
mod revocation;
mod revoked_sign_ins;
mod rules;
mod staleness;
