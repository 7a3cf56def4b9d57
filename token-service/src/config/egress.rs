//! The sections that say what the service may reach, and how people sign in.

use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use url::Host;

use super::reader::{At, Fields};
use crate::egress::{AllowedPrivate, EgressPolicy};

/// The section `egress`; without it public addresses only.
pub(super) fn read(sections: &Fields<'_>) -> Option<EgressPolicy> {
    let Some(at) = sections.get("egress") else { return Some(EgressPolicy::default()) };
    let fields = at.fields(&["allow", "development_loopback", "trusted_ca"])?;
    let allowed: Vec<_> = fields.items("allow").iter().map(allowed).collect();
    let development_loopback = fields.get("development_loopback").map_or(Some(false), At::boolean);
    let extra_roots = match fields.get("trusted_ca") {
        Some(at) => {
            let path = at.path()?;
            let certificates = CertificateDer::pem_file_iter(&path).map(Iterator::collect::<Result<Vec<_>, _>>);
            if !matches!(&certificates, Ok(Ok(found)) if !found.is_empty()) {
                let what = format!("{} cannot be read as certificates", path.display());
                at.report(what, "name a readable PEM file with the certificate of the authority");
            }
            Some(path)
        }
        None => None,
    };
    Some(EgressPolicy {
        allowed: allowed.into_iter().collect::<Option<_>>()?,
        development_loopback: development_loopback?,
        extra_roots,
    })
}

fn allowed(at: &At<'_>) -> Option<AllowedPrivate> {
    let fields = at.fields(&["host", "network"])?;
    let host = fields.require("host").and_then(|at| {
        let remedy = "write the host as it is in the URL, without scheme and port, such as mcp.internal";
        at.parsed(remedy, |text| match Host::parse(text) {
            Ok(host) if host.to_string() == text => Ok(text.to_owned()),
            Ok(host) => Err(format!("it would be read as {host}")),
            Err(_) => Err("not a host".to_owned()),
        })
    });
    let network = fields.require("network").and_then(|at| {
        at.parsed("write a network such as 10.1.0.0/16 or fd00:1::/64", |text| match text.parse::<IpNet>() {
            Ok(network) if network.trunc() == network => Ok(text.to_owned()),
            Ok(network) => Err(format!("it has bits outside of the network {}", network.trunc())),
            Err(error) => Err(error.to_string()),
        })
    });
    Some(AllowedPrivate { host: host?, network: network? })
}

/// `sign_in: {development: …}`.
pub(super) fn sign_in(sections: &Fields<'_>) -> Option<bool> {
    let Some(at) = sections.get("sign_in") else { return Some(false) };
    at.fields(&["development"])?.get("development").map_or(Some(false), At::boolean)
}
