//! What a renewal that brought no tokens means for the connection. Pure.

use std::time::Duration;

use crate::domain::connection::ReauthReason;
use crate::oauth::token::TokenError;
use crate::store::connections::RefreshFailure;

/// What decides besides the provider's answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    /// The token is fetched with the gateway's own client: no person can connect it again, and none is used up.
    pub shared: bool,
    /// An attempt before this one ended without an answer, so that the provider may have rotated then.
    pub unanswered: bool,
    /// How long to leave the provider alone.
    pub rest: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub failure: RefreshFailure,
    /// An administrator has to act.
    pub misconfigured: bool,
}

pub(super) fn verdict(error: &TokenError, circumstances: Circumstances) -> Verdict {
    let Circumstances { shared, unanswered, rest } = circumstances;
    // What happened the time before stays as open as it was: the store remembers.
    let not_done = RefreshFailure::NotDone { retry_in: rest };
    let (failure, misconfigured) = match error {
        TokenError::NotDone { .. } => (not_done, false),
        TokenError::Ambiguous if shared => (not_done, false),
        TokenError::Ambiguous => (RefreshFailure::Ambiguous { retry_in: rest }, false),
        // The grant is for another resource than the server has by now (RFC 8707): a new consent is for the right one.
        TokenError::Refused { code } if code == "invalid_target" && !shared => {
            (RefreshFailure::Refused(ReauthReason::Rejected), false)
        }
        TokenError::Refused { .. } => (not_done, true),
        TokenError::InvalidGrant | TokenError::Unusable(_) if shared => (not_done, true),
        TokenError::InvalidGrant if unanswered => {
            (RefreshFailure::Refused(ReauthReason::LostRotation), false)
        }
        TokenError::InvalidGrant => (RefreshFailure::Refused(ReauthReason::Revoked), false),
        // The refresh token may be used up, and what came in its place is of no use.
        TokenError::Unusable(_) => (RefreshFailure::Refused(ReauthReason::LostRotation), false),
    };
    Verdict { failure, misconfigured }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_in_every_circumstance() {
        use RefreshFailure::Refused;
        let rest = Duration::from_secs(7);
        let ambiguous = RefreshFailure::Ambiguous { retry_in: rest };
        let not_done = RefreshFailure::NotDone { retry_in: rest };
        let lost = Refused(ReauthReason::LostRotation);
        let refused = |code: &str| TokenError::Refused { code: code.into() };
        let rejected = Refused(ReauthReason::Rejected);
        // The first time; after one without an answer; of a shared token.
        for (error, first, after, shared) in [
            (TokenError::NotDone { retry_after: None }, &not_done, &not_done, &not_done),
            (TokenError::Ambiguous, &ambiguous, &ambiguous, &not_done),
            (refused("invalid_client"), &not_done, &not_done, &not_done),
            (refused("invalid_target"), &rejected, &rejected, &not_done),
            (TokenError::InvalidGrant, &Refused(ReauthReason::Revoked), &lost, &not_done),
            (TokenError::Unusable("x"), &lost, &lost, &not_done),
        ] {
            for (shared, unanswered, expected) in
                [(false, false, first), (false, true, after), (true, true, shared)]
            {
                let verdict = verdict(&error, Circumstances { shared, unanswered, rest });
                assert_eq!(verdict.failure, *expected, "{error:?} shared {shared} unanswered {unanswered}");
            }
        }
    }

    #[test]
    fn administrators_are_wanted_where_nobody_else_can_help() {
        let of = |error: TokenError, shared| {
            verdict(&error, Circumstances { shared, unanswered: false, rest: Duration::ZERO }).misconfigured
        };
        for shared in [false, true] {
            assert!(of(TokenError::Refused { code: "invalid_client".into() }, shared));
            assert!(!of(TokenError::NotDone { retry_after: None }, shared));
            assert!(!of(TokenError::Ambiguous, shared));
            assert_eq!(of(TokenError::InvalidGrant, shared), shared);
            assert_eq!(of(TokenError::Refused { code: "invalid_target".into() }, shared), shared);
        }
    }
}
