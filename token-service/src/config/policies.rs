//! Policies of the organization, of workspaces and of members.

use portcullis_wire::policy::{ArgumentRule, Condition, NameRules, NewTools, Pattern};

use super::reader::{At, Fields};
use super::registry::Names;
use super::targets::Section;
use super::{PolicyConfig, PolicyTargetConfig};
use crate::domain::auth_draft::{Fault, Field};
use crate::domain::policy::{ServerRules, faults};

const SECTION: Section =
    Section { name: "policies", field: "servers", twice: "there are two policies for this member" };

pub(super) fn read(sections: &Fields<'_>, names: &Names) -> Vec<PolicyConfig> {
    let of_level = |at: &At<'_>, target: &PolicyTargetConfig| servers(at, target, names);
    let of_member = |at: &At<'_>, target: &PolicyTargetConfig| rules_by_server(at, target, names);
    SECTION.read(sections, names, of_level, of_member)
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
    let enabled = optional(&fields, "enabled", |at| at.boolean().map(Some));
    let names = |kind| optional(&fields, kind, name_rules);
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
        read_only: read_only?,
        new_tools: new_tools?,
        sensitive: sensitive?,
        arguments: arguments?,
    })
}

/// The default if the field is absent, `None` if it cannot be read.
fn optional<'a, T: Default>(
    fields: &Fields<'a>,
    name: &str,
    read: impl FnOnce(&At<'a>) -> Option<T>,
) -> Option<T> {
    fields.get(name).map_or_else(|| Some(T::default()), read)
}

fn name_rules(at: &At<'_>) -> Option<NameRules> {
    let fields = at.fields(&["allow", "deny"])?;
    let allow = optional(&fields, "allow", |at| patterns(at).map(Some));
    let deny = optional(&fields, "deny", patterns);
    Some(NameRules { allow: allow?, deny: deny? })
}

pub(super) fn patterns(at: &At<'_>) -> Option<Vec<Pattern>> {
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
        optional: may_be_missing?,
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
