//! Dialling and reading, within bounds.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, header};
use reqwest::dns::{Addrs, Name, Resolving};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;
use tracing::field::Empty;
use url::Url;

use super::limits::Limits;
use super::target::Target;
use super::{EgressError, EgressPolicy, EgressReply, EgressRequest, Resolve, SystemResolver};
use crate::measure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEADER_BYTES: u32 = 16 * 1024;
const MAX_HEADERS: usize = 100;
const USER_AGENT: &str = concat!("Portcullis/", env!("CARGO_PKG_VERSION"));

#[derive(Debug)]
pub struct EgressClient {
    policy: EgressPolicy,
    resolver: Arc<dyn Resolve>,
    tls: ClientConfig,
    limits: Limits,
    timeouts: Timeouts,
    /// The service's own listeners.
    own: Vec<SocketAddr>,
}

/// How long a fetch may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For resolving, and again for connecting with TLS.
    pub(super) connect: Duration,
    /// For the request from its sending to the last byte of the answer.
    pub(super) total: Duration,
}

/// How much of an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Head,
    Whole,
}

impl EgressClient {
    /// Fails if the extra roots cannot be read; the text says what to do.
    pub fn new(policy: &EgressPolicy) -> Result<Self, String> {
        Self::with_resolver(policy, Arc::new(SystemResolver))
    }

    pub fn with_resolver(policy: &EgressPolicy, resolver: Arc<dyn Resolve>) -> Result<Self, String> {
        Ok(Self {
            policy: policy.clone(),
            resolver,
            tls: tls(policy.extra_roots.as_deref())?,
            limits: Limits::default(),
            timeouts: Timeouts { connect: CONNECT_TIMEOUT, total: TOTAL_TIMEOUT },
            own: Vec::new(),
        })
    }

    /// Keeps off the service's own `listeners`, whatever is allowed: the internal one gives credentials to whoever
    /// reaches it.
    #[must_use]
    pub fn keeping_off(mut self, listeners: Vec<SocketAddr>) -> Self {
        self.own = listeners;
        self
    }

    #[cfg(test)]
    pub(super) fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Whether `url` may be fetched as far as can be said before its host is resolved.
    pub fn check(&self, url: &Url) -> Result<(), EgressError> {
        Target::judge(url, &self.policy).map(|_| ())
    }

    /// Follows no redirect: a 3xx is an answer like any other.
    pub async fn fetch(&self, request: EgressRequest) -> Result<EgressReply, EgressError> {
        self.exchange(request, Wanted::Whole).await
    }

    /// Status and headers only, for answers whose body may be a stream that does not end.
    pub async fn fetch_head(&self, request: EgressRequest) -> Result<EgressReply, EgressError> {
        self.exchange(request, Wanted::Head).await
    }

    async fn exchange(&self, request: EgressRequest, wanted: Wanted) -> Result<EgressReply, EgressError> {
        let begun = Instant::now();
        let span = tracing::info_span!("egress", otel.kind = "client", result = Empty);
        let outcome = self.exchange_unmeasured(request, wanted).instrument(span.clone()).await;
        let result = outcome.as_ref().err().map_or("ok", EgressError::class);
        span.record("result", result);
        measure::egress(result, begun.elapsed());
        outcome
    }

    async fn exchange_unmeasured(
        &self,
        request: EgressRequest,
        wanted: Wanted,
    ) -> Result<EgressReply, EgressError> {
        let target = Target::judge(&request.url, &self.policy)?;
        let place = timeout(self.timeouts.total, self.limits.enter(&target.host)).await;
        let _place = place.map_err(|_| EgressError::Unreachable)?;
        let addresses = self.addresses(&target).await?;
        let client = self.client(&addresses).ok_or(EgressError::Unreachable)?;
        let limit = request.limit;
        let answer = async {
            let mut response = client.execute(outgoing(request)).await.map_err(|error| class(&error))?;
            // The client knows no other address; should that ever change, the answer is not used.
            if !response.remote_addr().is_some_and(|peer| addresses.contains(&peer)) {
                return Err(EgressError::Refused("the connection went elsewhere than was checked"));
            }
            check_headers(response.headers())?;
            let body = if wanted == Wanted::Head { Bytes::new() } else { read(&mut response, limit).await? };
            let status = response.status().as_u16();
            Ok(EgressReply { status, headers: std::mem::take(response.headers_mut()), body })
        };
        // The client's own timeout stops a request that is not sent yet; this one also bounds what is sent already.
        timeout(self.timeouts.total, answer).await.map_err(|_| EgressError::Timeout)?
    }

    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, EgressError> {
        let resolved = match target.literal {
            Some(literal) => vec![literal],
            None => timeout(self.timeouts.connect, self.resolver.resolve(&target.host))
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or(EgressError::Unreachable)?,
        };
        target.permitted(&resolved, &self.own)
    }

    /// A client for one request, which knows `addresses` and nothing else.
    #[expect(clippy::disallowed_methods, reason = "the one place that makes HTTP clients")]
    fn client(&self, addresses: &[SocketAddr]) -> Option<reqwest::Client> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(Pinned(addresses.to_vec()))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .pool_max_idle_per_host(0)
            .connect_timeout(self.timeouts.connect)
            .http1_max_headers(MAX_HEADERS)
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .build()
            .ok()
    }
}

/// Answers with the addresses that were checked, whatever it is asked for.
struct Pinned(Vec<SocketAddr>);

impl reqwest::dns::Resolve for Pinned {
    fn resolve(&self, _name: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

fn outgoing(request: EgressRequest) -> reqwest::Request {
    let mut outgoing = reqwest::Request::new(request.method, request.url);
    let headers = outgoing.headers_mut();
    *headers = request.headers;
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    *outgoing.body_mut() = (!request.body.is_empty()).then(|| request.body.into());
    outgoing
}

fn check_headers(headers: &HeaderMap) -> Result<(), EgressError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > MAX_HEADER_BYTES as usize { Err(EgressError::TooLarge) } else { Ok(()) }
}

async fn read(response: &mut reqwest::Response, limit: usize) -> Result<Bytes, EgressError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| class(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(EgressError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

fn class(error: &reqwest::Error) -> EgressError {
    let untrusted = |cause: &(dyn StdError + 'static)| {
        matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))
    };
    if causes(error).any(untrusted) {
        EgressError::Untrusted
    } else if error.is_connect() {
        EgressError::Unreachable
    } else if error.is_timeout() {
        EgressError::Timeout
    } else {
        EgressError::Broken
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

/// An IO error names the source of what it wraps as its own, and so leaves out what it wraps.
fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// TLS 1.2 and 1.3 with ring, trusting what the system trusts and the extra roots.
fn tls(extra_roots: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let roots = extra_roots.map_or_else(|| Ok(Vec::new()), certificates)?;
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = match verifier {
        Ok(verifier) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
        // A service without OAuth servers has no use for them, so it starts all the same.
        Err(error) => {
            tracing::warn!(%error, "no certificate authority is trusted, so no https server can be asked anything; install the system's CA certificates");
            builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |problem: String| {
        format!("{}: {problem}; name a file with certificates in PEM as extra roots", file.display())
    };
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.to_string()))?;
    let certificates: Vec<_> =
        certificates.collect::<Result<_, _>>().map_err(|error| unreadable(error.to_string()))?;
    if certificates.is_empty() {
        Err(unreadable("it holds no certificate".to_owned()))
    } else {
        Ok(certificates)
    }
}
