//! What a request leaves in the access log, as filter-state keys that Envoy's log format names.
//!
//! A record costs every request, so what somebody else holds is not copied into it: the lease, the route. They are read
//! when the record is handed over, and for the decision id, which only a denied request has.

use std::borrow::Cow;
use std::rc::Rc;

use portcullis_wire::decision::{DeniedRequest, Who};
use portcullis_wire::names::Slug;
use portcullis_wire::policy::{Decision, Kind};

use super::ending::Ended;
use super::measured::{Measured, Names, Times};
use crate::leases::{Access, Denial};
use crate::mcp::{Client, Id};
use crate::metrics::Metrics;
use crate::path::Route;
use crate::payload::{Excerpt, printable};
use crate::reply::LocalReply;
use crate::step::Headers;
use crate::trace;

/// In bytes.
const LONGEST_USER_AGENT: usize = 256;

/// Of what a client calls a method, a target, itself; in bytes.
const LONGEST_METHOD: usize = 128;
const LONGEST_NAME: usize = 1024;
const LONGEST_CLIENT: usize = 128;

/// The fields that the filter knows; Envoy adds times, bytes, status and addresses.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Fields that the shell has not been given yet.
    fresh: Vec<(&'static str, Cow<'static, str>)>,
    /// When the request came, in milliseconds since the epoch.
    at_ms: u64,
    route: Told<Rc<Route>>,
    access: Told<Access>,
    /// Kind and name of what is asked for.
    target: Told<(Kind, Rc<str>)>,
    /// Where the token-service gives no lease.
    unleased: Option<Unleased>,
    parameters_cut: bool,
    ended: Option<Ended>,
    /// What the metrics take from it.
    pub(super) measured: Measured,
}

/// Something that several fields are read from, and whether the shell has been given them.
#[derive(Debug, Default)]
enum Told<T> {
    #[default]
    Nothing,
    Fresh(T),
    Given(T),
}

/// What is known of a caller without a lease.
#[derive(Debug)]
struct Unleased {
    who: Option<Who>,
    revision: Option<u64>,
    /// What exactly decided.
    because: Option<Rc<str>>,
}

impl<T> Told<T> {
    fn get(&self) -> Option<&T> {
        match self {
            Self::Nothing => None,
            Self::Fresh(told) | Self::Given(told) => Some(told),
        }
    }

    /// Once.
    fn give(&mut self, fields: impl FnOnce(&T)) {
        *self = match std::mem::take(self) {
            Self::Fresh(told) => {
                fields(&told);
                Self::Given(told)
            }
            told => told,
        };
    }
}

impl Record {
    /// Sets a field; a later value replaces an earlier one in the log.
    pub(super) fn set(&mut self, field: &'static str, value: impl Into<Cow<'static, str>>) {
        let value = value.into();
        if !value.is_empty() {
            self.measured.note(field, &value);
            self.fresh.retain(|(name, _)| *name != field);
            self.fresh.push((field, value));
        }
    }

    /// Sets a field to what a client says, at most `limit` bytes of it.
    fn set_said(&mut self, field: &'static str, said: &str, limit: usize) {
        self.set(field, shown(said, limit).into_owned());
    }

    /// What the client calls itself. Taken from here and not from the header by Envoy, whose OTLP would have the bytes as they
    /// are: a receiver refuses a batch in which a text is not UTF-8, and with it the records of others.
    pub(super) fn user_agent(&mut self, headers: &Headers) {
        let found = headers.iter().find(|(name, _)| name == b"user-agent");
        let value = found.map(|(_, value)| value.as_slice()).unwrap_or_default();
        let start = value.get(..LONGEST_USER_AGENT).unwrap_or(value);
        self.set_said("user_agent", &String::from_utf8_lossy(start), LONGEST_USER_AGENT);
    }

    /// The request came at this time.
    pub(super) fn begin(&mut self, now_ms: u64) {
        self.at_ms = now_ms;
    }

    /// The path names this server, and perhaps a workspace; whose the caller is, a lease will say.
    pub(super) fn route(&mut self, route: &Rc<Route>) {
        self.route = Told::Fresh(Rc::clone(route));
    }

    /// The trace that the request belongs to, by its context.
    pub(super) fn trace(&mut self, traceparent: Option<&str>) {
        self.set("trace_id", traceparent.and_then(trace::trace_id).unwrap_or_default().to_owned());
    }

    pub(super) fn caller(&mut self, access: &Access) {
        self.access = Told::Fresh(access.clone());
    }

    pub(super) fn target(&mut self, kind: Kind, name: &str) {
        self.target = Told::Fresh((kind, name.into()));
    }

    pub(super) fn method(&mut self, method: &str) {
        self.set_said("method", method, LONGEST_METHOD);
    }

    /// The id by which the client knows the answer; of a response, the id of the server's request.
    pub(super) fn rpc_id(&mut self, id: Option<&Id>) {
        if let Some(id) = id {
            let text = id.text();
            self.set("rpc_id", shown(&text, text.len()).into_owned());
        }
    }

    /// The request that a notification wants to be given up.
    pub(super) fn cancels(&mut self, id: Option<&Id>) {
        if let Some(id) = id {
            let text = id.text();
            self.set("cancels", shown(&text, text.len()).into_owned());
        }
    }

    /// What the client calls itself.
    pub(super) fn client(&mut self, client: Option<&Client>) {
        if let Some(client) = client {
            self.set_said("client_name", &client.name, LONGEST_CLIENT);
            self.set_said("client_version", &client.version, LONGEST_CLIENT);
        }
    }

    pub(super) fn parameters(&mut self, excerpt: Option<Excerpt>) {
        if let Some(Excerpt { text, size, is_cut }) = excerpt {
            self.parameters_cut = is_cut;
            self.set("parameters", text);
            self.set("parameters_bytes", size.to_string());
            self.truncated(false);
        }
    }

    pub(super) fn response(&mut self, excerpt: Excerpt) {
        let Excerpt { text, size, is_cut } = excerpt;
        self.set("response", text);
        self.set("response_bytes", size.to_string());
        self.truncated(is_cut);
    }

    fn truncated(&mut self, response_cut: bool) {
        let truncated = match (self.parameters_cut, response_cut) {
            (false, false) => "",
            (true, false) => "parameters",
            (false, true) => "response",
            (true, true) => "parameters,response",
        };
        self.set("truncated", truncated);
    }

    pub(super) fn allowed(&mut self) {
        self.set("decision", "allow");
    }

    /// A browser asked beforehand, and may send its request.
    pub(super) fn preflight(&mut self) {
        self.set("decision", "allow");
        self.set("rule", "preflight");
        self.ended(Ended::Complete);
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
        self.set("rule", reason.to_owned());
    }

    /// The token-service gives no lease. What exactly decided is said here, and nowhere else.
    pub(super) fn lease_denied(&mut self, denial: &Denial, who: Option<Who>) {
        let (revision, because) = (denial.revision, denial.because.clone());
        self.unleased = Some(Unleased { who, revision, because });
        if let Some(revision) = revision {
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
        self.ended(Ended::Refused);
        self.own_answer(reply);
        let reason = reason(reply);
        // A denial by policy has said more already.
        if self.fresh("decision") != Some("deny") {
            let because = self.unleased.as_ref().and_then(|unleased| unleased.because.clone());
            let rule = because.as_deref().unwrap_or(reason);
            if reply.status >= 500 {
                self.set("decision", "error");
                self.set("rule", rule.to_owned());
                return;
            }
            self.denied(rule);
        }
        self.set("decision_id", self.denied_request(reply).spell());
    }

    fn denied_request(&self, reply: &LocalReply) -> DeniedRequest {
        let (route, access, unleased) = (self.route.get(), self.access.get(), self.unleased.as_ref());
        let workspace = access.map(|access| &access.workspace().slug);
        let workspace = workspace.or_else(|| route.and_then(|route| route.workspace.as_ref()));
        DeniedRequest {
            at_ms: self.at_ms,
            status: u16::try_from(reply.status).unwrap_or(0),
            reason: reason(reply).to_owned(),
            rule: self.fresh("rule").unwrap_or_default().to_owned(),
            who: match unleased {
                Some(unleased) => unleased.who.clone(),
                None => access.map(who),
            },
            workspace: workspace.map(Slug::to_string),
            server: route.map(|route| route.server.to_string()),
            target: self.target.get().map(|(kind, name)| (*kind, name.to_string())),
            revision: match unleased {
                Some(unleased) => unleased.revision,
                None => access.map(Access::revision),
            },
        }
    }

    /// The request was allowed, but its response is held back.
    pub(super) fn response_refused(&mut self, reply: &LocalReply) {
        self.measured.status(reply.status);
        self.own_answer(reply);
        self.ended(Ended::Rejected);
    }

    /// What the gateway says itself holds no secret, so it is logged whatever the server's payload policy.
    fn own_answer(&mut self, reply: &LocalReply) {
        self.set("error_code", reply.code.to_string());
        let text = printable(String::from_utf8_lossy(&reply.body)).into_owned();
        self.response(Excerpt { text, size: reply.body.len(), is_cut: false });
    }

    /// The request was allowed and its response was under way when it had to end. The decision stays what it was.
    pub(super) fn cut(&mut self, reply: &LocalReply) {
        self.set("rule", reason(reply).to_owned());
        self.set("error_code", reply.code.to_string());
        self.ended(Ended::cut_by(reply));
    }

    pub(super) fn ended(&mut self, ended: Ended) {
        self.ended = Some(ended);
        self.set("ended", ended.as_str());
    }

    /// `None` as long as it is not known.
    pub(super) fn how_ended(&self) -> Option<Ended> {
        self.ended
    }

    /// It was decided by what was cached, while nobody could say whether that still holds.
    pub(super) fn stale(&mut self) {
        self.set("stale", "true");
    }

    /// The value of a field that the shell has not been given.
    fn fresh(&self, field: &str) -> Option<&str> {
        self.fresh.iter().find(|(name, _)| *name == field).map(|(_, value)| value.as_ref())
    }

    /// Adds the request to the metrics. `is_server` says whether the registry has a name.
    pub(super) fn count(&self, metrics: &mut Metrics, is_server: &dyn Fn(&str) -> bool, times: Times) {
        let names = Names {
            server: self.route.get().map_or("", |route| route.server.as_str()),
            workspace: self.access.get().map(|access| access.workspace().slug.as_str()),
            target: self.target.get().map_or("", |(_, name)| name),
        };
        self.measured.count(metrics, names, is_server, times);
    }

    /// Gives `take` every field that is new or changed since the last time.
    pub(super) fn hand_over(&mut self, take: &mut dyn FnMut(&'static str, &str)) {
        let mut give = |field, value: &str| {
            if !value.is_empty() {
                take(field, value);
            }
        };
        self.route.give(|route| give("server", route.server.as_str()));
        self.access.give(|access| {
            let caller = access.caller();
            give("caller", &caller.id);
            give("caller_name", &caller.name);
            give("credential", caller.credential.as_str());
            give("key", caller.key_id.as_deref().unwrap_or_default());
            give("session_id", caller.session_id.as_deref().unwrap_or_default());
            give("client_id", caller.client_id.as_deref().unwrap_or_default());
            give("workspace", access.workspace().slug.as_str());
            give("workspace_id", access.workspace().id.as_str());
            give("revision", &access.revision().to_string());
        });
        self.target.give(|(kind, name)| {
            give("kind", kind.as_str());
            give("name", &shown(name, LONGEST_NAME));
        });
        for (field, value) in self.fresh.drain(..) {
            give(field, &value);
        }
    }
}

/// The response-code details without their prefix.
fn reason(reply: &LocalReply) -> &str {
    reply.details.strip_prefix("portcullis_").unwrap_or(&reply.details)
}

fn who(access: &Access) -> Who {
    let caller = access.caller();
    let key = caller.key_id.clone().map(Who::Key);
    let session = caller.session_id.clone().map(Who::Session);
    key.or(session).unwrap_or_else(|| Who::Member(caller.id.clone()))
}

/// What a client says, at most `limit` bytes of it.
fn shown(said: &str, limit: usize) -> Cow<'_, str> {
    if said.len() <= limit {
        return printable(said.into());
    }
    let kept = said.get(..said.floor_char_boundary(limit)).unwrap_or_default();
    let mut kept = printable(kept.into()).into_owned();
    kept.push('…');
    kept.into()
}

#[cfg(test)]
mod tests {
    use portcullis_wire::policy::{Level, Pattern, Rule};

    use super::*;

    fn taken(record: &mut Record) -> Vec<(&'static str, String)> {
        let mut taken = Vec::new();
        record.hand_over(&mut |field, value| taken.push((field, value.to_owned())));
        taken
    }

    #[test]
    fn a_user_agent_is_text_whatever_was_sent() {
        let said = |value: &[u8]| {
            let mut record = Record::default();
            record.user_agent(&vec![(b"user-agent".to_vec(), value.to_vec())]);
            taken(&mut record)
        };
        assert_eq!(said(b"a\xffb"), [("user_agent", "a\u{fffd}b".to_owned())]);
        assert_eq!(said(&[b'x'; 300]), [("user_agent", "x".repeat(256))]);
        assert_eq!(said(b""), []);
    }

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
            taken(&mut record),
            [("decision", "deny".to_owned()), ("rule", "workspace/tools.deny:delete_*".to_owned())]
        );
        assert!(taken(&mut record).is_empty());
    }

    #[test]
    fn a_target_is_given_once_and_stays_known() {
        let mut record = Record::default();
        record.target(Kind::Tool, "a");
        assert_eq!(taken(&mut record), [("kind", "tool".to_owned()), ("name", "a".to_owned())]);
        assert!(taken(&mut record).is_empty());
        record.refused(&LocalReply::too_large(1));
        let id = taken(&mut record).into_iter().find(|(field, _)| *field == "decision_id");
        let denied = DeniedRequest::read(&id.expect("an id").1).expect("reads");
        assert_eq!(denied.target, Some((Kind::Tool, "a".to_owned())));
    }

    #[test]
    fn what_clients_say_is_bounded() {
        let mut record = Record::default();
        record.method(&"é".repeat(1_000));
        let taken = taken(&mut record);
        let [("method", method)] = taken.as_slice() else { panic!("{taken:?}") };
        assert_eq!(method, &format!("{}…", "é".repeat(64)));
        assert_eq!(shown("a\u{2028}b", 2), "a…");
        assert_eq!(shown("a\u{2028}b", 9), r"a\u2028b");
    }
}
