//! Leases: read the facts, resolve, open the upstream credential.

use std::time::Duration;

use portcullis_wire::lease::{DenyReason, Lease, LeaseReply, LeaseRequest};

use crate::clock::Timestamp;
use crate::credentials;
use crate::domain::ids::MemberId;
use crate::domain::people::Identity;
use crate::domain::resolve::{Grant, Resolution, resolve};
use crate::http::error::error_chain;
use crate::state::Service;
use crate::store::{Actor, NewMember, StoreError};

/// When to ask again after the store failed.
const RETRY_AFTER_MS: u64 = 1_000;

impl Service {
    /// Decides on a lease. A store that fails is not a denial: the reply says to ask again.
    pub async fn lease(&self, request: &LeaseRequest) -> LeaseReply {
        match self.decide(request).await {
            Ok(reply) => reply,
            Err(error) => {
                tracing::error!(error = error_chain(&error), "cannot decide on a lease");
                LeaseReply::Unavailable { retry_after_ms: RETRY_AFTER_MS }
            }
        }
    }

    async fn decide(&self, request: &LeaseRequest) -> Result<LeaseReply, StoreError> {
        let now = self.clock.now();
        let resolution = match self.resolve(request, now).await? {
            Resolution::Provision { workspace, identity } => {
                let member = NewMember {
                    id: MemberId::new(&*self.entropy),
                    workspace,
                    name: first_name(&identity),
                    identity,
                };
                let store = self.store.on_behalf_of(Actor::SignIn, now);
                match store.provision_member(&member).await {
                    Ok(_) => self.resolve(request, now).await?,
                    // The workspace was deleted a moment ago.
                    Err(StoreError::Missing { .. }) => Resolution::Denied(DenyReason::UnknownCredential),
                    Err(error) => return Err(error),
                }
            }
            resolution => resolution,
        };
        Ok(match resolution {
            Resolution::Granted(grant) => self.grant(*grant, now),
            Resolution::Denied(reason) => LeaseReply::Denied { reason },
            // A member deleted between provisioning and reading again; the filter's next request settles it.
            Resolution::Provision { .. } => LeaseReply::Unavailable { retry_after_ms: RETRY_AFTER_MS },
        })
    }

    pub(crate) async fn resolve(&self, request: &LeaseRequest, now: Timestamp) -> Result<Resolution, StoreError> {
        Ok(resolve(request, &self.store.lease_facts(request).await?, now))
    }

    fn grant(&self, grant: Grant, now: Timestamp) -> LeaseReply {
        let credential_headers = match credentials::open(&self.vault, &grant.server) {
            Ok(headers) => headers,
            Err(error) => {
                let server = grant.server.id.as_str();
                tracing::error!(server, error = error_chain(&error), "cannot open the server's credential");
                return LeaseReply::Denied { reason: DenyReason::CredentialUnavailable };
            }
        };
        if let Some(key) = &grant.caller.key_id {
            self.key_use.note(key.as_str().into(), now);
        }
        LeaseReply::Granted(Box::new(Lease {
            caller: grant.caller,
            workspace: grant.workspace,
            server_id: grant.server.id.to_string(),
            // A shared header is the server's own: an invalidation of the server covers it.
            connection_id: None,
            credential_generation: 0,
            policy: grant.policy,
            credential_headers,
            ttl_ms: ttl_ms(now, grant.not_after, self.settings.lease_ttl),
            revision: grant.revision.0,
        }))
    }
}

/// A member made on first use is called by its subject until somebody gives it a name.
fn first_name(identity: &Identity) -> String {
    identity.subject.clone()
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
