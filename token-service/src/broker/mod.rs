//! A usable credential for one caller on one server: opened, renewed, fetched, or the reason why not.
//!
//! [`plan`] decides, purely, what to do about a connection; `credential` does it. A renewal (`refresh`, `keep`) runs as
//! one task for each connection (`flights`), whoever asks for it: callers, or the job that renews ahead of expiry
//! (`ahead`). `provider` and `client` find out whom to ask and as whom.

mod ahead;
mod client;
mod credential;
mod disconnect;
mod fail;
pub mod failpoints;
mod flights;
mod keep;
mod pacing;
mod plan;
mod prepare;
mod provider;
mod refresh;
mod schedule;
mod shared;
mod step_up;
#[cfg(test)]
mod test_values;
mod tokens;
mod unsaved;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis_wire::lease::{CredentialHeader, Rejected};

use self::failpoints::Failpoints;
use self::flights::Flights;
use self::pacing::Pacing;
use self::provider::Providers;
pub use self::provider::{Provider, ProviderError};
pub use self::tokens::TokenPlace;
pub use self::unsaved::unsaved_tokens;
use self::unsaved::{Unsaved, overlaid};
use crate::clock::{Clock, Entropy, Timestamp, random};
use crate::domain::connection::{Connection, ConnectionId, ConnectionOwner, ReauthReason};
use crate::domain::resolve::Grant;
use crate::domain::server::{Server, ServerAuth};
use crate::egress::EgressClient;
use crate::oauth::challenge::BearerChallenge;
use crate::oauth::registration::ClientMetadata;
use crate::shutdown::Shutdown;
use crate::state::Service;
use crate::store::{Actor, Store, StoreError};
use crate::vault::Vault;

/// What goes to the upstream.
#[derive(Clone, Debug)]
pub struct Credential {
    pub headers: Vec<CredentialHeader>,
    pub connection: Option<(ConnectionId, u64)>,
    /// No lease may outlive it.
    pub not_after: Option<Timestamp>,
}

/// Why there is no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoCredential {
    /// The member has to connect an account, for the first time or again.
    ConnectRequired { connection: ConnectionId, reason: Option<ReauthReason>, missing_scopes: bool },
    /// It is being renewed, and that takes longer than the caller waits.
    Renewing,
    /// Not now.
    Unavailable { retry_after_ms: u64 },
    /// An administrator has to act.
    Misconfigured,
    /// The server wants an account of each member, and there is no member.
    MemberRequired,
    /// The upstream demands further scopes, and the member has been asked for more often enough of late.
    TooManyScopes,
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// How long a renewal owns its connection. More than twice as long as a token request may take.
    pub lock: Duration,
    /// How long a caller waits for a renewal.
    pub wait: Duration,
    /// How often the renewal of another process is looked at.
    pub poll: Duration,
    /// The first pause after a renewal that failed; further ones are longer.
    pub rest: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            lock: Duration::from_secs(30),
            wait: Duration::from_secs(10),
            poll: Duration::from_millis(100),
            rest: Duration::from_secs(5),
        }
    }
}

/// What a broker is made of.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub vault: Arc<Vault>,
    pub egress: Arc<EgressClient>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub shutdown: Shutdown,
    pub failpoints: Arc<dyn Failpoints>,
    pub timings: Timings,
    /// The gateway's own origin, for redirect URIs and client metadata.
    pub public_url: String,
    /// Where renewed tokens are kept that cannot be committed; made when it is needed.
    pub unsaved: PathBuf,
}

/// Hands out upstream credentials. Cheap to share.
pub struct Broker {
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    egress: Arc<EgressClient>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    shutdown: Shutdown,
    failpoints: Arc<dyn Failpoints>,
    timings: Timings,
    public_url: String,
    unsaved: Arc<Unsaved>,
    flights: Arc<Flights>,
    pacing: Pacing,
    providers: Providers,
}

impl Broker {
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            store,
            vault,
            egress,
            clock,
            entropy,
            shutdown,
            failpoints,
            timings,
            public_url,
            unsaved,
        } = parts;
        Arc::new(Self {
            store,
            vault,
            egress,
            clock,
            entropy,
            shutdown,
            failpoints,
            timings,
            public_url,
            unsaved: Arc::new(Unsaved::open(unsaved)),
            flights: Arc::default(),
            pacing: Pacing::default(),
            providers: Providers::default(),
        })
    }

    /// The connection as it is, also if its newest tokens could not be committed yet.
    async fn load(&self, id: &ConnectionId) -> Result<Option<Connection>, StoreError> {
        let connection = self.store.connection(id).await?;
        Ok(connection.map(|connection| overlaid(connection, self.unsaved.get(id))))
    }

    /// How many renewals are under way, and how many rest after a failure.
    pub fn renewals(&self) -> (usize, usize) {
        self.flights.count()
    }

    /// Waits for the renewals at hand.
    pub async fn drain(&self) {
        self.flights.drain().await;
    }
}

impl Service {
    /// The credential of a grant, for somebody with patience. `rejected`: what the upstream did not take.
    pub async fn credential(
        &self,
        grant: &Grant,
        rejected: Option<&Rejected>,
    ) -> Result<Credential, NoCredential> {
        self.broker.credential(grant, rejected).await
    }

    /// Everything needed to be a client for this server's connections: discovery (cached for minutes), then the
    /// client: pre-registered, metadata document, or registered now.
    pub async fn provider(
        &self,
        server: &Server,
        challenge: Option<&BearerChallenge>,
    ) -> Result<Provider, ProviderError> {
        self.broker.provider(server, challenge).await
    }

    /// What the gateway says of itself as a client for this server's connections.
    pub fn client_metadata(&self, server: &Server) -> ClientMetadata {
        self.broker.client_metadata(server)
    }

    /// Removes a connection's tokens on behalf of `actor`, and revokes them at the provider as far as it goes.
    pub async fn disconnect(&self, id: &ConnectionId, actor: Actor) -> Result<bool, StoreError> {
        self.broker.disconnect(id, actor).await
    }
}

/// Whose connection a grant uses; `None` where it uses none, or would have to be a member's to use one.
pub fn owner(grant: &Grant) -> Option<ConnectionOwner> {
    match &grant.server.settings.auth {
        ServerAuth::None | ServerAuth::Headers(_) => None,
        ServerAuth::OAuth(_) => Some(ConnectionOwner::Member(grant.member.as_ref()?.id.clone())),
        ServerAuth::ClientCredentials(_) => Some(ConnectionOwner::Shared),
    }
}

/// 128 random bits, in hexadecimal.
fn random_id(entropy: &dyn Entropy) -> String {
    format!("{:032x}", u128::from_be_bytes(random(entropy)))
}
