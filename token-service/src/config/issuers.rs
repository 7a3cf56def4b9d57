//! Issuers, their keys, and what their tokens have to say.

mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portcullis_wire::names::Slug;
use portcullis_wire::watch::VerificationKey;
use secrecy::SecretString;
use url::Url;

use super::reader::{At, Fields};
use super::registry::Names;
use super::secret;
use crate::domain::issuer::{Introspection, Issuer, IssuerSettings, TokenSource, WorkspaceMapping};
use crate::domain::token_rules::TokenRules;
use crate::domain::{Origin, Revision, auth_text, jwks};

/// A clock that is off by more than this is not off but wrong.
const MOST_TOLERANCE: Duration = Duration::from_mins(2);

/// How long an issuer's word about a token is believed.
const DEFAULT_CACHE: Duration = Duration::from_secs(30);

/// An issuer, and the secret of the client that it knows the gateway as, where it is asked about tokens.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// With `origin` config and revision 0.
    pub issuer: Issuer,
    pub introspection_secret: Option<SecretString>,
}

const FIELDS: [&str; 16] = [
    "issuer",
    "audiences",
    "claims",
    "max_age",
    "servers",
    "only_servers",
    "clock_tolerance",
    "jwks_file",
    "jwks",
    "jwks_url",
    "introspection",
    "require_at_jwt",
    "workspace",
    "workspace_claim",
    "auto_provision_members",
    "name_claim",
];

pub(super) fn read(sections: &Fields<'_>, names: &Names) -> Vec<IssuerConfig> {
    let mut seen = BTreeSet::new();
    let all = sections.items("issuers");
    let read: Vec<IssuerConfig> = all.iter().filter_map(|at| issuer(at, names, &mut seen)).collect();
    // A token that cannot be read does not say whom to ask.
    let asked = |at: &&At<'_>| at.entries_named("introspection");
    for at in all.iter().filter(asked).skip(1) {
        at.report(
            "there is another issuer with introspection, and an opaque token does not say whose it is",
            "keep one of them; give the others jwks_url",
        );
    }
    read
}

fn issuer(at: &At<'_>, names: &Names, seen: &mut BTreeSet<String>) -> Option<IssuerConfig> {
    let fields = at.fields(&FIELDS)?;
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
    let rules = rules::read(&fields, None);
    let settings = settings(&fields, names, rules.as_ref());
    let require_at_jwt = flag(&fields, "require_at_jwt");
    let source = source(&fields);
    let workspaces = mapping(&fields, names);
    let auto_provision = flag(&fields, "auto_provision_members");
    if auto_provision == Some(true) && workspaces == Some(WorkspaceMapping::Membership) {
        at.report(
            "auto_provision_members needs to know which workspace a new member belongs to",
            "add workspace or workspace_claim",
        );
    }
    let (source, keys, introspection_secret) = source?;
    let issuer = Issuer {
        issuer: name?,
        rules: rules?,
        settings: settings?,
        require_at_jwt: require_at_jwt?,
        source,
        keys,
        keys_fetched_at: None,
        workspaces: workspaces?,
        auto_provision_members: auto_provision?,
        origin: Origin::Config,
        revision: Revision::default(),
    };
    Some(IssuerConfig { issuer, introspection_secret })
}

fn settings(fields: &Fields<'_>, names: &Names, general: Option<&TokenRules>) -> Option<IssuerSettings> {
    let mut servers = BTreeMap::new();
    for (slug, at) in fields.get("servers").and_then(At::entries).unwrap_or_default() {
        let server = names.find_server(&at, slug);
        let rules = at.fields(&rules::FIELDS).and_then(|fields| rules::read(&fields, general));
        servers.extend(server.zip(rules));
    }
    let only = fields.get("only_servers").map(|at| {
        let items = at.list().unwrap_or_default();
        items.iter().filter_map(|at| names.find_server(at, at.text()?)).collect::<BTreeSet<Slug>>()
    });
    let clock_tolerance = match fields.get("clock_tolerance") {
        Some(at) => at.duration(Duration::ZERO, MOST_TOLERANCE).map(Some),
        None => Some(None),
    };
    let name_claim = match fields.get("name_claim") {
        Some(at) => rules::claim_path(at).map(Some),
        None => Some(None),
    };
    Some(IssuerSettings {
        servers,
        only,
        clock_tolerance: clock_tolerance?.map(|time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX)),
        name_claim: name_claim?,
    })
}

/// RFC 8414, section 2: a URL without query and fragment. Plain http is for issuers on the same machine.
fn issuer_name(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).map_err(|_| "an issuer is a URL")?;
    let plain = url.query().is_none() && url.fragment().is_none();
    let web = matches!(url.scheme(), "https" | "http") && url.has_host();
    if plain && web { Ok(text.to_owned()) } else { Err("an issuer is an https URL without ? and #") }
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

type Source = (TokenSource, Vec<VerificationKey>, Option<SecretString>);

fn source(fields: &Fields<'_>) -> Option<Source> {
    let given = ["jwks_file", "jwks", "jwks_url", "introspection"];
    let mut given = given.into_iter().filter_map(|name| fields.get(name).map(|at| (name, at)));
    let (Some((name, at)), None) = (given.next(), given.next()) else {
        let remedy = "write jwks_url: or jwks_file:, the keys themselves under jwks:, or introspection:";
        fields.at().report("tokens are checked by either keys or introspection, given once", remedy);
        return None;
    };
    match name {
        "jwks_url" => Some((TokenSource::Jwks(endpoint(at)?), Vec::new(), None)),
        "introspection" => {
            let (introspection, secret) = introspection(at)?;
            Some((TokenSource::Introspection(introspection), Vec::new(), Some(secret)))
        }
        "jwks_file" => Some((TokenSource::Given, keys(at, from_file(at)?)?, None)),
        _ => Some((TokenSource::Given, keys(at, at.to_json())?, None)),
    }
}

fn introspection(at: &At<'_>) -> Option<(Introspection, SecretString)> {
    let fields = at.fields(&["endpoint", "client", "cache"])?;
    let address = fields.require("endpoint").and_then(endpoint);
    let client = fields.require("client").and_then(|at| {
        let fields = at.fields(&["id", "secret", "method"])?;
        let id = fields.require("id").and_then(|at| {
            at.parsed("write the client's id", |text| {
                auth_text::check_client_id(text).map(|()| text.to_owned())
            })
        });
        let secret = fields.require("secret").and_then(|at| secret::read(at, auth_text::check_client_secret));
        let post = match fields.get("method") {
            Some(at) => at.parsed("write client_secret_basic or client_secret_post", |text| match text {
                "client_secret_basic" => Ok(false),
                "client_secret_post" => Ok(true),
                _ => Err("not a way to show a secret"),
            }),
            None => Some(false),
        };
        Some((id?, secret?, post?))
    });
    let cache = match fields.get("cache") {
        Some(at) => at.duration(Duration::from_secs(1), Duration::from_mins(5)),
        None => Some(DEFAULT_CACHE),
    };
    let (client_id, secret, secret_post) = client?;
    let introspection =
        Introspection { endpoint: address?, client_id, secret_post, cache: cache?.as_secs().max(1) };
    Some((introspection, secret))
}

fn endpoint(at: &At<'_>) -> Option<Url> {
    at.parsed("write an https URL; http will do for a loopback host", |text| {
        auth_text::check_endpoint(text).map_err(|error| error.to_string())?;
        Url::parse(text).map_err(|error| error.to_string())
    })
}

fn keys(at: &At<'_>, set: serde_json::Value) -> Option<Vec<VerificationKey>> {
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
