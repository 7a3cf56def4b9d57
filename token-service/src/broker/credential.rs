//! Doing what the plan says, until there is a credential or a reason why not.

use std::sync::Arc;
use std::time::Duration;

use portcullis_wire::lease::{CredentialHeader, Rejected};
use portcullis_wire::secret::SecretText;
use secrecy::ExposeSecret as _;

use super::flights::{Ended, Failure, Joined, end_of};
use super::plan::{Done, Facts, Step, Wanted, plan};
use super::step_up::{scopes, step_up};
use super::tokens::TokenPlace;
use super::{Broker, Credential, NoCredential, owner};
use crate::clock::Timestamp;
use crate::credentials;
use crate::domain::connection::{Connection, ConnectionId, ConnectionOwner, ConnectionState, ReauthReason};
use crate::domain::resolve::Grant;
use crate::domain::server::{Server, ServerAuth};
use crate::http::error::error_chain;
use crate::oauth::challenge;
use crate::store::StoreError;
use crate::vault::UnsealError;

/// A lease ends so long before the token, so that what is sent with it arrives in time.
const MARGIN: Duration = Duration::from_secs(30);

/// When to ask again if nothing better is known, and the longest that anybody is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

impl Broker {
    /// The credential of a grant. `rejected`: what the upstream did not take.
    pub async fn credential(
        self: &Arc<Self>,
        grant: &Grant,
        rejected: Option<&Rejected>,
    ) -> Result<Credential, NoCredential> {
        self.credential_within(grant, rejected, self.timings.wait).await
    }

    /// The same for a caller who waits for a renewal no longer than `wait`. The renewal goes on without them.
    pub async fn credential_within(
        self: &Arc<Self>,
        grant: &Grant,
        rejected: Option<&Rejected>,
        wait: Duration,
    ) -> Result<Credential, NoCredential> {
        let server = &grant.server;
        match (&server.settings.auth, owner(grant)) {
            (ServerAuth::None | ServerAuth::Headers(_), _) => {
                let headers = credentials::open(&self.vault, server).map_err(|error| {
                    let server = server.id.as_str();
                    tracing::error!(
                        server,
                        error = error_chain(&error),
                        "cannot open the server's credential"
                    );
                    NoCredential::Misconfigured
                })?;
                Ok(Credential { headers, connection: None, not_after: None })
            }
            (_, None) => Err(NoCredential::MemberRequired),
            (_, Some(owner)) => self.of_connection(server, &owner, rejected, wait).await,
        }
    }

    async fn of_connection(
        self: &Arc<Self>,
        server: &Server,
        owner: &ConnectionOwner,
        rejected: Option<&Rejected>,
        wait: Duration,
    ) -> Result<Credential, NoCredential> {
        let wait = wait.min(self.timings.wait);
        let id = ConnectionId::of(&server.id, owner);
        // What was refused with another connection's credential says nothing about this one.
        let rejected = rejected.filter(|rejected| rejected.connection_id == id.as_str());
        let mut connection = self.load(&id).await.map_err(unavailable)?.map(Arc::new);
        if let Some(rejected) = rejected.filter(|rejected| rejected.status == 403)
            && let Some(connection) = connection.as_deref().filter(|present| refused(present, rejected))
        {
            return Err(self.demand_scopes(connection, rejected).await);
        }
        let refused = rejected.filter(|rejected| rejected.status == 401).map(|rejected| rejected.generation);
        let origin = server.settings.url.origin();
        let wanted = Wanted { origin: &origin, shared_client: shared_client(server) };
        let (mut done, mut failure, mut goes_on) = (Done::Nothing, None, false);
        loop {
            let now = self.clock.now();
            let facts = Facts { connection: connection.as_deref(), wanted, rejected: refused, now, done };
            match (plan(&facts), connection.take()) {
                (Step::Use, Some(connection)) => return self.open(&connection, now).await,
                (Step::UseAndRenew, Some(connection)) => {
                    // How it ends concerns the next caller.
                    self.begin_renewal(&connection, server);
                    return self.open(&connection, now).await;
                }
                (Step::Renew, Some(present)) => {
                    if refused.is_some() {
                        // The server may have moved to another authorization server.
                        self.providers.forget(&server.id);
                    }
                    let ended = self.renewed(&present, server, wait).await;
                    goes_on = ended.is_none();
                    let ended = match ended {
                        Some(ended) => ended,
                        None => self.as_it_is(&id).await,
                    };
                    (done, failure) = (Done::Renewed, ended.failure);
                    // Whatever became of it, a token that is still good is good.
                    connection = Some(ended.latest.unwrap_or(present));
                }
                (Step::Make, present) => {
                    done = Done::Made;
                    connection = Some(Arc::new(self.make_shared(server, present.as_deref()).await?));
                }
                (Step::Retire(reason), Some(connection)) => {
                    return Err(self.retire(&connection, reason).await);
                }
                (Step::Ask(reason), _) => {
                    return Err(NoCredential::ConnectRequired {
                        connection: id,
                        reason,
                        missing_scopes: false,
                    });
                }
                (Step::Refused, _) => return Err(NoCredential::Misconfigured),
                (Step::Unavailable, _) if goes_on => return Err(NoCredential::Renewing),
                (Step::Use | Step::UseAndRenew | Step::Renew | Step::Retire(_) | Step::Unavailable, _) => {
                    return Err(no_credential(failure));
                }
            }
        }
    }

    fn begin_renewal(self: &Arc<Self>, connection: &Connection, server: &Server) -> Joined {
        let (id, generation) = (connection.id.clone(), connection.generation);
        self.flights.join(&connection.id, generation, |failures| {
            Arc::clone(self).renew(id, generation, server.clone(), failures)
        })
    }

    /// Waits for the renewal; `None` if it takes longer.
    async fn renewed(
        self: &Arc<Self>,
        connection: &Connection,
        server: &Server,
        wait: Duration,
    ) -> Option<Ended> {
        match self.begin_renewal(connection, server) {
            Joined::Running(ending) => end_of(ending, wait).await,
            Joined::Resting(failure) => Some(Ended { failure: Some(failure), ..Ended::default() }),
        }
    }

    async fn open(&self, connection: &Connection, now: Timestamp) -> Result<Credential, NoCredential> {
        let tokens = connection.tokens.as_ref().ok_or_else(|| no_credential(None))?;
        let access = match TokenPlace::of(connection).open_access(&self.vault, tokens) {
            Ok(access) => access,
            Err(error) => return Err(self.unreadable(connection, &error).await),
        };
        let value = SecretText::new(format!("Bearer {}", access.expose_secret()));
        Ok(Credential {
            headers: vec![CredentialHeader { name: "authorization".to_owned(), value }],
            connection: Some((connection.id.clone(), connection.generation)),
            not_after: tokens.expires_at.map(|end| not_after(now, end)),
        })
    }

    async fn unreadable(&self, connection: &Connection, error: &UnsealError) -> NoCredential {
        let id = connection.id.as_str();
        tracing::error!(connection = id, error = error_chain(error), "a connection's token cannot be opened");
        match (error, &connection.owner) {
            // The token may be all right, and the key come back.
            (UnsealError::UnknownKey(_), _) | (_, ConnectionOwner::Shared) => NoCredential::Misconfigured,
            (UnsealError::Malformed | UnsealError::Tampered, ConnectionOwner::Member(_)) => {
                self.retire(connection, ReauthReason::Unreadable).await
            }
        }
    }

    /// Notes that the member has to connect again. Nothing is deleted.
    async fn retire(&self, connection: &Connection, reason: ReauthReason) -> NoCredential {
        let id = &connection.id;
        match self.store.need_reauth(id, connection.generation, reason).await {
            Ok(Some(connection)) => {
                tracing::warn!(
                    connection = id.as_str(),
                    reason = reason.as_str(),
                    "a member has to connect again"
                );
                ask(&connection, Some(reason))
            }
            // Somebody has renewed, retired or ended it a moment ago.
            Ok(None) => match self.store.connection(id).await {
                Ok(Some(present)) => match present.state {
                    ConnectionState::NeedsReauth(reason) => ask(&present, Some(reason)),
                    _ => no_credential(None),
                },
                Ok(None) => no_credential(None),
                Err(error) => unavailable(error),
            },
            Err(error) => unavailable(error),
        }
    }

    /// The upstream wants more than the member has consented to: the next consent asks for it.
    async fn demand_scopes(&self, connection: &Connection, rejected: &Rejected) -> NoCredential {
        if connection.owner == ConnectionOwner::Shared {
            return NoCredential::Misconfigured;
        }
        let challenge = rejected.challenge.as_deref().and_then(|value| challenge::bearer(&[value]));
        let demanded = challenge.and_then(|challenge| challenge.scope);
        let demanded = demanded.map(|text| scopes(&text)).unwrap_or_default();
        let Some(step_up) = step_up(connection, &demanded, self.clock.now()) else {
            tracing::warn!(connection = connection.id.as_str(), "the upstream demands ever more scopes");
            return NoCredential::TooManyScopes;
        };
        match self.store.set_step_up(&connection.id, connection.generation, &step_up).await {
            Ok(_) => NoCredential::ConnectRequired {
                connection: connection.id.clone(),
                reason: None,
                missing_scopes: true,
            },
            Err(error) => unavailable(error),
        }
    }
}

/// Whether it is the present credential that was refused.
fn refused(connection: &Connection, rejected: &Rejected) -> bool {
    connection.state == ConnectionState::Active && rejected.generation >= connection.generation
}

fn shared_client(server: &Server) -> Option<&str> {
    match &server.settings.auth {
        ServerAuth::ClientCredentials(settings) => Some(&settings.client.client_id),
        ServerAuth::None | ServerAuth::Headers(_) | ServerAuth::OAuth(_) => None,
    }
}

/// Some time before the token expires; in its last moments, which are used only when it could not be renewed, its end.
fn not_after(now: Timestamp, end: Timestamp) -> Timestamp {
    if now.until(end) > MARGIN { now.plus(now.until(end).saturating_sub(MARGIN)) } else { end }
}

fn ask(connection: &Connection, reason: Option<ReauthReason>) -> NoCredential {
    NoCredential::ConnectRequired { connection: connection.id.clone(), reason, missing_scopes: false }
}

fn no_credential(failure: Option<Failure>) -> NoCredential {
    if failure.is_some_and(|failure| failure.misconfigured) {
        return NoCredential::Misconfigured;
    }
    let retry_in = failure.map_or(RETRY_AFTER, |failure| failure.retry_in).min(LONGEST_RETRY_AFTER);
    let retry_after_ms = u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX);
    NoCredential::Unavailable { retry_after_ms: retry_after_ms.max(1) }
}

#[expect(clippy::needless_pass_by_value, reason = "an adapter for map_err, which consumes the error")]
pub(super) fn unavailable(error: StoreError) -> NoCredential {
    tracing::error!(error = error_chain(&error), "the store failed while a credential was looked for");
    no_credential(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_before_its_token_does() {
        let now = Timestamp(1_000_000);
        let ends = |seconds| not_after(now, now.plus(Duration::from_secs(seconds)));
        assert_eq!(ends(3600), now.plus(Duration::from_secs(3570)));
        assert_eq!(ends(31), now.plus(Duration::from_secs(1)));
        assert_eq!(ends(30), now.plus(Duration::from_secs(30)));
        assert_eq!(ends(1), now.plus(Duration::from_secs(1)));
    }

    #[test]
    fn nobody_is_told_to_wait_for_ever() {
        let after = |retry_in, misconfigured| no_credential(Some(Failure { retry_in, misconfigured }));
        assert_eq!(no_credential(None), NoCredential::Unavailable { retry_after_ms: 1000 });
        assert_eq!(after(Duration::ZERO, false), NoCredential::Unavailable { retry_after_ms: 1 });
        assert_eq!(after(Duration::MAX, false), NoCredential::Unavailable { retry_after_ms: 30_000 });
        assert_eq!(after(Duration::MAX, true), NoCredential::Misconfigured);
    }
}
