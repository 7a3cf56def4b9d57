//! Policies as they are judged by.

use std::collections::HashSet;

use super::index::NameIndex;
use super::{ArgumentRule, Decision, Json, Kind, Level, LevelRules, NameRules, Policy, Rule};

/// A [`Policy`] that says what [`Policy::decide`] says, at a cost that does not grow with the number of exact names and
/// of globs with one `*` at either end. Other globs, and the rules for arguments, are tried one by one.
#[derive(Debug)]
pub struct CompiledPolicy {
    source: Policy,
    /// Of each level of the source.
    levels: Vec<Names>,
    reading: HashSet<Box<str>>,
    approved: HashSet<Box<str>>,
}

#[derive(Debug)]
struct Names {
    tools: Lists,
    prompts: Lists,
    resources: Lists,
    sensitive: NameIndex,
}

#[derive(Debug)]
struct Lists {
    allow: Option<NameIndex>,
    deny: NameIndex,
}

impl From<Policy> for CompiledPolicy {
    fn from(source: Policy) -> Self {
        let set = |names: &[String]| names.iter().map(|name| Box::from(name.as_str())).collect();
        Self {
            levels: source.levels.iter().map(Names::new).collect(),
            reading: set(&source.known.reading),
            approved: set(&source.known.approved),
            source,
        }
    }
}

impl PartialEq for CompiledPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl CompiledPolicy {
    /// What it was made of.
    pub fn source(&self) -> &Policy {
        &self.source
    }

    /// Judges `name`, whatever the arguments of a call are. Lists are filtered by this, and no call is allowed that is
    /// not allowed by this.
    pub fn decide(&self, kind: Kind, name: &str) -> Decision<'_> {
        self.find(|level, names| self.removes(level, names, kind, name))
    }

    /// Judges a call of `tool`. `arguments` is the object, if there is one. `is_unverified` says that nobody knows at
    /// present whether the caller still may what it might.
    ///
    /// Only of a tool that the caller has is told what is wrong with a call, so all levels judge the name before any
    /// judges the rest.
    pub fn decide_call<'json>(
        &self,
        tool: &str,
        arguments: Option<impl Json<'json>>,
        is_unverified: bool,
    ) -> Decision<'_> {
        let by_name = self.decide(Kind::Tool, tool);
        if !by_name.is_allowed() {
            return by_name;
        }
        let is_sensitive = |names: &Names| is_unverified && names.sensitive.contains(tool);
        let by_time = self.find(|_, names| is_sensitive(names).then_some(Rule::Sensitive));
        if !by_time.is_allowed() {
            return by_time;
        }
        self.find(|level, _| {
            let mut rules = level.arguments.iter().filter(|rule| rule.tool.matches(tool));
            rules.find(|rule| !rule.holds(arguments)).map(Rule::Argument)
        })
    }

    /// Whether what a call of `tool` is allowed depends on its arguments.
    pub fn judges_arguments(&self, tool: &str) -> bool {
        let mut rules = self.argument_rules();
        rules.any(|rule| rule.tool.matches(tool))
    }

    /// Whether a rule, or what is known of the server, names `tool` exactly: an administrator or the server has, so it is
    /// no word of a client.
    pub fn names_tool(&self, tool: &str) -> bool {
        let names = |names: &Names| {
            let allow = names.tools.allow.as_ref();
            names.tools.deny.names(tool)
                || names.sensitive.names(tool)
                || allow.is_some_and(|allow| allow.names(tool))
        };
        self.reading.contains(tool) || self.approved.contains(tool) || self.levels.iter().any(names)
    }

    fn argument_rules(&self) -> impl Iterator<Item = &ArgumentRule> {
        self.source.levels.iter().flat_map(|level| &level.arguments)
    }

    fn find<'policy>(
        &'policy self,
        removes: impl Fn(&'policy LevelRules, &'policy Names) -> Option<Rule<'policy>>,
    ) -> Decision<'policy> {
        let mut levels = self.source.levels.iter().zip(&self.levels);
        let denied: Option<(Level, Rule<'_>)> =
            levels.find_map(|(level, names)| Some((level.level, removes(level, names)?)));
        denied.map_or(Decision::Allowed, |(level, rule)| Decision::Denied { level, rule })
    }

    fn removes<'policy>(
        &self,
        level: &'policy LevelRules,
        names: &Names,
        kind: Kind,
        name: &str,
    ) -> Option<Rule<'policy>> {
        let lists = names.lists(kind);
        let denied = lists.deny.first(name).and_then(|place| level.rules(kind).deny.get(place));
        if let Some(pattern) = denied {
            return Some(Rule::Deny(pattern));
        }
        if lists.allow.as_ref().is_some_and(|allow| !allow.contains(name)) {
            return Some(Rule::NotAllowed);
        }
        if kind != Kind::Tool {
            return None;
        }
        level.by_knowledge(|| self.reading.contains(name), || self.approved.contains(name))
    }
}

impl Names {
    fn new(level: &LevelRules) -> Self {
        Self {
            tools: Lists::new(&level.tools),
            prompts: Lists::new(&level.prompts),
            resources: Lists::new(&level.resources),
            sensitive: NameIndex::new(&level.sensitive),
        }
    }

    fn lists(&self, kind: Kind) -> &Lists {
        match kind {
            Kind::Tool => &self.tools,
            Kind::Prompt => &self.prompts,
            Kind::Resource => &self.resources,
        }
    }
}

impl Lists {
    fn new(rules: &NameRules) -> Self {
        Self { allow: rules.allow.as_deref().map(NameIndex::new), deny: NameIndex::new(&rules.deny) }
    }
}
