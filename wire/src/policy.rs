//! Policy: what each level takes away. A level can only remove.
//!
//! The token-service resolves which levels apply to a caller and puts their rules into the lease; the filter judges
//! names by them. Both use [`Policy::decide`], so that lists, calls and explanations cannot disagree.

use serde::{Deserialize, Serialize};

/// The levels that apply to one caller on one server, outermost first. A name is allowed if every level allows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub levels: Vec<LevelRules>,
    /// What is known of the server's tools; empty unless a level judges by it.
    #[serde(default, skip_serializing_if = "KnownTools::is_empty")]
    pub known: KnownTools,
}

/// What the catalogue says about a server's tools, by exact name, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownTools {
    /// Those whose `annotations.readOnlyHint` is true at present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reading: Vec<String>,
    /// Those whose definition at present is the one that was approved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    #[default]
    Organization,
    Workspace,
    Member,
    Key,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Workspace => "workspace",
            Self::Member => "member",
            Self::Key => "key",
        }
    }
}

/// What one level says about one server. The default takes nothing away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelRules {
    pub level: Level,
    #[serde(default, skip_serializing_if = "NameRules::is_empty")]
    pub tools: NameRules,
    #[serde(default, skip_serializing_if = "NameRules::is_empty")]
    pub prompts: NameRules,
    /// Judged by URI; templates by their URI template.
    #[serde(default, skip_serializing_if = "NameRules::is_empty")]
    pub resources: NameRules,
    /// Only tools that are known to read only; an unknown tool counts as one that writes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub read_only: bool,
    #[serde(default, skip_serializing_if = "NewTools::is_allow")]
    pub new_tools: NewTools,
    /// Tools that are refused while the filter cannot tell whether its leases still hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sensitive: Vec<Pattern>,
    /// What the arguments of calls have to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<ArgumentRule>,
}

/// What becomes of a tool whose definition nobody has approved: a new one, or one that was changed since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewTools {
    #[default]
    Allow,
    /// Only if its definition says that it reads only.
    AllowIfReadOnly,
    Hold,
}

impl NewTools {
    pub fn is_allow(&self) -> bool {
        *self == Self::Allow
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A condition on one argument of the tools that `tool` names. A call whose argument is missing, or of another type than
/// the condition speaks of, does not meet it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgumentRule {
    pub tool: Pattern,
    /// A JSON pointer into the call's `arguments` (RFC 6901).
    pub argument: String,
    /// Whether the argument may be left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    pub is: Condition,
}

/// What an argument has to be, judged on its exact value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// A text, a number, `true`, `false` or `null`. Numbers are compared by value: `1`, `1.0` and `1e0` are equal.
    Equals(Scalar),
    OneOf(Vec<Scalar>),
    /// A text that begins so.
    Prefix(String),
    /// A text that matches.
    Glob(Pattern),
    /// A number from `min` to `max`, both included.
    Range {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<serde_json::Number>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<serde_json::Number>,
    },
}

/// A JSON value without parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    Text(String),
    Number(serde_json::Number),
    Bool(bool),
    Null,
}

/// Names allowed and denied, each exact or a glob. Deny wins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameRules {
    /// Only these; absent means all, an empty list means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<Pattern>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Pattern>,
}

/// A name, or a glob in which `*` stands for any run of characters (`/` included) and everything else for itself.
/// Names are compared byte for byte: no case folding, no Unicode normalisation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Tool,
    Prompt,
    Resource,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
        }
    }
}

/// The verdict on one name and what decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'policy> {
    Allowed,
    /// `pattern` is the deny rule that matched; `None` means that the level's allow list lacks the name.
    Denied {
        level: Level,
        pattern: Option<&'policy Pattern>,
    },
}

impl Decision<'_> {
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed)
    }
}

impl Policy {
    /// Judges `name`: the first level that takes it away decides.
    pub fn decide(&self, kind: Kind, name: &str) -> Decision<'_> {
        self.levels
            .iter()
            .map(|level| level.decide(kind, name))
            .find(|decision| !decision.is_allowed())
            .unwrap_or(Decision::Allowed)
    }
}

impl LevelRules {
    pub fn rules(&self, kind: Kind) -> &NameRules {
        match kind {
            Kind::Tool => &self.tools,
            Kind::Prompt => &self.prompts,
            Kind::Resource => &self.resources,
        }
    }

    fn decide(&self, kind: Kind, name: &str) -> Decision<'_> {
        let rules = self.rules(kind);
        if let Some(pattern) = rules.deny.iter().find(|pattern| pattern.matches(name)) {
            return Decision::Denied { level: self.level, pattern: Some(pattern) };
        }
        match &rules.allow {
            Some(allow) if !allow.iter().any(|pattern| pattern.matches(name)) => {
                Decision::Denied { level: self.level, pattern: None }
            }
            _ => Decision::Allowed,
        }
    }
}

impl KnownTools {
    pub fn is_empty(&self) -> bool {
        self.reading.is_empty() && self.approved.is_empty()
    }
}

impl NameRules {
    pub fn is_empty(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }
}

impl Pattern {
    pub fn matches(&self, name: &str) -> bool {
        glob(self.0.as_bytes(), name.as_bytes())
    }
}

/// Matches without recursion and in at most `pattern × name` steps: on a mismatch the last `*` takes one byte more.
fn glob(mut pattern: &[u8], mut name: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (Some((b'*', rest)), _) => {
                retry = Some((rest, name));
                pattern = rest;
            }
            (Some((expected, rest)), Some((found, tail))) if expected == found => {
                pattern = rest;
                name = tail;
            }
            (None, None) => return true,
            _ => {
                let Some((after_star, from)) = retry else { return false };
                let Some((_, shorter)) = from.split_first() else { return false };
                retry = Some((after_star, shorter));
                pattern = after_star;
                name = shorter;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(allow: Option<&[&str]>, deny: &[&str]) -> NameRules {
        let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern((*text).to_owned())).collect();
        NameRules { allow: allow.map(patterns), deny: patterns(deny) }
    }

    fn level(level: Level, tools: NameRules) -> LevelRules {
        LevelRules { level, tools, ..LevelRules::default() }
    }

    #[test]
    fn globs() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "A", false),
            ("", "", true),
            ("*", "", true),
            ("*", "x/y", true),
            ("create_*", "create_issue", true),
            ("create_*", "recreate_issue", false),
            ("*_issue", "create_issue", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("a?", "ab", false),
        ] {
            assert_eq!(Pattern(pattern.into()).matches(name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn deny_wins_and_the_level_is_named() {
        let policy = Policy {
            levels: vec![
                level(Level::Organization, rules(None, &["delete_*"])),
                level(Level::Workspace, rules(Some(&["*_issue"]), &[])),
            ],
            ..Policy::default()
        };
        assert!(policy.decide(Kind::Tool, "create_issue").is_allowed());
        let Decision::Denied { level, pattern } = policy.decide(Kind::Tool, "delete_issue") else {
            panic!("denied")
        };
        assert_eq!(
            (level, pattern.map(|pattern| pattern.0.as_str())),
            (Level::Organization, Some("delete_*"))
        );
        assert_eq!(
            policy.decide(Kind::Tool, "search"),
            Decision::Denied { level: Level::Workspace, pattern: None }
        );
        assert!(policy.decide(Kind::Prompt, "search").is_allowed());
    }

    fn any_rules() -> impl Strategy<Value = NameRules> {
        let pattern = "[ab*]{0,4}".prop_map(Pattern);
        let list = proptest::collection::vec(pattern, 0..4);
        (proptest::option::of(list.clone()), list).prop_map(|(allow, deny)| NameRules { allow, deny })
    }

    proptest! {
        #[test]
        fn a_further_level_never_widens(outer in any_rules(), inner in any_rules(), name in "[ab]{0,5}") {
            let one = Policy { levels: vec![level(Level::Organization, outer.clone())], ..Policy::default() };
            let two = Policy { levels: vec![level(Level::Organization, outer), level(Level::Key, inner)], ..Policy::default() };
            if two.decide(Kind::Tool, &name).is_allowed() {
                prop_assert!(one.decide(Kind::Tool, &name).is_allowed());
            }
        }

        #[test]
        fn globs_agree_with_a_plain_definition(pattern in "[ab*]{0,6}", name in "[ab]{0,8}") {
            fn slow(pattern: &[u8], name: &[u8]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some((b'*', rest)) => (0..=name.len()).any(|skip| slow(rest, &name[skip..])),
                    Some((byte, rest)) => name.first() == Some(byte) && slow(rest, &name[1..]),
                }
            }
            prop_assert_eq!(Pattern(pattern.clone()).matches(&name), slow(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
