//! How explanations are shown.

use portcullis_wire::decision::{DeniedRequest, Who};
use serde::Serialize;
use utoipa::ToSchema;

use super::audit::AuditView;
use super::time;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::explain::{Explanation, Judged, says};
use crate::explain::Account;

/// A decision and what it rests on.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Answer {
    /// What is decided now: `allowed` or `denied`; `unknown` if that cannot be said of the request.
    pub decision: &'static str,
    /// What the caller would be told, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// What denies, as the access log names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// `organization`, `workspace`, `member` or `key`, if a level's policy denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<&'static str>,
    /// What the rule means, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// The commit that last changed the policy entry that denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_revision: Option<u64>,
    /// The commit that all of this reflects.
    pub revision: u64,
    /// Everything that was judged, in order, up to the first thing that denies.
    pub steps: Vec<StepView>,
    /// Whether the member has an account at the server: `not_needed`, `missing`, or the state of the connection. Absent
    /// where there is no access.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<&'static str>,
    /// It is allowed as far as can be said without the arguments of the call, by which a level judges too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub depends_on_arguments: bool,
    /// The networks that the credential may be used from, if not from all; the caller's is not known here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// What a decision id says was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<DecidedThen>,
    /// Whether that still holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<Holds>,
    /// What was changed since about the caller, the workspace and the server, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub since: Vec<AuditView>,
}

/// One thing that was judged.
#[derive(Debug, Serialize, ToSchema)]
pub struct StepView {
    /// What denies, or would have.
    pub rule: String,
    /// `passed` or `denied`.
    pub verdict: &'static str,
    /// The commit that last changed the policy entry that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// Whether a decision of the past holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    Yes,
    /// The request would be denied, but something else denies it first.
    ByAnotherRule,
    /// The same request would be allowed.
    No,
    /// It rests on the request itself, or on what was going on just then; or the caller is not known any more.
    Depends,
}

impl Holds {
    /// For people.
    pub(super) fn says(self) -> &'static str {
        match self {
            Self::Yes => "It would be denied again, for the same reason.",
            Self::ByAnotherRule => "It would be denied again, by another rule.",
            Self::No => "The same request would be allowed now.",
            Self::Depends => {
                "Whether it would be denied again depends on the request itself, or on what goes on just then."
            }
        }
    }
}

/// What was decided, by a decision id. It is not signed: the access log vouches for it.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecidedThen {
    /// RFC 3339.
    pub at: String,
    /// Of HTTP.
    pub status: u16,
    pub reason: String,
    pub rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<&'static str>,
    pub says: String,
    /// `member:<id>`, `key:<id>`, `session:<id>`, or issuer and subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// `tool`, `prompt` or `resource`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

impl Answer {
    pub(super) fn of(explanation: &Explanation, account: Option<Account>) -> Self {
        let decisive = explanation.decisive();
        let grant = explanation.grant.as_ref();
        Self {
            decision: if explanation.is_allowed() { "allowed" } else { "denied" },
            reason: explanation.reason,
            rule: decisive.map(|judged| judged.rule.clone()),
            level: decisive.and_then(|judged| level(&judged.rule)),
            says: decisive.map(|judged| says(&judged.rule)),
            rule_revision: decisive.and_then(|judged| judged.revision).map(|revision| revision.0),
            revision: explanation.revision.0,
            steps: explanation.judged.iter().map(StepView::of).collect(),
            account: account.map(Account::as_str),
            sources: grant.map(|grant| grant.limits.sources.clone()).unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Of a decision of which nothing can be said now.
    pub(super) fn of_the_past(then: DecidedThen, holds: Holds, revision: Revision) -> Self {
        Self {
            decision: "unknown",
            revision: revision.0,
            then: Some(then),
            holds: Some(holds),
            ..Self::default()
        }
    }
}

impl StepView {
    fn of(judged: &Judged) -> Self {
        Self {
            rule: judged.rule.clone(),
            verdict: if judged.denies { "denied" } else { "passed" },
            revision: judged.revision.map(|revision| revision.0),
        }
    }
}

impl DecidedThen {
    pub(super) fn of(denied: &DeniedRequest) -> Self {
        let caller = denied.who.as_ref().map(|who| match who {
            Who::Member(id) => format!("member:{id}"),
            Who::Key(id) => format!("key:{id}"),
            Who::Session(id) => format!("session:{id}"),
            Who::Subject { issuer, subject } => format!("{subject} of {issuer}"),
        });
        Self {
            at: time::spell(Timestamp(denied.at_ms)),
            status: denied.status,
            reason: denied.reason.clone(),
            rule: denied.rule.clone(),
            level: level(&denied.rule),
            says: says(&denied.rule),
            caller,
            workspace: denied.workspace.clone(),
            server: denied.server.clone(),
            kind: denied.target.as_ref().map(|(kind, _)| kind.as_str()),
            name: denied.target.as_ref().map(|(_, name)| name.clone()),
            revision: denied.revision,
        }
    }
}

/// The level whose policy a rule is of. What is about the caller itself has the same beginning and is none.
fn level(rule: &str) -> Option<&'static str> {
    let (first, rest) = rule.split_once('/')?;
    let of_policy = [
        "enabled",
        "tools",
        "prompts",
        "resources",
        "read_only",
        "new_tools",
        "sensitive",
        "arguments",
        "scope",
    ];
    let levels = ["organization", "workspace", "member", "key"];
    let known = levels.into_iter().find(|level| *level == first)?;
    of_policy.iter().any(|start| rest.starts_with(start)).then_some(known)
}
