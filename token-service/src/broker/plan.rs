//! What to do about a connection when its credential is asked for. Pure: the rest of the broker does as it is told.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::connection::{Connection, ConnectionState, ReauthReason};

/// A token is not handed out for the first time so shortly before it expires, unless renewing has failed: a request
/// takes a moment to arrive.
const SAFETY: Duration = Duration::from_secs(2);

/// How often a credential is renewed because an upstream refuses it, at most.
pub(super) const FORCED_INTERVAL: Duration = Duration::from_secs(30);

/// All that the decision depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub connection: Option<&'a Connection>,
    pub wanted: Wanted<'a>,
    /// The generation of the credential that the upstream answered with 401.
    pub rejected: Option<u64>,
    pub now: Timestamp,
    pub done: Done,
}

/// What the server's settings say that a connection has to be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub origin: &'a str,
    /// `None` for a member's connection; the client's id for the shared one, which needs no consent to be made anew.
    pub shared_client: Option<&'a str>,
}

/// What was done already for this request. It only grows, so that no request goes round in circles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Done {
    Nothing,
    /// The shared connection was made.
    Made,
    /// A renewal has ended, well or not.
    Renewed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Hand it out.
    Use,
    /// Hand it out, and renew it in the background.
    UseAndRenew,
    /// Renew it; nothing can be handed out before.
    Renew,
    /// Make the shared connection, with nothing in it yet.
    Make,
    /// Note that the member has to connect again, and say so.
    Retire(ReauthReason),
    /// The member has to connect, for the first time or again.
    Ask(Option<ReauthReason>),
    /// The upstream refuses what was fetched just now with the gateway's own client.
    Refused,
    /// Nothing can be done now.
    Unavailable,
}

pub(super) fn plan(facts: &Facts<'_>) -> Step {
    let absent = |reason| match (facts.wanted.shared_client, facts.done) {
        (None, _) => Step::Ask(reason),
        (Some(_), Done::Nothing) => Step::Make,
        (Some(_), _) => Step::Unavailable,
    };
    let Some(connection) = facts.connection else { return absent(None) };
    match connection.state {
        ConnectionState::Active if fits(connection, facts.wanted) => active(connection, facts),
        ConnectionState::NeedsReauth(reason) => absent(Some(reason)),
        // A consent of the member is a decision about the new origin, too.
        ConnectionState::Active | ConnectionState::Quarantined | ConnectionState::Disconnected => {
            absent(None)
        }
    }
}

fn fits(connection: &Connection, wanted: Wanted<'_>) -> bool {
    let client_fits = wanted.shared_client.is_none_or(|client| connection.binding.client_id == client);
    connection.binding.origin == wanted.origin && client_fits && connection.tokens.is_some()
}

fn active(connection: &Connection, facts: &Facts<'_>) -> Step {
    let Some(tokens) = &connection.tokens else { return Step::Unavailable };
    let shared = facts.wanted.shared_client.is_some();
    let renewable = shared || tokens.refresh.is_some();
    let has_passed = |end: Timestamp| end <= facts.now;
    if facts.rejected.is_some_and(|generation| generation >= connection.generation) {
        return if !renewable {
            Step::Retire(ReauthReason::Rejected)
        } else if facts.done == Done::Renewed {
            Step::Unavailable
        } else if !renewed_just_now(connection, facts.now) {
            Step::Renew
        } else if shared {
            Step::Refused
        } else {
            Step::Retire(ReauthReason::Rejected)
        };
    }
    let expired = tokens.expires_at.is_some_and(has_passed);
    let expiring = tokens.expires_at.is_some_and(|end| end <= facts.now.plus(SAFETY));
    let due = tokens.refresh_at.is_some_and(has_passed);
    match (renewable, facts.done) {
        (false, _) if expired => Step::Retire(ReauthReason::Expired),
        (true, Done::Renewed) if expired => Step::Unavailable,
        (true, Done::Nothing | Done::Made) if expiring => Step::Renew,
        (true, Done::Nothing | Done::Made) if due => Step::UseAndRenew,
        _ => Step::Use,
    }
}

/// Whether a further renewal would tell nothing new. One that follows right after a consent does.
fn renewed_just_now(connection: &Connection, now: Timestamp) -> bool {
    connection.refreshed_at > connection.connected_at && now < connection.refreshed_at.plus(FORCED_INTERVAL)
}

#[cfg(test)]
mod tests;
