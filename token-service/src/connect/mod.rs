//! From "not connected" to a connection: the link that an agent passes on, and the way through the provider.
//!
//! ```text
//! agent's call ──► link.rs: https://<gateway>/connect/<ticket>      random, single use, ten minutes, of one member
//! browser      ──► access.rs: may this person use this server?      asked at every step again
//!              ──► depart.rs: state, PKCE, cookie; off to the provider
//!              ──► redeem.rs: back with a code, which becomes a connection
//! ```
//!
//! The link travels through a model, a chat and a terminal, so it is as good as public: it proves nothing. Who finishes
//! must be who began, which the pages in [`crate::http`] make sure of before anything here is called.

mod access;
mod depart;
mod link;
mod redeem;

pub use self::access::{Access, Usable};
pub use self::depart::{Departure, Plan};
pub use self::link::{ConnectLinkError, ticket_digest};
pub use self::redeem::{FLOW_LIFE, RedeemError, Returned, cookie_digest, state_digest};
