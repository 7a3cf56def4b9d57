//! Workspaces with their members, and servers.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_wire::names::Slug;
use portcullis_wire::payload::{DEFAULT_LIMIT, LEAST_LIMIT, MOST_LIMIT, Redaction};
use portcullis_wire::watch::PayloadPolicy;

use super::reader::{At, Fields};
use super::{AdmissionConfig, Endpoint, MemberConfig, ServerConfig, WorkspaceConfig, WorkspacesConfig};
use super::{admission, auth, sign_in};
use crate::domain::limit::MOST_AT_ONCE;
use crate::domain::payload::PayloadSettings;
use crate::domain::people::{Identity, MemberRole};
use crate::domain::staleness::Staleness;
use crate::domain::url::{PlainHttp, ServerUrl};
use crate::text::did_you_mean;

const SLUG_REMEDY: &str = "choose a slug such as linear or team-2";

/// What the file declares, by name, broken objects included: whoever refers to one has made no mistake.
#[derive(Default)]
pub(super) struct Names {
    workspaces: BTreeMap<Slug, BTreeSet<Identity>>,
    servers: BTreeSet<Slug>,
}

impl Names {
    /// Reads a reference to a workspace, and reports one that leads nowhere.
    pub(super) fn workspace(&self, at: &At<'_>) -> Option<Slug> {
        let text = at.text()?;
        self.find_workspace(at, text)
    }

    pub(super) fn find_workspace(&self, at: &At<'_>, text: &str) -> Option<Slug> {
        find(at, "workspace", text, self.workspaces.keys())
    }

    pub(super) fn find_server(&self, at: &At<'_>, text: &str) -> Option<Slug> {
        find(at, "server", text, self.servers.iter())
    }

    pub(super) fn has_member(&self, workspace: &Slug, identity: &Identity) -> bool {
        self.workspaces.get(workspace).is_some_and(|members| members.contains(identity))
    }
}

fn find<'names>(
    at: &At<'_>,
    what: &str,
    text: &str,
    known: impl Iterator<Item = &'names Slug>,
) -> Option<Slug> {
    let known: Vec<&Slug> = known.collect();
    let found = known.iter().find(|slug| slug.as_str() == text);
    if found.is_none() {
        let words: Vec<&str> = known.iter().map(|slug| slug.as_str()).collect();
        let remedy = did_you_mean(text, &words)
            .map_or_else(|| format!("declare it under {what}s:"), |meant| format!("did you mean {meant}?"));
        at.report(format_args!("there is no {what} {text:?} in this file"), remedy);
    }
    found.map(|slug| (*slug).clone())
}

pub(super) fn workspaces(sections: &Fields<'_>, names: &mut Names) -> Vec<WorkspaceConfig> {
    sections.items("workspaces").iter().filter_map(|at| workspace(at, names)).collect()
}

fn workspace(at: &At<'_>, names: &mut Names) -> Option<WorkspaceConfig> {
    let fields = at.fields(&["slug", "name", "members", "staleness"])?;
    let slug = fields.require("slug").and_then(|at| {
        let slug = at.parsed(SLUG_REMEDY, Slug::parse)?;
        if names.workspaces.contains_key(&slug) {
            at.report(
                format_args!("there are two workspaces {slug:?}", slug = slug.as_str()),
                "rename one of them",
            );
        }
        Some(slug)
    });
    let name = match fields.get("name") {
        Some(at) => at.name(),
        None => slug.as_ref().map(Slug::to_string),
    };
    let mut identities = BTreeSet::new();
    let members = fields.items("members").iter().filter_map(|at| member(at, &mut identities)).collect();
    if let Some(slug) = &slug {
        names.workspaces.entry(slug.clone()).or_default().append(&mut identities);
    }
    let staleness = fields
        .get("staleness")
        .map_or(Some(None), |at| at.parsed(Staleness::REMEDY, Staleness::parse).map(Some));
    Some(WorkspaceConfig { slug: slug?, name: name?, members, staleness: staleness? })
}

fn member(at: &At<'_>, identities: &mut BTreeSet<Identity>) -> Option<MemberConfig> {
    let fields = at.fields(&["issuer", "subject", "name", "role"])?;
    let identity = identity(&fields);
    if let Some(identity) = &identity
        && !identities.insert(identity.clone())
    {
        at.report("this member is listed twice in the workspace", "remove one of the two");
    }
    let name = match fields.get("name") {
        Some(at) => at.name(),
        None => identity.as_ref().map(|identity| identity.subject.clone()),
    };
    let role = fields.get("role").map_or(Some(MemberRole::Member), sign_in::member_role);
    Some(MemberConfig { identity: identity?, name: name?, role: role? })
}

/// The `issuer` and `subject` of a member.
pub(super) fn identity(fields: &Fields<'_>) -> Option<Identity> {
    let (issuer, subject) = (identity_text(fields, "issuer"), identity_text(fields, "subject"));
    Some(Identity { issuer: issuer?, subject: subject? })
}

/// One of the two.
pub(super) fn identity_text(fields: &Fields<'_>, name: &str) -> Option<String> {
    fields.require(name)?.parsed("write it exactly as the issuer's tokens have it", |text| {
        let good = !text.is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control);
        if good { Ok(text.to_owned()) } else { Err("1 to 1024 bytes without control characters") }
    })
}

pub(super) fn servers(sections: &Fields<'_>, names: &mut Names) -> Vec<ServerConfig> {
    sections.items("servers").iter().filter_map(|at| server(at, names)).collect()
}

const SERVER: [&str; 10] = [
    "slug",
    "name",
    "url",
    "allow_http",
    "auth",
    "payload",
    "payload_limit",
    "redact",
    "workspaces",
    "concurrency",
];

fn server(at: &At<'_>, names: &mut Names) -> Option<ServerConfig> {
    let fields = at.fields(&SERVER)?;
    let slug = server_slug(&fields, names);
    let name = match fields.get("name") {
        Some(at) => at.name(),
        None => slug.as_ref().map(Slug::to_string),
    };
    let auth::Read { auth, names_preset, preset_url } =
        fields.require("auth").map(auth::read).unwrap_or_default();
    let url = match (fields.get("url"), names_preset) {
        // A preset that is not known was reported already.
        (None, true) => preset_url.and_then(|url| ServerUrl::parse(url, PlainHttp::Refused).ok()),
        _ => url(&fields),
    };
    let payload = payload(&fields);
    let mut admission = Vec::new();
    let workspaces = fields.require("workspaces").and_then(|at| server_workspaces(at, names, &mut admission));
    let concurrency = match fields.get("concurrency") {
        Some(at) => Some(at.number(1, MOST_AT_ONCE)?),
        None => None,
    };
    Some(ServerConfig {
        slug: slug?,
        name: name?,
        url: url?,
        auth: auth?,
        payload: payload?,
        workspaces: workspaces?,
        concurrency,
        admission,
    })
}

fn server_slug(fields: &Fields<'_>, names: &mut Names) -> Option<Slug> {
    let at = fields.require("slug")?;
    let slug = at.parsed(SLUG_REMEDY, Slug::parse)?;
    if !names.servers.insert(slug.clone()) {
        at.report(format_args!("there are two servers {slug:?}", slug = slug.as_str()), "rename one of them");
    }
    Some(slug)
}

/// Where the servers are, and nothing else about them.
pub(super) fn endpoints(sections: &Fields<'_>) -> Vec<Endpoint> {
    let mut names = Names::default();
    sections.items("servers").iter().filter_map(|at| endpoint(at, &mut names)).collect()
}

fn endpoint(at: &At<'_>, names: &mut Names) -> Option<Endpoint> {
    let fields = at.fields(&SERVER)?;
    let slug = server_slug(&fields, names);
    let preset = fields.get("auth").filter(|at| at.entries_named("preset"));
    let url = match (fields.get("url"), preset) {
        (None, Some(auth)) => {
            auth::preset_url(auth).and_then(|url| ServerUrl::parse(url, PlainHttp::Refused).ok())
        }
        _ => url(&fields),
    };
    Some(Endpoint { slug: slug?, url: url? })
}

fn url(fields: &Fields<'_>) -> Option<ServerUrl> {
    let plain_http = match fields.get("allow_http") {
        Some(at) if at.boolean()? => PlainHttp::Allowed,
        _ => PlainHttp::Refused,
    };
    let at = fields.require("url")?;
    let url = ServerUrl::parse(at.text()?, plain_http);
    // The text is not repeated: somebody may have put a password into it.
    let remedy =
        "write https://host/path, or add allow_http: true for an http URL in a network that you trust";
    let url = url.map_err(|error| at.report(error, remedy)).ok()?;
    if plain_http == PlainHttp::Allowed && url.upstream().tls {
        at.report("allow_http is set, but the URL is https", "remove allow_http, or write an http URL");
    }
    Some(url)
}

fn payload(fields: &Fields<'_>) -> Option<PayloadSettings> {
    let policy = fields.get("payload").map_or(Some(PayloadPolicy::default()), payload_policy);
    let limit =
        fields.get("payload_limit").map_or(Some(DEFAULT_LIMIT), |at| at.number(LEAST_LIMIT, MOST_LIMIT));
    let redact = fields.get("redact").map_or(Some(Redaction::default()), redaction);
    let settings = PayloadSettings { policy: policy?, limit: limit?, redact: redact? };
    let faults = settings.faults();
    for fault in &faults {
        fields.at().descend(&fault.field).report(&fault.problem, &fault.remedy);
    }
    faults.is_empty().then_some(settings)
}

fn payload_policy(at: &At<'_>) -> Option<PayloadPolicy> {
    at.parsed("write off, digest, redacted or full", |text| match text {
        "off" => Ok(PayloadPolicy::Off),
        "digest" => Ok(PayloadPolicy::Digest),
        "redacted" => Ok(PayloadPolicy::Redacted),
        "full" => Ok(PayloadPolicy::Full),
        _ => Err("not a payload policy"),
    })
}

fn redaction(at: &At<'_>) -> Option<Redaction> {
    let fields = at.fields(&["parameters", "response"])?;
    let pointers = |name| -> Option<Vec<String>> {
        fields.items(name).iter().map(|at| at.text().map(str::to_owned)).collect()
    };
    let (parameters, response) = (pointers("parameters"), pointers("response"));
    Some(Redaction { parameters: parameters?, response: response? })
}

fn server_workspaces(
    at: &At<'_>,
    names: &Names,
    admission: &mut Vec<AdmissionConfig>,
) -> Option<WorkspacesConfig> {
    if at.is_scalar() {
        return at.parsed("write all, or a list of slugs", |text| match text {
            "all" => Ok(WorkspacesConfig::All),
            _ => Err("not a list of workspaces"),
        });
    }
    let slugs: BTreeSet<Slug> =
        at.list()?.iter().filter_map(|at| admission::workspace(at, names, admission)).collect();
    Some(WorkspacesConfig::Only(slugs.into_iter().collect()))
}
