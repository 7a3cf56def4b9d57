//! Portkey's MCP gateway: integrations, the servers that workspaces have made of them, and workspaces.
//!
//! What clients call is the slug of such a server, so each becomes a server here. Integrations without any become one
//! themselves.

mod access;
mod auth;
mod item;
mod slugs;
mod url;

use std::collections::{BTreeMap, BTreeSet};

use portcullis_wire::names::Slug;
use serde_json::Value;

use self::access::{Workspaces, denied, members};
use self::item::Item;
use self::slugs::Slugs;
use super::found::{Found, FoundServer, Level, Members};
use super::report::Report;

/// What a rule of `portcullis.yaml` takes.
const MOST_NAMES: usize = 10_000;
const MOST_GLOBS: usize = 100;

/// Of an integration, what is read elsewhere or only says what the API knows about itself.
const OF_THE_API: [&str; 12] = [
    "id",
    "object",
    "type",
    "created_at",
    "last_updated_at",
    "updated_at",
    "organisation_id",
    "owner_id",
    "created_by",
    "slug",
    "name",
    "url",
];

/// `None` if there is no integration in it.
pub(super) fn read(json: &Value, report: &Report) -> Option<Found> {
    let root = Item::new(json, "", report);
    let (integrations, servers, workspaces) = parts(&root);
    if integrations.is_empty() {
        return None;
    }
    let mut found = Found::default();
    let mut workspaces = Workspaces::read(&workspaces);
    let mut slugs = Slugs::default();
    for integration in &integrations {
        let own: Vec<&Item<'_>> = servers.iter().filter(|server| is_of(server, integration)).collect();
        if own.is_empty() {
            take(integration, None, &mut found, &mut workspaces, &mut slugs);
        }
        for server in own {
            take(integration, Some(server), &mut found, &mut workspaces, &mut slugs);
        }
    }
    for server in &servers {
        if !integrations.iter().any(|integration| is_of(server, integration)) {
            server.note("its integration is not in the file", "import it together with its integration");
        }
    }
    found.workspaces = workspaces.used();
    if !found.workspaces.is_empty() {
        let remedy = "say who they are: sign_in.oidc.memberships, issuers, or members of each workspace";
        report.note("workspaces", "their people stay with Portkey", remedy);
    }
    Some(found)
}

/// Integrations, servers and workspaces, in whichever of the forms.
fn parts<'a>(root: &Item<'a>) -> (Vec<Item<'a>>, Vec<Item<'a>>, Vec<Item<'a>>) {
    let either = |names: [&str; 2]| -> Vec<Item<'a>> {
        names.iter().filter_map(|name| root.get(name)).flat_map(|item| item.listed()).collect()
    };
    let integrations = either(["integrations", "mcp_integrations"]);
    if !integrations.is_empty() {
        return (integrations, either(["servers", "mcp_servers"]), either(["workspaces", "workspace"]));
    }
    let is_integration = |item: &Item<'_>| item.get("url").is_some() || item.get("auth_type").is_some();
    let listed = root.listed().into_iter().filter(|item| {
        let fits = is_integration(item);
        if !fits {
            item.note(
                "this is no integration: it has neither url nor auth_type",
                "correct it, or leave it out",
            );
        }
        fits
    });
    if is_integration(root) {
        (vec![root.clone()], Vec::new(), Vec::new())
    } else {
        (listed.collect(), Vec::new(), Vec::new())
    }
}

fn is_of(server: &Item<'_>, integration: &Item<'_>) -> bool {
    let named = ["mcp_integration_id", "integration_id"].iter().find_map(|name| server.text_at(name));
    named.is_some_and(|named| {
        ["id", "slug"].iter().any(|name| integration.text_at(name).as_deref() == Some(named.as_str()))
    })
}

/// One server: that of a workspace, or the integration itself.
fn take(
    integration: &Item<'_>,
    server: Option<&Item<'_>>,
    found: &mut Found,
    workspaces: &mut Workspaces,
    slugs: &mut Slugs,
) {
    let named = server.unwrap_or(integration);
    if let Some(status) = integration.text_at("status").filter(|status| status != "active") {
        integration
            .note(format!("its status is {status}, so it is left out"), "make it active there, or leave it");
        return;
    }
    let Some(url) = url::read(integration) else { return };
    let only = server.and_then(|server| server.text_at("workspace_id"));
    let only = only.or_else(|| integration.text_at("workspace_id"));
    let only = only.map(|id| workspaces.find(&id, named));
    let Some(slug) = slugs.choose(named, integration, only.as_ref().and_then(Option::as_ref)) else { return };
    let everywhere = access::provisioned(integration, only.is_some(), workspaces);
    let to_whom = members(named);
    let allowed: Option<BTreeMap<Slug, Members>> = match only {
        Some(workspace) => Some(workspace.into_iter().map(|slug| (slug, to_whom)).collect()),
        None => everywhere.map(|slugs| slugs.into_iter().map(|slug| (slug, to_whom)).collect()),
    };
    take_away(integration, &[Level::Organization], &slug, found);
    if let Some(server) = server {
        let levels: Vec<Level> = match &allowed {
            Some(allowed) => allowed.keys().cloned().map(Level::Workspace).collect(),
            None => vec![Level::Organization],
        };
        take_away(server, &levels, &slug, found);
        leftovers(server);
    }
    leftovers(integration);
    if let Some(known) = found.servers.get_mut(&slug) {
        // One server in several workspaces.
        match (&mut known.workspaces, allowed) {
            (Some(known), Some(more)) => known.extend(more),
            (known, _) => *known = None,
        }
        return;
    }
    let auth = auth::read(integration, &slug, &url);
    let server = FoundServer {
        name: named.text_at("name").filter(|name| is_name(name)),
        url: auth.get("preset").is_none().then(|| url.text.clone()),
        allow_http: url.plain,
        auth,
        workspaces: allowed,
    };
    found.servers.insert(slug, server);
}

fn take_away(item: &Item<'_>, levels: &[Level], slug: &Slug, found: &mut Found) {
    let denied = denied(item);
    for level in levels.iter().filter(|_| !denied.is_empty()) {
        let rules = found.policies.entry((level.clone(), slug.clone())).or_default();
        for (kind, names) in &denied {
            let all = rules.entry(kind).or_default();
            all.extend(names.iter().cloned());
            if all.len() > MOST_NAMES || all.iter().filter(|name| name.contains('*')).count() > MOST_GLOBS {
                item.note(
                    format!("more {kind} are switched off than a rule can name, so all are"),
                    "write what is allowed, in place of what is denied",
                );
                *all = BTreeSet::from(["*".to_owned()]);
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= 200 && !name.chars().any(char::is_control)
}

/// What nobody has asked for.
fn leftovers(item: &Item<'_>) {
    const READ: [&str; 15] = [
        "auth_type",
        "transport",
        "configurations",
        "secret_mappings",
        "status",
        "workspace_id",
        "workspaces",
        "global_workspace_access",
        "capabilities",
        "user_access",
        "default_user_access",
        "mcp_integration_id",
        "integration_id",
        "override_existing_workspace_access",
        "provisioned_workspaces",
    ];
    let rest: Vec<&str> =
        item.keys().into_iter().filter(|key| !READ.contains(key) && !OF_THE_API.contains(key)).collect();
    if !rest.is_empty() {
        item.note(
            format!("there is no place for {}", rest.join(", ")),
            "nothing, unless you know better: requests are judged and sent without it",
        );
    }
}
