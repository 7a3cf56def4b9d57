//! From servers to upstreams: whatever has the same host and port is one, and shares its resources.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use portcullis_wire::names::Slug;
use url::{Host, Url};

use crate::config::Endpoint;

/// A host and port that servers are at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream {
    pub(crate) tls: bool,
    /// A name in DNS, lower case.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As requests have it: the port only if it is not the scheme's.
    pub(crate) authority: String,
    /// Whose upstream it is.
    pub(crate) servers: BTreeSet<Slug>,
}

/// What resources are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Envoy,
    Kubernetes,
}

/// A server that no resource can be made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    pub server: Slug,
    pub what: String,
    pub remedy: &'static str,
}

impl fmt::Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}\n    {}", self.server, self.what, self.remedy)
    }
}

impl Upstream {
    /// The value of `x-portcullis-upstream` with which requests are released to it.
    pub(crate) fn kind(&self) -> &'static str {
        if self.tls { "tls" } else { "plain" }
    }

    /// Of its resources.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", self.host, self.port)
    }

    /// For people.
    pub(crate) fn title(&self) -> String {
        let servers: Vec<&str> = self.servers.iter().map(Slug::as_str).collect();
        format!("{}:{}, of {}", self.host, self.port, servers.join(", "))
    }
}

/// The upstreams, by host and port; or every server that does not fit.
pub(crate) fn upstreams(endpoints: &[Endpoint], target: Target) -> Result<Vec<Upstream>, Vec<Unfit>> {
    let mut found: BTreeMap<(String, u16), Upstream> = BTreeMap::new();
    let mut unfit = Vec::new();
    let mut sorted: Vec<&Endpoint> = endpoints.iter().collect();
    sorted.sort_by(|one, other| one.slug.cmp(&other.slug));
    for endpoint in sorted {
        let upstream = match upstream(endpoint, target) {
            Ok(upstream) => upstream,
            Err((what, remedy)) => {
                unfit.push(Unfit { server: endpoint.slug.clone(), what, remedy });
                continue;
            }
        };
        let place = (upstream.host.clone(), upstream.port);
        let known = found.entry(place).or_insert_with(|| upstream.clone());
        if known.tls == upstream.tls {
            known.servers.insert(endpoint.slug.clone());
        } else {
            let others: Vec<&str> = known.servers.iter().map(Slug::as_str).collect();
            let what = format!(
                "{}:{} is called by http here and by https there, or the other way round: {}",
                upstream.host,
                upstream.port,
                others.join(", ")
            );
            let remedy = "one port speaks one of the two: correct the URL of one of them";
            unfit.push(Unfit { server: endpoint.slug.clone(), what, remedy });
        }
    }
    if unfit.is_empty() { Ok(found.into_values().collect()) } else { Err(unfit) }
}

fn upstream(endpoint: &Endpoint, target: Target) -> Result<Upstream, (String, &'static str)> {
    let tls = endpoint.url.upstream().tls;
    let authority = endpoint.url.upstream().authority;
    let url = Url::parse(&endpoint.url.origin()).ok();
    let port = url.as_ref().and_then(Url::port_or_known_default);
    let host = match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(host)) => host,
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => {
            let what = format!("{authority} is an address, which no certificate and no route can go by");
            return Err((what, "give the server a name in DNS, and write it into its URL"));
        }
        None => return Err((format!("{authority} is no host"), "write https://host/path")),
    };
    let Some(port) = port.filter(|_| is_name(host)) else {
        let what = format!("{authority} is no host name that a resource can have");
        return Err((what, "a name has letters, digits and hyphens between its dots, and 240 bytes at most"));
    };
    let is_local = host == "localhost" || host.ends_with(".localhost");
    if target == Target::Kubernetes && is_local {
        let what = format!("{authority} would be the gateway's own pod");
        return Err((what, "write the name that the server has in the cluster"));
    }
    let servers = BTreeSet::from([endpoint.slug.clone()]);
    Ok(Upstream { tls, host: host.to_owned(), port, authority, servers })
}

/// Whether Kubernetes takes it for the name of an object, with a port behind it.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 240 && host.split('.').all(is_label)
}
