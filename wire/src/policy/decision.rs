//! Verdicts, and what they are called in logs and explanations.

use super::{ArgumentRule, Kind, Level, Pattern};

/// The verdict on one name or call and what decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'policy> {
    Allowed,
    Denied { level: Level, rule: Rule<'policy> },
}

/// Which rule of a level takes something away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule<'policy> {
    /// A pattern of the deny list.
    Deny(&'policy Pattern),
    /// The allow list lacks the name.
    NotAllowed,
    /// The level is for reading, and the tool is not known to read only.
    ReadOnly,
    /// Nobody has approved the tool's present definition.
    NewTool,
    /// A call's argument is not what it has to be. The name itself is allowed.
    Argument(&'policy ArgumentRule),
    /// The tool is not to be called while nobody knows whether the caller still may.
    Sensitive,
}

impl Decision<'_> {
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed)
    }

    /// The level and the rule in one text, the same in logs and explanations: `workspace/tools.deny:delete_*`. It holds
    /// nothing of the request. `None` if nothing is denied.
    pub fn rule_name(self, kind: Kind) -> Option<String> {
        let Self::Denied { level, rule } = self else { return None };
        let (level, kind) = (level.as_str(), kind.as_str());
        Some(match rule {
            Rule::Deny(Pattern(pattern)) => format!("{level}/{kind}s.deny:{pattern}"),
            Rule::NotAllowed => format!("{level}/{kind}s.allow"),
            Rule::ReadOnly => format!("{level}/read_only"),
            Rule::NewTool => format!("{level}/new_tools"),
            Rule::Argument(rule) => format!("{level}/arguments:{}", rule.argument),
            Rule::Sensitive => format!("{level}/sensitive"),
        })
    }
}
