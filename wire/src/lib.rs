//! The types that cross between the filter and the token-service, and nothing else.
//!
//! The conversation has three calls, made by the filter to the internal listener, and those of [`unconnected`] for members
//! who have yet to connect an account:
//!
//! - `POST /v1/leases` with a [`lease::LeaseRequest`], answered by a [`lease::LeaseReply`]: who the caller is,
//!   what it may do on one server, and the headers that carry the upstream credential.
//! - `POST /v1/lists-changed` with a [`catalogue::ListsChanged`]: what the filter heard in a stream, nothing to be answered.
//! - `GET /v1/watch` with [`watch::WatchQuery`], answered by a [`watch::WatchReply`]: the server table, the keys that
//!   verify tokens, and which leases to forget.
//!
//! Either side can be one version ahead: what takes something away (`deny_unknown_fields`) is read strictly, everything
//! else tolerantly. `README.md` has the rule, and `contract/` what each released version says. Every reply of the token-service carries [`MARKER_HEADER`]: Envoy makes up 503 and 504 replies of its own,
//! and only the marker tells them apart from an answer.

pub mod api_key;
pub mod catalogue;
pub mod decision;
pub mod digest;
pub mod lease;
pub mod names;
pub mod payload;
pub mod policy;
pub mod scopes;
pub mod secret;
pub mod session;
pub mod unconnected;
pub mod watch;

/// Set to [`CONTRACT_VERSION`] on every reply of the token-service's internal listener.
pub const MARKER_HEADER: &str = "x-portcullis-service";

/// The version of this contract, which is also the `/v1/` of its paths.
pub const CONTRACT_VERSION: &str = "1";

/// Where leases are asked for.
pub const LEASES_PATH: &str = "/v1/leases";

/// Where changes are waited for.
pub const WATCH_PATH: &str = "/v1/watch";
