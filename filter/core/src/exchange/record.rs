//! What a request leaves in the access log, as filter-state keys that Envoy's log format names.

use std::rc::Rc;

use portcullis_wire::decision::{DeniedRequest, Who};
use portcullis_wire::names::Slug;
use portcullis_wire::policy::{Decision, Kind};

use super::measured::Measured;
use crate::leases::{Access, Denial};
use crate::reply::LocalReply;
use crate::trace;

/// The fields that the filter knows; Envoy adds times, bytes, status and addresses.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Fields that the shell has not been given yet.
    fresh: Vec<(&'static str, String)>,
    /// What the decision id will say, should the request be denied.
    denied: DeniedRequest,
    /// What exactly decided, where the token-service did.
    because: Option<Rc<str>>,
    /// What the metrics take from it.
    pub(super) measured: Measured,
}

impl Record {
    /// Sets a field; a later value replaces an earlier one in the log.
    pub(super) fn set(&mut self, field: &'static str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.measured.note(field, &value);
            match field {
                "server" => self.denied.server = Some(value.clone()),
                "workspace" => self.denied.workspace = Some(value.clone()),
                "rule" => self.denied.rule.clone_from(&value),
                _ => {}
            }
            self.fresh.retain(|(name, _)| *name != field);
            self.fresh.push((field, value));
        }
    }

    /// The request came at this time.
    pub(super) fn begin(&mut self, now_ms: u64) {
        self.denied.at_ms = now_ms;
    }

    /// The trace that the request belongs to, by its context.
    pub(super) fn trace(&mut self, traceparent: Option<&str>) {
        self.set("trace_id", traceparent.and_then(trace::trace_id).unwrap_or_default());
    }

    /// The path names this workspace; whose the caller is, a lease will say.
    pub(super) fn asked_for(&mut self, workspace: Option<&Slug>) {
        self.denied.workspace = workspace.map(Slug::to_string);
    }

    pub(super) fn caller(&mut self, access: &Access) {
        let caller = access.caller();
        let key = caller.key_id.clone().map(Who::Key);
        let session = caller.session_id.clone().map(Who::Session);
        self.denied.who = key.or(session).or_else(|| Some(Who::Member(caller.id.clone())));
        self.denied.revision = Some(access.revision());
        self.set("caller", caller.id.as_str());
        self.set("caller_name", caller.name.as_str());
        self.set("credential", caller.credential.as_str());
        self.set("key", caller.key_id.as_deref().unwrap_or_default());
        self.set("session_id", caller.session_id.as_deref().unwrap_or_default());
        self.set("client_id", caller.client_id.as_deref().unwrap_or_default());
        self.set("workspace", access.workspace().slug.as_str());
        self.set("revision", access.revision().to_string());
    }

    pub(super) fn target(&mut self, kind: Kind, name: &str) {
        self.set("kind", kind.as_str());
        self.set("name", name);
        self.denied.target = Some((kind, name.to_owned()));
    }

    pub(super) fn allowed(&mut self) {
        self.set("decision", "allow");
    }

    /// A browser asked beforehand, and may send its request.
    pub(super) fn preflight(&mut self) {
        self.set("decision", "allow");
        self.set("rule", "preflight");
    }

    /// Policy allows it, but the caller has yet to connect an account.
    pub(super) fn connect_required(&mut self) {
        self.set("decision", "connect_required");
    }

    /// The upstream refused the credential first.
    pub(super) fn renewed(&mut self) {
        self.set("rule", "credential_renewed");
    }

    /// `reason` is what the response-code details say too.
    pub(super) fn denied(&mut self, reason: &str) {
        self.set("decision", "deny");
        self.set("rule", reason);
    }

    /// The token-service gives no lease. What exactly decided is said here, and nowhere else.
    pub(super) fn lease_denied(&mut self, denial: &Denial, who: Option<Who>) {
        self.because.clone_from(&denial.because);
        self.denied.who = who;
        self.denied.revision = denial.revision;
        if let Some(revision) = denial.revision {
            self.set("revision", revision.to_string());
        }
    }

    /// A denial by policy names the level and the rule.
    pub(super) fn denied_by_policy(&mut self, kind: Kind, decision: Decision<'_>) {
        if let Some(rule) = decision.rule_name(kind) {
            self.denied(&rule);
        }
    }

    /// The gateway answered the request itself.
    pub(super) fn refused(&mut self, reply: &LocalReply) {
        self.measured.status(reply.status);
        self.set("error_code", reply.code.to_string());
        let reason = reply.details.strip_prefix("portcullis_").unwrap_or(&reply.details);
        let rule = self.because.clone().unwrap_or_else(|| reason.into());
        match reply.status {
            // A denial by policy has said more already.
            _ if self.is_denied() => {}
            500.. => {
                self.set("decision", "error");
                self.set("rule", &*rule);
                return;
            }
            _ => self.denied(&rule),
        }
        self.denied.status = u16::try_from(reply.status).unwrap_or(0);
        reason.clone_into(&mut self.denied.reason);
        self.set("decision_id", self.denied.spell());
    }

    /// The request was allowed, but its response is held back.
    pub(super) fn response_refused(&mut self, reply: &LocalReply) {
        self.measured.status(reply.status);
        self.set("error_code", reply.code.to_string());
    }

    /// The request was allowed and its response was under way when it had to end. The decision stays what it was.
    pub(super) fn ended(&mut self, reply: &LocalReply) {
        let reason = reply.details.strip_prefix("portcullis_").unwrap_or(&reply.details);
        self.set("rule", reason);
        self.set("ended", reason);
        self.set("error_code", reply.code.to_string());
    }

    /// It was decided by what was cached, while nobody could say whether that still holds.
    pub(super) fn stale(&mut self) {
        self.set("stale", "true");
    }

    fn is_denied(&self) -> bool {
        self.fresh.iter().any(|(name, value)| *name == "decision" && value == "deny")
    }

    pub(super) fn take(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.fresh)
    }
}

#[cfg(test)]
mod tests {
    use portcullis_wire::policy::{Level, Pattern, Rule};

    use super::*;

    #[test]
    fn names_the_level_and_the_rule() {
        let mut record = Record::default();
        let pattern = Pattern("delete_*".into());
        record.allowed();
        record.denied_by_policy(
            Kind::Tool,
            Decision::Denied { level: Level::Workspace, rule: Rule::Deny(&pattern) },
        );
        assert_eq!(
            record.take(),
            [("decision", "deny".to_owned()), ("rule", "workspace/tools.deny:delete_*".to_owned())]
        );
        assert!(record.take().is_empty());
    }
}
