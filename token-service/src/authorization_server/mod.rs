//! The gateway's own OAuth 2.1 authorization server: MCP clients that are given a URL and nothing else sign in here.
//!
//! ```text
//! client  ──► request.rs: the authorization request, checked and sealed     nothing is kept
//! browser ──► the person signs in and agrees; see `http::public::oauth`     one row, of which request it was
//! client  ──► issue.rs: code ► session, refresh token, access token         the session is what all tokens are about
//! filter  ──► the lease of that session, see `domain::resolve`
//! ```
//!
//! - [`clients`], [`document`], [`registration`]: who may ask, and where they are sent back to.
//! - [`keys`], [`rotation`]: what signs access tokens, and how filters learn of it.
//! - [`settings`]: what the configuration says about all of this.
//!
//! Being an OAuth client of upstream servers is another matter, see [`crate::oauth`].

pub mod clients;
pub mod document;
mod error;
mod issue;
pub mod keys;
pub mod registration;
pub mod request;
mod rotation;
mod settings;

pub use self::document::ClientDocuments;
pub use self::error::OAuthError;
pub use self::issue::{Answer, CodeGrant, RefreshGrant};
pub use self::rotation::RotationError;
pub use self::settings::AuthorizationSettings;
