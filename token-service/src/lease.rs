//! Leases: read the facts, resolve, get a usable credential from the broker, or say what is in the way.

use std::time::Duration;

use portcullis_wire::lease::{CallerProof, ConnectRequired, DenyReason, Lease, LeaseReply, LeaseRequest};
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::broker::{Credential, NoCredential};
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::connection::{ConnectionId, ReauthReason};
use crate::domain::denial::Trail;
use crate::domain::ids::MemberId;
use crate::domain::people::MemberRole;
use crate::domain::resolve::{Grant, Resolution, resolve_on};
use crate::domain::resource::ResourcePath;
use crate::http::error::error_chain;
use crate::identity_provider::Introspected;
use crate::measure;
use crate::state::Service;
use crate::store::{Actor, NewMember, StoreError};
use crate::unconnected::Handle;

/// When to ask again after the store failed.
const RETRY_AFTER_MS: u64 = 1_000;

/// How long an issuer may take over its word about a token, where the request does not say how long it waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// For requests that are on their way when the filter's use of a handle ends.
const HANDLE_GRACE: Duration = Duration::from_mins(1);

impl Service {
    /// Decides on a lease. A store that fails is not a denial: the reply says to ask again.
    pub async fn lease(&self, request: &LeaseRequest) -> LeaseReply {
        let begun = Instant::now();
        let span = tracing::info_span!("lease", result = Empty);
        let reply = match self.decide(request).instrument(span.clone()).await {
            Ok(reply) => reply,
            Err(error) => {
                tracing::error!(error = error_chain(&error), "cannot decide on a lease");
                LeaseReply::Unavailable { retry_after_ms: RETRY_AFTER_MS }
            }
        };
        let result = measure::lease(&reply, begun.elapsed());
        span.record("result", result);
        reply
    }

    async fn decide(&self, request: &LeaseRequest) -> Result<LeaseReply, StoreError> {
        let now = self.clock.now();
        let mut trail = Trail::default();
        let resolution = match self.resolve_on(&mut trail, request, now).await? {
            Resolution::Provision { workspace, identity, name } => {
                let member = NewMember {
                    id: MemberId::new(&*self.entropy),
                    workspace,
                    name,
                    identity,
                    role: MemberRole::Member,
                };
                let store = self.store.on_behalf_of(Actor::SignIn, now);
                match store.provision_member(&member).await {
                    Ok(_) => {
                        trail = Trail::default();
                        self.resolve_on(&mut trail, request, now).await?
                    }
                    // The workspace was deleted a moment ago.
                    Err(StoreError::Missing { .. }) => Resolution::Denied(DenyReason::UnknownCredential),
                    Err(error) => return Err(error),
                }
            }
            resolution => resolution,
        };
        Ok(match resolution {
            Resolution::Granted(grant) => self.grant(*grant, request, now).await,
            Resolution::Denied(reason) => denied(reason, trail.because(), trail.revision()),
            Resolution::Pending => LeaseReply::Renewing,
            // The second: a member deleted between provisioning and reading again; the filter's next request settles it.
            Resolution::Unavailable | Resolution::Provision { .. } => {
                LeaseReply::Unavailable { retry_after_ms: RETRY_AFTER_MS }
            }
        })
    }

    pub(crate) async fn resolve(
        &self,
        request: &LeaseRequest,
        now: Timestamp,
    ) -> Result<Resolution, StoreError> {
        self.resolve_on(&mut Trail::default(), request, now).await
    }

    async fn resolve_on(
        &self,
        trail: &mut Trail,
        request: &LeaseRequest,
        now: Timestamp,
    ) -> Result<Resolution, StoreError> {
        if let CallerProof::Opaque { token } = &request.proof {
            let patience = request.wait_ms.map_or(PATIENCE, Duration::from_millis);
            let (proof, until) = match self.introspect(token, patience).await? {
                Introspected::Good { proof, until } => (proof, until),
                Introspected::NotGood => {
                    trail.not_vouched_for();
                    return Ok(Resolution::Denied(DenyReason::UnknownCredential));
                }
                Introspected::Slow => return Ok(Resolution::Pending),
                Introspected::Unavailable => return Ok(Resolution::Unavailable),
            };
            let request = LeaseRequest { proof, ..request.clone() };
            return Ok(self.resolve_proven(trail, &request, now).await?.by_introspection(until));
        }
        self.resolve_proven(trail, request, now).await
    }

    async fn resolve_proven(
        &self,
        trail: &mut Trail,
        request: &LeaseRequest,
        now: Timestamp,
    ) -> Result<Resolution, StoreError> {
        let facts = self.store.lease_facts(request).await?;
        Ok(resolve_on(trail, request, &facts, &self.resource_of(request), now))
    }

    /// The URL of the path that was called (RFC 8707).
    pub(crate) fn resource_of(&self, request: &LeaseRequest) -> String {
        let (workspace, server) = (request.workspace.clone(), request.server.clone());
        ResourcePath { workspace, server }.url(&self.settings.public_url)
    }

    async fn grant(&self, grant: Grant, request: &LeaseRequest, now: Timestamp) -> LeaseReply {
        if let Some(key) = &grant.caller.key_id {
            self.key_use.note(key.as_str().into(), now);
        }
        if let Some(session) = &grant.caller.session_id {
            self.session_use.note(session.as_str().into(), now);
        }
        let revision = Some(grant.revision);
        let denied = |reason, because| denied(reason, Some(because), revision);
        let (rejected, wait) = (request.rejected.as_ref(), request.wait_ms.map(Duration::from_millis));
        match self.broker.credential_within(&grant, rejected, wait.unwrap_or(Duration::MAX)).await {
            Ok(credential) => {
                self.came_by(&grant);
                self.granted(grant, credential)
            }
            Err(NoCredential::ConnectRequired { connection, reason, missing_scopes }) => {
                self.connect_required(grant, connection, reason, missing_scopes)
            }
            Err(NoCredential::Renewing) => LeaseReply::Renewing,
            Err(NoCredential::Unavailable { retry_after_ms }) => LeaseReply::Unavailable { retry_after_ms },
            Err(NoCredential::Misconfigured) => {
                denied(DenyReason::CredentialUnavailable, "server/credential")
            }
            Err(NoCredential::MemberRequired) => denied(DenyReason::MemberRequired, "server/account"),
            Err(NoCredential::TooManyScopes) => denied(DenyReason::TooManyScopes, "account/scopes"),
        }
    }

    fn granted(&self, grant: Grant, credential: Credential) -> LeaseReply {
        // Renewing may have taken a while.
        let now = self.clock.now();
        let longest = credential
            .not_after
            .map_or(self.settings.lease_ttl, |end| now.until(end).min(self.settings.lease_ttl));
        // Shared headers are the server's own: an invalidation of the server covers them.
        let (connection_id, credential_generation) = match credential.connection {
            Some((id, generation)) => (Some(id.to_string()), generation),
            None => (None, 0),
        };
        let session_key = self.vault.session_key(&grant.caller.id, &grant.server.id);
        LeaseReply::Granted(Box::new(Lease {
            session_key: Some(session_key),
            caller: grant.caller,
            workspace: grant.workspace,
            server_id: grant.server.id.to_string(),
            connection_id,
            credential_generation,
            policy: grant.policy,
            limits: grant.limits,
            terms: grant.terms,
            credential_headers: credential.headers,
            ttl_ms: ttl_ms(now, grant.not_after, longest),
            revision: grant.revision.0,
        }))
    }

    fn connect_required(
        &self,
        grant: Grant,
        connection: ConnectionId,
        reason: Option<ReauthReason>,
        missing_scopes: bool,
    ) -> LeaseReply {
        let Some(member) = grant.member else {
            return denied(DenyReason::MemberRequired, Some("server/account"), Some(grant.revision));
        };
        let now = self.clock.now();
        // The credential lacks scopes for one request; others may still use it.
        let longest = if missing_scopes { Duration::ZERO } else { self.settings.lease_ttl };
        let ttl_ms = ttl_ms(now, grant.not_after, longest);
        let connection_id = connection.to_string();
        let handle = Handle {
            member: member.id,
            server: grant.server.id.clone(),
            workspace: grant.workspace.id.as_str().into(),
            connection,
            reason,
            missing_scopes,
            expires_at: now.plus(Duration::from_millis(ttl_ms)).plus(HANDLE_GRACE),
        };
        LeaseReply::ConnectRequired(Box::new(ConnectRequired {
            caller: grant.caller,
            workspace: grant.workspace,
            server_id: grant.server.id.to_string(),
            connection_id,
            policy: grant.policy,
            limits: grant.limits,
            terms: grant.terms,
            handle: handle.seal(&self.vault),
            ttl_ms,
            revision: grant.revision.0,
        }))
    }
}

/// `because` names what decided: for the log of the filter, which tells nobody else.
fn denied(reason: DenyReason, because: Option<&str>, revision: Option<Revision>) -> LeaseReply {
    let revision = revision.map(|revision| revision.0);
    LeaseReply::Denied { reason, because: because.map(str::to_owned), revision }
}

/// Until the credential expires, at most `longest`.
fn ttl_ms(now: Timestamp, not_after: Option<Timestamp>, longest: Duration) -> u64 {
    let left = not_after.map_or(longest, |end| now.until(end).min(longest));
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_with_the_credential_and_after_a_minute_at_the_latest() {
        let now = Timestamp(1_000_000);
        let ttl_ms = |not_after| ttl_ms(now, not_after, Duration::from_mins(1));
        assert_eq!(ttl_ms(None), 60_000);
        assert_eq!(ttl_ms(Some(Timestamp(1_000_250))), 250);
        assert_eq!(ttl_ms(Some(Timestamp(9_000_000))), 60_000);
    }
}
