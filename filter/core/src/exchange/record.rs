//! What a request leaves in the access log, as filter-state keys that Envoy's log format names.

use portcullis_wire::policy::{Decision, Kind};

use crate::leases::Access;
use crate::reply::LocalReply;

/// The fields that the filter knows; Envoy adds times, bytes, status and addresses.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Fields that the shell has not been given yet.
    fresh: Vec<(&'static str, String)>,
}

impl Record {
    /// Sets a field; a later value replaces an earlier one in the log.
    pub(super) fn set(&mut self, field: &'static str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.fresh.retain(|(name, _)| *name != field);
            self.fresh.push((field, value));
        }
    }

    pub(super) fn caller(&mut self, access: &Access) {
        let caller = access.caller();
        self.set("caller", caller.id.as_str());
        self.set("caller_name", caller.name.as_str());
        self.set("credential", caller.credential.as_str());
        self.set("session_id", caller.session_id.as_deref().unwrap_or_default());
        self.set("client_id", caller.client_id.as_deref().unwrap_or_default());
        self.set("workspace", access.workspace().slug.as_str());
        self.set("revision", access.revision().to_string());
    }

    pub(super) fn target(&mut self, kind: Kind, name: &str) {
        self.set("kind", kind.as_str());
        self.set("name", name);
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

    /// A denial by policy names the level and the rule.
    pub(super) fn denied_by_policy(&mut self, kind: Kind, decision: Decision<'_>) {
        if let Some(rule) = decision.rule_name(kind) {
            self.denied(&rule);
        }
    }

    /// The gateway answered the request itself.
    pub(super) fn refused(&mut self, reply: &LocalReply) {
        self.set("error_code", reply.code.to_string());
        let reason = reply.details.strip_prefix("portcullis_").unwrap_or(&reply.details);
        match reply.status {
            // A denial by policy has said more already.
            _ if self.is_denied() => {}
            500.. => {
                self.set("decision", "error");
                self.set("rule", reason);
            }
            _ => self.denied(reason),
        }
    }

    /// The request was allowed, but its response is held back.
    pub(super) fn response_refused(&mut self, reply: &LocalReply) {
        self.set("error_code", reply.code.to_string());
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
