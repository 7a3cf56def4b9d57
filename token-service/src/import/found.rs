//! What is written into `portcullis.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_wire::names::Slug;
use serde_json::{Map, Value, json};

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Found {
    /// Names by slug.
    pub(super) workspaces: BTreeMap<Slug, String>,
    pub(super) servers: BTreeMap<Slug, FoundServer>,
    /// What each level takes away of each server.
    pub(super) policies: BTreeMap<(Level, Slug), Denied>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct FoundServer {
    pub(super) name: Option<String>,
    /// `None`: that of the preset.
    pub(super) url: Option<String>,
    pub(super) allow_http: bool,
    /// As `portcullis.yaml` has it.
    pub(super) auth: Value,
    /// `None`: all there are and all to come.
    pub(super) workspaces: Option<BTreeMap<Slug, Members>>,
}

/// Which members of a workspace have a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Members {
    All,
    /// Nobody, until somebody is written under `allow`.
    Chosen,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Organization,
    Workspace(Slug),
}

/// Names, by kind: `tools`, `prompts` or `resources`.
pub(super) type Denied = BTreeMap<&'static str, BTreeSet<String>>;

impl Found {
    pub(super) fn to_json(&self) -> Value {
        let workspaces: Vec<Value> =
            self.workspaces.iter().map(|(slug, name)| json!({"slug": slug.as_str(), "name": name})).collect();
        let servers: Vec<Value> = self.servers.iter().map(|(slug, server)| server.to_json(slug)).collect();
        let mut root = json!({"workspaces": workspaces, "servers": servers});
        if !self.policies.is_empty() {
            root["policies"] = self.policies();
        }
        root
    }

    fn policies(&self) -> Value {
        let mut root = json!({});
        for ((level, server), denied) in &self.policies {
            let rules: Map<String, Value> =
                denied.iter().map(|(kind, names)| ((*kind).to_owned(), json!({"deny": names}))).collect();
            let servers = match level {
                Level::Organization => &mut root["organization"]["servers"],
                Level::Workspace(slug) => &mut root["workspaces"][slug.as_str()]["servers"],
            };
            servers[server.as_str()] = Value::Object(rules);
        }
        root
    }
}

impl FoundServer {
    fn to_json(&self, slug: &Slug) -> Value {
        let mut server = json!({"slug": slug.as_str(), "auth": self.auth});
        if let Some(name) = &self.name {
            server["name"] = json!(name);
        }
        if let Some(url) = &self.url {
            server["url"] = json!(url);
        }
        if self.allow_http {
            server["allow_http"] = json!(true);
        }
        server["workspaces"] = match &self.workspaces {
            None => json!("all"),
            Some(workspaces) => workspaces
                .iter()
                .map(|(slug, members)| match members {
                    Members::All => json!(slug.as_str()),
                    Members::Chosen => {
                        json!({"workspace": slug.as_str(), "members": "chosen", "allow": []})
                    }
                })
                .collect(),
        };
        server
    }
}
