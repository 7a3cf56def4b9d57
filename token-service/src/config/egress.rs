//! The section that says what the service may reach.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::reader::{At, Fields};
use crate::egress::{AllowedPrivate, AllowedPrivateError, EgressPolicy};

/// The section `egress`; without it public addresses only.
pub(super) fn read(sections: &Fields<'_>) -> Option<EgressPolicy> {
    let Some(at) = sections.get("egress") else { return Some(EgressPolicy::default()) };
    let fields = at.fields(&["allow", "development_loopback", "trusted_ca"])?;
    let allowed: Vec<_> = fields.items("allow").iter().map(allowed).collect();
    let development_loopback = fields.get("development_loopback").map_or(Some(false), At::boolean);
    let extra_roots = match fields.get("trusted_ca") {
        Some(at) => {
            let path = at.path()?;
            let certificates =
                CertificateDer::pem_file_iter(&path).map(Iterator::collect::<Result<Vec<_>, _>>);
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
    let (host, network) = (fields.require("host"), fields.require("network"));
    let (host, network) = (host?, network?);
    let allowed = AllowedPrivate::parse(host.text()?, network.text()?);
    let report = |error: AllowedPrivateError| match error {
        AllowedPrivateError::Host => {
            host.report(error, "write the host as it is in the URL, such as mcp.internal");
        }
        AllowedPrivateError::Network
        | AllowedPrivateError::HostBits(_)
        | AllowedPrivateError::TooWide
        | AllowedPrivateError::NoServers => {
            network.report(error, "write the network that the host's addresses are in");
        }
    };
    allowed.map_err(report).ok()
}
