//! The truth about what a provider did: every authorization, token request and revocation, and by whom.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::faults::{Endpoint, Fault};
use super::params::Params;

/// What happened, in order.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client registered itself.
    Registered {
        client_id: String,
        redirect_uris: Vec<String>,
        authentication: String,
    },
    /// Somebody agreed, and was sent back with a code.
    Authorized(Authorization),
    /// Somebody did not agree.
    Declined {
        client_id: String,
    },
    Token(TokenRequest),
    /// A refresh token, or a code, was used again: all tokens of that sign-in are gone.
    ReuseDetected {
        subject: String,
        family: u64,
    },
    /// RFC 7009. `subject` is that of a token that existed.
    Revoked {
        client_id: String,
        token: String,
        subject: Option<String>,
    },
    /// An answer was spoilt on purpose. If the request was handled all the same, its event comes before.
    Fault {
        endpoint: Endpoint,
        fault: Fault,
    },
}

#[derive(Clone, Debug)]
pub struct Authorization {
    pub client_id: String,
    pub subject: String,
    pub scope: String,
    pub resource: Option<String>,
    pub redirect_uri: String,
    /// The whole request.
    pub parameters: Params,
}

/// One handled request of the token endpoint.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    pub grant_type: String,
    /// As far as it could be told.
    pub client_id: Option<String>,
    /// `none`, `client_secret_basic`, `client_secret_post` or `private_key_jwt`.
    pub authentication: &'static str,
    pub parameters: Params,
    pub outcome: Result<Issued, Refusal>,
}

/// What the token endpoint gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    pub subject: String,
    /// Counts sign-ins; all tokens that come of one share it.
    pub family: u64,
    pub access_token: String,
    /// The one that is good from now on, also where the answer does not repeat it.
    pub refresh_token: Option<String>,
    pub scope: String,
    pub resource: Option<String>,
}

/// An OAuth error, as answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub error: &'static str,
    pub description: &'static str,
}

/// The list of events so far. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger {
    events: Arc<Mutex<Vec<Event>>>,
    changed: watch::Sender<()>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { events: Arc::default(), changed: watch::Sender::new(()) }
    }
}

impl Ledger {
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the first event that `wanted` says yes to; events of the past count.
    pub async fn wait_for(&self, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(event) = self.events().into_iter().find(&wanted) {
                return event;
            }
            // The sender lives in `self`, so this cannot fail.
            let _ = changed.changed().await;
        }
    }

    pub fn authorizations(&self) -> Vec<Authorization> {
        self.collect(|event| match event {
            Event::Authorized(authorization) => Some(authorization),
            _ => None,
        })
    }

    pub fn token_requests(&self) -> Vec<TokenRequest> {
        self.collect(|event| match event {
            Event::Token(request) => Some(request),
            _ => None,
        })
    }

    /// Handled token requests of one grant type.
    pub fn requests_of(&self, grant_type: &str) -> Vec<TokenRequest> {
        self.token_requests().into_iter().filter(|request| request.grant_type == grant_type).collect()
    }

    /// How often each refresh token was presented and handled, successfully or not.
    pub fn refresh_uses(&self) -> BTreeMap<String, usize> {
        let mut uses = BTreeMap::new();
        for request in self.requests_of("refresh_token") {
            if let Some(token) = request.parameters.get("refresh_token") {
                *uses.entry(token.to_owned()).or_default() += 1;
            }
        }
        uses
    }

    /// How often somebody's tokens were revoked because a refresh token or a code was used again.
    pub fn reuses(&self) -> usize {
        self.events().iter().filter(|event| matches!(event, Event::ReuseDetected { .. })).count()
    }

    /// Every token and code verifier that went over the wire: what may be seen nowhere else.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        for request in self.token_requests() {
            for name in ["code", "code_verifier", "refresh_token", "client_secret", "client_assertion"] {
                secrets.extend(request.parameters.get(name).map(str::to_owned));
            }
            if let Ok(issued) = request.outcome {
                secrets.push(issued.access_token);
                secrets.extend(issued.refresh_token);
            }
        }
        secrets.sort();
        secrets.dedup();
        secrets
    }

    pub(super) fn add(&self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        self.changed.send_replace(());
    }

    fn collect<T>(&self, pick: impl FnMut(Event) -> Option<T>) -> Vec<T> {
        self.events().into_iter().filter_map(pick).collect()
    }
}
