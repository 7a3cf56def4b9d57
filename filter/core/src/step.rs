//! All that the core can tell the shell to do.

use crate::reply::LocalReply;

/// A header list as Envoy gives it: names lower case, pseudo-headers included, values any bytes.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// What to do with a request after one of its events.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Keep headers and body back; another event or a wake-up will decide.
    Wait,
    /// Replace the request's header map by this one, choose the route anew, and let headers and body go. With a body
    /// that takes the place of the client's, where there is one.
    Forward { headers: Headers, body: Option<Vec<u8>> },
    /// Replace the header map by this one, choose the route anew, and let the headers go, but keep the body back.
    Part { headers: Headers },
    /// Let the body, which is the client's, follow headers that have gone.
    Follow,
    /// This request is none of the gateway's: let it go its way, with this header map if there is one, and have no more
    /// to do with it.
    Pass { headers: Option<Headers> },
    /// Answer now; nothing reaches the upstream.
    Reply(LocalReply),
    /// Let a response go on that was held back: with this head in place of its own, and this body in place of what is
    /// held of it.
    Respond { head: Option<Headers>, body: Option<Vec<u8>> },
    /// End the response here and now: part of it has gone, and no more of it may.
    Cut,
    /// This stream was answered or let go before: pass the event on as it is.
    Done,
}

/// What to do with the head of a response.
#[derive(Debug, PartialEq)]
pub enum ResponseHead {
    /// Pass it on as it is.
    Keep,
    /// Replace the response's header map by this one.
    Replace(Headers),
    /// Keep it and the body back until [`crate::exchange::Exchange::take_response_head`] has a head to send. That is at
    /// the body's end, or earlier; or until [`crate::exchange::Exchange::resume`] has another answer. If headers go before
    /// bodies here, it is always the latter.
    Hold,
    /// Drop the upstream's response and send this one.
    Reply(LocalReply),
}

/// What to do with one chunk of a response body.
#[derive(Debug, PartialEq, Eq)]
pub enum ResponseChunk {
    /// Pass it on as it is.
    Keep,
    /// Pass these bytes on instead; none means that the chunk is held back in the core.
    Replace(Vec<u8>),
}

/// What to do after a part of a response's body.
#[derive(Debug, PartialEq, Eq)]
pub enum ResponseBody {
    Chunk(ResponseChunk),
    /// Keep it back, and the end of the stream too if it came with it, until [`crate::exchange::Exchange::resume`] says
    /// more. The core has the bytes.
    Hold,
    /// Nothing of the response has gone: drop it and send this one.
    Reply(LocalReply),
    /// End the response here and now.
    Cut,
}

/// What the worker, the part that outlives requests, wants done. Carried out in the root context.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Send a call and report its reply, or that it could not be sent, to the worker.
    Call(Call),
    /// These streams have news: drive each with [`crate::exchange::Exchange::resume`].
    Wake(Vec<u32>),
    /// These responses have been told why they end: end them.
    End(Vec<u32>),
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    TokenService,
    /// The upstream that the call's headers name, by the way that its requests take.
    Upstream,
}

/// A call that the worker makes.
#[derive(Debug, PartialEq)]
pub struct Call {
    /// Chosen by the worker; comes back with the reply.
    pub id: u64,
    pub destination: Destination,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub timeout_ms: u64,
}

impl Call {
    /// The value of the first header of this name; empty if there is none, or if it is no text.
    pub fn header(&self, name: &[u8]) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.and_then(|(_, value)| std::str::from_utf8(value).ok()).unwrap_or_default()
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CallOutcome {
    /// A reply with its header map; made by the token-service only if it carries the marker header.
    Replied { headers: Headers, body: Vec<u8> },
    /// A reply that is longer than [`crate::worker::Worker::awaits`] allows.
    TooLarge,
    /// The host refused to send it, or it was reset without a reply.
    Failed,
}
