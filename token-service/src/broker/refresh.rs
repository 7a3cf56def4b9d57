//! Renewing one connection: one owner at a time over all replicas, by a lock in the database with a fence.
//!
//! ```text
//! begin_refresh ── mark_sent ── ask the provider ── seal for the next generation ── finish_refresh ── tell who waits
//!      │                │              │                                                  │
//!   somebody else       └─ from here on it counts as sent: whoever takes over             └─ fails: kept in memory and
//!   is at it: wait         tries once with the same refresh token                            beside the database
//! ```
//!
//! Nobody can promise that a rotated refresh token survives a process that dies after the provider has rotated it and
//! before it is stored. What holds: it is used a second time only to find out, the outcome is noted, and nothing is
//! ever deleted on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::Instrument as _;
use tracing::field::Empty;

use super::failpoints::Failpoint;
use super::flights::{Ended, Failure, Needs};
use super::prepare::Prepared;
use super::schedule::{LONGEST_REST, jittered};
use super::{Broker, random_id};
use crate::clock::Timestamp;
use crate::domain::connection::{Attempt, Connection, ConnectionId, ConnectionState};
use crate::domain::server::Server;
use crate::http::error::error_chain;
use crate::measure;
use crate::oauth::token::{self, Grant, TokenError, TokenRequest, Tokens};
use crate::store::StoreError;
use crate::store::connections::RefreshStart;

/// How often somebody else's attempt is looked at before trying to take over: only the database knows whether its time
/// is over, and asking that is a write.
const POLLS_BEFORE_TAKING_OVER: u32 = 10;

/// What has become of one try.
pub(super) enum Tried {
    Ended(Ended),
    /// Somebody else is at it, or it rests after a failure, until then by the database's clock.
    Busy(Timestamp),
    /// For the first time the provider may or may not have rotated: try once more after the pause.
    Unanswered(Ended, Duration),
    /// The shared connection was for another authorization server, and was made anew with this generation.
    Remade(u64),
}

/// An attempt that this process owns.
pub(super) struct Owned {
    pub(super) id: String,
    pub(super) connection: Connection,
    previous: Option<Attempt>,
    began: Instant,
    pub(super) failures: u32,
}

impl Owned {
    /// Whether an attempt before this one may have used the refresh token up.
    pub(super) fn unanswered_before(&self) -> bool {
        self.previous.as_ref().is_some_and(|attempt| attempt.ambiguous)
    }
}

impl Broker {
    /// Renews until there is an outcome, and counts that.
    pub(super) fn renew(
        self: Arc<Self>,
        id: ConnectionId,
        generation: u64,
        server: Server,
        failures: u32,
    ) -> impl Future<Output = Ended> + Send + 'static {
        let (begun, slug) = (Instant::now(), server.slug.clone());
        // Here and not in the task, so that it belongs to whoever wanted it first.
        let span = tracing::info_span!("refresh", server = slug.as_str(), outcome = Empty);
        let renewal = self.renew_until_settled(id, generation, server, failures);
        let renewal = Box::pin(renewal.instrument(span.clone()));
        async move {
            let ended = renewal.await;
            let outcome = ended.outcome(generation);
            span.record("outcome", outcome);
            measure::refresh(slug.as_str(), outcome, begun.elapsed());
            ended
        }
    }

    /// Waits for others, and tries once more after an attempt without an answer.
    async fn renew_until_settled(
        self: Arc<Self>,
        id: ConnectionId,
        generation: u64,
        server: Server,
        failures: u32,
    ) -> Ended {
        let mut generation = generation;
        let deadline = Instant::now() + self.timings.wait;
        loop {
            match self.try_once(&id, generation, &server, failures).await {
                Tried::Ended(ended) => return ended,
                Tried::Busy(until) => {
                    if let Some(ended) = self.wait_for_others(&id, generation, until, deadline).await {
                        return ended;
                    }
                }
                Tried::Unanswered(ended, pause) => {
                    if !self.pause(pause).await {
                        return ended;
                    }
                }
                Tried::Remade(made) => generation = made,
            }
        }
    }

    async fn try_once(
        self: &Arc<Self>,
        id: &ConnectionId,
        generation: u64,
        server: &Server,
        failures: u32,
    ) -> Tried {
        match self.begin(id, generation, failures).await {
            // Should the store fail, the lock runs out by itself, and what was sent by then is known to have been.
            Ok(Begun::Owned(owned)) => self
                .carry_out(*owned, server)
                .await
                .unwrap_or_else(|error| Tried::Ended(self.store_failed(id, &error))),
            Ok(Begun::Not(tried)) => tried,
            Err(error) => Tried::Ended(self.store_failed(id, &error)),
        }
    }

    async fn begin(&self, id: &ConnectionId, generation: u64, failures: u32) -> Result<Begun, StoreError> {
        // Tokens of ours that are newer than the database's come first.
        if let Some(pending) = self.unsaved.get(id)
            && !self.settle(&pending).await
        {
            return Ok(Begun::Not(Tried::Ended(self.as_it_is(id).await)));
        }
        self.failpoints.hit(Failpoint::Acquire);
        let (attempt, began) = (random_id(&*self.entropy), Instant::now());
        let start = self.store.begin_refresh(id, generation, &attempt, self.timings.lock).await?;
        Ok(match start {
            RefreshStart::Begun { connection, previous } => {
                self.failpoints.hit(Failpoint::AfterAcquire);
                Begun::Owned(Box::new(Owned { id: attempt, connection, previous, began, failures }))
            }
            RefreshStart::Busy { until } => Begun::Not(Tried::Busy(until)),
            RefreshStart::Moved(connection) => Begun::Not(Tried::Ended(ended(connection))),
            RefreshStart::Missing => Begun::Not(Tried::Ended(Ended::default())),
        })
    }

    async fn carry_out(self: &Arc<Self>, owned: Owned, server: &Server) -> Result<Tried, StoreError> {
        let prepared = match self.prepare(&owned.connection, server).await {
            Ok(prepared) => prepared,
            Err(not_prepared) => return self.give_up(&owned, not_prepared, server).await,
        };
        self.failpoints.hit(Failpoint::BeforeSend);
        if !self.store.mark_sent(&owned.connection.id, &owned.id).await? {
            return Ok(Tried::Ended(self.as_it_is(&owned.connection.id).await));
        }
        self.failpoints.hit(Failpoint::AfterMarkSent);
        // Paused for so long that somebody else may be the owner before there is an answer: nothing is sent.
        if owned.began.elapsed() > self.timings.lock / 2 {
            return self.fail(&owned, self.not_done(&owned, None), Needs::Time).await;
        }
        let reply = self.ask(&owned, &prepared).await;
        self.failpoints.hit(Failpoint::AfterReply);
        match reply {
            Ok(tokens) => Ok(Tried::Ended(self.keep(owned, &prepared, server, tokens).await)),
            Err(error) => self.take_failure(&owned, &prepared, server, &error).await,
        }
    }

    async fn ask(&self, owned: &Owned, prepared: &Prepared) -> Result<Tokens, TokenError> {
        let none = (BTreeSet::new(), BTreeMap::new());
        let (grant, scopes, parameters) = match &prepared.refresh {
            // Without scopes: those that were granted.
            Some(refresh) => (Grant::Refresh { token: refresh }, &none.0, &none.1),
            None => (Grant::ClientCredentials, &prepared.scopes, &prepared.parameters),
        };
        let now = self.clock.now();
        let request = TokenRequest {
            server: &prepared.provider.discovered.authorization_server,
            client: &prepared.provider.client,
            grant,
            resource: Some(&prepared.provider.discovered.resource),
            scopes,
            parameters,
            now,
        };
        let connection = owned.connection.id.as_str();
        tracing::debug!(connection, generation = owned.connection.generation, "asking for a new token");
        token::request(&self.egress, &*self.entropy, &request).await
    }

    /// Until somebody else's attempt has come to something. `None`: its time may be over, so try to take over.
    async fn wait_for_others(
        &self,
        id: &ConnectionId,
        generation: u64,
        until: Timestamp,
        deadline: Instant,
    ) -> Option<Ended> {
        let mut commits = self.store.commits();
        let enough = Instant::now() + self.timings.poll * POLLS_BEFORE_TAKING_OVER;
        loop {
            tokio::select! {
                _ = commits.changed() => {}
                () = sleep(jittered(&*self.entropy, self.timings.poll)) => {}
            }
            let present = match self.load(id).await {
                Ok(Some(present)) => present,
                Ok(None) => return Some(Ended::default()),
                Err(error) => return Some(self.store_failed(id, &error)),
            };
            if present.generation != generation || present.state != ConnectionState::Active {
                return Some(ended(present));
            }
            let rests = present.attempt.is_none();
            if rests || Instant::now() >= deadline {
                // Clocks differ: the pause is a guess, and the database has the say when it is over.
                let left = self.clock.now().until(until).min(LONGEST_REST);
                let retry_in = if rests { left.max(self.timings.poll) } else { self.timings.rest };
                let failure = Failure { retry_in, needs: Needs::Time };
                return Some(Ended { latest: Some(Arc::new(present)), failure: Some(failure) });
            }
            if Instant::now() >= enough {
                return None;
            }
        }
    }

    /// The connection as it is by now.
    pub(super) async fn as_it_is(&self, id: &ConnectionId) -> Ended {
        match self.load(id).await {
            Ok(latest) => Ended { latest: latest.map(Arc::new), failure: None },
            Err(error) => self.store_failed(id, &error),
        }
    }

    fn store_failed(&self, id: &ConnectionId, error: &StoreError) -> Ended {
        tracing::error!(
            connection = id.as_str(),
            error = error_chain(error),
            "the store failed in a renewal"
        );
        let failure = Failure { retry_in: self.timings.rest, needs: Needs::Time };
        Ended { latest: None, failure: Some(failure) }
    }

    /// Waits; `false` if the service is to stop instead.
    async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.shutdown.requested() => false,
            () = sleep(pause) => true,
        }
    }
}

enum Begun {
    Owned(Box<Owned>),
    Not(Tried),
}

pub(super) fn ended(connection: Connection) -> Ended {
    Ended { latest: Some(Arc::new(connection)), failure: None }
}
