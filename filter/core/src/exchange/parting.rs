//! Headers that go before their body, for hosts that cannot be told to hold them (`body_gate: stream`).
//!
//! They go when everything is decided that can be without the body. What the headers alone already deny goes where it
//! does no harm, since only with the body comes the id that the refusal has to carry. Once the body is there, all is
//! decided again as if nothing had gone; and unless that comes to the very same headers, the body does not follow.

use std::rc::Rc;
use std::task::Poll;

use portcullis_wire::lease::Lease;
use portcullis_wire::policy::{CompiledPolicy, Decision, Kind, Rule};

use super::Surroundings;
use super::forward::{self, Length, Target};
use super::head::Verb;
use super::judging::{Judging, Progress};
use super::releasing::SessionAsked;
use crate::json::Value;
use crate::leases::{Access, Ruled};
use crate::mcp::{self, Announced, Era};
use crate::registry::Server;
use crate::step::Headers;
use crate::worker::Worker;

/// The header in which headers that have gone and those decided on later may differ: a body in the client's place was
/// not known yet.
const LENGTH_HEADER: &[u8] = b"content-length";

impl Judging {
    /// Lets the headers go, unless they have gone or have to wait for something.
    pub(super) fn part(
        &mut self,
        stream: u32,
        worker: &mut Worker,
        server: &Rc<Server>,
        access: &Access,
        around: &Surroundings<'_>,
    ) -> Progress {
        if self.parted.is_some() {
            return Progress::Waiting;
        }
        let authority = worker.config().token_service.authority.clone();
        let nobody = |head| forward::headers(head, &Target::nobody(&authority), Length::OfClient);
        let announced = match self.mcp.as_ref().filter(|_| self.head.verb == Verb::Post) {
            Some(mcp) => Announced::read(mcp),
            None => Some(Announced { era: Some(Era::Legacy), ..Announced::default() }),
        };
        let is_unverified = worker.is_unverified(around.now_ms);
        let announced = announced.filter(|announced| !is_denied(announced, access.policy(), is_unverified));
        let headers = match (announced, access) {
            (None, _) => nobody(&self.head),
            (Some(_), Access::ConnectRequired(connect)) => {
                forward::headers(&self.head, &Target::service(&authority, &connect.handle), Length::OfClient)
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
        // A state of the token-service's making is replaced in the body, which changes its length.
        let may_change = lease.connection_id.is_some() && announced.may_be_a_retry();
        let length = if may_change { Length::Unsaid } else { Length::OfClient };
        Poll::Ready(Some(forward::headers(&self.head, &target, length)))
    }

    /// Whether a body may follow the headers that have gone: it was decided on with these. `is_replaced` says that it is
    /// not the client's.
    pub(super) fn follows(&self, headers: &Headers, is_replaced: bool) -> bool {
        let but_length = |headers: &Headers| -> Headers {
            headers.iter().filter(|(name, _)| name != LENGTH_HEADER).cloned().collect()
        };
        self.parted.as_ref().is_some_and(|parted| {
            let says_length = parted.iter().any(|(name, _)| name == LENGTH_HEADER);
            but_length(parted) == but_length(headers) && !(is_replaced && says_length)
        })
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
