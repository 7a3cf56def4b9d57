//! A host for the shell: the functions that the module imports, as plain symbols, and a driver for the callbacks that
//! it exports.
//!
//! It keeps to what Envoy does where the shell could notice: calls act on the effective context, header maps close
//! when they have gone on, local replies and resumptions happen after the callback, and a local reply passes through
//! the response callbacks like any response. Its state is per thread, like that of the SDK, so tests do not meet.
#![expect(unsafe_code, reason = "the boundary between host and module, from the other side")]

pub(crate) mod symbols;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

pub(crate) type Headers = Vec<(Vec<u8>, Vec<u8>)>;

pub(crate) const CONTINUE: u32 = 0;
pub(crate) const PAUSE: u32 = 1;

/// What the module did to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    RequestHeaders(Headers),
    RequestBody(Vec<u8>),
    RequestTrailers(Headers),
    ClearRouteCache,
    Continue,
    Reply { status: u32, headers: Headers, body: Vec<u8>, details: String },
    ResponseHeaders(Headers),
    ResponseBody(Vec<u8>),
    ContinueResponse,
    Reset(u32),
}

#[derive(Default)]
pub(crate) struct Stream {
    request_headers: Option<Headers>,
    request_trailers: Option<Headers>,
    pub(crate) request_body: Vec<u8>,
    response_headers: Option<Headers>,
    response_body: Vec<u8>,
    /// What of the response has gone on to the client.
    pub(crate) passed: Vec<u8>,
    /// Its last chunk was held.
    holds: bool,
    /// Held chunks went on without a callback that said so. Envoy holds the next one too, and forgets it if it is told to
    /// continue.
    in_between: bool,
    pub(crate) events: Vec<Event>,
    /// The last value of each key.
    pub(crate) filter_state: BTreeMap<String, String>,
}

/// A call that the module made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) token: u32,
    /// The context to which the host ties it.
    pub(crate) context: u32,
    pub(crate) cluster: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) timeout_ms: u32,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.iter().find(|(header, _)| header == name.as_bytes());
        std::str::from_utf8(&value.expect("the header is there").1).expect("text")
    }
}

/// What the module has defined, and each value that it gave.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) kind: u32,
    pub(crate) name: String,
    pub(crate) values: Vec<u64>,
}

#[derive(Default)]
pub(crate) struct Host {
    current: u32,
    effective: u32,
    pub(crate) streams: HashMap<u32, Stream>,
    /// Tick periods in milliseconds, of every root context that exists.
    pub(crate) roots: HashMap<u32, u32>,
    pub(crate) configuration: Vec<u8>,
    pub(crate) now_ms: u64,
    /// Calls that nobody has answered yet.
    pub(crate) calls: Vec<Call>,
    last_token: u32,
    reply: (Headers, Vec<u8>),
    /// Statuses to answer with, by function.
    pub(crate) fails: HashMap<&'static str, u32>,
    /// Bytes to hand out in place of every header map.
    pub(crate) raw_map: Option<Vec<u8>>,
    /// Claim results of this size at a null pointer.
    pub(crate) null_results: Option<usize>,
    /// What `verify_signature` answers; without it the host does not have the function.
    pub(crate) verifies: Option<Vec<u8>>,
    /// What `verify_signature` was asked.
    pub(crate) verified: Vec<Vec<u8>>,
    /// The property `source.address` of every stream; without it the host does not have it.
    pub(crate) source_address: Option<Vec<u8>>,
    /// How often it was asked for.
    pub(crate) source_asked: u32,
    /// The properties `response.flags` and `response.code_details`, as `source_address`.
    pub(crate) response_flags: Option<u64>,
    pub(crate) response_details: Option<Vec<u8>>,
    /// What all VMs share: values with their numbers.
    pub(crate) shared: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    last_cas: u32,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) log: Vec<(u32, String)>,
    /// How often a function may still be called before `fails` counts.
    grace: HashMap<&'static str, u32>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::new(Host { now_ms: 1_795_000_000_000, ..Host::default() });
}

pub(crate) fn with<T>(work: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with(|host| work(&mut host.borrow_mut()))
}

impl Stream {
    fn response_goes_on(&mut self) {
        self.passed.append(&mut self.response_body);
        self.response_headers = None;
        self.in_between = self.holds;
    }

    fn after_chunk(&mut self, action: u32) {
        if action == CONTINUE {
            assert!(!self.in_between || self.response_body.is_empty(), "Envoy would forget this chunk");
            self.response_goes_on();
        }
        (self.holds, self.in_between) = (action == PAUSE, false);
    }
}

impl Host {
    pub(crate) fn stream(&mut self, id: u32) -> &mut Stream {
        self.streams.get_mut(&id).expect("the stream exists")
    }

    fn effective_id(&self) -> u32 {
        if self.effective == 0 { self.current } else { self.effective }
    }

    fn fails(&mut self, function: &'static str) -> Option<u32> {
        if let Some(left @ 1..) = self.grace.get_mut(function) {
            *left -= 1;
            return None;
        }
        self.fails.get(function).copied()
    }
}

pub(crate) fn headers(pairs: &[(&str, &str)]) -> Headers {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

unsafe extern "C" {
    fn proxy_on_context_create(context: u32, root: u32);
    fn proxy_on_configure(context: u32, size: usize) -> bool;
    fn proxy_on_tick(context: u32);
    fn proxy_on_request_headers(context: u32, count: usize, end_of_stream: bool) -> u32;
    fn proxy_on_request_body(context: u32, size: usize, end_of_stream: bool) -> u32;
    fn proxy_on_request_trailers(context: u32, count: usize) -> u32;
    fn proxy_on_response_headers(context: u32, count: usize, end_of_stream: bool) -> u32;
    fn proxy_on_response_body(context: u32, size: usize, end_of_stream: bool) -> u32;
    fn proxy_on_response_trailers(context: u32, count: usize) -> u32;
    fn proxy_on_http_call_response(context: u32, token: u32, headers: usize, body: usize, trailers: usize);
    fn proxy_on_log(context: u32);
    fn proxy_on_done(context: u32) -> bool;
    fn proxy_on_delete(context: u32);
    fn proxy_on_memory_allocate(size: usize) -> *mut u8;
}

/// Runs one callback of `context`, then what the host puts off until afterwards.
fn enter<T>(context: u32, callback: impl FnOnce() -> T) -> T {
    let seen: HashMap<u32, usize> = with(|host| {
        (host.current, host.effective) = (context, 0);
        host.streams.iter().map(|(id, stream)| (*id, stream.events.len())).collect()
    });
    let result = callback();
    let after = with(|host| {
        let returned = host.effective == 0 || host.effective == context;
        assert!(returned || !host.fails.is_empty(), "{context} ends as {}", host.effective);
        (host.current, host.effective) = (0, 0);
        let mut after = Vec::new();
        for (id, stream) in &mut host.streams {
            let fresh = &stream.events[seen.get(id).copied().unwrap_or(0).min(stream.events.len())..];
            after.extend(fresh.iter().map(|event| (*id, event.clone())));
        }
        after
    });
    for (id, event) in after {
        match event {
            Event::Continue => with(|host| host.stream(id).request_headers = None),
            Event::ContinueResponse => with(|host| host.stream(id).response_goes_on()),
            Event::Reply { status, headers, body, .. } => pass_own_reply(id, status, headers, &body),
            _ => {}
        }
    }
    result
}

/// Envoy's filters see a local reply like any response; ours has to leave it alone.
fn pass_own_reply(id: u32, status: u32, mut headers: Headers, body: &[u8]) {
    headers.push((b":status".to_vec(), status.to_string().into_bytes()));
    let before = with(|host| host.stream(id).events.len());
    assert_eq!(response_headers(id, headers, false), CONTINUE);
    assert_eq!(response_body(id, body, true), CONTINUE);
    assert_eq!(with(|host| host.stream(id).events.len()), before, "an own reply was touched");
}

pub(crate) fn create_root(id: u32) {
    with(|host| host.roots.insert(id, 0));
    // SAFETY: the module's callbacks take numbers only and find everything else through this host; so for all below.
    enter(id, || unsafe { proxy_on_context_create(id, 0) });
}

pub(crate) fn configure(root: u32, configuration: &str) -> bool {
    with(|host| configuration.clone_into_bytes(&mut host.configuration));
    // SAFETY: see `create_root`.
    enter(root, || unsafe { proxy_on_configure(root, configuration.len()) })
}

trait CloneIntoBytes {
    fn clone_into_bytes(&self, bytes: &mut Vec<u8>);
}

impl CloneIntoBytes for str {
    fn clone_into_bytes(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(self.as_bytes());
    }
}

pub(crate) fn tick(root: u32) {
    // SAFETY: see `create_root`.
    enter(root, || unsafe { proxy_on_tick(root) });
}

pub(crate) fn create_stream(id: u32, root: u32) {
    with(|host| host.streams.insert(id, Stream::default()));
    // SAFETY: see `create_root`.
    enter(id, || unsafe { proxy_on_context_create(id, root) });
}

pub(crate) fn request_headers(id: u32, headers: Headers, end_of_stream: bool) -> u32 {
    let count = headers.len();
    with(|host| host.stream(id).request_headers = Some(headers));
    // SAFETY: see `create_root`.
    let action = enter(id, || unsafe { proxy_on_request_headers(id, count, end_of_stream) });
    close_request(id, action)
}

pub(crate) fn request_body(id: u32, chunk: &[u8], end_of_stream: bool) -> u32 {
    let size = with(|host| {
        let body = &mut host.stream(id).request_body;
        body.extend_from_slice(chunk);
        body.len()
    });
    // SAFETY: see `create_root`.
    let action = enter(id, || unsafe { proxy_on_request_body(id, size, end_of_stream) });
    close_request(id, action)
}

pub(crate) fn request_trailers(id: u32, trailers: Headers) -> u32 {
    let count = trailers.len();
    with(|host| host.stream(id).request_trailers = Some(trailers));
    // SAFETY: see `create_root`.
    let action = enter(id, || unsafe { proxy_on_request_trailers(id, count) });
    close_request(id, action)
}

fn close_request(id: u32, action: u32) -> u32 {
    if action == CONTINUE {
        with(|host| host.stream(id).request_headers = None);
    }
    action
}

pub(crate) fn response_headers(id: u32, headers: Headers, end_of_stream: bool) -> u32 {
    let count = headers.len();
    with(|host| host.stream(id).response_headers = Some(headers));
    // SAFETY: see `create_root`.
    let action = enter(id, || unsafe { proxy_on_response_headers(id, count, end_of_stream) });
    if action == CONTINUE {
        with(|host| host.stream(id).response_headers = None);
    }
    action
}

/// Gives the module a chunk behind whatever it made the host keep.
pub(crate) fn response_body(id: u32, chunk: &[u8], end_of_stream: bool) -> u32 {
    let size = with(|host| {
        let body = &mut host.stream(id).response_body;
        body.extend_from_slice(chunk);
        body.len()
    });
    // SAFETY: see `create_root`.
    let action = enter(id, || unsafe { proxy_on_response_body(id, size, end_of_stream) });
    with(|host| host.stream(id).after_chunk(action));
    action
}

pub(crate) fn response_trailers(id: u32) -> u32 {
    // SAFETY: see `create_root`.
    let action = enter(id, || unsafe { proxy_on_response_trailers(id, 1) });
    if action == CONTINUE {
        with(|host| host.stream(id).after_chunk(CONTINUE));
    }
    action
}

/// Answers a call: `None` is a reset, which comes without headers.
pub(crate) fn answer(call: &Call, reply: Option<(Headers, Vec<u8>)>) {
    let (headers, body) = reply.unwrap_or_default();
    let (count, size) = (headers.len(), body.len());
    with(|host| {
        host.calls.retain(|waiting| waiting.token != call.token);
        host.reply = (headers, body);
        // The SDK panics if this one fails when it announces a reply; what follows is ours.
        host.grace.insert("proxy_set_effective_context", 1);
    });
    // SAFETY: see `create_root`.
    enter(call.context, || unsafe { proxy_on_http_call_response(call.context, call.token, count, size, 0) });
}

pub(crate) fn log(id: u32) {
    // SAFETY: see `create_root`.
    enter(id, || unsafe { proxy_on_log(id) });
}

pub(crate) fn done(id: u32) {
    // SAFETY: see `create_root`.
    assert!(enter(id, || unsafe { proxy_on_done(id) }));
}

/// The context is gone, and the calls tied to it are cancelled without a word.
pub(crate) fn delete(id: u32) {
    // SAFETY: see `create_root`.
    enter(id, || unsafe { proxy_on_delete(id) });
    with(|host| {
        host.roots.remove(&id);
        host.calls.retain(|call| call.context != id);
    });
}

/// How a stream ends, in Envoy's order.
pub(crate) fn end(id: u32) {
    log(id);
    done(id);
    delete(id);
}
