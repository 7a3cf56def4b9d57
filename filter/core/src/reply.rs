//! Answers that the gateway gives itself.

/// A complete response made by the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    pub status: u32,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Response-code details for the access log: `portcullis_<reason>`.
    pub details: String,
}
