//! Policies of the organization, of workspaces and of members.

use std::collections::BTreeSet;

use portcullis_wire::policy::{ArgumentRule, Condition, NameRules, NewTools, Pattern};

use super::reader::{At, Fields};
use super::registry::{Names, identity};
use super::{PolicyConfig, PolicyTargetConfig};
use crate::domain::auth_draft::{Fault, Field};
use crate::domain::policy::{ServerRules, faults};

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
    let fields = at.fields(&[
        "enabled",
        "tools",
        "prompts",
        "resources",
        "read_only",
        "new_tools",
        "sensitive",
        "arguments",
    ])?;
    let enabled = optional(&fields, "enabled", At::boolean);
    let names = |kind| optional(&fields, kind, name_rules).map(Option::unwrap_or_default);
    let (tools, prompts, resources) = (names("tools"), names("prompts"), names("resources"));
    let read_only = optional(&fields, "read_only", At::boolean);
    let new_tools = optional(&fields, "new_tools", new_tools);
    let sensitive = optional(&fields, "sensitive", patterns);
    let arguments = optional(&fields, "arguments", arguments);
    Some(ServerRules {
        enabled: enabled?,
        tools: tools?,
        prompts: prompts?,
        resources: resources?,
        read_only: read_only?.unwrap_or_default(),
        new_tools: new_tools?.unwrap_or_default(),
        sensitive: sensitive?.unwrap_or_default(),
        arguments: arguments?.unwrap_or_default(),
    })
}

/// `Some(None)` if the field is absent, `None` if it cannot be read.
fn optional<'a, T>(
    fields: &Fields<'a>,
    name: &str,
    read: impl FnOnce(&At<'a>) -> Option<T>,
) -> Option<Option<T>> {
    fields.get(name).map_or(Some(None), |at| read(at).map(Some))
}

fn name_rules(at: &At<'_>) -> Option<NameRules> {
    let fields = at.fields(&["allow", "deny"])?;
    let (allow, deny) = (optional(&fields, "allow", patterns), optional(&fields, "deny", patterns));
    Some(NameRules { allow: allow?, deny: deny?.unwrap_or_default() })
}

fn patterns(at: &At<'_>) -> Option<Vec<Pattern>> {
    let texts: Vec<Option<&str>> = at.list()?.iter().map(At::text).collect();
    let texts: Option<Vec<&str>> = texts.into_iter().collect();
    let patterns: Vec<Pattern> = texts?.into_iter().map(|text| Pattern(text.to_owned())).collect();
    report(at, faults::of_patterns(&Field::default(), &patterns));
    Some(patterns)
}

fn new_tools(at: &At<'_>) -> Option<NewTools> {
    at.parsed("write allow, allow_if_read_only or hold", |text| match text {
        "allow" => Ok(NewTools::Allow),
        "allow_if_read_only" => Ok(NewTools::AllowIfReadOnly),
        "hold" => Ok(NewTools::Hold),
        _ => Err("not what can become of new tools"),
    })
}

fn arguments(at: &At<'_>) -> Option<Vec<ArgumentRule>> {
    let items = at.list()?;
    report(at, faults::of_count(&Field::default(), items.len()));
    let rules: Vec<Option<ArgumentRule>> = items.iter().map(argument).collect();
    rules.into_iter().collect()
}

fn argument(at: &At<'_>) -> Option<ArgumentRule> {
    let fields = at.fields(&["tool", "argument", "optional", "is"])?;
    let tool = fields.require("tool").and_then(At::text);
    let argument = fields.require("argument").and_then(At::text);
    let may_be_missing = optional(&fields, "optional", At::boolean);
    let is = fields.require("is").and_then(condition);
    let rule = ArgumentRule {
        tool: Pattern(tool?.to_owned()),
        argument: argument?.to_owned(),
        optional: may_be_missing?.unwrap_or_default(),
        is: is?,
    };
    report(at, faults::of_argument(&Field::default(), &rule));
    Some(rule)
}

fn condition(at: &At<'_>) -> Option<Condition> {
    let remedy =
        "write one of equals: value, one_of: [values], prefix: text, glob: pattern, range: {min: 1, max: 9}";
    serde_json::from_value(at.to_json()).map_err(|error| at.report(error, remedy)).ok()
}

fn report(at: &At<'_>, faults: impl IntoIterator<Item = Fault>) {
    for fault in faults {
        at.descend(&fault.field).report(fault.problem, fault.remedy);
    }
}
