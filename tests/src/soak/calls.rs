//! Calls: made as a client would, and judged.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;

use super::Soak;
use super::fact::{Moment, Period};
use super::judge::{Made, Outcome};
use super::plan::{Call, Way};
use super::world::{Key, WORKSPACES};
use crate::mcp::{Agent, Era, Reply};
use crate::upstream::protected::witness::TESTIFY;

/// What all callers share: the connections to the gateway, so that those of different members follow each other on one
/// connection, and the legacy sessions.
#[derive(Debug)]
pub(super) struct Line {
    agent: Agent,
    sessions: Mutex<HashMap<SessionKey, Session>>,
    nonces: AtomicU64,
}

/// Of a key (by its id) at a server in a version.
type SessionKey = (String, usize, &'static str);

#[derive(Clone, Debug)]
struct Session {
    id: Option<String>,
    since: Moment,
}

impl Line {
    pub(super) fn new(gateway: &str) -> Self {
        let agent = Agent::new(gateway, None, Era::Modern);
        Self { agent, sessions: Mutex::default(), nonces: AtomicU64::new(0) }
    }

    /// How many requests were sent.
    pub(super) fn sent(&self) -> u64 {
        self.agent.sent()
    }

    /// Forgets the sessions of a key that is no longer valid.
    pub(super) fn forget(&self, key: &Key) {
        self.sessions().retain(|(id, ..), _| *id != key.issued.id);
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionKey, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Soak {
    /// Makes a call of the plan.
    pub(super) async fn call(&self, call: Call) -> Outcome {
        self.call_with(call, self.world.seats[call.seat].key(call.key)).await.0
    }

    /// Makes a call with this very key.
    pub(super) async fn call_with(&self, call: Call, key: Arc<Key>) -> (Outcome, Reply) {
        let seat = &self.world.seats[call.seat];
        let number = self.line.nonces.fetch_add(1, Ordering::Relaxed);
        let mut made = Made {
            seat,
            key: &key,
            server: call.server,
            foreign: call.way == Way::Foreign,
            session_since: None,
            stolen: false,
            nonce: format!("nonce-{number}"),
            period: Period::at(self.world.clock.now()),
        };
        let reply = self.send(call, &mut made).await;
        made.period.to = self.world.clock.now();
        let outcome = Outcome::of(&reply);
        self.note(call, &made, &outcome);
        (outcome, reply)
    }

    /// The answer to the call, or to the handshake before it if that is refused.
    async fn send(&self, call: Call, made: &mut Made<'_>) -> Reply {
        let agent = self.line.agent.with_credential(Some(&made.key.issued.text));
        let url = self.url(call);
        let arguments = json!({"nonce": made.nonce});
        let Some(version) = call.legacy else {
            return agent.at(url, Era::Modern).call_tool(TESTIFY, arguments).await;
        };
        let mut agent = agent.at(url, Era::Legacy(version));
        let own = (made.key.issued.id.clone(), call.server, version);
        if let Some(session) = call.stolen_from.and_then(|other| self.session_of(other, call.server, version))
        {
            made.session_since = Some(session.since);
            made.stolen = true;
            return agent.in_session(session.id.as_deref()).call_tool(TESTIFY, arguments).await;
        }
        let known = self.line.sessions().get(&own).cloned();
        let session = if let Some(session) = known {
            session
        } else {
            let since = self.world.clock.now();
            // The session may be over before the handshake is.
            made.session_since = Some(since);
            if let Err(refused) = agent.try_initialize(json!({})).await {
                return refused;
            }
            let session = Session { id: agent.session().map(str::to_owned), since };
            self.line.sessions().insert(own.clone(), session.clone());
            session
        };
        made.session_since = Some(session.since);
        let reply = agent.in_session(session.id.as_deref()).call_tool(TESTIFY, arguments).await;
        if reply.status == 404 {
            // As clients do: the next call begins a new one.
            self.line.sessions().remove(&own);
        }
        reply
    }

    /// A session that somebody else has open.
    fn session_of(&self, seat: usize, server: usize, version: &'static str) -> Option<Session> {
        let keys = self.world.seats[seat].keys();
        let sessions = self.line.sessions();
        let found = keys.iter().find_map(|key| sessions.get(&(key.issued.id.clone(), server, version)));
        found.filter(|session| session.id.is_some()).cloned()
    }

    fn url(&self, call: Call) -> String {
        let workspace = self.world.seats[call.seat].workspace;
        let slug = self.world.endpoints[call.server].slug;
        let gateway = &self.world.public_url;
        let named = match call.way {
            Way::Short => return format!("{gateway}/{slug}/mcp"),
            Way::Own => WORKSPACES[workspace],
            Way::Foreign => WORKSPACES[(workspace + 1) % WORKSPACES.len()],
        };
        format!("{gateway}/{named}/{slug}/mcp")
    }

    fn note(&self, call: Call, made: &Made<'_>, outcome: &Outcome) {
        self.tally.call(outcome.name());
        match outcome {
            Outcome::Served(_) => self.tally.served(call.seat, call.server),
            Outcome::Unavailable(why) => {
                let restarting = self.world.outage.during(made.period).contains(&true);
                self.tally.unavailable(why, restarting);
            }
            _ => {}
        }
        if made.stolen {
            self.tally.stolen();
        }
        if let Err(violation) = self.world.judge(made, outcome) {
            self.tally.violation(violation);
        }
    }
}
