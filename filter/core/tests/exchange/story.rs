//! A worker with its exchanges, driven like the shell drives them, on a clock that stands still until told otherwise.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_filter_core::exchange::{Exchange, HostEnd, SignatureVerifier, Surroundings, Times};
use portcullis_filter_core::reply::LocalReply;
use portcullis_filter_core::shared::{SharedData, Unavailable, Versioned};
use portcullis_filter_core::step::{
    Call, CallOutcome, Effect, Headers, ResponseBody, ResponseChunk, ResponseHead, Step,
};
use portcullis_filter_core::worker::Worker;
use portcullis_wire::api_key::ApiKey;
use portcullis_wire::policy::{Level, LevelRules, NameRules, Pattern};
use portcullis_wire::watch::{Invalidation, VerificationKey};
use serde_json::{Value, json};

/// Takes the signature of [`access_token`] for good; real ones have tests of their own.
struct OneSignature;

impl SignatureVerifier for OneSignature {
    fn verify(&self, token: &str, _key: &VerificationKey) -> bool {
        token.ends_with(&URL_SAFE_NO_PAD.encode(SIGNATURE))
    }
}

const SIGNATURE: [u8; 64] = [7; 64];

pub(crate) const NOW: u64 = 1_800_000_000;

/// An access token of the gateway for `/demo/mcp`, with these scopes.
pub(crate) fn access_token(scope: &str) -> String {
    let claims = json!({
        "iss": "https://gateway.example", "sub": "m1", "aud": "https://gateway.example/demo/mcp", "sid": "ses_1",
        "client_id": "c1", "scope": scope, "iat": NOW, "exp": NOW + 300,
    });
    let header = r#"{"alg":"EdDSA","kid":"g1","typ":"at+jwt"}"#;
    let parts = [header.as_bytes(), claims.to_string().as_bytes(), &SIGNATURE]
        .map(|part| URL_SAFE_NO_PAD.encode(part));
    parts.join(".")
}

/// What the filters hear of the gateway as an issuer.
fn gateway_issuer() -> Value {
    let mut spki = b"\x30\x2A\x30\x05\x06\x03\x2B\x65\x70\x03\x21\x00".to_vec();
    spki.resize(44, 1);
    json!({
        "issuer": "https://gateway.example", "gateway": true, "require_at_jwt": true, "accepts_resource": true,
        "keys": [{"key_id": "g1", "algorithm": "EdDSA", "spki": STANDARD.encode(spki)}],
    })
}

/// The host's shared data. Several gateways with the same are workers of one Envoy.
#[derive(Default)]
pub(crate) struct Shared {
    values: RefCell<BTreeMap<String, Versioned>>,
    /// How often it was asked.
    pub(crate) asked: Cell<u32>,
    /// It refuses everything.
    pub(crate) is_gone: Cell<bool>,
}

impl Shared {
    fn is_asked(&self) -> Result<(), Unavailable> {
        self.asked.set(self.asked.get() + 1);
        if self.is_gone.get() { Err(Unavailable) } else { Ok(()) }
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.values.borrow().keys().cloned().collect()
    }
}

impl SharedData for Shared {
    fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable> {
        self.is_asked()?;
        Ok(self.values.borrow().get(key).cloned())
    }

    fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable> {
        self.is_asked()?;
        let mut values = self.values.borrow_mut();
        let present = values.get(key).map(|versioned| versioned.version);
        if present != version {
            return Ok(false);
        }
        let version = present.unwrap_or(0) + 1;
        values.insert(key.to_owned(), Versioned { value: value.to_vec(), version });
        Ok(true)
    }
}

pub(crate) struct Gateway {
    worker: Worker,
    exchanges: HashMap<u32, Exchange>,
    records: HashMap<u32, BTreeMap<String, String>>,
    bodies: HashMap<u32, Vec<u8>>,
    last_stream: u32,
    now_ms: u64,
    revision: u64,
    pending: Vec<Call>,
    /// What the host says of the client.
    pub(crate) source: Option<String>,
    source_asked: Cell<u32>,
    pub(crate) shared: Rc<Shared>,
    /// Responses that the worker has had ended.
    pub(crate) ended: Vec<u32>,
}

#[derive(Clone)]
pub(crate) struct Request {
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Of the key that requests have if not said otherwise.
pub(crate) const KEY_ID: &str = "0123456789";

fn api_key(number: u8) -> String {
    let entropy: Vec<u8> = (0..128).map(|byte: u8| byte.wrapping_add(number)).collect();
    ApiKey::spell("test", &entropy).expect("enough entropy").0.expose().to_owned()
}

/// Names the key of [`Request::with_key`].
pub(crate) fn key_id(number: u8) -> String {
    ApiKey::parse(&api_key(number)).expect("a key").id
}

/// A modern `tools/call`.
pub(crate) fn call(tool: &str) -> Request {
    Request::new("tools/call", &json!({"name": tool, "arguments": {"q": 1}}))
}

/// The same as a client of 2025-11-25 sends it.
pub(crate) fn legacy_call(tool: &str) -> Request {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool}});
    let mut request = call(tool).without("mcp-method").without("mcp-name");
    request.body = body.to_string().into_bytes();
    request.without("content-length").with("mcp-protocol-version", "2025-11-25")
}

impl Request {
    pub(crate) fn new(method: &str, params: &Value) -> Self {
        let mut params = params.clone();
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params["name"].as_str().unwrap_or_default().to_owned();
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let headers = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "gateway.example"),
            (":path", "/demo/mcp"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("content-length", &body.len().to_string()),
            ("x-portcullis-api-key", &api_key(0)),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
        ];
        let mut headers: Vec<_> = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        if !name.is_empty() {
            headers.push(("mcp-name".to_owned(), name));
        }
        Self { headers, body: body.into_bytes() }
    }

    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut request = self.without(name);
        request.headers.push((name.to_owned(), value.to_owned()));
        request
    }

    pub(crate) fn without(&self, name: &str) -> Self {
        let mut request = self.clone();
        request.headers.retain(|(header, _)| header != name);
        request
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        self.without("x-portcullis-api-key").with("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn with_key(&self, number: u8) -> Self {
        self.with("x-portcullis-api-key", &api_key(number))
    }

    fn headers(&self) -> Headers {
        self.headers
            .iter()
            .map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes()))
            .collect()
    }
}

/// A lease for everything but what `levels` take away.
pub(crate) fn granted(levels: &[LevelRules]) -> Value {
    json!({
        "result": "granted",
        "caller": {"id": "m1", "name": "Ada", "credential": "member_key", "key_id": KEY_ID},
        "workspace": {"id": "w1", "slug": "core"},
        "server_id": "s1",
        "policy": {"levels": levels},
        "credential_headers": [{"name": "authorization", "value": "Bearer upstream-secret"}],
        "ttl_ms": 600_000,
        "revision": 1,
    })
}

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

/// A policy that takes away the tools of this pattern.
pub(crate) fn denying(pattern: &str) -> Vec<LevelRules> {
    vec![LevelRules {
        level: Level::Workspace,
        tools: NameRules { allow: None, deny: vec![Pattern(pattern.into())] },
        ..LevelRules::default()
    }]
}

pub(crate) fn reply(step: Step) -> LocalReply {
    match step {
        Step::Reply(reply) => reply,
        step => panic!("a reply, not {step:?}"),
    }
}

/// A call that was let go, and its stream.
pub(crate) fn let_go(gateway: &mut Gateway, request: &Request) -> u32 {
    let stream = gateway.open(request);
    assert!(matches!(gateway.send_body(stream, &request.body), Step::Forward { .. }));
    stream
}

/// [`granted`] with a credential of a connection, which can be renewed.
pub(crate) fn granted_by_connection(generation: u64) -> Value {
    let mut lease = granted(&[]);
    lease["connection_id"] = "c1".into();
    lease["credential_generation"] = generation.into();
    lease["credential_headers"] =
        json!([{"name": "authorization", "value": format!("Bearer of-generation-{generation}")}]);
    lease
}

/// An account has to be connected first.
pub(crate) fn connect_required(levels: &[LevelRules]) -> Value {
    let mut connect = granted(levels);
    connect["result"] = "connect_required".into();
    connect["connection_id"] = "c1".into();
    connect["handle"] = "handle-1".into();
    connect
}

/// What a call brought, with the token-service's mark.
pub(crate) fn marked(status: &str, body: &Value) -> CallOutcome {
    let headers = [(":status", status), ("x-portcullis-service", "1"), ("content-type", "application/json")];
    replied(&headers, body.to_string().as_bytes())
}

pub(crate) fn replied(headers: &[(&str, &str)], body: &[u8]) -> CallOutcome {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    CallOutcome::Replied { headers, body: body.to_vec() }
}

pub(crate) fn header<'headers>(headers: &'headers Headers, name: &str) -> Option<&'headers str> {
    let (_, value) = headers.iter().find(|(header, _)| header == name.as_bytes())?;
    std::str::from_utf8(value).ok()
}

pub(crate) fn body_of(reply: &LocalReply) -> Value {
    serde_json::from_slice(&reply.body).expect("a JSON body")
}

/// Adds what is new to what is known of a request.
fn note(exchange: &mut Exchange, record: &mut BTreeMap<String, String>) {
    exchange.take_record(&mut |field, value| drop(record.insert(field.to_owned(), value.to_owned())));
}

impl Gateway {
    /// A worker that has not heard of the token-service.
    pub(crate) fn new() -> Self {
        Self::called("vm-1")
    }

    fn called(name: &str) -> Self {
        Self::configured(name, &json!({}))
    }

    /// One whose plugin configuration says this besides.
    fn configured(name: &str, besides: &Value) -> Self {
        let mut config = json!({
            "config_version": 1,
            "public_url": "https://gateway.example",
            "token_service": {"cluster": "token_service", "authority": "token-service"},
            "body_gate": "hold",
            "allowed_origins": ["https://gateway.example", "https://app.example"],
            "verifications_per_second": 3,
            "guesses_per_minute": 5,
        });
        for (key, value) in besides.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        let worker =
            Worker::configure(config.to_string().as_bytes(), name.into()).expect("a good configuration");
        let mut gateway = Self {
            worker,
            exchanges: HashMap::new(),
            records: HashMap::new(),
            bodies: HashMap::new(),
            last_stream: 10,
            now_ms: NOW * 1_000,
            revision: 1,
            pending: Vec::new(),
            source: None,
            source_asked: Cell::new(0),
            shared: Rc::default(),
            ended: Vec::new(),
        };
        gateway.tick();
        gateway
    }

    /// A worker that knows the server `demo`.
    pub(crate) fn ready() -> Self {
        let mut gateway = Self::new();
        gateway.first_registry();
        gateway
    }

    /// A worker that holds a lease for the sample key.
    pub(crate) fn with_lease(levels: &[LevelRules]) -> Self {
        Self::knowing(&granted(levels))
    }

    /// A worker that asked for a lease for the sample key and was answered so.
    pub(crate) fn knowing(lease: &Value) -> Self {
        Self::named("vm-1", lease)
    }

    /// Another worker of the same Envoy.
    pub(crate) fn named(name: &str, lease: &Value) -> Self {
        Self::called(name).told(lease)
    }

    /// [`Self::knowing`], on a host that cannot hold headers.
    pub(crate) fn streaming(lease: &Value) -> Self {
        Self::configured("vm-1", &json!({"body_gate": "stream"})).told(lease)
    }

    /// One with something else than MCP behind it.
    pub(crate) fn passing() -> Self {
        Self::configured("vm-1", &json!({"other_paths": "pass"})).told(&granted(&[]))
    }

    fn told(self, lease: &Value) -> Self {
        let mut gateway = self;
        gateway.first_registry();
        let stream = gateway.open(&call("search"));
        let (id, _) = gateway.lease_call();
        gateway.answer(id, lease);
        gateway.leave(stream);
        gateway
    }

    /// Answers the watch for the first time; returns the streams that are woken.
    pub(crate) fn first_registry(&mut self) -> Vec<u32> {
        self.registry(&[json!({
            "id": "s1", "slug": "demo", "payload": "full",
            "upstream": {"tls": true, "authority": "mcp.example", "path": "/mcp"},
        })])
    }

    /// Answers the watch with these servers; the gateway is the issuer, and another can be asked about tokens.
    pub(crate) fn registry(&mut self, servers: &[Value]) -> Vec<u32> {
        let issuers = [gateway_issuer()];
        let registry = json!({"servers": servers, "issuers": issuers, "accepts_opaque_tokens": true});
        self.watch(&json!({"registry": registry}))
    }

    /// Answers the watch with invalidations of a new revision.
    pub(crate) fn news(&mut self, invalidations: &[Invalidation]) -> Vec<u32> {
        self.revision += 1;
        self.watch(&json!({"invalidations": invalidations}))
    }

    /// Answers the watch with this and what belongs to every answer.
    pub(crate) fn watch(&mut self, reply: &Value) -> Vec<u32> {
        let mut reply = reply.clone();
        reply["cursor"] = self.revision.into();
        reply["now_ms"] = self.now_ms.into();
        reply["hold_ms"] = 1_000.into();
        let id = self.take_call("/v1/watch").id;
        self.answer(id, &reply)
    }

    /// The one call whose path begins so. It has to have been made.
    pub(crate) fn take_call(&mut self, path: &str) -> Call {
        self.tick();
        let is_it = |call: &Call| header(&call.headers, ":path").is_some_and(|found| found.starts_with(path));
        let position = self.pending.iter().position(is_it).unwrap_or_else(|| panic!("a call of {path}"));
        self.pending.remove(position)
    }

    /// All calls whose path begins so.
    pub(crate) fn take_calls(&mut self, path: &str) -> Vec<Call> {
        self.tick();
        let is_it =
            |call: &mut Call| header(&call.headers, ":path").is_some_and(|found| found.starts_with(path));
        self.pending.extract_if(.., is_it).collect()
    }

    /// The lease call that is queued: its id and body.
    pub(crate) fn lease_call(&mut self) -> (u64, Value) {
        let call = self.take_call("/v1/leases");
        (call.id, serde_json::from_slice(&call.body).expect("a JSON body"))
    }

    /// Answers a call as the token-service does; returns the streams that are woken, lowest first.
    pub(crate) fn answer(&mut self, id: u64, reply: &Value) -> Vec<u32> {
        let headers = [(":status", "200"), ("x-portcullis-service", "1")];
        let headers = headers.map(|(name, value)| (name.into(), value.into())).into();
        self.outcome(id, CallOutcome::Replied { headers, body: reply.to_string().into_bytes() })
    }

    pub(crate) fn outcome(&mut self, id: u64, outcome: CallOutcome) -> Vec<u32> {
        let effects = self.worker.on_call(id, outcome, self.now_ms);
        self.carry_out(&effects)
    }

    /// Ticks; calls are kept for [`Gateway::lease_call`], and all effects are returned but the watch's polls.
    pub(crate) fn tick(&mut self) -> Vec<Effect> {
        let effects = self.worker.on_tick(self.now_ms);
        self.worker.renew_running(&*self.shared, self.now_ms);
        self.carry_out(&effects);
        let is_poll = |effect: &Effect| matches!(effect, Effect::Call(call) if header(&call.headers, ":method") == Some("GET"));
        effects.into_iter().filter(|effect| !is_poll(effect)).collect()
    }

    fn carry_out(&mut self, effects: &[Effect]) -> Vec<u32> {
        let mut woken = Vec::new();
        for effect in effects {
            match effect {
                Effect::Call(call) => self.pending.push(Call {
                    id: call.id,
                    destination: call.destination,
                    headers: call.headers.clone(),
                    body: call.body.clone(),
                    timeout_ms: call.timeout_ms,
                }),
                Effect::Wake(streams) => woken.extend(streams),
                Effect::End(streams) => self.ended.extend(streams),
            }
        }
        woken.sort_unstable();
        woken
    }

    /// The stream opened last.
    pub(crate) fn last_stream(&self) -> u32 {
        self.last_stream
    }

    /// What an operator is told.
    pub(crate) fn notices(&mut self) -> Vec<String> {
        self.worker.take_notices()
    }

    /// How often the host was asked for the client's address.
    pub(crate) fn source_asked(&self) -> u32 {
        self.source_asked.get()
    }

    /// Bytes that the worker may still hold.
    pub(crate) fn room(&self) -> usize {
        self.worker.held().left()
    }

    pub(crate) fn pass_ms(&mut self, passed: u64) {
        self.now_ms += passed;
    }

    /// Sends a request's headers, with a body to come.
    pub(crate) fn open_step(&mut self, request: &Request) -> Step {
        self.begin(request, false)
    }

    /// Sends a request's headers and nothing else.
    pub(crate) fn open_bodiless(&mut self, request: &Request) -> Step {
        self.begin(&request.without("content-length"), true)
    }

    /// Sends a request's headers, which must not decide anything.
    pub(crate) fn open(&mut self, request: &Request) -> u32 {
        assert_eq!(self.open_step(request), Step::Wait);
        self.last_stream
    }

    fn begin(&mut self, request: &Request, end_of_stream: bool) -> Step {
        self.last_stream += 1;
        let stream = self.last_stream;
        self.exchanges.insert(stream, Exchange::new(stream, self.worker.config().body_gate));
        let headers = request.headers();
        self.drive(stream, |exchange, worker, _, around| {
            exchange.on_request_headers(worker, headers, end_of_stream, around)
        })
    }

    pub(crate) fn send_part(&mut self, stream: u32, part: &[u8]) -> Step {
        self.bodies.insert(stream, part.to_vec());
        self.drive(stream, |exchange, worker, body, around| {
            exchange.on_request_body(worker, part.len(), false, &|| Some(body.to_vec()), around)
        })
    }

    pub(crate) fn send_body(&mut self, stream: u32, whole: &[u8]) -> Step {
        self.bodies.insert(stream, whole.to_vec());
        self.drive(stream, |exchange, worker, body, around| {
            exchange.on_request_body(worker, whole.len(), true, &|| Some(body.to_vec()), around)
        })
    }

    /// Says that `size` bytes have come, and more will.
    pub(crate) fn send_size(&mut self, stream: u32, size: usize) -> Step {
        self.drive(stream, |exchange, worker, _, around| {
            exchange.on_request_body(worker, size, false, &|| panic!("read too early"), around)
        })
    }

    pub(crate) fn resume(&mut self, stream: u32) -> Step {
        self.drive(stream, |exchange, worker, body, around| {
            exchange.resume(worker, &|| Some(body.to_vec()), around)
        })
    }

    fn drive(
        &mut self,
        stream: u32,
        event: impl FnOnce(&mut Exchange, &mut Worker, &[u8], &Surroundings<'_>) -> Step,
    ) -> Step {
        let source = || {
            self.source_asked.set(self.source_asked.get() + 1);
            self.source.clone()
        };
        let (now_ms, shared) = (self.now_ms, &*self.shared);
        let around = Surroundings { now_ms, verifier: &OneSignature, source: &source, shared };
        let exchange = self.exchanges.get_mut(&stream).expect("an open stream");
        let body = self.bodies.get(&stream).map(Vec::as_slice).unwrap_or_default();
        let step = event(exchange, &mut self.worker, body, &around);
        let record = self.records.entry(stream).or_default();
        note(exchange, record);
        step
    }

    pub(crate) fn respond(&mut self, stream: u32, headers: &[(&str, &str)]) -> ResponseHead {
        self.respond_whole(stream, headers, false)
    }

    /// A head, with or without a body to come.
    pub(crate) fn respond_whole(
        &mut self,
        stream: u32,
        headers: &[(&str, &str)],
        end_of_stream: bool,
    ) -> ResponseHead {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let (now_ms, source) = (self.now_ms, self.source.clone());
        let source = || source.clone();
        let around =
            || Some(Surroundings { now_ms, verifier: &OneSignature, source: &source, shared: &*self.shared });
        let exchange = self.exchanges.get_mut(&stream).expect("an open stream");
        exchange.on_response_headers(&mut self.worker, &headers, end_of_stream, &around)
    }

    /// A part of a body that nothing has cast doubt on.
    pub(crate) fn response_body(&mut self, stream: u32, chunk: &[u8], end_of_stream: bool) -> ResponseChunk {
        match self.response_event(stream, chunk, end_of_stream) {
            ResponseBody::Chunk(chunk) => chunk,
            other => panic!("a chunk, not {other:?}"),
        }
    }

    pub(crate) fn response_event(&mut self, stream: u32, chunk: &[u8], end_of_stream: bool) -> ResponseBody {
        let (now_ms, source) = (self.now_ms, self.source.clone());
        let source = || source.clone();
        let around =
            || Some(Surroundings { now_ms, verifier: &OneSignature, source: &source, shared: &*self.shared });
        let exchange = self.exchanges.get_mut(&stream).expect("an open stream");
        exchange.on_response_body(&mut self.worker, chunk, end_of_stream, &around)
    }

    pub(crate) fn take_head(&mut self, stream: u32) -> Option<Headers> {
        self.exchanges.get_mut(&stream).expect("an open stream").take_response_head()
    }

    /// Ends a stream, whatever its state.
    pub(crate) fn leave(&mut self, stream: u32) {
        let mut exchange = self.exchanges.remove(&stream).expect("an open stream");
        exchange.on_done(&mut self.worker, &*self.shared, Times::default(), &HostEnd::default);
    }

    /// Ends a stream of which the host says this, and gives what the access log has of it.
    pub(crate) fn over(&mut self, stream: u32, flags: u64, details: &str) -> BTreeMap<String, String> {
        let host = || HostEnd { flags, details: details.to_owned() };
        let exchange = self.exchanges.get_mut(&stream).expect("an open stream");
        exchange.on_done(&mut self.worker, &*self.shared, Times::default(), &host);
        self.record(stream)
    }

    /// What the access log has of a request.
    pub(crate) fn record(&mut self, stream: u32) -> BTreeMap<String, String> {
        let exchange = self.exchanges.get_mut(&stream).expect("an open stream");
        let mut record = self.records.remove(&stream).unwrap_or_default();
        note(exchange, &mut record);
        record
    }
}
