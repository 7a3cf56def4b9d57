//! From a request's headers and body to what it asks for, or why it is refused.
//!
//! One URL serves two families of protocol versions: the *legacy* ones (2025-03-26, 2025-06-18, 2025-11-25) with
//! sessions and a handshake, and the *modern* one (2026-07-28), in which each request says everything about itself,
//! twice: in headers and in the body. Which family a request belongs to is decided per request from both, and where
//! they disagree the request is refused. What nobody here has a rule for is refused too, because a later version may
//! keep the name of a tool somewhere else.
//!
//! The pieces, in the order a request meets them: [`McpHeaders::gather`] and [`check_media_type`] judge the headers
//! alone, [`read_request`] the body with them ([`read_bodiless`] if there is none), and [`denial()`] words the answer
//! if policy takes a target away.

mod announced;
mod denial;
mod fault;
mod headers;
mod list_kind;
mod media_type;
mod message;
mod method;
mod request;
mod retry;
mod targets;
mod twins;
mod version;

pub use announced::Announced;
pub use denial::{argument_denial, denial, method_denial};
pub use fault::{Fault, error_body};
pub use headers::McpHeaders;
pub use list_kind::ListKind;
pub use media_type::check_media_type;
pub use message::{Id, MessageKind};
pub use method::Method;
pub use request::{Client, Request, read_bodiless, read_request};
pub use retry::Retry;
pub use targets::Target;
pub use version::{Era, ProtocolVersion};
