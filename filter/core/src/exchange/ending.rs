//! How requests end: the one vocabulary of the record's field `ended`.

use crate::reply::LocalReply;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The answer has gone to its end: the upstream's, the token-service's in its place, or that to a preflight.
    Complete,
    /// The gateway, or Envoy, answered in the upstream's place: the request was not carried out.
    Refused,
    /// The upstream answered, and the gateway did not let all of it pass: an error page, a redirect, too much.
    Rejected,
    /// The client left before the end.
    Cancelled,
    /// A time limit ran out.
    Timeout,
    /// No connection to the upstream came about.
    UpstreamUnreachable,
    /// The upstream broke off.
    UpstreamReset,
    /// The access that the answer rests on was taken away while it was under way.
    Revoked,
    /// Nobody could tell whether the caller may have the rest of the answer.
    Unverified,
    /// The gateway itself failed.
    Failed,
}

/// What the host says of a stream that is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostEnd {
    /// Envoy's response flags, one bit each.
    pub flags: u64,
    /// Envoy's response-code details.
    pub details: String,
}

/// How far a request had come when its stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    Nobody,
    Upstream,
}

/// Envoy's response flags by their bits (`envoy/stream_info/stream_info.h`, `CoreResponseFlag`), and what they mean here.
/// Where several are set the first counts.
const FLAGS: [(u32, Ended); 18] = [
    (2, Ended::Timeout),              // UT
    (16, Ended::Timeout),             // SI
    (19, Ended::Timeout),             // UMSDR
    (22, Ended::Timeout),             // DT
    (0, Ended::UpstreamUnreachable),  // LH
    (1, Ended::UpstreamUnreachable),  // UH
    (5, Ended::UpstreamUnreachable),  // UF
    (7, Ended::UpstreamUnreachable),  // UO
    (8, Ended::UpstreamUnreachable),  // NR
    (15, Ended::UpstreamUnreachable), // URX
    (24, Ended::UpstreamUnreachable), // NC
    (26, Ended::UpstreamUnreachable), // DF
    (4, Ended::UpstreamReset),        // UR
    (6, Ended::UpstreamReset),        // UC
    (23, Ended::UpstreamReset),       // UPE
    (14, Ended::Cancelled),           // DC
    (28, Ended::Cancelled),           // DR
    (18, Ended::Cancelled),           // DPE
];

/// What Envoy says of a response that is the upstream's.
const VIA_UPSTREAM: &str = "via_upstream";

/// In Envoy's words for a time limit. Not all of them set a flag.
const TIMEOUT: &str = "timeout";

impl Ended {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamReset => "upstream_reset",
            Self::Revoked => "revoked",
            Self::Unverified => "unverified",
            Self::Failed => "failed",
        }
    }

    /// Of a response that had to end while it was under way.
    pub(super) fn cut_by(reply: &LocalReply) -> Self {
        if reply.details == "portcullis_revoked" { Self::Revoked } else { Self::Unverified }
    }

    /// Of an error that came as an answer: the upstream's, or Envoy's own in its place.
    pub(super) fn of_error(self, host: &HostEnd) -> Self {
        match by_flags(host.flags) {
            Some(ended) if ended != Self::Cancelled => ended,
            _ if host.details.is_empty() || host.details.starts_with("portcullis_") => self,
            _ if host.details == VIA_UPSTREAM => self,
            _ if host.details.contains(TIMEOUT) => Self::Timeout,
            _ => Self::Refused,
        }
    }

    /// Of a stream that ended without an answer of the gateway's, and before the upstream's had come to its end.
    pub(super) fn early(host: &HostEnd, reached: Reached) -> Self {
        let details = host.details.as_str();
        if let Some(ended) = by_flags(host.flags) {
            ended
        } else if details.starts_with("portcullis_") || details.starts_with("wasm") {
            Self::Failed
        } else if details.contains(TIMEOUT) {
            Self::Timeout
        } else if details.starts_with("downstream") || details.contains("remote_reset") || details.is_empty()
        {
            Self::Cancelled
        } else {
            match reached {
                // Envoy has answered by itself.
                Reached::Nobody => Self::Refused,
                // The response was cut short, and not by anybody else.
                Reached::Upstream => Self::Failed,
            }
        }
    }
}

fn by_flags(flags: u64) -> Option<Ended> {
    let is_set = |bit: u32| flags.checked_shr(bit).unwrap_or(0) & 1 == 1;
    FLAGS.iter().find(|(bit, _)| is_set(*bit)).map(|(_, ended)| *ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(flags: u64, details: &str) -> HostEnd {
        HostEnd { flags, details: details.to_owned() }
    }

    #[test]
    fn what_envoy_says_of_a_stream_that_broke_off() {
        for (flags, details, reached, ended) in [
            (1 << 14, "downstream_remote_disconnect", Reached::Nobody, Ended::Cancelled),
            (1 << 14, "downstream_remote_disconnect", Reached::Upstream, Ended::Cancelled),
            (0, "http2.remote_reset", Reached::Upstream, Ended::Cancelled),
            (1 << 16, "stream_idle_timeout", Reached::Upstream, Ended::Timeout),
            (0, "request_overall_timeout", Reached::Nobody, Ended::Timeout),
            (1 << 6, "upstream_reset_after_response_started{..}", Reached::Upstream, Ended::UpstreamReset),
            (1 << 5 | 1 << 14, "", Reached::Upstream, Ended::UpstreamUnreachable),
            (0, "path_normalization_failed", Reached::Nobody, Ended::Refused),
            (0, "portcullis_internal_error", Reached::Nobody, Ended::Failed),
            (0, "via_upstream", Reached::Upstream, Ended::Failed),
            (0, "", Reached::Nobody, Ended::Cancelled),
            (u64::MAX, "", Reached::Nobody, Ended::Timeout),
        ] {
            assert_eq!(Ended::early(&host(flags, details), reached), ended, "{flags} {details}");
        }
    }

    #[test]
    fn an_error_is_the_upstreams_unless_envoy_says_otherwise() {
        for (was, flags, details, ended) in [
            (Ended::Complete, 0, "via_upstream", Ended::Complete),
            (Ended::Complete, 1 << 14, "via_upstream", Ended::Complete),
            (Ended::Complete, 1 << 5, "upstream_reset_before_response_started", Ended::UpstreamUnreachable),
            (Ended::Complete, 0, "rbac_access_denied", Ended::Refused),
            (Ended::Rejected, 0, "portcullis_upstream_failed", Ended::Rejected),
            (Ended::Rejected, 1 << 6, "portcullis_upstream_failed", Ended::UpstreamReset),
            (Ended::Complete, 0, "max_duration_timeout", Ended::Timeout),
            (Ended::Complete, 0, "", Ended::Complete),
        ] {
            assert_eq!(was.of_error(&host(flags, details)), ended, "{flags} {details}");
        }
    }
}
