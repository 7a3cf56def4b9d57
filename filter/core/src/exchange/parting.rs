//! Headers that go before their body, for hosts that cannot be told to hold them (`body_gate: stream`).
//!
//! They go when everything is decided that can be without the body. What the headers alone already deny goes where it
//! does no harm, since only with the body comes the id that the refusal has to carry. Once the body is there, all is
//! decided again as if nothing had gone; and unless that comes to the very same headers at once, the body does not follow them:
//! it is sent by a call, with headers of its own, or not at all.

use std::rc::Rc;
use std::task::Poll;

use portcullis_wire::lease::Lease;
use portcullis_wire::policy::{CompiledPolicy, Decision, Kind, Rule};

use super::Surroundings;
use super::forward::{self, Target};
use super::head::Verb;
use super::judging::{Judging, Progress};
use super::record::Record;
use super::refusals::no_room;
use super::releasing::SessionAsked;
use crate::json::Value;
use crate::leases::{Access, Ruled};
use crate::mcp::{self, Announced, Era};
use crate::registry::Server;
use crate::reply::LocalReply;
use crate::step::Headers;
use crate::worker::Worker;

impl Judging {
    /// Lets the headers go, unless they have gone or have to wait for something.
    pub(super) fn part(
        &mut self,
        stream: u32,
        worker: &mut Worker,
        server: &Rc<Server>,
        access: &Access,
        record: &mut Record,
        around: &Surroundings<'_>,
    ) -> Progress {
        if self.parted.is_some() {
            return Progress::Waiting;
        }
        let authority = worker.config().token_service.authority.clone();
        let nobody = |head| forward::headers(head, &Target::nobody(&authority), None);
        let announced = match self.mcp.as_ref().filter(|_| self.head.verb == Verb::Post) {
            Some(mcp) => Announced::read(mcp),
            None => Some(Announced { era: Some(Era::Legacy), ..Announced::default() }),
        };
        if let Some(target) = announced.as_ref().and_then(|announced| announced.target.as_ref()) {
            // For filters behind this one; the body has yet to say the same.
            record.target(target.kind, &target.name);
        }
        let is_unverified = worker.is_unverified(around.now_ms);
        let announced = announced.filter(|announced| !is_denied(announced, access.policy(), is_unverified));
        let headers = match (announced, access) {
            (None, _) => nobody(&self.head),
            (Some(_), Access::ConnectRequired(connect)) => {
                forward::headers(&self.head, &Target::service(&authority, &connect.handle), None)
            }
            (Some(announced), Access::Granted(lease)) => {
                match self.to_upstream(stream, worker, server, lease, &announced, around) {
                    Poll::Pending => return Progress::Waiting,
                    Poll::Ready(headers) => headers.unwrap_or_else(|| nobody(&self.head)),
                }
            }
        };
        self.parted = Some(headers.clone());
        Progress::Parted(headers)
    }

    /// `None` if there is no such session.
    fn to_upstream(
        &self,
        stream: u32,
        worker: &mut Worker,
        server: &Server,
        lease: &Ruled<Lease>,
        announced: &Announced,
        around: &Surroundings<'_>,
    ) -> Poll<Option<Headers>> {
        let asked = SessionAsked { is_of_session: announced.era != Some(Era::Modern), id: None };
        let session = match self.session(stream, worker, server, &asked, lease, around) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(session)) => session,
            Err(_) => return Poll::Ready(None),
        };
        let target = Target::upstream(&server.upstream, &lease.credential_headers, session.as_deref());
        Poll::Ready(Some(forward::headers(&self.head, &target, None)))
    }

    /// Whether the body may follow the headers that have gone: it was decided on as soon as it was there, with these headers,
    /// and is the client's.
    pub(super) fn follows(&self, headers: &Headers, is_replaced: bool) -> bool {
        !self.is_late && !is_replaced && self.parted.as_ref() == Some(headers)
    }

    /// Counts what the filter holds of a body whose headers have gone. The host's buffer is not the place for it: a filter
    /// behind this one that lets go of headers which it held lets go of that buffer, too.
    pub(super) fn hold_body(&mut self, size: usize, worker: &Worker) -> Result<(), LocalReply> {
        if self.parted.is_none() {
            return Ok(());
        }
        let share = self.share.get_or_insert_with(|| worker.held().share());
        if share.hold(size) { Ok(()) } else { Err(no_room()) }
    }
}

/// Whether policy denies what is announced, whatever the body says besides. Rules about arguments need the body.
fn is_denied(announced: &Announced, policy: &CompiledPolicy, is_unverified: bool) -> bool {
    let Some(mcp::Target { kind, name }) = &announced.target else { return false };
    let decision = match kind {
        Kind::Tool => policy.decide_call(name, None::<Value<'_, '_>>, is_unverified),
        Kind::Prompt | Kind::Resource => policy.decide(*kind, name),
    };
    matches!(decision, Decision::Denied { rule, .. } if !matches!(rule, Rule::Argument(_)))
}
