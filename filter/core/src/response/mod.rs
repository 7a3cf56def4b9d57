//! What the filter does to the upstream's responses.
//!
//! [`headers`] decides about the head. [`pipeline`] takes the body chunk by chunk: [`mask`] hides the injected
//! credential, [`sse`] finds the events of a stream, [`list`] takes out what the policy denies, and [`unknown`] finds
//! the answers that would tell an unknown name from a denied one.

mod event;
pub mod headers;
pub mod list;
pub mod mask;
pub mod needles;
pub mod pipeline;
pub mod sse;
pub mod unknown;
