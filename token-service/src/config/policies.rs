//! Policies of the organization, of workspaces and of members.

use std::collections::BTreeSet;

use portcullis_wire::policy::{NameRules, Pattern};

use super::reader::{At, Fields};
use super::registry::{Names, identity};
use super::{PolicyConfig, PolicyTargetConfig};
use crate::domain::policy::ServerRules;

const MAX_PATTERNS: usize = 1000;
const MAX_PATTERN_LENGTH: usize = 1024;

pub(super) fn read(sections: &Fields<'_>, names: &Names) -> Vec<PolicyConfig> {
    let levels =
        sections.get("policies").and_then(|at| at.fields(&["organization", "workspaces", "members"]));
    let Some(levels) = levels else { return Vec::new() };
    let mut policies = Vec::new();
    if let Some(at) = levels.get("organization") {
        policies.extend(servers(at, &PolicyTargetConfig::Organization, names));
    }
    for (slug, at) in levels.get("workspaces").and_then(At::entries).unwrap_or_default() {
        if let Some(slug) = names.find_workspace(&at, slug) {
            policies.extend(servers(&at, &PolicyTargetConfig::Workspace(slug), names));
        }
    }
    let mut seen = BTreeSet::new();
    for at in levels.items("members") {
        policies.extend(member(&at, names, &mut seen));
    }
    policies
}

type MemberKey = (String, crate::domain::people::Identity);

fn member(at: &At<'_>, names: &Names, seen: &mut BTreeSet<MemberKey>) -> Vec<PolicyConfig> {
    let Some(fields) = at.fields(&["workspace", "issuer", "subject", "servers"]) else { return Vec::new() };
    let workspace = fields.require("workspace").and_then(|at| names.workspace(at));
    let identity = identity(&fields);
    let (Some(workspace), Some(identity)) = (workspace, identity) else { return Vec::new() };
    if !names.has_member(&workspace, &identity) {
        at.report("the workspace has no such member in this file", "declare the member under workspaces:");
    }
    if !seen.insert((workspace.to_string(), identity.clone())) {
        at.report("there are two policies for this member", "join them");
    }
    let target = PolicyTargetConfig::Member(workspace, identity);
    fields.require("servers").map(|at| rules_by_server(at, &target, names)).unwrap_or_default()
}

fn servers(at: &At<'_>, target: &PolicyTargetConfig, names: &Names) -> Vec<PolicyConfig> {
    let fields = at.fields(&["servers"]);
    let servers = fields.as_ref().and_then(|fields| fields.require("servers"));
    servers.map(|at| rules_by_server(at, target, names)).unwrap_or_default()
}

fn rules_by_server(at: &At<'_>, target: &PolicyTargetConfig, names: &Names) -> Vec<PolicyConfig> {
    let entries = at.entries().unwrap_or_default();
    let read = |(slug, at): &(&str, At<'_>)| {
        let server = names.find_server(at, slug);
        let rules = rules(at);
        Some(PolicyConfig { target: target.clone(), server: server?, rules: rules? })
    };
    entries.iter().filter_map(read).collect()
}

fn rules(at: &At<'_>) -> Option<ServerRules> {
    let fields = at.fields(&["enabled", "tools", "prompts", "resources"])?;
    let enabled = fields.get("enabled").map(At::boolean);
    let names = |kind| fields.get(kind).map_or(Some(NameRules::default()), name_rules);
    let (tools, prompts, resources) = (names("tools"), names("prompts"), names("resources"));
    let enabled = match enabled {
        Some(read) => Some(read?),
        None => None,
    };
    let (tools, prompts, resources) = (tools?, prompts?, resources?);
    Some(ServerRules { enabled, tools, prompts, resources, ..ServerRules::default() })
}

fn name_rules(at: &At<'_>) -> Option<NameRules> {
    let fields = at.fields(&["allow", "deny"])?;
    let patterns = |at: &At<'_>| {
        let items = at.list()?;
        if items.len() > MAX_PATTERNS {
            at.report(
                format_args!("more than {MAX_PATTERNS} patterns"),
                "use globs: delete_* for all that begin so",
            );
        }
        Some(items.iter().filter_map(pattern).collect::<Vec<_>>())
    };
    let allow = fields.get("allow").map(patterns);
    let deny = fields.get("deny").map(patterns);
    let allow = match allow {
        Some(read) => Some(read?),
        None => None,
    };
    Some(NameRules { allow, deny: deny.unwrap_or(Some(Vec::new()))? })
}

fn pattern(at: &At<'_>) -> Option<Pattern> {
    at.parsed("write a name, or a glob in which * stands for any run of characters", |text| {
        let good = !text.is_empty() && text.len() <= MAX_PATTERN_LENGTH;
        if good { Ok(Pattern(text.to_owned())) } else { Err("1 to 1024 bytes") }
    })
}
