//! Issuers and their keys.

use std::collections::BTreeSet;

use portcullis_wire::watch::VerificationKey;
use url::Url;

use super::reader::{At, Fields};
use super::registry::Names;
use crate::domain::issuer::{Issuer, WorkspaceMapping};
use crate::domain::{Origin, Revision, jwks};

pub(super) fn read(sections: &Fields<'_>, names: &Names) -> Vec<Issuer> {
    let mut seen = BTreeSet::new();
    sections.items("issuers").iter().filter_map(|at| issuer(at, names, &mut seen)).collect()
}

fn issuer(at: &At<'_>, names: &Names, seen: &mut BTreeSet<String>) -> Option<Issuer> {
    let fields = at.fields(&[
        "issuer",
        "audiences",
        "jwks_file",
        "jwks",
        "require_at_jwt",
        "workspace",
        "workspace_claim",
        "auto_provision_members",
    ])?;
    let name = fields.require("issuer").and_then(|at| {
        let name = at.parsed("write it exactly as the tokens have it in `iss`", issuer_name)?;
        if !seen.insert(name.clone()) {
            at.report(
                "there are two issuers of this name",
                "join them: one issuer may have several audiences",
            );
        }
        Some(name)
    });
    let audiences = fields.items("audiences").iter().filter_map(audience).collect();
    let require_at_jwt = flag(&fields, "require_at_jwt");
    let keys = keys(&fields);
    let workspaces = mapping(&fields, names);
    let auto_provision = flag(&fields, "auto_provision_members");
    if auto_provision == Some(true) && workspaces == Some(WorkspaceMapping::Membership) {
        at.report(
            "auto_provision_members needs to know which workspace a new member belongs to",
            "add workspace or workspace_claim",
        );
    }
    Some(Issuer {
        issuer: name?,
        audiences,
        require_at_jwt: require_at_jwt?,
        keys: keys?,
        workspaces: workspaces?,
        auto_provision_members: auto_provision?,
        origin: Origin::Config,
        revision: Revision::default(),
    })
}

/// RFC 8414, section 2: a URL without query and fragment. Plain http is for issuers on the same machine.
fn issuer_name(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).map_err(|_| "an issuer is a URL")?;
    let plain = url.query().is_none() && url.fragment().is_none();
    let web = matches!(url.scheme(), "https" | "http") && url.has_host();
    if plain && web { Ok(text.to_owned()) } else { Err("an issuer is an https URL without ? and #") }
}

fn audience(at: &At<'_>) -> Option<String> {
    at.parsed("write a value that the tokens have in `aud`", |text| {
        if text.is_empty() || text.len() > 1024 { Err("not an audience") } else { Ok(text.to_owned()) }
    })
}

fn flag(fields: &Fields<'_>, name: &str) -> Option<bool> {
    fields.get(name).map_or(Some(false), At::boolean)
}

fn mapping(fields: &Fields<'_>, names: &Names) -> Option<WorkspaceMapping> {
    match (fields.get("workspace"), fields.get("workspace_claim")) {
        (Some(at), None) => names.workspace(at).map(WorkspaceMapping::Fixed),
        (None, Some(at)) => at
            .parsed("name a claim of the tokens", |text| {
                let good = !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control);
                if good { Ok(text.to_owned()) } else { Err("not the name of a claim") }
            })
            .map(WorkspaceMapping::Claim),
        (None, None) => Some(WorkspaceMapping::Membership),
        (Some(_), Some(at)) => {
            at.report("workspace and workspace_claim exclude each other", "remove one of the two");
            None
        }
    }
}

fn keys(fields: &Fields<'_>) -> Option<Vec<VerificationKey>> {
    let (at, set) = match (fields.get("jwks_file"), fields.get("jwks")) {
        (Some(at), None) => (at, from_file(at)?),
        (None, Some(at)) => (at, at.to_json()),
        (Some(_), Some(_)) | (None, None) => {
            let remedy = "write jwks_file: path, or the keys themselves under jwks:";
            fields.at().report("the keys come from either jwks_file or jwks", remedy);
            return None;
        }
    };
    let remedy = "give the issuer's public keys: EdDSA, ES256, or RS256 with 2048 bits or more";
    let report = |errors: Vec<_>| errors.iter().for_each(|error| at.report(error, remedy));
    jwks::read(set).map_err(report).ok()
}

fn from_file(at: &At<'_>) -> Option<serde_json::Value> {
    let path = at.path()?;
    let text = std::fs::read(&path)
        .map_err(|error| {
            let remedy = "name a readable file; relative paths start at the directory of this file";
            at.report(format_args!("{} cannot be read: {error}", path.display()), remedy);
        })
        .ok()?;
    serde_json::from_slice(&text)
        .map_err(|error| {
            at.report(
                format_args!("{} is not JSON: {error}", path.display()),
                "save the key set as it is served",
            );
        })
        .ok()
}
