//! What one request adds to the metrics, gathered on its way.

use crate::mcp::Method;
use crate::metrics::{Metric, Metrics, NONE, OTHER, Tag};
use crate::step::Headers;

/// How long a request took, as the shell has measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// From its last byte until it was let go or answered, in microseconds; `None` if neither happened.
    pub decision_us: Option<u64>,
    /// From its first byte to the end of everything, in milliseconds; `None` if the host does not tell the time.
    pub whole_ms: Option<u64>,
}

/// The figures of one request.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and none rules out another")]
#[derive(Debug, Default)]
pub(super) struct Measured {
    method: Option<&'static str>,
    decision: Option<&'static str>,
    rule: String,
    /// Of a call of a tool: whether its name may be a label.
    knows_tool: Option<bool>,
    status: Option<u32>,
    has_error: bool,
    has_tool_error: bool,
    is_ended: bool,
    is_stale: bool,
    masked_bytes: u64,
    lease: Lease,
}

/// What a request is about, as the record has it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names<'a> {
    /// As in the path; whether there is such a server is asked here.
    pub(super) server: &'a str,
    /// Of the lease.
    pub(super) workspace: Option<&'a str>,
    /// Of what is called.
    pub(super) target: &'a str,
}

/// Where the lease came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Lease {
    #[default]
    NotLookedFor,
    Cached,
    AskedFor,
    Missing,
}

impl Measured {
    /// Takes what concerns the metrics from the access log's record. Texts are judged where they become labels.
    pub(super) fn note(&mut self, field: &'static str, value: &str) {
        match field {
            "method" => self.method = Some(Method::known_name(value).unwrap_or(OTHER)),
            "decision" => self.decision = DECISIONS.into_iter().find(|known| *known == value),
            "rule" => value.clone_into(&mut self.rule),
            "error_code" => self.has_error = true,
            "ended" => self.is_ended = ["revoked", "unverified"].contains(&value),
            "stale" => self.is_stale = true,
            _ => {}
        }
    }

    /// A request without a message has the method of HTTP.
    pub(super) fn without_message(&mut self, method: &'static str) {
        self.method = Some(method);
    }

    /// It is a call of a tool, whose name is a label if `is_known`.
    pub(super) fn tool(&mut self, is_known: bool) {
        self.knows_tool = Some(is_known);
    }

    pub(super) fn status(&mut self, status: u32) {
        self.status = Some(status);
    }

    /// That of an upstream's head.
    pub(super) fn status_of(&mut self, headers: &Headers) {
        let value = headers.iter().find(|(name, _)| name == b":status").map(|(_, value)| value.as_slice());
        self.status = value.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    }

    pub(super) fn response(&mut self, has_tool_error: bool, masked_bytes: u64) {
        self.has_tool_error = has_tool_error;
        self.masked_bytes = masked_bytes;
    }

    pub(super) fn lease_cached(&mut self) {
        if self.lease == Lease::NotLookedFor {
            self.lease = Lease::Cached;
        }
    }

    pub(super) fn lease_asked_for(&mut self) {
        self.lease = Lease::AskedFor;
    }

    pub(super) fn lease_missing(&mut self) {
        self.lease = Lease::Missing;
    }

    /// Adds everything. `is_server` says whether the registry has a name.
    pub(super) fn count(
        &self,
        metrics: &mut Metrics,
        names: Names<'_>,
        is_server: impl Fn(&str) -> bool,
        times: Times,
    ) {
        let server = if is_server(names.server) { names.server } else { "unknown" };
        let decision = self.decision.unwrap_or(NONE);
        let outcome = self.outcome();
        let (on_server, ends) = ((Tag::Server, server), (Tag::Outcome, outcome));
        let method = (Tag::Method, self.method.unwrap_or(NONE));
        let verdict = (Tag::Decision, decision);
        metrics.count(Metric::Requests, &[on_server, method, verdict, ends]);
        let workspace = names.workspace.unwrap_or(NONE);
        metrics.count(Metric::WorkspaceRequests, &[(Tag::Workspace, workspace), verdict]);
        if decision == "deny" {
            metrics.count(Metric::Denials, &[on_server, (Tag::Rule, kind_of(&self.rule))]);
        }
        if let Some(is_known) = self.knows_tool {
            let tool = if is_known { names.target } else { OTHER };
            metrics.count(Metric::ToolCalls, &[on_server, (Tag::Tool, tool), verdict, ends]);
        }
        if let Some(result) = self.lease.result() {
            metrics.count(Metric::LeaseLookups, &[(Tag::Result, result)]);
        }
        if self.is_stale {
            metrics.count(Metric::StaleServed, &[on_server]);
        }
        if self.masked_bytes > 0 {
            metrics.add(Metric::MaskedBytes, &[on_server], self.masked_bytes);
        }
        if let Some(microseconds) = times.decision_us {
            metrics.measure(Metric::DecisionTime, &[on_server], microseconds);
        }
        if let Some(milliseconds) = times.whole_ms {
            metrics.measure(Metric::RequestTime, &[on_server], milliseconds);
        }
    }

    /// What the client got, in one word.
    fn outcome(&self) -> &'static str {
        match self.status {
            _ if self.is_ended => "ended",
            None => NONE,
            Some(500..) => "5xx",
            Some(400..) => "4xx",
            Some(300..) => "3xx",
            Some(_) if self.has_error => "rpc_error",
            Some(_) if self.has_tool_error => "tool_error",
            Some(_) => "ok",
        }
    }
}

impl Lease {
    fn result(self) -> Option<&'static str> {
        match self {
            Self::NotLookedFor => None,
            Self::Cached => Some("hit"),
            Self::AskedFor => Some("miss"),
            Self::Missing => Some("unavailable"),
        }
    }
}

const DECISIONS: [&str; 4] = ["allow", "deny", "connect_required", "error"];

/// A rule without the pattern, the name or the argument that is its own: `workspace/tools.deny:delete_*` is one of
/// `workspace/tools.deny`.
fn kind_of(rule: &str) -> &str {
    rule.split_once(':').map_or(rule, |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn counted(measured: &Measured, names: Names<'_>, times: Times) -> BTreeMap<String, u64> {
        let mut metrics = Metrics::default();
        measured.count(&mut metrics, names, |server| server == "linear", times);
        let mut all = BTreeMap::new();
        metrics.hand_over(|sample| {
            all.insert(sample.name.to_owned(), sample.value);
        });
        all
    }

    #[test]
    fn a_denied_call_counts_by_server_tool_and_kind_of_rule() {
        let mut measured = Measured::default();
        for (field, value) in [
            ("method", "tools/call"),
            ("decision", "deny"),
            ("rule", "workspace/tools.deny:delete_*"),
            ("error_code", "-32602"),
        ] {
            measured.note(field, value);
        }
        measured.tool(true);
        measured.status(200);
        measured.lease_asked_for();
        measured.lease_cached();
        let times = Times { decision_us: Some(80), whole_ms: Some(1) };
        let names = Names { server: "linear", workspace: Some("core"), target: "delete_issue" };
        are(
            &counted(&measured, names, times),
            &[
                ("mcp_result=.=miss;.;portcullis_lease_lookups_total", 1),
                (
                    "mcp_server=.=linear;.;mcp_method=.=tools/call;.;mcp_decision=.=deny;.;mcp_outcome=.=rpc_error;.;portcullis_requests_total",
                    1,
                ),
                ("mcp_server=.=linear;.;mcp_rule=.=workspace/tools.deny;.;portcullis_denials_total", 1),
                (
                    "mcp_server=.=linear;.;mcp_tool=.=delete_issue;.;mcp_decision=.=deny;.;mcp_outcome=.=rpc_error;.;portcullis_tool_calls_total",
                    1,
                ),
                ("mcp_server=.=linear;.;portcullis_decision_microseconds", 80),
                ("mcp_server=.=linear;.;portcullis_request_milliseconds", 1),
                ("mcp_workspace=.=core;.;mcp_decision=.=deny;.;portcullis_workspace_requests_total", 1),
            ],
        );
    }

    #[test]
    fn what_a_client_makes_up_is_no_label() {
        let mut measured = Measured::default();
        for (field, value) in [("method", "made/up"), ("decision", "made-up")] {
            measured.note(field, value);
        }
        measured.tool(false);
        let names = Names { server: "made-up", target: "made_up", ..Names::default() };
        let text = format!("{:?}", counted(&measured, names, Times::default()));
        assert!(!text.contains("made"), "{text}");
    }

    fn are(found: &BTreeMap<String, u64>, expected: &[(&str, u64)]) {
        let found: Vec<(&str, u64)> = found.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(found, expected);
    }
}
