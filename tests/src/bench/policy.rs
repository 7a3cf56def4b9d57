//! What it costs the filter's core to judge a whole request, from the first header to the release, with few rules and with
//! many.

use portcullis_filter_core::config::BodyGate;
use portcullis_filter_core::exchange::{Exchange, HostEnd, SignatureVerifier, Surroundings, Times};
use portcullis_filter_core::shared::{SharedData, Unavailable, Versioned};
use portcullis_filter_core::step::{Call, CallOutcome, Effect, Headers, Step};
use portcullis_filter_core::worker::Worker;
use portcullis_wire::api_key::ApiKey;
use portcullis_wire::watch::VerificationKey;
use portcullis_wire::{CONTRACT_VERSION, MARKER_HEADER, WATCH_PATH};
use serde_json::{Value, json};

use super::{Extent, compare, rounded};
use crate::figures::Figures;

const RULES: [usize; 4] = [10, 100, 1_000, 10_000];

/// Judging with the most rules may take as much more than with the fewest.
const MOST_SLOPE: f64 = 1.5;

const NOW_MS: u64 = 1_800_000_000_000;

/// Adds what a request takes with each number of rules, and the ratio of the last to the first.
///
/// # Errors
/// If a request is not let go.
pub fn measure(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let mut gateways = Vec::new();
    for rules in RULES {
        let mut gateway = Gateway::with_rules(rules)?;
        anyhow::ensure!(gateway.judge(), "a request is let go, with {rules} rules");
        gateways.push(gateway);
    }
    let took = compare(extent, &mut gateways, |gateway| {
        std::hint::black_box(gateway.judge());
    });
    for (rules, nanoseconds) in RULES.iter().zip(&took) {
        figures.note(&format!("policy_request_{rules:05}_rules"), rounded(*nanoseconds), "ns");
    }
    if let [few, .., many] = took[..] {
        figures.ratio("policy_slope", many / few, MOST_SLOPE);
    }
    Ok(())
}

/// A worker that holds a lease, and a request that it allows.
struct Gateway {
    worker: Worker,
    headers: Headers,
    body: Vec<u8>,
    streams: u32,
}

/// No request is limited here.
struct NothingShared;

impl SharedData for NothingShared {
    fn get(&self, _key: &str) -> Result<Option<Versioned>, Unavailable> {
        Err(Unavailable)
    }

    fn replace(&self, _key: &str, _value: &[u8], _version: Option<u32>) -> Result<bool, Unavailable> {
        Err(Unavailable)
    }
}

struct NoSignatures;

impl SignatureVerifier for NoSignatures {
    fn verify(&self, _token: &str, _key: &VerificationKey) -> bool {
        false
    }
}

/// So many patterns, half of them exact and half of them globs that end with `*`.
fn patterns(kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{kind}_{number}{}", if number % 2 == 0 { "" } else { "_*" })).collect()
}

impl Gateway {
    /// Every level has so many patterns to allow and as many to deny. The tool is allowed by an exact name and not
    /// denied by any.
    fn with_rules(count: usize) -> anyhow::Result<Self> {
        let config = json!({
            "config_version": 1,
            "public_url": "https://gateway.example",
            "token_service": {"cluster": "token_service", "authority": "token-service"},
            "body_gate": "hold",
        });
        let worker = Worker::configure(config.to_string().as_bytes(), "bench".into());
        let worker = worker.map_err(|problem| anyhow::anyhow!(problem))?;
        let entropy: Vec<u8> = (0..128).collect();
        let key = ApiKey::spell("bench", &entropy).ok_or_else(|| anyhow::anyhow!("no key"))?.0;
        let (headers, body) = request(&format!("allowed_{}", count - 2), key.expose());
        let mut gateway = Self { worker, headers, body, streams: 0 };
        gateway.answer(WATCH_PATH, &registry())?;
        gateway.judge();
        gateway.answer("/v1/leases", &lease(count))?;
        Ok(gateway)
    }

    /// Answers the call that the worker makes there.
    fn answer(&mut self, path: &str, reply: &Value) -> anyhow::Result<()> {
        let is_there = |call: &Call| {
            call.headers.iter().any(|(name, value)| name == b":path" && value.starts_with(path.as_bytes()))
        };
        let effects = self.worker.on_tick(NOW_MS);
        let call = effects.into_iter().find_map(|effect| match effect {
            Effect::Call(call) if is_there(&call) => Some(call.id),
            Effect::Call(_) | Effect::Wake(_) | Effect::End(_) => None,
        });
        let id = call.ok_or_else(|| anyhow::anyhow!("nobody asks for {path}"))?;
        let headers = [(":status", "200"), (MARKER_HEADER, CONTRACT_VERSION)];
        let headers = headers.map(|(name, value)| (name.into(), value.into())).into();
        self.worker.on_call(
            id,
            CallOutcome::Replied { headers, body: reply.to_string().into_bytes() },
            NOW_MS,
        );
        Ok(())
    }

    /// Whether the request is let go.
    fn judge(&mut self) -> bool {
        self.streams = self.streams.wrapping_add(1);
        let mut exchange = Exchange::new(self.streams, BodyGate::Hold);
        let around = Surroundings {
            now_ms: NOW_MS,
            verifier: &NoSignatures,
            source: &|| None,
            shared: &NothingShared,
        };
        exchange.on_request_headers(&mut self.worker, self.headers.clone(), false, &around);
        let body = || Some(self.body.clone());
        let step = exchange.on_request_body(&mut self.worker, self.body.len(), true, &body, &around);
        exchange.take_record(&mut |field, value| {
            std::hint::black_box((field, value));
        });
        exchange.on_done(&mut self.worker, &NothingShared, Times::default(), &HostEnd::default);
        matches!(step, Step::Forward { .. })
    }
}

fn registry() -> Value {
    let upstream = json!({"tls": true, "authority": "mcp.example", "path": "/mcp"});
    let servers = json!([{"id": "s1", "slug": "demo", "payload": "off", "upstream": upstream}]);
    let registry = json!({"servers": servers, "issuers": []});
    json!({"registry": registry, "cursor": 1, "now_ms": NOW_MS, "hold_ms": 1_000})
}

fn lease(count: usize) -> Value {
    let rules = json!({"allow": patterns("allowed", count), "deny": patterns("denied", count)});
    let levels = ["organization", "workspace", "member", "key"];
    let levels = levels.map(|level| json!({"level": level, "tools": rules}));
    json!({
        "result": "granted",
        "caller": {"id": "m1", "name": "Ada", "credential": "member_key", "key_id": "0123456789"},
        "workspace": {"id": "w1", "slug": "core"},
        "server_id": "s1",
        "policy": {"levels": levels},
        "credential_headers": [{"name": "authorization", "value": "Bearer upstream"}],
        "ttl_ms": 300_000,
        "revision": 1,
    })
}

fn request(tool: &str, key: &str) -> (Headers, Vec<u8>) {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": tool,
        "arguments": {"query": "the gate is stuck", "limit": 10},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }});
    let body = body.to_string();
    let headers = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "gateway.example"),
        (":path", "/demo/mcp"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("content-length", &body.len().to_string()),
        ("x-portcullis-api-key", key),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool),
    ];
    let headers = headers.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).into();
    (headers, body.into_bytes())
}
