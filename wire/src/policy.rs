//! Policy: what each level takes away. A level can only remove.
//!
//! The token-service resolves which levels apply to a caller and puts their rules into the lease; the filter judges
//! names by them. Both use [`Policy::decide`], so that lists, calls and explanations cannot disagree.

use serde::{Deserialize, Serialize};

/// The levels that apply to one caller on one server, outermost first. A name is allowed if every level allows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub levels: Vec<LevelRules>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
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

/// What one level says about one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelRules {
    pub level: Level,
    #[serde(default, skip_serializing_if = "NameRules::is_empty")]
    pub tools: NameRules,
    #[serde(default, skip_serializing_if = "NameRules::is_empty")]
    pub prompts: NameRules,
    /// Judged by URI; templates by their URI template.
    #[serde(default, skip_serializing_if = "NameRules::is_empty")]
    pub resources: NameRules,
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
        LevelRules { level, tools, prompts: NameRules::default(), resources: NameRules::default() }
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
            let one = Policy { levels: vec![level(Level::Organization, outer.clone())] };
            let two = Policy { levels: vec![level(Level::Organization, outer), level(Level::Key, inner)] };
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
