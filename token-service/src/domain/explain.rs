//! Why something is allowed or denied: the decision of a lease and of the filter after it, with all that it rests on.
//!
//! Nothing is decided here. A caller and a server go through [`super::resolve`], a name through the policy of the grant, as
//! they do for a lease and in the filter; this puts the outcome into an order that people can read.

mod words;

use std::collections::BTreeMap;

use portcullis_wire::policy::{CompiledPolicy, Kind, Policy};
use serde_json::Value;

pub use self::words::{Basis, basis, says};
use super::Revision;
use super::denial::Trail;
use super::resolve::{Grant, Resolution};

/// What is asked for on a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub kind: Kind,
    pub name: String,
    /// Of a call, if they are known.
    pub arguments: Option<Value>,
}

/// One thing that was judged, in the order of deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// As the log names it; where it does not deny, what would have.
    pub rule: String,
    pub denies: bool,
    /// Of the policy entry that it is about.
    pub revision: Option<Revision>,
}

/// A decision and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// In order; the last one decided if it denies.
    pub judged: Vec<Judged>,
    /// Why not; as in the response-code details of the filter.
    pub reason: Option<&'static str>,
    /// The commit that it rests on.
    pub revision: Revision,
    /// What the caller has on the server; `None` if there is no lease.
    pub grant: Option<Box<Grant>>,
}

impl Explanation {
    /// `trail` is what `resolution` was decided by.
    pub fn of(resolution: Resolution, trail: &Trail, asked: Option<&Asked>) -> Self {
        let step = |step: &super::denial::Step| Judged {
            rule: step.rule.to_owned(),
            denies: step.denied.is_some(),
            revision: step.revision,
        };
        let mut explanation = Self {
            judged: trail.steps().iter().map(step).collect(),
            reason: None,
            revision: trail.revision().unwrap_or_default(),
            grant: None,
        };
        match resolution {
            Resolution::Granted(grant) => {
                if let Some(asked) = asked {
                    explanation.judge(&grant, asked);
                }
                explanation.grant = Some(grant);
            }
            Resolution::Denied(reason) => explanation.reason = Some(reason.as_str()),
            Resolution::Provision { .. } | Resolution::Pending | Resolution::Unavailable => {}
        }
        explanation
    }

    pub fn is_allowed(&self) -> bool {
        self.reason.is_none()
    }

    /// What denies.
    pub fn decisive(&self) -> Option<&Judged> {
        self.judged.last().filter(|judged| judged.denies)
    }

    /// Whether what is said of a tool would be another for some arguments.
    pub fn depends_on_arguments(&self, asked: &Asked) -> bool {
        let policy = self.grant.as_ref().filter(|_| asked.kind == Kind::Tool && asked.arguments.is_none());
        policy.is_some_and(|grant| CompiledPolicy::from(grant.policy.clone()).judges_arguments(&asked.name))
    }

    /// The revisions of the levels' policy entries.
    fn entries(&self) -> BTreeMap<String, Revision> {
        let entry =
            |judged: &Judged| Some((judged.rule.strip_suffix("/enabled")?.to_owned(), judged.revision?));
        self.judged.iter().filter_map(entry).collect()
    }

    /// Level by level, up to the first that denies, and then by the scopes of the credential: as the filter does.
    fn judge(&mut self, grant: &Grant, asked: &Asked) {
        let mut entries = self.entries();
        for level in &grant.policy.levels {
            // What a key's own scope takes away comes after the key's entry, and has none.
            let revision = entries.remove(level.level.as_str());
            let alone = Policy { levels: vec![level.clone()], ..grant.policy.clone() };
            let decision = alone.decide(asked.kind, &asked.name);
            let passed = format!("{}/{}s", level.level.as_str(), asked.kind.as_str());
            let rule = decision.rule_name(asked.kind).unwrap_or(passed);
            let denies = !decision.is_allowed();
            self.judged.push(Judged { rule, denies, revision });
            if denies {
                self.reason = Some("policy_denied");
                return;
            }
        }
        if let (Kind::Tool, Some(arguments)) = (asked.kind, &asked.arguments) {
            let policy = CompiledPolicy::from(grant.policy.clone());
            let decision = policy.decide_call(&asked.name, Some(arguments), false);
            if let Some(rule) = decision.rule_name(asked.kind) {
                let level = rule.split_once('/').map_or("", |(level, _)| level);
                let revision = self.entries().remove(level);
                self.judged.push(Judged { rule, denies: true, revision });
                self.reason = Some("policy_denied");
                return;
            }
        }
        let Some(reading) = &grant.limits.reading_tools else { return };
        let denies = asked.kind == Kind::Tool && !reading.contains(&asked.name);
        self.judged.push(Judged { rule: "insufficient_scope".to_owned(), denies, revision: None });
        if denies {
            self.reason = Some("insufficient_scope");
        }
    }
}

#[cfg(test)]
mod tests;
