//! What the filter hears of servers' lists.

use serde::{Deserialize, Serialize};

/// Where the filter tells that a server's lists have changed.
pub const LISTS_CHANGED_PATH: &str = "/v1/lists-changed";

/// Body of `POST /v1/lists-changed`: the server has sent `notifications/tools/list_changed`, or the like for prompts or
/// resources, to somebody. Answered with status 200 and an empty object, whether there is such a server or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListsChanged {
    /// The server's id.
    pub server: String,
}
