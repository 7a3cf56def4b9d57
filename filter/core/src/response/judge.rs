//! The policy's verdict on many names at once.

use std::collections::HashSet;

use portcullis_wire::policy::{Kind, NameRules, Pattern, Policy};

/// Says for names of one kind what [`Policy::decide`] says, without comparing each name with each pattern: exact names
/// are looked up, only globs are tried one by one. Made for one list.
#[derive(Debug)]
pub struct NameJudge<'policy> {
    levels: Vec<(Option<Names<'policy>>, Names<'policy>)>,
}

#[derive(Debug)]
struct Names<'policy> {
    exact: HashSet<&'policy str>,
    globs: Vec<&'policy Pattern>,
}

impl<'policy> NameJudge<'policy> {
    pub fn new(policy: &'policy Policy, kind: Kind) -> Self {
        let rules = policy.levels.iter().map(|level| level.rules(kind));
        let compile = |rules: &'policy NameRules| {
            (rules.allow.as_deref().map(Names::new), Names::new(rules.deny.as_slice()))
        };
        Self { levels: rules.filter(|rules| !rules.is_empty()).map(compile).collect() }
    }

    pub fn allows(&self, name: &str) -> bool {
        self.levels.iter().all(|(allow, deny)| {
            !deny.contain(name) && allow.as_ref().is_none_or(|allow| allow.contain(name))
        })
    }
}

impl<'policy> Names<'policy> {
    fn new(patterns: &'policy [Pattern]) -> Self {
        let (globs, exact): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| pattern.0.contains('*'));
        Self { exact: exact.into_iter().map(|pattern| pattern.0.as_str()).collect(), globs }
    }

    fn contain(&self, name: &str) -> bool {
        self.exact.contains(name) || self.globs.iter().any(|pattern| pattern.matches(name))
    }
}
