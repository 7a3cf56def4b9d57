//! What a call came to, and whether that may be.

use std::sync::Arc;

use serde_json::Value;

use super::fact::{Moment, Period};
use super::upstreams::{Credential, HEADER_OWNER, MACHINE};
use super::world::{Account, Key, Seat, WORKSPACES, World};
use crate::mcp::Reply;
use crate::upstream::protected::witness::Testimony;

/// What a caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Served(Testimony),
    /// The caller is to connect an account.
    Ask,
    /// The account is connected by now: send it again.
    Again,
    /// 401
    Unauthorized,
    /// 403: the key is for another workspace.
    Forbidden,
    /// 403, or an event in its words: access went while the answer was under way.
    Revoked,
    /// 404
    NoServer,
    /// 404: a legacy client has to start a new session.
    SessionOver,
    /// 502 to 504; in which words.
    Unavailable(String),
    /// What nobody should be told.
    Odd(String),
}

impl Outcome {
    /// Reads an answer.
    pub(super) fn of(reply: &Reply) -> Self {
        let answer = serde_json::from_str(&reply.body).unwrap_or(Value::Null);
        let said = answer["error"]["message"].as_str().unwrap_or_default();
        match reply.status {
            200 | 403 if said.contains("taken away while it was under way") => Self::Revoked,
            200 => Self::result(&answer["result"]).unwrap_or_else(|| Self::Odd(format!("{reply:?}"))),
            401 => Self::Unauthorized,
            403 if said.contains("another workspace") => Self::Forbidden,
            404 if said.contains("no MCP server") => Self::NoServer,
            // The gateway's words, or those of an upstream, which are none.
            404 if said.contains("session is over") || reply.body.is_empty() => Self::SessionOver,
            502..=504 => Self::Unavailable(format!("{}: {said}", reply.status)),
            _ => Self::Odd(format!("{reply:?}")),
        }
    }

    fn result(result: &Value) -> Option<Self> {
        if result["resultType"] == "input_required" && result["inputRequests"].is_null() {
            return Some(Self::Again);
        }
        let text = result["content"][0]["text"].as_str()?;
        if result["isError"] == true {
            let link = text.contains("/connect/") || text.contains("/connections");
            let again = text.contains("is connected now").then_some(Self::Again);
            return if link { Some(Self::Ask) } else { again };
        }
        serde_json::from_str(text).ok().map(Self::Served)
    }

    /// As counted.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Served(_) => "served",
            Self::Ask => "asked to connect",
            Self::Again => "connected meanwhile",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "other workspace",
            Self::Revoked => "revoked under way",
            Self::NoServer => "no server",
            Self::SessionOver => "session over",
            Self::Unavailable(_) => "unavailable",
            Self::Odd(_) => "odd",
        }
    }
}

/// A call that was made.
pub(super) struct Made<'world> {
    pub(super) seat: &'world Seat,
    pub(super) key: &'world Key,
    pub(super) server: usize,
    /// The path named a workspace that the key is not for.
    pub(super) foreign: bool,
    /// Since when there is the legacy session that it was made in.
    pub(super) session_since: Option<Moment>,
    /// The session is somebody else's.
    pub(super) stolen: bool,
    pub(super) nonce: String,
    pub(super) period: Period,
}

impl World {
    /// Holds an outcome against everything that may have been true while the call was made.
    pub(super) fn judge(&self, made: &Made<'_>, outcome: &Outcome) -> Result<(), String> {
        if self.may_be(made, outcome) {
            return Ok(());
        }
        let (seat, endpoint) = (made.seat, &self.endpoints[made.server]);
        Err(format!(
            "{} of {} at {}, {}{}{}: {outcome:?}\n  nonce: {}, accounts: {:?}, key valid: {:?}, offered: {:?}",
            seat.person.name,
            WORKSPACES[seat.workspace],
            endpoint.slug,
            if made.session_since.is_some() { "in a session" } else { "without a session" },
            if made.foreign { ", by the path of another workspace" } else { "" },
            if made.stolen { ", with somebody else's session" } else { "" },
            made.nonce,
            seat.accounts[made.server].during(made.period),
            made.key.valid.during(made.period),
            endpoint.offered[seat.workspace].during(made.period),
        ))
    }

    fn may_be(&self, made: &Made<'_>, outcome: &Outcome) -> bool {
        let period = made.period;
        let endpoint = &self.endpoints[made.server];
        let valid = made.key.valid.during(period);
        let offered = endpoint.offered[made.seat.workspace].during(period);
        let allowed = valid.contains(&true) && offered.contains(&true) && !made.foreign;
        match outcome {
            Outcome::Unauthorized => valid.contains(&false),
            Outcome::Forbidden => made.foreign && valid.contains(&true),
            // It was allowed first, and then it was not.
            Outcome::Revoked => {
                let goes = valid.contains(&false) || offered.contains(&false);
                allowed && (goes || self.may_lack_account(made.seat, made.server, period))
            }
            Outcome::NoServer => valid.contains(&true) && offered.contains(&false),
            Outcome::Served(testimony) => {
                allowed && !made.stolen && testimony.nonce == made.nonce && self.is_theirs(made, testimony)
            }
            Outcome::Ask => allowed && self.may_lack_account(made.seat, made.server, period),
            Outcome::Again => {
                let accounts = made.seat.accounts[made.server].during(period);
                allowed && accounts.iter().any(Option::is_none) && accounts.iter().any(Option::is_some)
            }
            Outcome::SessionOver => allowed && (made.stolen || session_may_be_over(made)),
            Outcome::Unavailable(why) => {
                // Of a member who goes while the question to connect is put, nothing is left to put it to.
                let goes = valid.contains(&true) && valid.contains(&false);
                let refused = made.seat.refused[made.server].during(period).contains(&true);
                (goes && why.contains("needs your account"))
                    || (refused && why.contains("refused the credential"))
                    || is_slow(why)
                    || self.outage.during(period).contains(&true)
            }
            Outcome::Odd(_) => false,
        }
    }

    fn is_theirs(&self, made: &Made<'_>, testimony: &Testimony) -> bool {
        let Testimony { subject, sign_in, .. } = testimony;
        match &self.endpoints[made.server].credential {
            Credential::Personal(_) => {
                let accounts = made.seat.accounts[made.server].during(made.period);
                accounts.iter().flatten().any(|account: &Arc<Account>| account.is(subject, *sign_in))
            }
            Credential::Machine(_) => subject == MACHINE,
            Credential::Header { value, .. } => {
                let values = value.during(made.period);
                subject == HEADER_OWNER && sign_in.is_some_and(|number| values.contains(&number))
            }
        }
    }

    fn may_lack_account(&self, seat: &Seat, server: usize, period: Period) -> bool {
        matches!(self.endpoints[server].credential, Credential::Personal(_))
            && seat.accounts[server].during(period).iter().any(Option::is_none)
    }
}

/// A session ends with what it was opened for: the account.
fn session_may_be_over(made: &Made<'_>) -> bool {
    made.session_since.is_some_and(|from| {
        let period = Period { from, to: made.period.to };
        made.seat.accounts[made.server].during(period).len() > 1
    })
}

/// A token-service that does not answer in time for want of a processor: nothing was sent anywhere, so nothing is wrong.
/// How many of these there may be is for whoever counts.
pub(super) fn is_slow(why: &str) -> bool {
    why.contains("The gateway cannot decide about this request now")
}
