//! Who has a server, and what of it.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_wire::names::Slug;
use serde_json::Value;

use super::super::found::{Denied, Members};
use super::item::Item;
use super::slugs::slug;

/// Workspaces by all that they are called.
#[derive(Debug, Default)]
pub(super) struct Workspaces {
    known: BTreeMap<String, (Slug, String)>,
    used: BTreeMap<Slug, String>,
}

impl Workspaces {
    pub(super) fn read(items: &[Item<'_>]) -> Self {
        let mut workspaces = Self::default();
        for item in items {
            let names = ["slug", "name", "id"].map(|name| item.text_at(name));
            let Some(slug) = names.iter().flatten().find_map(|name| slug(name)) else {
                item.note("no slug can be made of this workspace", "give it a slug and import again");
                continue;
            };
            let title = names[1].clone().filter(|name| super::is_name(name));
            let title = title.unwrap_or_else(|| slug.to_string());
            for name in [&names[0], &names[2]].into_iter().flatten() {
                workspaces.known.insert(name.clone(), (slug.clone(), title.clone()));
            }
        }
        workspaces
    }

    /// The workspace that something is about.
    pub(super) fn find(&mut self, id: &str, item: &Item<'_>) -> Option<Slug> {
        if let Some((slug, name)) = self.known.get(id) {
            self.used.insert(slug.clone(), name.clone());
            return Some(slug.clone());
        }
        let Some(slug) = slug(id) else {
            item.note(
                "its workspace is not in the file, so it does not have it",
                "add `workspaces` to the file",
            );
            return None;
        };
        item.note(
            format!("the workspace {id} is not in the file, so it is called {slug}"),
            "add `workspaces` to the file, or call it here as the longer form of the URL does",
        );
        self.used.insert(slug.clone(), slug.to_string());
        Some(slug)
    }

    pub(super) fn used(self) -> BTreeMap<Slug, String> {
        self.used
    }
}

/// The workspaces that an integration is provisioned to; `None` for all there are and all to come.
/// `is_told`: whether one workspace is named anyway.
pub(super) fn provisioned(
    integration: &Item<'_>,
    is_told: bool,
    workspaces: &mut Workspaces,
) -> Option<BTreeSet<Slug>> {
    if is_told {
        return Some(BTreeSet::new());
    }
    let access = integration.get("workspaces").or_else(|| integration.get("provisioned_workspaces"));
    let rows = access.as_ref().map(|item| {
        let inner = item.get("workspaces");
        inner.as_ref().unwrap_or(item).listed()
    });
    let global = integration.get("global_workspace_access");
    let global = global.or_else(|| access.as_ref().and_then(|item| item.get("global_workspace_access")));
    let is_global = global.as_ref().is_some_and(|item| is_on(item));
    let Some(rows) = rows else {
        if !is_global {
            integration.note(
                "the file does not say which workspaces have it, so no workspace has it",
                "add its `workspaces`, or write slugs, or all, under its workspaces",
            );
            return Some(BTreeSet::new());
        }
        return None;
    };
    let mut slugs = BTreeSet::new();
    let mut is_denied = false;
    for row in &rows {
        let Some(id) = row.text_at("id").or_else(|| row.text_at("workspace_id")) else {
            row.note("this names no workspace", "correct it and import again");
            continue;
        };
        if is_on(row) {
            slugs.extend(workspaces.find(&id, row));
        } else {
            is_denied = true;
        }
    }
    if is_global && !is_denied {
        return None;
    }
    if is_global {
        integration.note(
            "workspaces to come would have it, but some of today's do not, so those are named that have it",
            "add workspaces that are made later, or write all and deny the others by a policy",
        );
    }
    Some(slugs)
}

/// `{enabled: true}`, or no word about it.
fn is_on(item: &Item<'_>) -> bool {
    match item.value() {
        Value::Bool(on) => *on,
        value => value.get("enabled").is_none_or(|enabled| *enabled == Value::Bool(true)),
    }
}

/// To whom of a workspace a server is given. Nobody gets more than before.
pub(super) fn members(item: &Item<'_>) -> Members {
    let access = item.get("user_access");
    let inner = access.as_ref().and_then(|access| access.get("user_access"));
    let rows = inner.as_ref().or(access.as_ref()).map(Item::listed).unwrap_or_default();
    let default = item.text_at("default_user_access");
    let default =
        default.or_else(|| access.as_ref().and_then(|access| access.text_at("default_user_access")));
    let (on, off): (Vec<&Item<'_>>, Vec<&Item<'_>>) = rows.iter().partition(|row| is_on(row));
    let is_closed = default.as_deref() == Some("deny") || !off.is_empty();
    if is_closed {
        item.note(
            format!(
                "{} users were allowed and {} denied by their ids there, so nobody has it",
                on.len(),
                off.len()
            ),
            "write who has it under allow of its workspace, by issuer and subject, or members: all",
        );
        return Members::Chosen;
    }
    if !on.is_empty() {
        item.note(
            "users are allowed by name, as everybody is",
            "nothing: everybody of its workspaces has it",
        );
    }
    Members::All
}

/// The tools, prompts and resources that are switched off.
pub(super) fn denied(item: &Item<'_>) -> Denied {
    let mut denied = Denied::new();
    let Some(capabilities) = item.get("capabilities") else { return denied };
    let inner = capabilities.get("capabilities");
    for row in inner.as_ref().unwrap_or(&capabilities).listed() {
        if is_on(&row) {
            continue;
        }
        let Some(name) = row.text_at("name") else {
            row.note("this names nothing that could be switched off", "correct it and import again");
            continue;
        };
        let kind = match row.text_at("type").as_deref() {
            Some("tool") | None => "tools",
            Some("prompt") => "prompts",
            Some("resource") => "resources",
            Some(_) => {
                row.note(
                    "there are no rules for things of this type",
                    "deny the resources that it stands for",
                );
                continue;
            }
        };
        let fits = name.len() <= 256 && !name.chars().any(char::is_control);
        if !fits {
            row.note("this name cannot be in a rule", "deny it by a pattern, such as its beginning with a *");
            continue;
        }
        if name.contains('*') {
            row.note("a * in a rule stands for anything", "see that the rule does not deny too much");
        }
        denied.entry(kind).or_default().insert(name);
    }
    denied
}
