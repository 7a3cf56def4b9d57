//! Keeping what a renewal has brought, in every way there is.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::failpoints::Failpoint;
use super::flights::Ended;
use super::prepare::Prepared;
use super::refresh::{Owned, ended};
use super::tokens::{TokenPlace, holds_nothing};
use super::unsaved::{Pending, overlaid};
use super::{Broker, random_id};
use crate::domain::connection::{Connection, ConnectionState};
use crate::domain::server::Server;
use crate::http::error::error_chain;
use crate::oauth::token::Tokens;
use crate::store::StoreError;
use crate::store::connections::{RefreshStart, Renewed};

/// The pauses between tries of a commit that fails. The lock holds on for longer.
const COMMIT_PAUSES: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(500)];

impl Broker {
    /// Stores the new tokens; if that cannot be done, keeps them in every other way there is.
    pub(super) async fn keep(
        self: &Arc<Self>,
        owned: Owned,
        prepared: &Prepared,
        server: &Server,
        mut tokens: Tokens,
    ) -> Ended {
        let connection = &owned.connection;
        // A provider that does not rotate leaves the old one good (RFC 6749, section 6).
        tokens.refresh = tokens.refresh.or_else(|| prepared.refresh.clone());
        let now = self.clock.now();
        let place = TokenPlace::of(connection).next();
        let sealed = place.seal(&self.vault, &*self.entropy, &tokens, now);
        self.failpoints.hit(Failpoint::AfterSeal);
        // `plan` tells by the times whether a token is straight from a consent. The first one that is fetched for the
        // shared connection counts as that.
        let after_consent = connection.connected_at.plus(Duration::from_millis(1));
        let first = connection.tokens.as_ref().is_some_and(holds_nothing);
        let renewed = Renewed {
            generation: place.generation,
            tokens: sealed,
            scopes: tokens.scopes.clone(),
            now: if first { connection.connected_at } else { now.max(after_consent) },
        };
        let pending = Pending { connection: connection.id.clone(), attempt: owned.id.clone(), renewed };
        match self.commit(&pending).await {
            Ok(Some(connection)) => {
                self.failpoints.hit(Failpoint::AfterCommit);
                self.failpoints.hit(Failpoint::BeforeNotify);
                ended(connection)
            }
            Ok(None) => self.came_too_late(pending, server, &tokens).await,
            Err(error) => {
                tracing::error!(
                    connection = connection.id.as_str(),
                    error = error_chain(&error),
                    "renewed tokens cannot be committed; they are kept beside the database until they can be"
                );
                self.save_beside(&pending).await;
                ended(overlaid(owned.connection, Some(pending)))
            }
        }
    }

    async fn commit(&self, pending: &Pending) -> Result<Option<Connection>, StoreError> {
        self.failpoints.hit(Failpoint::BeforeCommit);
        let mut pauses = COMMIT_PAUSES.into_iter();
        loop {
            match (self.finish(pending).await, pauses.next()) {
                (Err(StoreError::Unavailable { .. }), Some(pause)) => sleep(pause).await,
                (outcome, _) => return outcome,
            }
        }
    }

    /// Somebody else owns the connection by now, or nobody has it any more. What we have may still be the newest.
    async fn came_too_late(self: &Arc<Self>, pending: Pending, server: &Server, tokens: &Tokens) -> Ended {
        let id = pending.connection.clone();
        match self.store.connection(&id).await {
            Ok(Some(present)) if present.state == ConnectionState::Disconnected => {
                self.revoke_later(&present, server, tokens.access.clone(), tokens.refresh.clone());
                ended(present)
            }
            Ok(Some(present)) if present.generation >= pending.renewed.generation => ended(present),
            Ok(None) => Ended::default(),
            Ok(Some(_)) | Err(_) => {
                self.save_beside(&pending).await;
                self.settle(&pending).await;
                self.as_it_is(&id).await
            }
        }
    }

    /// In memory in any case, and on the disk if that works.
    async fn save_beside(&self, pending: &Pending) {
        self.unsaved.hold(pending.clone());
        let (unsaved, failpoints) = (Arc::clone(&self.unsaved), Arc::clone(&self.failpoints));
        let record = pending.clone();
        let written = tokio::task::spawn_blocking(move || {
            unsaved.write(&record, || failpoints.hit(Failpoint::SpillWrite))
        });
        let connection = pending.connection.as_str();
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(
                connection,
                %error,
                "renewed tokens cannot be written beside the database either; they are in memory only"
            ),
            Err(_) => tracing::error!(connection, "writing renewed tokens beside the database panicked"),
        }
    }

    /// Tries to commit what could not be committed before. `true` if the matter is closed.
    pub(super) async fn settle(&self, pending: &Pending) -> bool {
        let connection = pending.connection.as_str();
        match self.try_to_settle(pending).await {
            Ok(Settled::Committed) => {
                self.failpoints.hit(Failpoint::SpillReplay);
                tracing::info!(connection, "tokens that were kept beside the database are committed");
                self.unsaved.forget(pending);
                true
            }
            Ok(Settled::Useless) => {
                tracing::warn!(connection, "tokens that were kept beside the database are no longer wanted");
                self.unsaved.forget(pending);
                true
            }
            Ok(Settled::NotYet) => false,
            Err(error) => {
                tracing::warn!(connection, error = error_chain(&error), "tokens cannot be committed yet");
                false
            }
        }
    }

    async fn try_to_settle(&self, pending: &Pending) -> Result<Settled, StoreError> {
        if self.finish(pending).await?.is_some() {
            return Ok(Settled::Committed);
        }
        let Some(present) = self.store.connection(&pending.connection).await? else {
            return Ok(Settled::Useless);
        };
        let is_next = present.generation.checked_add(1) == Some(pending.renewed.generation);
        if !is_next || present.state != ConnectionState::Active {
            return Ok(Settled::Useless);
        }
        // The attempt's time was over and somebody else has begun one. Our tokens are newer than those that they can
        // try with, so they are stored as the outcome of an attempt that asks nobody.
        let (id, attempt) = (&pending.connection, random_id(&*self.entropy));
        match self.store.begin_refresh(id, present.generation, &attempt, self.timings.lock).await? {
            RefreshStart::Begun { .. } => {
                let committed = self.finish(&Pending { attempt, ..pending.clone() }).await?;
                Ok(if committed.is_some() { Settled::Committed } else { Settled::NotYet })
            }
            RefreshStart::Busy { .. } | RefreshStart::Moved(_) => Ok(Settled::NotYet),
            RefreshStart::Missing => Ok(Settled::Useless),
        }
    }

    async fn finish(
        &self,
        Pending { connection, attempt, renewed }: &Pending,
    ) -> Result<Option<Connection>, StoreError> {
        match self.failpoints.commit_fails() {
            Some(error) => Err(error),
            None => self.store.finish_refresh(connection, attempt, renewed).await,
        }
    }
}

enum Settled {
    Committed,
    /// The connection has newer tokens, or none are wanted.
    Useless,
    NotYet,
}
