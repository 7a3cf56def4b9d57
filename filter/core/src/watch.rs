//! The watch: one long-poll after another, and how far what they brought can still be trusted.

use portcullis_wire::digest::Digest;
use portcullis_wire::watch::{Invalidation, Registry, WatchReply};
use portcullis_wire::{CONTRACT_VERSION, MARKER_HEADER, WATCH_PATH};

use crate::step::CallOutcome;

/// How much longer than its hold an answer may take.
pub const GRACE_MS: u64 = 2_000;

/// The hold that is assumed until the token-service tells its own.
const ASSUMED_HOLD_MS: u64 = 1_000;

/// Holds that are believed: a longer one would put off the discovery that the token-service is gone.
const HOLD_LIMITS_MS: (u64, u64) = (100, 30_000);

const FIRST_BACKOFF_MS: u64 = 250;
const LONGEST_BACKOFF_MS: u64 = 10_000;

/// How far the registry and the leases can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing is known yet: wait a little, then refuse.
    NeverSynced,
    /// The token-service answered within its hold and grace.
    Fresh,
    /// It has been silent since; what is cached serves, and nothing else.
    Stale { since_ms: u64 },
    /// It has been silent for the whole staleness budget: refuse.
    Expired,
}

/// A request to send now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    pub path_with_query: String,
    pub timeout_ms: u64,
}

/// What a reply brought, in the order in which to apply it.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// The revision up to which everything is known now.
    pub cursor: u64,
    /// Forget all leases and verified tokens.
    pub reset: bool,
    pub registry: Option<Registry>,
    pub invalidations: Vec<Invalidation>,
}

/// Why a poll brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollFailure {
    /// The host did not send it, or the connection broke.
    NoReply,
    /// Envoy, or something between, answered in the token-service's place; the status if there is one.
    NotTheService(Option<u32>),
    /// The token-service speaks another version of the contract.
    OtherVersion(String),
    /// The token-service answered with this status.
    Status(u32),
    /// The answer cannot be read; how.
    Unreadable(String),
}

impl std::fmt::Display for PollFailure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoReply => formatter.write_str("the token-service did not answer the watch"),
            Self::NotTheService(status) => {
                formatter.write_str("the watch was answered, but not by the token-service")?;
                status.map_or(Ok(()), |status| write!(formatter, " (status {status})"))
            }
            Self::OtherVersion(version) => write!(
                formatter,
                "the token-service speaks version {version} of the contract, this filter {CONTRACT_VERSION}"
            ),
            Self::Status(status) => write!(formatter, "the token-service answered the watch with {status}"),
            Self::Unreadable(how) => write!(
                formatter,
                "the watch's answer cannot be read ({how}); if the token-service is of a later version, update the filter"
            ),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next poll is due at this time.
    Resting {
        until_ms: u64,
    },
    InFlight {
        id: u64,
        sent_ms: u64,
    },
}

/// The state machine. All times are milliseconds since the epoch, by the filter's clock if not said otherwise.
#[derive(Clone, Debug)]
pub struct Watch {
    filter_id: String,
    staleness_budget_ms: u64,
    cursor: u64,
    state: State,
    /// Polls in a row that failed or came back empty too soon.
    setbacks: u32,
    hold_ms: u64,
    has_registry: bool,
    answered_ms: Option<u64>,
    /// The token-service's clock minus the filter's.
    clock_offset_ms: i64,
}

impl Watch {
    /// `filter_id` tells this VM apart from all others; it also seeds the backoff's jitter.
    pub fn new(filter_id: String, staleness_budget_ms: u64) -> Self {
        Self {
            filter_id,
            staleness_budget_ms,
            cursor: 0,
            state: State::Resting { until_ms: 0 },
            setbacks: 0,
            hold_ms: ASSUMED_HOLD_MS,
            has_registry: false,
            answered_ms: None,
            clock_offset_ms: 0,
        }
    }

    pub fn set_staleness_budget(&mut self, staleness_budget_ms: u64) {
        self.staleness_budget_ms = staleness_budget_ms;
    }

    /// The poll to send now, if one is due; it is known as `id` from then on. A poll in flight for longer than its
    /// time-out is given up, because a host may lose a reply.
    pub fn due(&mut self, now_ms: u64, id: u64) -> Option<Poll> {
        if let State::InFlight { sent_ms, .. } = self.state
            && now_ms.saturating_sub(sent_ms) > self.timeout_ms().saturating_add(GRACE_MS)
        {
            self.rest_after_setback(now_ms);
        }
        let State::Resting { until_ms } = self.state else { return None };
        // Further away than any backoff is a clock that was put back.
        if now_ms < until_ms && until_ms.saturating_sub(now_ms) <= LONGEST_BACKOFF_MS {
            return None;
        }
        self.state = State::InFlight { id, sent_ms: now_ms };
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("cursor", &self.cursor.to_string())
            .append_pair("filter", &self.filter_id)
            .finish();
        Some(Poll { path_with_query: format!("{WATCH_PATH}?{query}"), timeout_ms: self.timeout_ms() })
    }

    /// Whether `id` is the poll in flight.
    pub fn is_poll(&self, id: u64) -> bool {
        matches!(self.state, State::InFlight { id: in_flight, .. } if in_flight == id)
    }

    /// Takes the outcome of the poll `id`; `None` if that is not the poll in flight (any more).
    pub fn on_reply(
        &mut self,
        id: u64,
        outcome: CallOutcome,
        now_ms: u64,
    ) -> Option<Result<News, PollFailure>> {
        let State::InFlight { id: in_flight, sent_ms } = self.state else { return None };
        if in_flight != id {
            return None;
        }
        let reply = read(outcome).and_then(|reply| {
            if self.has_registry || reply.registry.is_some() {
                Ok(reply)
            } else {
                Err(PollFailure::Unreadable("the first answer holds no registry".into()))
            }
        });
        Some(match reply {
            Ok(reply) => Ok(self.apply(reply, sent_ms, now_ms)),
            Err(failure) => {
                self.rest_after_setback(now_ms);
                Err(failure)
            }
        })
    }

    pub fn freshness(&self, now_ms: u64) -> Freshness {
        let Some(answered_ms) = self.answered_ms else { return Freshness::NeverSynced };
        let since_ms = answered_ms.saturating_add(self.hold_ms).saturating_add(GRACE_MS);
        if now_ms.saturating_add(GRACE_MS) < answered_ms {
            // The clock was put back, so nobody knows for how long; the next answer tells.
            Freshness::Expired
        } else if now_ms <= since_ms {
            Freshness::Fresh
        } else if now_ms <= since_ms.saturating_add(self.staleness_budget_ms) {
            Freshness::Stale { since_ms }
        } else {
            Freshness::Expired
        }
    }

    /// What the token-service's clock shows when the filter's shows `now_ms`: tokens are judged by it, so that a
    /// wrong clock on one Envoy neither lengthens nor shortens their lives.
    pub fn service_time_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add_signed(self.clock_offset_ms)
    }

    /// The token-service's clock minus the filter's, in milliseconds, give or take the way of a reply.
    pub fn clock_offset_ms(&self) -> i64 {
        self.clock_offset_ms
    }

    /// When the token-service last answered; `None` if it never did.
    pub fn answered_ms(&self) -> Option<u64> {
        self.answered_ms
    }

    /// The last revision that is applied.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    fn timeout_ms(&self) -> u64 {
        self.hold_ms.saturating_add(GRACE_MS)
    }

    fn apply(&mut self, reply: WatchReply, sent_ms: u64, now_ms: u64) -> News {
        // A cursor that goes backwards without a word is another store: what was said before does not count.
        let went_back = reply.cursor < self.cursor;
        let is_news =
            reply.cursor != self.cursor || reply.registry.is_some() || !reply.invalidations.is_empty();
        let took_ms = now_ms.saturating_sub(sent_ms);
        let (shortest, longest) = HOLD_LIMITS_MS;
        self.hold_ms = reply.hold_ms.clamp(shortest, longest);
        self.answered_ms = Some(now_ms);
        self.clock_offset_ms = offset(reply.now_ms, now_ms);
        self.has_registry = true;
        self.cursor = if went_back && reply.registry.is_none() { 0 } else { reply.cursor };
        if is_news || took_ms >= self.hold_ms / 2 {
            self.setbacks = 0;
            self.state = State::Resting { until_ms: now_ms };
        } else {
            // Empty and early: answering at once again and again would make both sides spin.
            self.rest_after_setback(now_ms);
        }
        News {
            cursor: reply.cursor,
            reset: reply.reset || went_back,
            registry: reply.registry,
            invalidations: reply.invalidations,
        }
    }

    /// Waits 250 ms, doubled with every setback in a row up to 10 s, less up to a half of it by chance, so that the
    /// filters of a fleet do not come back all at once.
    fn rest_after_setback(&mut self, now_ms: u64) {
        let doubled = FIRST_BACKOFF_MS.saturating_mul(1_u64.checked_shl(self.setbacks).unwrap_or(u64::MAX));
        let longest = doubled.min(LONGEST_BACKOFF_MS);
        let chance = Digest::of("watch-backoff", &[self.filter_id.as_bytes(), &self.setbacks.to_be_bytes()]);
        let less = u64::from_be_bytes(*chance.as_bytes().first_chunk().unwrap_or(&[0; 8]))
            .checked_rem(longest / 2)
            .unwrap_or(0);
        self.setbacks = self.setbacks.saturating_add(1);
        self.state = State::Resting { until_ms: now_ms.saturating_add(longest.saturating_sub(less)) };
    }
}

fn offset(service_ms: u64, filter_ms: u64) -> i64 {
    i64::try_from(i128::from(service_ms).saturating_sub(i128::from(filter_ms))).unwrap_or(0)
}

fn read(outcome: CallOutcome) -> Result<WatchReply, PollFailure> {
    let CallOutcome::Replied { headers, body } = outcome else { return Err(PollFailure::NoReply) };
    let value = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name == wanted.as_bytes());
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let status = value(":status").and_then(|status| status.parse().ok());
    match value(MARKER_HEADER) {
        Some(version) if version == CONTRACT_VERSION => {}
        Some(version) => return Err(PollFailure::OtherVersion(version)),
        None => return Err(PollFailure::NotTheService(status)),
    }
    match status {
        Some(200) => {
            serde_json::from_slice(&body).map_err(|error| PollFailure::Unreadable(error.to_string()))
        }
        Some(status) => Err(PollFailure::Status(status)),
        None => Err(PollFailure::NotTheService(None)),
    }
}
