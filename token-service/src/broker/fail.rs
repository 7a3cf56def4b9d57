//! What a renewal that brought no tokens leaves behind.

use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use super::flights::{Ended, Failure, Needs};
use super::prepare::{NotPrepared, Prepared};
use super::refresh::{Owned, Tried};
use super::schedule::rest;
use super::verdict::{Circumstances, verdict};
use crate::domain::connection::{ConnectionOwner, ReauthReason};
use crate::domain::server::Server;
use crate::oauth::token::TokenError;
use crate::store::StoreError;
use crate::store::connections::RefreshFailure;

impl Broker {
    pub(super) async fn take_failure(
        &self,
        owned: &Owned,
        prepared: &Prepared,
        server: &Server,
        error: &TokenError,
    ) -> Result<Tried, StoreError> {
        let connection = &owned.connection;
        let retry_after = if let TokenError::NotDone { retry_after } = error { *retry_after } else { None };
        if let Some(pause) = retry_after {
            self.pacing.pause(&connection.binding.issuer, pause);
        }
        let circumstances = Circumstances {
            shared: connection.owner == ConnectionOwner::Shared,
            unanswered: owned.unanswered_before(),
            rest: rest(&*self.entropy, self.timings.rest, owned.failures, retry_after),
        };
        let verdict = verdict(error, circumstances);
        let (id, issuer) = (connection.id.as_str(), connection.binding.issuer.as_str());
        tracing::warn!(connection = id, issuer, %error, verdict = ?verdict.failure, "a token was not renewed");
        let forgotten = error.is_about_the_client() && self.forget_client(server, &prepared.provider).await?;
        let needs = match verdict.misconfigured {
            // The next consent makes another client. Tokens that this one was given are renewed by nobody.
            true if forgotten => Needs::Consent(ReauthReason::ClientChanged),
            true => Needs::Administrator,
            false => Needs::Time,
        };
        self.fail(owned, verdict.failure, needs).await
    }

    pub(super) async fn give_up(
        &self,
        owned: &Owned,
        not_prepared: NotPrepared,
        server: &Server,
    ) -> Result<Tried, StoreError> {
        match not_prepared {
            NotPrepared::Unavailable => self.fail(owned, self.not_done(owned, None), Needs::Time).await,
            NotPrepared::Paused(pause) => {
                self.fail(owned, self.not_done(owned, Some(pause)), Needs::Time).await
            }
            NotPrepared::Misconfigured => {
                self.fail(owned, self.not_done(owned, None), Needs::Administrator).await
            }
            NotPrepared::Outdated(reason) => {
                self.fail(owned, self.not_done(owned, None), Needs::Consent(reason)).await
            }
            NotPrepared::Lost(reason) => self.fail(owned, RefreshFailure::Refused(reason), Needs::Time).await,
            NotPrepared::Elsewhere => match self.make_shared(server, Some(&owned.connection)).await {
                Ok(connection) => Ok(Tried::Remade(connection.generation)),
                Err(_) => self.fail(owned, self.not_done(owned, None), Needs::Time).await,
            },
        }
    }

    /// Nothing was sent by this attempt.
    pub(super) fn not_done(&self, owned: &Owned, retry_after: Option<Duration>) -> RefreshFailure {
        let retry_in = rest(&*self.entropy, self.timings.rest, owned.failures, retry_after);
        RefreshFailure::NotDone { retry_in }
    }

    pub(super) async fn fail(
        &self,
        owned: &Owned,
        failure: RefreshFailure,
        needs: Needs,
    ) -> Result<Tried, StoreError> {
        let id = &owned.connection.id;
        let Some(connection) = self.store.fail_refresh(id, &owned.id, &failure).await? else {
            return Ok(Tried::Ended(self.as_it_is(id).await));
        };
        let ended = |retry_in| {
            let failure = Failure { retry_in, needs };
            Ended { latest: Some(Arc::new(connection.clone())), failure: Some(failure) }
        };
        Ok(match failure {
            RefreshFailure::Ambiguous { retry_in } if !owned.unanswered_before() => {
                Tried::Unanswered(ended(retry_in), retry_in)
            }
            RefreshFailure::Ambiguous { retry_in } | RefreshFailure::NotDone { retry_in } => {
                Tried::Ended(ended(retry_in))
            }
            RefreshFailure::Refused(_) => Tried::Ended(Ended { failure: None, ..ended(Duration::ZERO) }),
        })
    }
}
