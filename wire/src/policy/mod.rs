//! Policy: what each level takes away. A level can only remove.
//!
//! The token-service resolves which levels apply to a caller and puts their rules into the lease; the filter judges
//! names and calls by them, in the form of a [`CompiledPolicy`]. Both sides use this module, so that lists, calls and
//! explanations cannot disagree.

mod arguments;
mod compiled;
mod decimal;
mod decision;
mod index;
mod names;
mod pointer;
mod twins;

use serde::{Deserialize, Serialize};

pub use self::arguments::{ArgumentRule, Condition, Found, Json, Scalar};
pub use self::compiled::CompiledPolicy;
pub use self::decimal::Decimal;
pub use self::decision::{Decision, Rule};
pub use self::names::{NameRules, Pattern, Shape};
pub use self::pointer::{Pointer, array_index};
pub use self::twins::same_but_for_case;

/// The levels that apply to one caller on one server, outermost first. A name is allowed if every level allows it.
///
/// All of it is read strictly: whoever does not know a rule must not go by the others alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub levels: Vec<LevelRules>,
    /// What is known of the server's tools; empty unless a level judges by it.
    #[serde(default, skip_serializing_if = "KnownTools::is_empty")]
    pub known: KnownTools,
}

/// What the catalogue says about a server's tools, by exact name, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewTools {
    #[default]
    Allow,
    /// Only if its definition says that it reads only.
    AllowIfReadOnly,
    Hold,
}

impl NewTools {
    /// Whether nothing is taken away.
    pub fn is_allow(&self) -> bool {
        *self == Self::Allow
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}

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

impl Policy {
    /// Judges `name`, whatever the arguments of a call are: the first level that takes it away decides. This is the plain
    /// definition, whose cost grows with the number of rules; [`CompiledPolicy::decide`] says the same for less.
    pub fn decide(&self, kind: Kind, name: &str) -> Decision<'_> {
        for level in &self.levels {
            if let Some(rule) = level.removes(kind, name, &self.known) {
                return Decision::Denied { level: level.level, rule };
            }
        }
        Decision::Allowed
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

    fn removes(&self, kind: Kind, name: &str, known: &KnownTools) -> Option<Rule<'_>> {
        let rules = self.rules(kind);
        if let Some(pattern) = rules.deny.iter().find(|pattern| pattern.matches(name)) {
            return Some(Rule::Deny(pattern));
        }
        if rules.allow.as_ref().is_some_and(|allow| !allow.iter().any(|pattern| pattern.matches(name))) {
            return Some(Rule::NotAllowed);
        }
        if kind != Kind::Tool {
            return None;
        }
        let is_in = |names: &[String]| names.iter().any(|known| known == name);
        self.by_knowledge(|| is_in(&known.reading), || is_in(&known.approved))
    }

    /// What is taken away because of what is known of a tool.
    fn by_knowledge(
        &self,
        reads: impl Fn() -> bool,
        is_approved: impl Fn() -> bool,
    ) -> Option<Rule<'static>> {
        if self.read_only && !reads() {
            return Some(Rule::ReadOnly);
        }
        let held = match self.new_tools {
            NewTools::Allow => false,
            NewTools::AllowIfReadOnly => !is_approved() && !reads(),
            NewTools::Hold => !is_approved(),
        };
        held.then_some(Rule::NewTool)
    }

    /// Whether it matters which tools only read.
    pub fn needs_reading(&self) -> bool {
        self.read_only || self.new_tools == NewTools::AllowIfReadOnly
    }

    /// Whether it matters which tools are approved.
    pub fn needs_approved(&self) -> bool {
        self.new_tools != NewTools::Allow
    }
}

impl KnownTools {
    pub fn is_empty(&self) -> bool {
        self.reading.is_empty() && self.approved.is_empty()
    }
}

#[cfg(test)]
mod tests;
