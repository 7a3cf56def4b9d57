//! What is measured, by name, and the labels that go with it.

/// A metric. Its name is that of Prometheus: Envoy puts nothing before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Requests,
    WorkspaceRequests,
    Denials,
    ToolCalls,
    DecisionTime,
    RequestTime,
    Calls,
    CallTime,
    LeaseLookups,
    StaleServed,
    MaskedBytes,
    Folded,
    Vms,
    UnverifiedVms,
    WatchAge,
    Revision,
}

/// What becomes of the values of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They add up.
    Counter,
    /// The last one counts, whichever worker said it.
    Gauge,
    /// They are spread over buckets.
    Histogram,
}

/// A label. The name is the one that `stats_tags` in Envoy's configuration takes out of the metric's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    Server,
    Workspace,
    Method,
    Decision,
    Outcome,
    Rule,
    Tool,
    Call,
    Result,
}

impl Metric {
    pub const ALL: [Self; 16] = [
        Self::Requests,
        Self::WorkspaceRequests,
        Self::Denials,
        Self::ToolCalls,
        Self::DecisionTime,
        Self::RequestTime,
        Self::Calls,
        Self::CallTime,
        Self::LeaseLookups,
        Self::StaleServed,
        Self::MaskedBytes,
        Self::Folded,
        Self::Vms,
        Self::UnverifiedVms,
        Self::WatchAge,
        Self::Revision,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "portcullis_requests_total",
            Self::WorkspaceRequests => "portcullis_workspace_requests_total",
            Self::Denials => "portcullis_denials_total",
            Self::ToolCalls => "portcullis_tool_calls_total",
            Self::DecisionTime => "portcullis_decision_microseconds",
            Self::RequestTime => "portcullis_request_milliseconds",
            Self::Calls => "portcullis_calls_total",
            Self::CallTime => "portcullis_call_milliseconds",
            Self::LeaseLookups => "portcullis_lease_lookups_total",
            Self::StaleServed => "portcullis_stale_served_total",
            Self::MaskedBytes => "portcullis_masked_bytes_total",
            Self::Folded => "portcullis_folded_total",
            Self::Vms => "portcullis_vms",
            Self::UnverifiedVms => "portcullis_unverified_vms",
            Self::WatchAge => "portcullis_watch_age_milliseconds",
            Self::Revision => "portcullis_revision",
        }
    }

    pub fn kind(self) -> Kind {
        match self {
            Self::DecisionTime | Self::RequestTime | Self::CallTime => Kind::Histogram,
            Self::Vms | Self::UnverifiedVms | Self::WatchAge | Self::Revision => Kind::Gauge,
            _ => Kind::Counter,
        }
    }
}

impl Tag {
    pub const ALL: [Self; 9] = [
        Self::Server,
        Self::Workspace,
        Self::Method,
        Self::Decision,
        Self::Outcome,
        Self::Rule,
        Self::Tool,
        Self::Call,
        Self::Result,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "mcp_server",
            Self::Workspace => "mcp_workspace",
            Self::Method => "mcp_method",
            Self::Decision => "mcp_decision",
            Self::Outcome => "mcp_outcome",
            Self::Rule => "mcp_rule",
            Self::Tool => "mcp_tool",
            Self::Call => "mcp_call",
            Self::Result => "mcp_result",
        }
    }

    /// Whether there are as many values as the registry and its servers have names, and not a few that are written here.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Server | Self::Workspace | Self::Tool | Self::Rule)
    }
}
