//! What happens to the upstream's response.

use std::rc::Rc;

use portcullis_wire::lease::Lease;

use super::record::Record;
use crate::config::Config;
use crate::mcp::Request;
use crate::registry::Server;
use crate::response::headers::{self, Verdict};
use crate::response::{ListContext, ResponsePipeline};
use crate::step::{Headers, ResponseChunk, ResponseHead};

/// A request that was let go.
#[derive(Debug)]
pub struct Forwarded {
    lease: Rc<Lease>,
    request: Option<Request>,
    payload: portcullis_wire::watch::PayloadPolicy,
    limits: crate::response::Limits,
    pipeline: Option<ResponsePipeline>,
}
