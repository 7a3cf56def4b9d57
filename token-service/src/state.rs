//! What every request handler shares.

use std::sync::Arc;
use std::time::Duration;

use crate::authorization_server::{AuthorizationSettings, ClientDocuments};
use crate::broker::Broker;
use crate::clock::{Clock, Entropy};
use crate::company::Company;
use crate::egress::EgressClient;
use crate::http::error::ApiError;
use crate::identity_provider::IdentityProviders;
use crate::key_use::{KeyUse, SessionUse};
use crate::news::NewsDesk;
use crate::records::Records;
use crate::shutdown::Shutdown;
use crate::store::{Store, StoreError};
use crate::unconnected::Work;
use crate::vault::{AdminToken, Vault};
use crate::watch_hub::WatchHub;

/// The handle that handlers take.
pub type Shared = Arc<Service>;

/// The parts of a running service; put together in [`crate::app`].
pub struct Service {
    /// Tells this token-service from others on the same database.
    pub replica: String,
    pub store: Arc<dyn Store>,
    pub vault: Arc<Vault>,
    pub watch_hub: WatchHub,
    pub news_desk: NewsDesk,
    pub key_use: KeyUse,
    pub session_use: SessionUse,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub admin_token: AdminToken,
    pub shutdown: Shutdown,
    pub egress: Arc<EgressClient>,
    pub broker: Arc<Broker>,
    pub identity_providers: IdentityProviders,
    pub unconnected: Work,
    /// Where people sign in, if it is at the company's provider.
    pub company: Option<Company>,
    pub client_documents: ClientDocuments,
    /// Where records of requests are kept here.
    pub records: Option<Records>,
    pub settings: Settings,
}

/// What handlers need to know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a filter may use a lease without asking again.
    pub lease_ttl: Duration,
    /// How long a watch without news is held.
    pub watch_hold: Duration,
    /// How long `?wait=applied` waits.
    pub applied_timeout: Duration,
    /// How long a call is held while its member connects an account.
    pub connect_wait: Duration,
    /// The gateway's own origin, as clients and browsers know it.
    pub public_url: String,
    /// Whether people sign in by choosing who they are; for a laptop only.
    pub development_sign_in: bool,
    /// The admin side's own origin, as browsers know it.
    pub admin_url: String,
    /// The admin token is good also when there is an owner who can sign in.
    pub admin_token_always: bool,
    /// How MCP clients sign in.
    pub authorization: AuthorizationSettings,
    /// The second part of new API keys, such as `live`.
    pub key_environment: String,
    /// Where the objects that are read-only here are declared, as told to people.
    pub config_file: String,
    /// How often what servers have is learnt anew; `None`: only when there is a reason.
    pub catalogue_every: Option<Duration>,
}

impl Service {
    /// What the admin API answers when the store refuses.
    pub fn refusal(&self, error: StoreError) -> ApiError {
        match error {
            StoreError::ReadOnly { what } => {
                ApiError::OwnedByConfig { what, file: self.settings.config_file.clone() }
            }
            other => other.into(),
        }
    }
}
