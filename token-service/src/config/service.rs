//! The sections that say how this process runs.

use std::net::SocketAddr;
use std::time::Duration;

use url::Url;

use crate::domain::auth_draft::Field;
use crate::domain::auth_text::is_loopback;

use super::reader::{At, Fields};
use super::registry::Names;
use super::sign_in::SignIn;
use super::{InternalListener, InternalTls, Listeners, ServiceConfig};
use super::{catalogue, egress, oauth, records, root_keys, sign_in, store, telemetry};

const DEFAULT_LEASE_TTL: Duration = Duration::from_mins(1);
const DEFAULT_WATCH_HOLD: Duration = Duration::from_secs(1);
const DEFAULT_CONNECT_WAIT: Duration = Duration::from_secs(20);

pub(super) fn read(sections: &Fields<'_>, names: &Names) -> Option<ServiceConfig> {
    let public_url = sections.require("public_url").and_then(public_url);
    let listeners = sections.require("listeners").and_then(listeners);
    let store = store::read(sections);
    let root_keys = root_keys::read(sections);
    let admin_token_file = sections.require("admin_token_file").and_then(At::path);
    let environment = match sections.get("api_key_environment") {
        Some(at) => at.parsed("write 1 to 8 lower-case letters and digits", environment),
        None => Some("live".into()),
    };
    let lease_ttl = match sections.get("lease_ttl") {
        Some(at) => at.duration(Duration::from_secs(1), Duration::from_mins(5)),
        None => Some(DEFAULT_LEASE_TTL),
    };
    let watch_hold = match sections.get("watch_hold") {
        Some(at) => at.duration(Duration::from_millis(100), Duration::from_secs(30)),
        None => Some(DEFAULT_WATCH_HOLD),
    };
    let connect_wait = match sections.get("connect_wait") {
        Some(at) => at.duration(Duration::from_millis(100), Duration::from_secs(25)),
        None => Some(DEFAULT_CONNECT_WAIT),
    };
    let (egress, sign_in) = (egress::read(sections), sign_in::read(sections, names));
    let admin_token_always = sign_in::admin_token_always(sections);
    let authorization = oauth::read(sections);
    let (catalogue_every, records) = (catalogue::read(sections), records::read(sections));
    let otlp_endpoint = telemetry::read(sections);
    development_only(sections, public_url.as_deref());
    let admin_url = match sections.get("admin_url") {
        Some(at) => Some(admin_url(at, public_url.as_deref())?),
        None => None,
    };
    if let (Some(listeners), Some(SignIn { company: Some(_), .. }), None) = (&listeners, &sign_in, &admin_url)
        && !listeners.admin.ip().is_loopback()
    {
        sections.at().report(
            "the admin listener is not on loopback, so nobody knows where people sign in there",
            "add admin_url, with the scheme, host and port that browsers reach it by",
        );
    }
    let sign_in = sign_in?;
    Some(ServiceConfig {
        public_url: public_url?,
        listeners: listeners?,
        store: store?,
        root_keys: root_keys?,
        admin_token_file: admin_token_file?,
        api_key_environment: environment?,
        lease_ttl: lease_ttl?,
        watch_hold: watch_hold?,
        connect_wait: connect_wait?,
        egress: egress?,
        development_sign_in: sign_in.development,
        company_sign_in: sign_in.company,
        admin_url,
        admin_token_always: admin_token_always?,
        authorization: authorization?,
        catalogue_every: catalogue_every?,
        records: records?,
        otlp_endpoint: otlp_endpoint?,
    })
}

fn environment(text: &str) -> Result<String, &'static str> {
    let good = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if good && (1..=8).contains(&text.len()) { Ok(text.to_owned()) } else { Err("not an environment") }
}

fn public_url(at: &At<'_>) -> Option<String> {
    at.parsed("write scheme, host and port only, such as https://mcp.example.com", |text| {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
            return Err("it must be https, or http with a loopback host".to_owned());
        }
        let origin = url.origin().ascii_serialization();
        if text != origin && text.strip_suffix('/') != Some(&origin) {
            return Err(format!("it must be a plain origin; this one would be {origin}"));
        }
        Ok(origin)
    })
}

/// Where people sign in to administer: not where everybody connects accounts.
fn admin_url(at: &At<'_>, gateway: Option<&str>) -> Option<String> {
    let url = public_url(at)?;
    if gateway == Some(url.as_str()) {
        at.report(
            "admin_url and public_url are the same",
            "give the admin listener a host or port of its own",
        );
    }
    Some(url)
}

/// What makes a laptop convenient would open a gateway that others can reach: anybody could sign in as anybody, and
/// reach what listens on its loopback addresses.
fn development_only(sections: &Fields<'_>, public_url: Option<&str>) {
    let Some(Ok(url)) = public_url.map(Url::parse) else { return };
    if is_loopback(&url) {
        return;
    }
    for (section, switch) in [("egress", "development_loopback"), ("sign_in", "development")] {
        let at = sections.get(section).map(|at| at.descend(&Field::of(&[switch])));
        if let Some(at) = at.filter(At::is_true) {
            at.report(
                "this is for a gateway that only its own machine can reach",
                "remove it, or use a public_url with a loopback host",
            );
        }
    }
}

fn listeners(at: &At<'_>) -> Option<Listeners> {
    let fields = at.fields(&["internal", "internal_tls", "admin", "public", "metrics"])?;
    let tls = fields.get("internal_tls").map(internal_tls);
    let (tls_given, tls) = (tls.is_some(), tls.flatten());
    let internal = fields.require("internal").and_then(|at| internal(at, tls_given, tls));
    let admin = fields.require("admin").and_then(address);
    let public = fields.require("public").and_then(address);
    if let (Some(admin), Some(public)) = (admin, public)
        && admin == public
        && admin.port() != 0
    {
        at.report("admin and public have the same address", "give each listener its own port");
    }
    let metrics = match fields.get("metrics") {
        Some(at) => Some(address(at)?),
        None => None,
    };
    Some(Listeners { internal: internal?, admin: admin?, public: public?, metrics })
}

fn address(at: &At<'_>) -> Option<SocketAddr> {
    at.parsed("write an IP address and a port, such as 127.0.0.1:8080", str::parse)
}

/// `tls` is `None` also where it was given and has problems.
fn internal(at: &At<'_>, tls_given: bool, tls: Option<InternalTls>) -> Option<InternalListener> {
    if let Some(path) = at.text()?.strip_prefix("unix:") {
        if tls_given {
            at.report("internal_tls has no use on a Unix socket", "leave internal_tls out");
        }
        if !path.starts_with('/') {
            at.report(
                "the path of a Unix socket must be absolute",
                "write unix:/run/portcullis/internal.sock",
            );
            return None;
        }
        return Some(InternalListener::Unix(path.into()));
    }
    let remedy = "write an IP address and a port, such as 127.0.0.1:8081, or unix:/path";
    let address: SocketAddr = at.parsed(remedy, str::parse)?;
    if tls_given {
        return Some(InternalListener::MutualTls(address, tls?));
    }
    if address.ip().is_loopback() {
        return Some(InternalListener::Loopback(address));
    }
    at.report(
        format_args!("{address} can be reached from other machines, and whoever reaches it gets credentials"),
        "use a loopback address or unix:/path, or add internal_tls with certificate, key and client_ca",
    );
    None
}

fn internal_tls(at: &At<'_>) -> Option<InternalTls> {
    let fields = at.fields(&["certificate", "key", "client_ca"])?;
    let file = |name| {
        let at = fields.require(name)?;
        let path = at.path()?;
        if let Err(error) = std::fs::File::open(&path) {
            at.report(format_args!("{} cannot be read: {error}", path.display()), "name a readable PEM file");
        }
        Some(path)
    };
    let (certificate, key, client_ca) = (file("certificate"), file("key"), file("client_ca"));
    Some(InternalTls { certificate: certificate?, key: key?, client_ca: client_ca? })
}
