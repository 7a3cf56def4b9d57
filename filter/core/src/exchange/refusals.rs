//! What a caller is told when its request is not carried out, where the protocol itself has no words for it.

use portcullis_wire::lease::DenyReason;
use serde_json::json;

use crate::identity::Fault as CredentialFault;
use crate::mcp::{Id, error_body};
use crate::origin::SourceFault;
use crate::reply::{LocalReply, code};

/// What a caller is told to wait where nobody gave a figure.
pub(super) const RETRY_SOON_MS: u64 = 2_000;

pub(super) fn unexpected_body() -> LocalReply {
    LocalReply::error(
        400,
        code::INVALID_REQUEST,
        "GET and DELETE have no body here. Use POST to send a message.",
        "unexpected_body",
    )
}

pub(super) fn no_answer(retry_after_ms: u64) -> LocalReply {
    LocalReply::unavailable(
        "token_service_unavailable",
        "The gateway cannot decide about this request now, because it has no answer from its token-service. Nothing was \
         sent to the server. Try again.",
        retry_after_ms,
    )
}

/// The upstream did not wait for the body, which was not judged.
pub(super) fn answered_early() -> LocalReply {
    LocalReply::unavailable(
        "answered_early",
        "The server answered before the request was complete, and its answer was not passed on. Send the request again, \
         faster or in a smaller body.",
        RETRY_SOON_MS,
    )
}

/// Bodies of too many requests are held at the same time.
pub(super) fn no_room() -> LocalReply {
    LocalReply::unavailable(
        "no_room",
        "The gateway holds too much of other requests at the moment. Nothing was sent to the server. Try again.",
        RETRY_SOON_MS,
    )
}

/// Headers have gone before the body, and would have to be others by now.
pub(super) fn changed_meanwhile(id: Option<&Id>) -> LocalReply {
    let message = "What the gateway sends along for you changed while your request came in, so it was not carried out. \
                   Try again.";
    let data = json!({ "reason": "changed_meanwhile" });
    let body = error_body(id, code::UNAVAILABLE, message, Some(&data));
    LocalReply::with_body(503, code::UNAVAILABLE, body, "changed_meanwhile").header("retry-after", "1")
}

pub(super) fn wrong_source(fault: SourceFault) -> LocalReply {
    LocalReply::error(fault.status(), code::INVALID_REQUEST, &fault.to_string(), fault.reason())
}

/// `metadata` is [`crate::path::metadata_url`] of the path that is called.
pub(super) fn unauthenticated(fault: CredentialFault, metadata: &str) -> LocalReply {
    challenged(None, fault, metadata)
}

/// The scopes of an access token are too narrow for this request.
pub(super) fn insufficient_scope(id: Option<&Id>, metadata: &str) -> LocalReply {
    challenged(id, CredentialFault::InsufficientScope, metadata)
}

fn challenged(id: Option<&Id>, fault: CredentialFault, metadata: &str) -> LocalReply {
    let code = match fault.status() {
        503 => code::UNAVAILABLE,
        403 => code::POLICY_DENIED,
        _ => code::UNAUTHENTICATED,
    };
    let body = error_body(id, code, &fault.to_string(), Some(&json!({ "reason": fault.reason() })));
    let mut reply = LocalReply::with_body(fault.status(), code, body, fault.reason());
    if let Some(challenge) = fault.challenge(metadata) {
        reply = reply.header("www-authenticate", challenge);
    }
    match fault.retry_after_seconds() {
        Some(seconds) => reply.header("retry-after", seconds.to_string()),
        None => reply,
    }
}

/// What a caller may know of a refused lease. `metadata` as for [`unauthenticated`].
pub(super) fn denied(reason: DenyReason, metadata: &str) -> LocalReply {
    match reason {
        DenyReason::UnknownCredential => unauthenticated(CredentialFault::Unknown, metadata),
        DenyReason::ExpiredCredential => unauthenticated(CredentialFault::Expired, metadata),
        DenyReason::DisabledCredential => unauthenticated(CredentialFault::Disabled, metadata),
        DenyReason::WrongAudience => unauthenticated(CredentialFault::WrongAudience, metadata),
        DenyReason::NotForThisServer => LocalReply::error(
            403,
            code::POLICY_DENIED,
            "This token is not accepted for this server. Ask the gateway's operator which claims it has to have.",
            "not_for_this_server",
        ),
        DenyReason::WrongWorkspace => LocalReply::error(
            403,
            code::POLICY_DENIED,
            "This credential belongs to another workspace than the one in the URL. Use the URL of your workspace.",
            "wrong_workspace",
        ),
        DenyReason::UnknownServer => LocalReply::unknown_server(),
        DenyReason::CredentialUnavailable => LocalReply::error(
            503,
            code::UNAVAILABLE,
            "The gateway holds no usable credential for this server. An administrator has to set it.",
            "credential_unavailable",
        ),
        DenyReason::MemberRequired => LocalReply::error(
            403,
            code::POLICY_DENIED,
            "This server needs an account of each person, and no person is behind a service key. Use the key of a member.",
            "member_required",
        ),
        DenyReason::TooManyScopes => LocalReply::error(
            403,
            code::POLICY_DENIED,
            "This server has asked for further permissions several times within the hour. Try again in an hour, or connect the account anew.",
            "too_many_scopes",
        ),
    }
}

/// A `requestState` of ours that the token-service does not take.
pub(super) fn stale_state(id: Option<&Id>) -> LocalReply {
    let message = "This requestState has expired, was changed, or belongs to another request. Send the request again \
                   without requestState and inputResponses.";
    let body = error_body(id, code::INVALID_PARAMS, message, None);
    LocalReply::with_body(400, code::INVALID_PARAMS, body, "request_state_refused")
}

/// A session of ours that the token-service does not know: 404, at which legacy clients start a new one.
pub(super) fn unknown_session(id: Option<&Id>) -> LocalReply {
    let message = "This session is over. Start a new one with `initialize`.";
    let body = error_body(id, code::INVALID_REQUEST, message, None);
    LocalReply::with_body(404, code::INVALID_REQUEST, body, "unknown_session")
}

/// The upstream refused a credential that could be renewed, but this request cannot be sent again by the gateway.
pub(super) fn try_again(id: Option<&Id>) -> LocalReply {
    let message = "The server refused the credential, which was renewed meanwhile. Try again.";
    unavailable(id, "credential_renewed", message, 1_000)
}

/// The upstream refused a credential, and whether it can be renewed is not known now.
pub(super) fn not_renewed(id: Option<&Id>, retry_after_ms: u64) -> LocalReply {
    let message = "The server refused the credential, and the gateway cannot renew it now. Try again.";
    unavailable(id, "credential_not_renewed", message, retry_after_ms)
}

/// The token-service did not answer in the place of a server that needs an account.
pub(super) fn service_failed(id: Option<&Id>) -> LocalReply {
    let message = "The server needs your account there, and the gateway cannot tell you how to connect it, because it \
                   has no answer from its token-service. Try again.";
    unavailable(id, "token_service_unavailable", message, RETRY_SOON_MS)
}

/// The tool is one that must not be called while nobody can say whether the caller still may.
pub(super) fn unverified_tool(id: Option<&Id>) -> LocalReply {
    let message = "The gateway cannot make sure at present that you may still call this tool, because it has no answer \
                   from its token-service. Nothing was sent to the server. Try again.";
    unavailable(id, "unverified", message, RETRY_SOON_MS)
}

/// The caller may not have the rest of an answer that is under way.
pub(super) fn revoked(id: Option<&Id>) -> LocalReply {
    let message = "The access that this answer rests on was changed or taken away while it was under way, so it ends here. \
                   Try again; if that is refused too, ask an administrator for access.";
    let body = error_body(id, code::POLICY_DENIED, message, Some(&json!({ "reason": "revoked" })));
    LocalReply::with_body(403, code::POLICY_DENIED, body, "revoked")
}

/// Whether the caller may have the rest of an answer that is under way, nobody can tell now.
pub(super) fn standing_unknown(id: Option<&Id>, retry_after_ms: u64) -> LocalReply {
    let message = "The gateway cannot tell whether you may still have this answer, because it has no word from its \
                   token-service. The answer ends here. Try again.";
    unavailable(id, "unverified", message, retry_after_ms)
}

fn unavailable(id: Option<&Id>, reason: &str, message: &str, retry_after_ms: u64) -> LocalReply {
    let body = error_body(id, code::UNAVAILABLE, message, None);
    let seconds = retry_after_ms.div_ceil(1_000).max(1);
    LocalReply::with_body(503, code::UNAVAILABLE, body, reason).header("retry-after", seconds.to_string())
}
