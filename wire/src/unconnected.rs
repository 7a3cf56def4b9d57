//! What passes between the two while a member has yet to connect an account, and right after.
//!
//! 1. A call of an unconnected member goes to [`PATH`] with the [`HANDLE_HEADER`] of its
//!    [`ConnectRequired`](crate::lease::ConnectRequired); the token-service answers it as the server would have to:
//!    handshake and lists from what is known of the server, calls with a link.
//! 2. In doing so it may give the client a `requestState` that begins with [`STATE_PREFIX`]. When that comes back and
//!    the member is connected, the filter asks [`STATES_PATH`] what to put in its place.
//! 3. It may give the client a session id that begins with [`SESSION_PREFIX`]. Once the member is connected, the
//!    filter asks [`SESSIONS_PATH`] which session of the upstream stands behind it.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::lease::CallerProof;
use crate::names::Slug;

/// Where calls of unconnected members are answered. POST, GET and DELETE, as the MCP endpoint itself.
pub const PATH: &str = "/v1/unconnected";

/// Carries the handle to [`PATH`]. Never passed on from a client.
pub const HANDLE_HEADER: &str = "x-portcullis-handle";

/// Where a `requestState` of ours is opened.
pub const STATES_PATH: &str = "/v1/states";

/// Where a session id of ours is turned into the upstream's.
pub const SESSIONS_PATH: &str = "/v1/sessions";

/// How a `requestState` begins that the token-service made.
pub const STATE_PREFIX: &str = "pcl-state.";

/// How a session id begins that the token-service made.
pub const SESSION_PREFIX: &str = "pcl-session.";

/// The key of our own question in `inputRequests`, and so of its answer in `inputResponses`.
pub const INPUT_KEY: &str = "portcullis_connect";

/// What a `requestState` is bound to besides the caller and the server: the method, what it names, and the bytes of
/// its `arguments` (empty where there are none).
pub fn request_digest(method: &str, name: &str, arguments: &[u8]) -> Digest {
    Digest::of("portcullis-request-state-v1", &[method.as_bytes(), name.as_bytes(), arguments])
}

/// Body of `POST /v1/states`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenState {
    pub server: Slug,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Slug>,
    pub proof: CallerProof,
    /// The client's `requestState`, prefix included.
    pub state: String,
    /// [`request_digest`] of the request that carries it.
    pub request: Digest,
}

/// Answer of `POST /v1/states`, always with status 200.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum OpenedState {
    /// It is ours and fits. What the upstream itself had asked before is put back in its place.
    Opened {
        /// The upstream's own `requestState`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_state: Option<String>,
        /// The client's `inputResponses` for the upstream, the JSON text of an object.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input_responses: Option<String>,
    },
    /// It was changed, has expired, or belongs to another caller, server or request.
    Refused,
    /// The token-service cannot decide now.
    Unavailable { retry_after_ms: u64 },
}

/// Body of `POST /v1/sessions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRequest {
    pub server: Slug,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Slug>,
    pub proof: CallerProof,
    /// The client's `Mcp-Session-Id`, prefix included.
    pub session: String,
}

/// Answer of `POST /v1/sessions`, always with status 200.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum SessionReply {
    /// The handshake with the upstream is done; the same for everybody who asks with this session.
    Opened {
        /// The upstream's session id; servers without sessions have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session_id: Option<String>,
        /// What the upstream agreed to, for `MCP-Protocol-Version`.
        protocol_version: String,
        /// How long the filter may use this answer.
        ttl_ms: u64,
    },
    /// No such session of this caller: the client has to start a new one (404).
    Unknown,
    /// The upstream cannot be asked now.
    Unavailable { retry_after_ms: u64 },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_from_another() {
        let digest = request_digest("tools/call", "search", b"{}");
        for other in [
            request_digest("prompts/get", "search", b"{}"),
            request_digest("tools/call", "searc", b"h{}"),
            request_digest("tools/call", "search", b"{ }"),
        ] {
            assert_ne!(digest, other);
        }
    }

    #[test]
    fn replies_read_back() {
        let reply =
            SessionReply::Opened { session_id: None, protocol_version: "2025-11-25".into(), ttl_ms: 1000 };
        let json = serde_json::to_string(&reply).expect("writes");
        assert_eq!(json, r#"{"result":"opened","protocol_version":"2025-11-25","ttl_ms":1000}"#);
        assert_eq!(serde_json::from_str::<SessionReply>(&json).expect("reads"), reply);
    }
}
