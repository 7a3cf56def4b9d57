//! What is known of a server, in the form that answers need.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::message::{LEGACY, MODERN};
use crate::store::connections::Catalogue;

/// Where MCP 2026-07-28 keeps the server's name for itself.
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// A server as its catalogue describes it, or as little as can be said without one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Profile {
    /// Whether the server itself has said anything.
    pub(super) known: bool,
    /// Of those that the gateway has rules for; newest first.
    versions: Vec<&'static str>,
    pub(super) capabilities: Value,
    pub(super) info: Value,
    pub(super) instructions: Option<String>,
    /// Results of list methods: JSON objects with the list and nothing else.
    lists: BTreeMap<String, String>,
}

impl Profile {
    /// `name` is what the registry calls the server.
    pub(super) fn of(catalogue: Option<&Catalogue>, name: &str) -> Self {
        let results = catalogue.map(|catalogue| &catalogue.results);
        let result = |method| results.and_then(|all| serde_json::from_str::<Value>(all.get(method)?).ok());
        let (discovered, initialized) = (result("server/discover"), result("initialize"));
        let Some(described) = discovered.as_ref().or(initialized.as_ref()) else {
            return Self::unknown(name);
        };
        let info = described.get("serverInfo").or_else(|| described.get("_meta")?.get(SERVER_INFO));
        Self {
            known: true,
            versions: versions(discovered.as_ref(), initialized.as_ref()),
            capabilities: described
                .get("capabilities")
                .filter(|all| all.is_object())
                .cloned()
                .unwrap_or(json!({})),
            info: info.filter(|info| info.is_object()).cloned().unwrap_or_else(|| info_of(name)),
            instructions: described.get("instructions").and_then(Value::as_str).map(str::to_owned),
            lists: results
                .into_iter()
                .flatten()
                .filter(|(method, _)| method.ends_with("/list"))
                .map(clone)
                .collect(),
        }
    }

    /// Tools are what nearly every server has, and a client asks for the list, or for one of them, only if it is told
    /// that there are any.
    fn unknown(name: &str) -> Self {
        let instructions = format!(
            "{name} is not connected yet, so its tools are not known. A call is answered with a link to connect it."
        );
        Self {
            known: false,
            versions: std::iter::once(MODERN).chain(LEGACY.into_iter().rev()).collect(),
            capabilities: json!({"tools": {}}),
            info: info_of(name),
            instructions: Some(instructions),
            lists: BTreeMap::new(),
        }
    }

    /// All versions, newest first.
    pub(super) fn versions(&self) -> &[&'static str] {
        &self.versions
    }

    pub(super) fn is_modern(&self) -> bool {
        self.versions.contains(&MODERN)
    }

    /// What `initialize` is answered with: the proposed version if the server speaks it, else its newest with a
    /// handshake; `None` if it has none.
    pub(super) fn negotiate(&self, proposed: Option<&str>) -> Option<&'static str> {
        let mut legacy = self.versions.iter().copied().filter(|version| LEGACY.contains(version));
        let newest = legacy.clone().next();
        legacy.find(|version| Some(*version) == proposed).or(newest)
    }

    /// The members of a list's result, each as the server wrote it. An empty list where the server has this kind of
    /// thing and nothing is kept of it; `None` if it is not known whether there is anything.
    pub(super) fn list(&self, method: &str) -> Option<BTreeMap<String, Box<RawValue>>> {
        let field = list_field(method)?;
        let kept = self.lists.get(method).and_then(|text| serde_json::from_str(text).ok());
        let empty = || BTreeMap::from([(field.to_owned(), RawValue::from_string("[]".into()).ok())]);
        let empty = || empty().into_iter().filter_map(|(field, list)| Some((field, list?))).collect();
        kept.or_else(|| self.known.then(empty))
    }
}

/// Where the result of a list method has its list.
pub(super) fn list_field(method: &str) -> Option<&'static str> {
    Some(match method {
        "tools/list" => "tools",
        "prompts/list" => "prompts",
        "resources/list" => "resources",
        "resources/templates/list" => "resourceTemplates",
        _ => return None,
    })
}

/// A server that discovers says what it speaks. One that has shaken hands speaks that version and, as servers do, the
/// ones before it.
fn versions(discovered: Option<&Value>, initialized: Option<&Value>) -> Vec<&'static str> {
    let stated = discovered.and_then(|result| result.get("supportedVersions")?.as_array());
    let stated: Vec<&str> = stated.into_iter().flatten().filter_map(Value::as_str).collect();
    let agreed = initialized.and_then(|result| result.get("protocolVersion")?.as_str());
    let all = std::iter::once(MODERN).chain(LEGACY.into_iter().rev());
    all.filter(|version| {
        let before = LEGACY.contains(version) && agreed.is_some_and(|agreed| *version <= agreed);
        stated.contains(version) || before
    })
    .collect()
}

fn info_of(name: &str) -> Value {
    Value::Object(Map::from_iter([
        ("name".to_owned(), name.into()),
        ("version".to_owned(), "unknown".into()),
    ]))
}

fn clone((method, result): (&String, &String)) -> (String, String) {
    (method.clone(), result.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn profile(results: &[(&str, Value)]) -> Profile {
        let results = results.iter().map(|(method, result)| ((*method).to_owned(), result.to_string()));
        let catalogue =
            Catalogue { learnt_at: Timestamp(1), results: results.collect(), ..Catalogue::default() };
        Profile::of(Some(&catalogue), "Linear")
    }

    #[test]
    fn a_proposed_version_is_taken_if_the_server_speaks_it() {
        let unknown = Profile::of(None, "Linear");
        let handshake = profile(&[("initialize", json!({"protocolVersion": "2025-06-18"}))]);
        let both =
            profile(&[("server/discover", json!({"supportedVersions": ["2026-07-28", "2025-11-25"]}))]);
        let modern =
            profile(&[("server/discover", json!({"supportedVersions": ["2026-07-28", "2099-01-01"]}))]);
        for (profile, proposed, expected) in [
            (&unknown, Some("2025-03-26"), Some("2025-03-26")),
            (&unknown, Some("2024-11-05"), Some("2025-11-25")),
            (&unknown, None, Some("2025-11-25")),
            (&handshake, Some("2025-11-25"), Some("2025-06-18")),
            (&handshake, Some("2025-03-26"), Some("2025-03-26")),
            (&both, Some("2025-06-18"), Some("2025-11-25")),
            (&both, Some("2026-07-28"), Some("2025-11-25")),
            (&modern, Some("2025-11-25"), None),
        ] {
            assert_eq!(profile.negotiate(proposed), expected, "{proposed:?} of {:?}", profile.versions());
        }
        assert!(unknown.is_modern() && both.is_modern() && modern.is_modern() && !handshake.is_modern());
        assert_eq!(modern.versions(), ["2026-07-28"]);
    }

    #[test]
    fn lists_are_as_the_server_wrote_them() {
        let text = r#"{"tools":[{"name":"b","inputSchema":{"z":1,"a":2}}]}"#;
        let results = [("tools/list", text), ("initialize", "{}")];
        let results = results.map(|(method, text)| (method.to_owned(), text.to_owned()));
        let profile = Profile::of(
            Some(&Catalogue { learnt_at: Timestamp(1), results: results.into(), ..Catalogue::default() }),
            "x",
        );
        let list = profile.list("tools/list").expect("known");
        assert_eq!(serde_json::to_string(&list).expect("writes"), text);
        let empty = profile.list("prompts/list").expect("known");
        assert_eq!(serde_json::to_string(&empty).expect("writes"), r#"{"prompts":[]}"#);
        assert!(profile.list("tasks/list").is_none());
        assert!(Profile::of(None, "x").list("tools/list").is_none());
    }

    #[test]
    fn a_broken_catalogue_is_none() {
        let results = [("initialize".to_owned(), "{".to_owned())].into();
        assert!(
            !Profile::of(Some(&Catalogue { learnt_at: Timestamp(1), results, ..Catalogue::default() }), "x")
                .known
        );
    }
}
