//! One response body, from its first chunk to its last.

use std::sync::Arc;

use portcullis_wire::policy::CompiledPolicy;

use super::headers::BodyPlan;
use super::list::{self, ListContext, READ_LIMITS, Verdict};
use super::mask::Mask;
use super::needles::Needles;
use super::sse::{EventEdit, EventStream, Overlong};
use super::unknown::{Asked, says_unknown};
use crate::json::{Document, Value};
use crate::memory::{Budget, Share};
use crate::payload::{self, Capture, Excerpt, View};
use crate::reply::LocalReply;
use crate::reply::code::RESPONSE_REJECTED;
use crate::step::ResponseChunk;
use crate::worker::Listener;

/// What a response answers, which says how closely it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A list request. Nothing passes that was not read.
    List(ListContext),
    /// The GET stream of legacy versions: carries messages of any kind, also responses to requests made elsewhere.
    /// Nothing passes that was not read.
    Stream,
    /// Any other request. What cannot be read passes, because nothing is taken out of it. If it asks for one name, the
    /// answer that the name is unknown is replaced.
    Call(Option<Box<Asked>>),
}

impl Subject {
    /// Whether the body has to be read before the client may see it; see [`super::headers::judge`].
    pub fn is_inspected(&self) -> bool {
        !matches!(self, Self::Call(_))
    }

    fn list(&self) -> Option<&ListContext> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    fn asked(&self) -> Option<&Asked> {
        if let Self::Call(asked) = self { asked.as_deref() } else { None }
    }

    fn request_id(&self) -> Option<&str> {
        self.list().map(|list| list.request_id.as_ref())
    }
}

/// [`Bounds::held`]: far more than an error takes.
pub const HELD_LIMIT: usize = 64 * 1024;
const _: () = assert!(HELD_LIMIT <= payload::KEPT, "what is held is kept by the capture");

/// What one response may take of the VM's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// A JSON body that has to be read whole.
    pub json: usize,
    /// What is held back of a body by [`BodyPlan::HeldJson`].
    pub held: usize,
    /// One event of a stream.
    pub event: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { json: 8 * 1024 * 1024, held: HELD_LIMIT, event: 1024 * 1024 }
    }
}

/// What the access log wants to know of a response.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an observation of its own, and none rules out another"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The JSON-RPC response as the client got it, as far as the payload policy lets it be logged. Of a body that is no
    /// JSON-RPC message, the body.
    pub excerpt: Option<Excerpt>,
    /// `error.code` of an error response, the gateway's own [`RESPONSE_REJECTED`] included.
    pub error_code: Option<i64>,
    /// A tool result with `isError: true`.
    pub tool_error: bool,
    /// The upstream sent the injected credential back; it was masked.
    pub credential_echoed: bool,
    /// How much of the body that took.
    pub masked_bytes: u64,
    /// The stream was ended because of an event that is too long to be read.
    pub ended: bool,
    /// An error took the place of what could not be read.
    pub rejected: bool,
    /// Of an event stream: how many events with data have passed, those put in place of others included.
    pub events: Option<u64>,
}

/// Masks, filters and observes one response body. Made when the head has been forwarded.
#[derive(Debug)]
pub struct ResponsePipeline {
    mask: Mask,
    reader: Reader,
    body: Body,
    /// Of what all streams hold together.
    share: Share,
}

#[derive(Debug)]
enum Body {
    /// Passes as it comes.
    Through {
        capture: Capture,
        is_json: bool,
        /// Nothing passes yet: it may be replaced. What came is in the capture.
        held: bool,
    },
    /// Held until it is complete.
    Whole(Vec<u8>),
    /// Was held, but grew too big; its place has been taken by an error.
    Refused,
    Events(EventStream),
}

/// Reads messages and remembers what the log wants to know.
#[derive(Debug)]
struct Reader {
    subject: Subject,
    view: View,
    bounds: Bounds,
    observed: Observed,
    /// Who wants to hear that the server's lists changed.
    listener: Option<Listener>,
    /// The upstream said that the name is unknown, and the gateway's words for it were put in place.
    reworded: bool,
}

impl ResponsePipeline {
    /// With the default bounds, and a budget for this response alone.
    pub fn new(plan: BodyPlan, subject: Subject, needles: Arc<Needles>, view: View) -> Self {
        let bounds = Bounds::default();
        Self::with_bounds(plan, subject, needles, view, bounds, Budget::new(bounds.json).share())
    }

    pub fn with_bounds(
        plan: BodyPlan,
        subject: Subject,
        needles: Arc<Needles>,
        view: View,
        bounds: Bounds,
        share: Share,
    ) -> Self {
        let overlong = if subject.is_inspected() { Overlong::End } else { Overlong::Pass };
        let through = |is_json, held| Body::Through { capture: Capture::new(view.clone()), is_json, held };
        let body = match plan {
            BodyPlan::Pass => through(false, false),
            BodyPlan::Json if !subject.is_inspected() => through(true, false),
            BodyPlan::HeldJson => through(true, true),
            BodyPlan::Json => Body::Whole(Vec::new()),
            BodyPlan::Sse => Body::Events(EventStream::new(bounds.event, overlong)),
        };
        let events = matches!(body, Body::Events(_)).then_some(0);
        let observed = Observed { events, ..Observed::default() };
        let reader = Reader { subject, view, bounds, observed, listener: None, reworded: false };
        Self { mask: Mask::new(needles), reader, body, share }
    }

    /// Tells `listener` when the server says that its lists changed.
    #[must_use]
    pub fn heard_by(mut self, listener: Listener) -> Self {
        self.reader.listener = Some(listener);
        self
    }

    /// Takes the next chunk. `end` comes with the last one, which may be empty; a body that is cut short never gets it,
    /// and then nothing that has to be read whole has been passed on.
    pub fn push(&mut self, policy: &CompiledPolicy, chunk: &[u8], end: bool) -> ResponseChunk {
        let masked = self.mask.push(chunk, end);
        self.reader.observed.credential_echoed = self.mask.has_masked();
        self.reader.observed.masked_bytes = self.mask.masked_bytes();
        let bytes = match &masked {
            ResponseChunk::Keep => chunk,
            ResponseChunk::Replace(bytes) => bytes,
        };
        let reader = &mut self.reader;
        let answer = match &mut self.body {
            Body::Through { capture, is_json, held } => {
                let before = capture.len();
                capture.push(bytes, self.share.room());
                self.share.hold(capture.kept().len());
                let is_whole = capture.whole().is_some();
                if *held && !end && is_whole && capture.len() <= reader.bounds.held {
                    return ResponseChunk::Replace(Vec::new());
                }
                let was_held = std::mem::take(held);
                let answer = if end { reader.read_through(capture, *is_json, was_held) } else { None };
                match answer {
                    Some(answer) => ResponseChunk::Replace(answer),
                    None if was_held && before > 0 => {
                        let held = capture.kept().get(..before).unwrap_or_default();
                        ResponseChunk::Replace([held, bytes].concat())
                    }
                    None => ResponseChunk::Keep,
                }
            }
            Body::Whole(held)
                if !fits(held.len().saturating_add(bytes.len()), reader.bounds.json, &mut self.share) =>
            {
                self.body = Body::Refused;
                self.share.hold(0);
                ResponseChunk::Replace(reader.reject())
            }
            Body::Whole(held) if held.is_empty() && end => {
                reader.read_whole(policy, bytes).map_or(ResponseChunk::Keep, ResponseChunk::Replace)
            }
            Body::Whole(held) => {
                held.extend_from_slice(bytes);
                if !end {
                    return ResponseChunk::Replace(Vec::new());
                }
                let whole = std::mem::take(held);
                ResponseChunk::Replace(reader.read_whole(policy, &whole).unwrap_or(whole))
            }
            Body::Refused => ResponseChunk::Replace(Vec::new()),
            Body::Events(events) => {
                let was_ended = events.ended();
                events.set_limit(reader.bounds.event.min(self.share.room()));
                let answer = events.push(bytes, end, &mut |data| reader.count_event(policy, data));
                self.share.hold(events.held());
                if events.ended() && !was_ended { reader.end_stream(answer) } else { answer }
            }
        };
        if answer == ResponseChunk::Keep { masked } else { answer }
    }

    /// The last that the client gets of this body, with `error` as the answer; nothing passes after it. `None` where part of
    /// a message has passed.
    pub fn end_with(&mut self, error: &[u8]) -> Option<Last> {
        let (bytes, is_complete) = match &self.body {
            Body::Events(events) if !events.ended() => (event(events.terminator()?, error), false),
            Body::Whole(_) => (error.to_vec(), true),
            Body::Events(_) | Body::Through { .. } | Body::Refused => return None,
        };
        self.body = Body::Refused;
        self.share.hold(0);
        self.reader.log(error);
        Some(Last { bytes, is_complete })
    }

    /// Whether the body is still held back, as [`BodyPlan::HeldJson`] asks.
    pub fn is_holding(&self) -> bool {
        matches!(self.body, Body::Through { held: true, .. })
    }

    /// The answer that was put in the body's place.
    pub fn reworded(&self) -> Option<&LocalReply> {
        self.reader.subject.asked().filter(|_| self.reader.reworded).map(|asked| &asked.denial)
    }

    /// What is known so far; complete once `push` was called with `end`.
    pub fn observed(&self) -> &Observed {
        &self.reader.observed
    }
}

/// What ends a body, see [`ResponsePipeline::end_with`].
#[derive(Debug, PartialEq, Eq)]
pub struct Last {
    pub bytes: Vec<u8>,
    /// With it the body is whole, so it does no harm to wait for the upstream's end.
    pub is_complete: bool,
}

/// Whether so many bytes may be held, by the response's own bound and by what is left for all.
fn fits(bytes: usize, bound: usize, share: &mut Share) -> bool {
    bytes <= bound && share.hold(bytes)
}

impl Reader {
    /// The error in place of the response.
    fn reject(&mut self) -> Vec<u8> {
        let error = list::rejection(self.subject.request_id());
        self.observed.error_code = Some(i64::from(RESPONSE_REJECTED));
        self.observed.tool_error = false;
        self.observed.rejected = true;
        self.log(&error);
        error
    }

    fn log(&mut self, message: &[u8]) {
        self.observed.excerpt = payload::excerpt(&self.view, message);
    }

    /// Reads a body that has come to its end; what goes in its place, if nothing of it has passed.
    fn read_through(&mut self, capture: &Capture, is_json: bool, held: bool) -> Option<Vec<u8>> {
        let message = capture.whole().filter(|_| is_json);
        if let Some(document) = message.and_then(|message| Document::read(message, &READ_LIMITS).ok()) {
            let root = document.root();
            if let Some(denial) = held.then(|| self.reword(&root)).flatten() {
                return Some(denial);
            }
            self.observe(&root);
        }
        self.observed.excerpt = capture.excerpt();
        None
    }

    /// What a caller gets in place of a message that says that a name is unknown.
    fn reword(&mut self, message: &Value<'_, '_>) -> Option<Vec<u8>> {
        let asked = self.subject.asked().filter(|asked| says_unknown(message, &asked.target))?;
        let denial = &asked.denial;
        let (code, body) = (denial.code, denial.body.clone());
        self.observed.error_code = Some(i64::from(code));
        self.observed.tool_error = false;
        self.reworded = true;
        self.log(&body);
        Some(body)
    }

    /// Notes whether a message is an error.
    fn observe(&mut self, message: &Value<'_, '_>) {
        let code = message.get("error").and_then(|error| error.get("code"));
        self.observed.error_code = code.and_then(|code| code.as_number_text()?.parse().ok());
        let is_error = message.get("result").and_then(|result| result.get("isError"));
        self.observed.tool_error = is_error.and_then(|flag| flag.as_bool()) == Some(true);
    }

    /// Judges a complete JSON body; `None` if it may pass as it is.
    fn read_whole(&mut self, policy: &CompiledPolicy, body: &[u8]) -> Option<Vec<u8>> {
        if body.is_empty() {
            return None;
        }
        let Ok(document) = Document::read(body, &READ_LIMITS) else { return Some(self.reject()) };
        let edited = match list::judge(&document, policy, self.subject.list()) {
            Verdict::Keep => None,
            Verdict::Replace(edited) => Some(edited),
            Verdict::Drop => return Some(Vec::new()),
            Verdict::Reject => return Some(self.reject()),
        };
        self.observe(&document.root());
        self.log(edited.as_deref().unwrap_or(body));
        edited
    }

    fn count_event(&mut self, policy: &CompiledPolicy, data: &[u8]) -> EventEdit {
        let edit = self.read_event(policy, data);
        if edit != EventEdit::Drop {
            self.observed.events = self.observed.events.map(|events| events.saturating_add(1));
        }
        edit
    }

    /// Judges the data of one event.
    fn read_event(&mut self, policy: &CompiledPolicy, data: &[u8]) -> EventEdit {
        let Ok(document) = Document::read(data, &READ_LIMITS) else { return self.refuse_event(data) };
        let root = document.root();
        if let Some(denial) = self.reword(&root) {
            return EventEdit::Replace(denial);
        }
        if let Some(listener) = &self.listener
            && list::says_changed(&root)
        {
            listener.lists_changed();
        }
        let is_response = root.get("result").or_else(|| root.get("error")).is_some();
        let edit = match list::judge(&document, policy, self.subject.list()) {
            Verdict::Keep => EventEdit::Keep,
            Verdict::Replace(edited) => EventEdit::Replace(edited),
            Verdict::Drop => return EventEdit::Drop,
            Verdict::Reject => return self.refuse_event(data),
        };
        if is_response {
            self.observe(&root);
            self.log(if let EventEdit::Replace(edited) = &edit { edited } else { data });
        }
        edit
    }

    /// An event that could not be judged.
    fn refuse_event(&mut self, data: &[u8]) -> EventEdit {
        match self.subject {
            Subject::Call(_) => EventEdit::Keep,
            // It may be the response, and the client waits for one.
            Subject::List(_) if data.trim_ascii_start().starts_with(b"{") => {
                EventEdit::Replace(self.reject())
            }
            Subject::List(_) | Subject::Stream => EventEdit::Drop,
        }
    }

    /// Adds the error that ends a stream to what passed before.
    fn end_stream(&mut self, before: ResponseChunk) -> ResponseChunk {
        self.observed.ended = true;
        let before = if let ResponseChunk::Replace(before) = before { before } else { Vec::new() };
        ResponseChunk::Replace(event(&before, &self.reject()))
    }
}

/// `before`, and an event that carries `message`.
fn event(before: &[u8], message: &[u8]) -> Vec<u8> {
    [before, b"data: ", message, b"\n\n"].concat()
}
