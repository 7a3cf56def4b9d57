//! How much is admitted: requests in a time, requests at once, and guesses at credentials.

use portcullis_wire::policy::Kind;
use serde_json::json;

use super::Surroundings;
use super::judging::Judging;
use super::record::Record;
use crate::leases::Access;
use crate::mcp::{Id, MessageKind, Request, error_body};
use crate::rates;
use crate::reply::{LocalReply, code};
use crate::running;
use crate::worker::Worker;

/// When to try again where nobody can know when there will be room.
const FULL_RETRY_MS: u64 = 1_000;

/// The rule of a server's own bound, for the log.
const CONCURRENCY: &str = "server/concurrency";

impl Judging {
    /// Counts a request that everything else allows: once, however often it is woken. Only what a client asks for is
    /// counted; notifications and answers belong to something that was.
    pub(super) fn admit(
        &mut self,
        stream: u32,
        worker: &mut Worker,
        request: &Request,
        access: &Access,
        record: &mut Record,
        around: &Surroundings<'_>,
    ) -> Result<(), LocalReply> {
        let terms = access.terms();
        // What the token-service answers is not under way to the server.
        let most = terms.concurrency.filter(|_| matches!(access, Access::Granted(_)));
        let is_unlimited = terms.rates.is_empty() && most.is_none();
        if self.is_admitted || is_unlimited || request.kind != MessageKind::Request {
            return Ok(());
        }
        let id = request.id.as_ref();
        if let Some(most) = most {
            let begun = worker.running.begin(stream, access.server_id(), most, around.shared, around.now_ms);
            begun.map_err(|refused| match refused {
                running::Refused::TooMany => {
                    record.denied(CONCURRENCY);
                    too_many_at_once(id)
                }
                running::Refused::Uncounted => uncounted(id),
            })?;
        }
        let tool = request.targets.iter().find(|target| target.kind == Kind::Tool);
        let tool = tool.map(|target| target.name.as_str());
        if let Err(refused) = rates::admit(&terms.rates, tool, around.shared, around.now_ms) {
            worker.running.end(stream, around.shared);
            return Err(match refused {
                rates::Refused::Over { rate, retry_after_ms } => {
                    record.denied(&rate.name);
                    rate_limited(id, retry_after_ms)
                }
                rates::Refused::Uncounted => uncounted(id),
            });
        }
        self.is_admitted = true;
        Ok(())
    }
}

fn rate_limited(id: Option<&Id>, retry_after_ms: u64) -> LocalReply {
    let message = "A limit on how often this may be called is reached. Nothing was sent to the server. Wait as long as \
                   retryAfterMs says, then send the request again.";
    limited(id, "rate_limited", message, retry_after_ms)
}

fn too_many_at_once(id: Option<&Id>) -> LocalReply {
    let message = "As many requests as this server may have at once are under way. Nothing was sent to the server. Send \
                   the request again when others are done.";
    limited(id, "too_many_at_once", message, FULL_RETRY_MS)
}

/// Too many credentials from the caller's address were unknown.
pub(super) fn too_many_guesses(retry_after_ms: u64) -> LocalReply {
    let message = "Too many unknown credentials came from this address lately, so no new one is looked at for now. \
                   Check the credential that you send, and try again later.";
    limited(None, "too_many_unknown_credentials", message, retry_after_ms)
}

fn limited(id: Option<&Id>, reason: &str, message: &str, retry_after_ms: u64) -> LocalReply {
    let data = json!({ "reason": reason, "retryAfterMs": retry_after_ms });
    let body = error_body(id, code::RATE_LIMITED, message, Some(&data));
    let seconds = retry_after_ms.div_ceil(1_000).max(1);
    LocalReply::with_body(429, code::RATE_LIMITED, body, reason).header("retry-after", seconds.to_string())
}

/// There is a limit, and the host shares no data to count in.
fn uncounted(id: Option<&Id>) -> LocalReply {
    let message = "The gateway cannot count this request, which is limited. Nothing was sent to the server. Try again; \
                   if it stays like this, tell the gateway's operator to allow the filter its shared data.";
    let data = json!({ "reason": "limits_unavailable" });
    let body = error_body(id, code::UNAVAILABLE, message, Some(&data));
    LocalReply::with_body(503, code::UNAVAILABLE, body, "limits_unavailable").header("retry-after", "2")
}
