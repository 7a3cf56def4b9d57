//! What the service counts and measures, for Prometheus.
//!
//! Every metric is named here and nowhere else, and every label has one of a few values that are written in this crate, or
//! the slug of a registered server: never a member, a key, an address, or anything that a request brought. So the number
//! of series is bounded by what administrators have made.

mod scrape;

use std::sync::OnceLock;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use portcullis_wire::lease::LeaseReply;

pub use self::scrape::CONTENT_TYPE;

const HTTP_REQUESTS: &str = "portcullis_token_service_http_requests_total";
const HTTP_TIME: &str = "portcullis_token_service_http_request_seconds";
const LEASES: &str = "portcullis_token_service_leases_total";
const LEASE_TIME: &str = "portcullis_token_service_lease_seconds";
const WATCHES: &str = "portcullis_token_service_watches";
const FILTERS: &str = "portcullis_token_service_filters";
const REVISION: &str = "portcullis_token_service_revision";
const CHANGES: &str = "portcullis_token_service_changes_total";
const REVOCATION_DELAY: &str = "portcullis_token_service_revocation_delay_seconds";
const REFRESHES: &str = "portcullis_token_service_refreshes_total";
const REFRESH_TIME: &str = "portcullis_token_service_refresh_seconds";
const RENEWALS: &str = "portcullis_token_service_renewals";
const CONNECTIONS: &str = "portcullis_token_service_connections";
const TOKEN_REQUESTS: &str = "portcullis_token_service_token_requests_total";
const EGRESS: &str = "portcullis_token_service_egress_requests_total";
const EGRESS_TIME: &str = "portcullis_token_service_egress_seconds";
const STORE_WAIT: &str = "portcullis_token_service_store_wait_seconds";
const STORE_WRITE: &str = "portcullis_token_service_store_write_seconds";
const STORE_FAILURES: &str = "portcullis_token_service_store_failures_total";
const CATALOGUE: &str = "portcullis_token_service_catalogue_learnt_timestamp_seconds";
const INFO: &str = "portcullis_token_service_info";

/// Seconds; from a look-up in memory to a provider that takes its time.
const BUCKETS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What holds the values. One for the process, as `metrics` has it; made when it is first wanted.
#[derive(Debug)]
pub struct Measurements {
    prometheus: Option<PrometheusHandle>,
    process: Collector,
}

/// The process's measurements.
pub fn measurements() -> &'static Measurements {
    static MEASUREMENTS: OnceLock<Measurements> = OnceLock::new();
    MEASUREMENTS.get_or_init(Measurements::install)
}

impl Measurements {
    fn install() -> Self {
        let builder =
            PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS);
        // An error means that somebody else in this process takes the values; then there is nothing to show here.
        let prometheus = builder.ok().and_then(|builder| builder.install_recorder().ok());
        let process = Collector::default();
        process.describe();
        describe();
        gauge!(INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        // Rare, so that the first one is seen as a step.
        for kind in ["busy", "other"] {
            counter!(STORE_FAILURES, "kind" => kind).increment(0);
        }
        Self { prometheus, process }
    }
}

fn describe() {
    describe_counter!(HTTP_REQUESTS, "Requests by listener, route and status");
    describe_histogram!(HTTP_TIME, Unit::Seconds, "How long requests took, watches apart, which are held");
    describe_counter!(LEASES, "Decisions on leases, and why there was none");
    describe_histogram!(LEASE_TIME, Unit::Seconds, "How long decisions on leases took, providers included");
    describe_gauge!(WATCHES, "Watches that are open");
    describe_gauge!(FILTERS, "VMs of Envoys that were heard of in the last five minutes");
    describe_gauge!(REVISION, "The newest commit");
    describe_counter!(
        CHANGES,
        "Changes by administrators, members and portcullis.yaml, as the audit log names them"
    );
    describe_histogram!(REVOCATION_DELAY, Unit::Seconds, "From a commit until a filter had acknowledged it");
    describe_counter!(REFRESHES, "Renewals of upstream tokens that have ended");
    describe_histogram!(REFRESH_TIME, Unit::Seconds, "How long renewals of upstream tokens took");
    describe_gauge!(RENEWALS, "Renewals under way, and those that rest after a failure");
    describe_gauge!(CONNECTIONS, "Connections by state");
    describe_counter!(
        TOKEN_REQUESTS,
        "Requests of MCP clients to the token endpoint, with the error of RFC 6749"
    );
    describe_counter!(EGRESS, "Requests to upstream servers and providers, by class of failure");
    describe_histogram!(
        EGRESS_TIME,
        Unit::Seconds,
        "How long requests to upstream servers and providers took"
    );
    describe_histogram!(STORE_WAIT, Unit::Seconds, "How long was waited for the database");
    describe_histogram!(STORE_WRITE, Unit::Seconds, "How long writing transactions took, commit included");
    describe_counter!(
        STORE_FAILURES,
        "Statements that failed; busy: another process had the database for too long"
    );
    describe_gauge!(CATALOGUE, Unit::Seconds, "When what a server has was last learnt");
    describe_gauge!(INFO, "The version");
}

/// A request is answered. `route` is the pattern that matched. `took` is `None` for what is held on purpose.
pub fn http_request(
    listener: &'static str,
    method: &Method,
    route: &str,
    status: StatusCode,
    took: Option<Duration>,
) {
    let (method, route) = (known_method(method), route.to_owned());
    counter!(HTTP_REQUESTS, "listener" => listener, "method" => method, "route" => route.clone(),
        "status" => status.as_u16().to_string())
    .increment(1);
    if let Some(took) = took {
        histogram!(HTTP_TIME, "listener" => listener, "route" => route).record(took);
    }
}

/// A method can be any word.
pub fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// A lease is decided on; returns the result in one word.
pub fn lease(reply: &LeaseReply, took: Duration) -> &'static str {
    let (result, reason) = match reply {
        LeaseReply::Granted(_) => ("granted", "none"),
        LeaseReply::ConnectRequired(_) => ("connect_required", "none"),
        LeaseReply::Denied { reason, .. } => ("denied", reason.as_str()),
        LeaseReply::Renewing => ("renewing", "none"),
        LeaseReply::Unavailable { .. } => ("unavailable", "none"),
    };
    counter!(LEASES, "result" => result, "reason" => reason).increment(1);
    histogram!(LEASE_TIME, "result" => result).record(took);
    result
}

/// A watch that is open until this is dropped.
#[derive(Debug)]
pub struct OpenWatch(());

impl OpenWatch {
    pub fn begin() -> Self {
        gauge!(WATCHES).increment(1.0);
        Self(())
    }
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        gauge!(WATCHES).decrement(1.0);
    }
}

/// A change is committed; `action` is the audit log's word for it.
pub fn change(action: &'static str) {
    counter!(CHANGES, "action" => action).increment(1);
}

pub fn revocation_delay(delay: Duration) {
    histogram!(REVOCATION_DELAY).record(delay);
}

/// A renewal has ended. `server` is the slug.
pub fn refresh(server: &str, outcome: &'static str, took: Duration) {
    counter!(REFRESHES, "server" => server.to_owned(), "outcome" => outcome).increment(1);
    histogram!(REFRESH_TIME, "outcome" => outcome).record(took);
}

/// `result` is `ok` or a word of RFC 6749.
pub fn token_request(grant: &'static str, result: &'static str) {
    counter!(TOKEN_REQUESTS, "grant" => grant, "result" => result).increment(1);
}

pub fn egress(result: &'static str, took: Duration) {
    counter!(EGRESS, "result" => result).increment(1);
    histogram!(EGRESS_TIME, "result" => result).record(took);
}

/// A connection to the database was waited for, to read or to write.
pub fn store_wait(purpose: &'static str, waited: Duration) {
    histogram!(STORE_WAIT, "purpose" => purpose).record(waited);
}

pub fn store_write(took: Duration) {
    histogram!(STORE_WRITE).record(took);
}

pub fn store_failure(kind: &'static str) {
    counter!(STORE_FAILURES, "kind" => kind).increment(1);
}
