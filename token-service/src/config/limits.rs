//! How often something may be called: limits of the organization, of workspaces and of members.

use std::collections::BTreeSet;

use super::policies::patterns;
use super::reader::{At, Fields};
use super::registry::Names;
use super::targets::Section;
use super::{LimitConfig, PolicyTargetConfig};
use crate::domain::limit::{Each, LimitName, LimitRule, MOST_LIMITS, MOST_PATTERNS, MOST_REQUESTS, Per};

const SECTION: Section =
    Section { name: "limits", field: "limits", twice: "there are two lists of limits for this member" };

pub(super) fn read(sections: &Fields<'_>, names: &Names) -> Vec<LimitConfig> {
    let of_target = |at: &At<'_>, target: &PolicyTargetConfig| of_target(at, target, names);
    SECTION.read(sections, names, of_target, of_target)
}

fn of_target(at: &At<'_>, target: &PolicyTargetConfig, names: &Names) -> Vec<LimitConfig> {
    let items = at.list().unwrap_or_default();
    if items.len() > MOST_LIMITS {
        at.report(
            format_args!("more than {MOST_LIMITS} limits"),
            "count several things apart in one, with each:",
        );
    }
    let mut seen = BTreeSet::new();
    items.iter().filter_map(|at| limit(at, target, names, &mut seen)).collect()
}

fn limit(
    at: &At<'_>,
    target: &PolicyTargetConfig,
    names: &Names,
    seen: &mut BTreeSet<LimitName>,
) -> Option<LimitConfig> {
    let fields = at.fields(&["name", "server", "workspace", "tools", "each", "requests", "per"])?;
    let name = fields.require("name").and_then(|at| {
        let name = at.parsed("choose a name such as writes", LimitName::parse)?;
        if !seen.insert(name.clone()) {
            at.report("there are two limits of this name here", "rename one of them");
        }
        Some(name)
    });
    // What is there and cannot be read is reported, and then none of the file counts.
    let server = fields.get("server").and_then(|at| names.find_server(at, at.text()?));
    let workspace = fields.get("workspace").and_then(|at| names.workspace(at));
    if let (Some(at), false) = (fields.get("workspace"), *target == PolicyTargetConfig::Organization) {
        at.report("only limits of the organization are for one workspace", "remove workspace");
    }
    let tools = fields.get("tools").and_then(|at| {
        let items = at.list()?;
        if items.is_empty() || items.len() > MOST_PATTERNS {
            at.report("no tools, or more than 100", "name up to 100 tools or globs, or remove tools");
        }
        patterns(at)
    });
    let each = fields.get("each").and_then(each);
    let requests = fields.require("requests").and_then(|at| at.number(1, MOST_REQUESTS));
    let per = fields.require("per").and_then(|at| one_of(at, &Per::ALL, Per::as_str));
    let rule = LimitRule {
        tools: tools.unwrap_or_default(),
        each: each.unwrap_or_default(),
        requests: requests?,
        per: per?,
    };
    Some(LimitConfig { target: target.clone(), name: name?, server, workspace, rule })
}

/// One word, or a list of them.
fn each(at: &At<'_>) -> Option<BTreeSet<Each>> {
    let word = |at: &At<'_>| one_of(at, &Each::ALL, Each::as_str);
    if at.is_scalar() {
        return word(at).map(|each| BTreeSet::from([each]));
    }
    at.list()?.iter().map(word).collect()
}

fn one_of<T: Copy>(at: &At<'_>, all: &[T], spell: impl Fn(T) -> &'static str) -> Option<T> {
    let words: Vec<&str> = all.iter().map(|item| spell(*item)).collect();
    at.parsed(&format!("write one of {}", words.join(", ")), |text| {
        all.iter().copied().find(|item| spell(*item) == text).ok_or("not one of them")
    })
}
