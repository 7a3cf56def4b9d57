//! What a lease was judged by, in order: so that it can be said later what decided, and what else there was.
//!
//! [`super::resolve`] notes each thing that it judges as it goes. A denial is due to the last one, which the log names and the
//! caller never learns; an explanation shows them all.

use portcullis_wire::lease::DenyReason;
use portcullis_wire::policy::Level;

use super::Revision;
use super::people::Member;
use super::policy::PolicyEntry;

/// One thing that was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule that would have denied it, as the log names it.
    pub rule: &'static str,
    /// `None`: it does not.
    pub denied: Option<DenyReason>,
    /// Of the policy entry that says so, where one does.
    pub revision: Option<Revision>,
}

/// Everything that was judged, up to the first thing that denies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    steps: Vec<Step>,
    /// Of the facts that were judged.
    revision: Option<Revision>,
}

impl Trail {
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// The facts to be judged are as of this commit.
    pub(super) fn at(&mut self, revision: Revision) {
        self.revision = Some(revision);
    }

    /// The issuer that was asked about a token does not vouch for it.
    pub fn not_vouched_for(&mut self) {
        let denied = Some(DenyReason::UnknownCredential);
        self.steps.push(Step { rule: "token/inactive", denied, revision: None });
    }

    /// What denied, if anything did.
    pub fn because(&self) -> Option<&'static str> {
        self.steps.last().filter(|step| step.denied.is_some()).map(|step| step.rule)
    }

    /// Goes on if `holds`, and denies with this reason otherwise.
    pub(super) fn check(
        &mut self,
        rule: &'static str,
        holds: bool,
        otherwise: DenyReason,
    ) -> Result<(), DenyReason> {
        self.note(rule, if holds { Ok(()) } else { Err(otherwise) }, None)
    }

    /// Goes on with what there is, and denies with this reason if there is nothing.
    pub(super) fn take<T>(
        &mut self,
        rule: &'static str,
        found: Option<T>,
        otherwise: DenyReason,
    ) -> Result<T, DenyReason> {
        self.check(rule, found.is_some(), otherwise)?;
        found.ok_or(otherwise)
    }

    pub(super) fn note(
        &mut self,
        rule: &'static str,
        outcome: Result<(), DenyReason>,
        revision: Option<Revision>,
    ) -> Result<(), DenyReason> {
        self.steps.push(Step { rule, denied: outcome.err(), revision });
        outcome
    }

    /// Whether a member is one at present.
    pub(super) fn member(&mut self, member: &Member) -> Result<(), DenyReason> {
        let off = DenyReason::DisabledCredential;
        self.check("quarantine/member", !member.quarantined, off)?;
        self.check("member/disabled", !member.disabled, off)?;
        self.check("member/lapsed", !member.lapsed, off)
    }

    /// What a token of an issuer says, by the rules of the issuer.
    pub(super) fn issuer(&mut self, outcome: Result<(), DenyReason>) -> Result<(), DenyReason> {
        let rule = match outcome {
            Ok(()) => "issuer/rules",
            Err(DenyReason::WrongAudience) => "issuer/audiences",
            Err(DenyReason::ExpiredCredential) => "issuer/max_age",
            Err(_) => "issuer/claims",
        };
        self.note(rule, outcome, None)
    }

    /// Whether a level leaves the server.
    pub(super) fn enabled(&mut self, entry: &PolicyEntry) -> Result<(), DenyReason> {
        let rule = match entry.target.level() {
            Level::Organization => "organization/enabled",
            Level::Workspace => "workspace/enabled",
            Level::Member => "member/enabled",
            Level::Key => "key/enabled",
        };
        let outcome = if entry.rules.removes_server() { Err(DenyReason::UnknownServer) } else { Ok(()) };
        self.note(rule, outcome, Some(entry.revision))
    }
}
