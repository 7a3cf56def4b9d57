//! The plugin configuration: read strictly, checked whole, and every problem reported at once.
//!
//! It holds no secret. A complete example is in the tests of this module.

use std::fmt;

use crate::json::{Document, Limits, Value};
use crate::origin::{AllowedHost, AllowedSources};

mod fields;

use fields::Fields;

const KIB: u64 = 1_024;
const MIB: u64 = 1_024 * KIB;

/// What stands for an upstream's host and port in [`Config::replay_cluster`].
const HOST_IN_CLUSTER: &str = "{host}";
const PORT_IN_CLUSTER: &str = "{port}";

const DEFAULT_REPLAY_CLUSTER: &str = "replay";

/// When a request's headers go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyGate {
    /// With the body, once it is judged; needs `allow_on_headers_stop_iteration` in the host's configuration.
    Hold,
    /// Before the body, which is held until it is judged, for hosts that cannot be told to wait.
    Stream,
}

/// What becomes of a request whose path is not that of an MCP endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherPaths {
    /// It is answered with 404.
    Refuse,
    /// It goes on unjudged, for gateways with something else behind them where the filter cannot be switched off.
    Pass,
}

/// What the filter is told by its operator. All sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The origin under which clients reach the gateway, `https://gateway.example`, in its one canonical spelling:
    /// lower case, no default port, no slash at the end.
    pub public_url: String,
    pub token_service: TokenService,
    pub body_gate: BodyGate,
    pub other_paths: OtherPaths,
    /// Name of the Envoy cluster that takes a request to its upstream once more, with a renewed credential; with
    /// `{host}` and `{port}` in it, the name of that upstream's own cluster.
    pub replay_cluster: String,
    /// From `allowed_hosts` (default: the host of `public_url`, any port) and `allowed_origins` (default: the
    /// origin of `public_url`).
    pub allowed: AllowedSources,
    /// Largest request body that is judged and forwarded.
    pub max_request_bytes: usize,
    /// Largest SSE event of a response that is held to be judged.
    pub max_event_bytes: usize,
    /// Largest list in a response that is held to be filtered.
    pub max_list_bytes: usize,
    /// What all responses of a worker may hold back together; see [`crate::memory`].
    pub max_held_bytes: usize,
    /// How long cached leases serve after the token-service has fallen silent.
    pub staleness_budget_ms: u64,
    /// How long requests wait for the first answer of the token-service.
    pub startup_wait_ms: u64,
    pub max_leases: usize,
    pub max_verified_tokens: usize,
    pub verifications_per_second: u32,
    /// Unknown credentials from one address, per worker; 0 counts none.
    pub guesses_per_minute: u32,
}

/// How to reach the token-service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenService {
    /// Name of the Envoy cluster.
    pub cluster: String,
    /// Value of `:authority`.
    pub authority: String,
    /// For one request for a lease. The watch has its own time.
    pub timeout_ms: u64,
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// One thing that is wrong, and how to put it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `token_service.cluster`, `allowed_hosts[1]`; empty for the configuration as a whole.
    pub key: String,
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            formatter.write_str(&self.text)
        } else {
            write!(formatter, "{}: {}", self.key, self.text)
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the plugin configuration cannot be used:")?;
        self.0.iter().try_for_each(|problem| write!(formatter, "\n- {problem}"))
    }
}

impl std::error::Error for Problems {}

impl Config {
    /// Whether each upstream has a cluster of its own for [`Self::replay_cluster`], and no route on the way to it.
    pub fn replays_directly(&self) -> bool {
        self.replay_cluster.contains(['{'])
    }

    /// The cluster for what is sent to `authority` (`host` or `host:port`) once more.
    pub fn replay_cluster_of(&self, authority: &str, is_tls: bool) -> String {
        let default = if is_tls { "443" } else { "80" };
        let (host, port) = match authority.rsplit_once(':') {
            // Not the last group of an IPv6 address.
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, default),
        };
        self.replay_cluster.replace(HOST_IN_CLUSTER, host).replace(PORT_IN_CLUSTER, port)
    }

    /// Reads JSON. Unknown and duplicate keys are problems, like values out of bounds.
    pub fn read(json: &[u8]) -> Result<Self, Problems> {
        let whole = |text| Problems(vec![Problem { key: String::new(), text }]);
        let document = Document::read(json, &Limits::default())
            .map_err(|error| whole(format!("it is not strict JSON: {error}")))?;
        if !document.root().is_object() {
            return Err(whole("it has to be a JSON object".into()));
        }
        let mut problems = Vec::new();
        let config = read_config(document.root(), &mut problems);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(Problems(problems)),
        }
    }
}

/// Reads what it can and notes a problem for whatever it cannot; `None` only with a problem.
fn read_config(root: Value<'_, '_>, problems: &mut Vec<Problem>) -> Option<Config> {
    let mut fields = Fields::new("", root, problems);
    fields.require_version();
    let gates = [("hold", BodyGate::Hold), ("stream", BodyGate::Stream)];
    let body_gate = fields.choice("body_gate", BodyGate::Hold, &gates);
    let ways = [("refuse", OtherPaths::Refuse), ("pass", OtherPaths::Pass)];
    let other_paths = fields.choice("other_paths", OtherPaths::Refuse, &ways);
    let public_url = fields.required("public_url", read_public_url);
    let default_sources = public_url.as_ref().map(PublicUrl::sources).unwrap_or_default();
    let token_service = fields.section("token_service", read_token_service);
    let replay_cluster = fields.optional("replay_cluster", read_cluster_of_upstreams);
    let hosts = fields.list("allowed_hosts", read_host);
    let origins = fields.list("allowed_origins", read_origin);
    if hosts.as_ref().is_some_and(Vec::is_empty) {
        fields.problem("allowed_hosts", "is empty, so no request could come in; name a host or leave it out");
    }
    let max_request_bytes = fields.size("max_request_bytes", 4 * MIB, KIB..=16 * MIB);
    let max_event_bytes = fields.size("max_event_bytes", MIB, KIB..=16 * MIB);
    let max_list_bytes = fields.size("max_list_bytes", 8 * MIB, KIB..=16 * MIB);
    let max_held_bytes = fields.size("max_held_bytes", 16 * MIB, MIB..=32 * MIB);
    let staleness_budget_ms = fields.number("staleness_budget_ms", 60_000, 0..=300_000);
    let startup_wait_ms = fields.number("startup_wait_ms", 2_000, 0..=10_000);
    let max_leases = fields.size("max_leases", 10_000, 1..=20_000);
    let max_verified_tokens = fields.size("max_verified_tokens", 10_000, 1..=20_000);
    let verifications_per_second = fields.number("verifications_per_second", 50, 1..=10_000);
    let guesses_per_minute = fields.number("guesses_per_minute", 100, 0..=1_000_000);
    fields.refuse_the_rest();
    let (default_hosts, default_origins) = default_sources;
    Some(Config {
        public_url: public_url?.url,
        token_service: token_service?,
        body_gate,
        other_paths,
        replay_cluster: replay_cluster.unwrap_or_else(|| DEFAULT_REPLAY_CLUSTER.to_owned()),
        allowed: AllowedSources {
            hosts: hosts.unwrap_or(default_hosts),
            origins: origins.unwrap_or(default_origins),
        },
        max_request_bytes,
        max_event_bytes,
        max_list_bytes,
        max_held_bytes,
        staleness_budget_ms,
        startup_wait_ms,
        max_leases,
        max_verified_tokens,
        verifications_per_second: u32::try_from(verifications_per_second).unwrap_or(u32::MAX),
        guesses_per_minute: u32::try_from(guesses_per_minute).unwrap_or(u32::MAX),
    })
}

fn read_token_service(mut fields: Fields<'_, '_, '_>) -> Option<TokenService> {
    let cluster = fields.required("cluster", read_word);
    let authority = fields.required("authority", |text| {
        read_host(text)?;
        Ok(text.to_owned())
    });
    let timeout_ms = fields.number("timeout_ms", 800, 50..=10_000);
    fields.refuse_the_rest();
    Some(TokenService { cluster: cluster?, authority: authority?, timeout_ms })
}

fn read_word(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("has to be a name of visible ASCII characters".into())
    }
}

/// A name in which `{host}` and `{port}` may stand; another brace is a misspelt one of them.
fn read_cluster_of_upstreams(text: &str) -> Result<String, String> {
    let rest = text.replace(HOST_IN_CLUSTER, "").replace(PORT_IN_CLUSTER, "");
    if rest.contains(['{', '}']) {
        return Err(format!("`{text}` has something else in braces than `{{host}}` and `{{port}}`"));
    }
    read_word(text)
}

fn read_host(text: &str) -> Result<AllowedHost, String> {
    AllowedHost::parse(text).ok_or_else(|| {
        format!("`{text}` is not a host; write `host` or `host:port`, without scheme, path or wildcard")
    })
}

/// Browsers spell an origin in one way, which is the only one that would ever match.
fn read_origin(text: &str) -> Result<String, String> {
    let remedy = || format!("`{text}` is not an origin; write `https://host` or `https://host:port`");
    let url = url::Url::parse(text).map_err(|_| remedy())?;
    let spelling = match url.origin() {
        url::Origin::Tuple(..) => url.origin().ascii_serialization(),
        // Applications' own schemes, as in `vscode-webview://panel`.
        url::Origin::Opaque(_) => format!("{}://{}", url.scheme(), url.host_str().ok_or_else(remedy)?),
    };
    if spelling == text {
        Ok(spelling)
    } else {
        Err(format!("`{text}` is not how a browser spells an origin; write `{spelling}`"))
    }
}

struct PublicUrl {
    url: String,
    host: String,
}

impl PublicUrl {
    fn sources(&self) -> (Vec<AllowedHost>, Vec<String>) {
        (AllowedHost::parse(&self.host).into_iter().collect(), vec![self.url.clone()])
    }
}

fn read_public_url(text: &str) -> Result<PublicUrl, String> {
    let remedy =
        || format!("`{text}` is not the URL of a gateway; write `https://host` or `https://host:port`");
    let url = url::Url::parse(text).map_err(|_| remedy())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(remedy)?.to_owned();
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or password; leave them out".into());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("has a path, query or fragment; the gateway's paths start at its root".into());
    }
    let is_local = match url.host() {
        Some(url::Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if is_local => {}
        _ => return Err("has to start with https://; http:// will do for localhost only".into()),
    }
    Ok(PublicUrl { url: url.origin().ascii_serialization(), host })
}
