//! The composition root: from a configuration to a running service. `main` and the tests build the same.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::task::JoinSet;

use crate::apply::{ApplyError, ConfigSource, apply};
use crate::authorization_server::ClientDocuments;
use crate::broker::failpoints::NoFailpoints;
use crate::broker::{Broker, Parts, Timings};
use crate::clock::{Clock, Entropy, random};
use crate::company::Company;
use crate::config::{Config, InternalListener, Listeners, Problems, ServiceConfig, StoreConfig};
use crate::domain::Revision;
use crate::egress::EgressClient;
use crate::http;
use crate::http::listen::{ListenError, Listener};
use crate::identity_provider::{IdentityProviders, follow_keys};
use crate::jobs::{self, Follower};
use crate::key_use::{KeyUse, SessionUse};
use crate::measure::measurements;
use crate::news::NewsDesk;
use crate::record_store::SqlRecordStore;
use crate::records::Records;
use crate::shutdown::Shutdown;
use crate::state::{Service, Settings, Shared};
use crate::store::{Location, SqlStore, Store, StoreError, Tables, unsaved};
use crate::unconnected::Work;
use crate::vault::{AdminToken, RootKeys, Vault, VaultError};
use crate::watch_hub::WatchHub;

/// How long requests at hand may take to finish after a stop is requested.
const DRAIN: Duration = Duration::from_secs(30);

/// How long renewals at hand may take after that; longer than a token request and its commit.
const RENEWALS: Duration = Duration::from_secs(15);

/// How long `?wait=applied` waits: longer than a filter takes to lapse.
const APPLIED_TIMEOUT: Duration = Duration::from_secs(6);

/// A service that listens already and is ready to serve.
pub struct App {
    shared: Shared,
    internal: Listener,
    admin: Listener,
    public: Listener,
    metrics: Option<Listener>,
    follower: Follower,
}

/// Where the listeners are, as `http://host:port` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub internal: String,
    pub admin: String,
    pub public: String,
    pub metrics: Option<String>,
}

/// Why the service does not start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("{0}")]
    Configuration(Problems),
    #[error("the configuration cannot be applied")]
    Apply(#[source] ApplyError),
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    #[error(
        "the request records cannot be opened in {location}: move a damaged file away to begin anew, or set records.enabled to false"
    )]
    Records { location: Location, source: StoreError },
    #[error("{path} of store.postgres.directory cannot be made")]
    Directory { path: PathBuf, source: io::Error },
    #[error("the secrets cannot be opened")]
    Vault(#[from] VaultError),
    #[error("no way out to upstream servers: {0}")]
    Egress(String),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("a listener failed")]
    Io(#[from] io::Error),
}

impl App {
    /// Listens, opens the store, unseals, and applies the configuration. Serves nothing yet.
    pub async fn build(
        source: ConfigSource,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, StartError> {
        Self::build_on(source, Tables::BringUpToDate, clock, entropy).await
    }

    /// As [`App::build`], which brings the tables of the store up to date.
    pub async fn build_on(
        source: ConfigSource,
        tables: Tables,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, StartError> {
        let config = source.load().map_err(StartError::Configuration)?;
        let Listeners { internal, admin, public, metrics } = &config.service.listeners;
        if !admin.ip().is_loopback() {
            tracing::warn!(%admin, "the admin listener speaks plain HTTP and is not on loopback; put TLS in front of it");
        }
        // First, because only now it is known where: port 0 is any.
        let internal = match internal {
            InternalListener::Unix(path) => Listener::unix(path)?,
            InternalListener::Loopback(address) => Listener::tcp(*address).await?,
            InternalListener::MutualTls(address, tls) => Listener::mutual_tls(*address, tls).await?,
        };
        let (admin, public) = (Listener::tcp(*admin).await?, Listener::tcp(*public).await?);
        let metrics = match metrics {
            Some(address) => Some(Listener::tcp(*address).await?),
            None => None,
        };
        let listeners = [&internal, &admin, &public].into_iter().chain(&metrics);
        let own = listeners.filter_map(Listener::address).collect();
        // From here on what happens is counted.
        measurements();
        let shared = open(&source.path, &config, tables, own, admin.url()?, clock, entropy).await?;
        // Before anything else is written: the first key then concerns nobody who knows anything yet.
        shared.keep_signing_keys().await?;
        let revision = apply(&shared, &source.path, &config.declared).await.map_err(StartError::Apply)?;
        tracing::info!(revision = revision.0, "the configuration is applied");
        shared.arrive().await?;
        let follower = Follower::new(Arc::new(source), config.service);
        Ok(Self { shared, internal, admin, public, metrics, follower })
    }

    pub fn addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses {
            internal: self.internal.url()?,
            admin: self.admin.url()?,
            public: self.public.url()?,
            metrics: self.metrics.as_ref().map(Listener::url).transpose()?,
        })
    }

    /// What the request handlers share.
    pub fn service(&self) -> Shared {
        Arc::clone(&self.shared)
    }

    /// The switch that ends [`App::serve`].
    pub fn shutdown(&self) -> Shutdown {
        self.shared.shutdown.clone()
    }

    /// Serves until told to stop; then takes no more connections and gives the requests at hand 30 s to finish.
    pub async fn serve(self) -> Result<(), StartError> {
        let Self { shared, internal, admin, public, metrics, follower } = self;
        let shutdown = shared.shutdown.clone();
        let mut listeners = JoinSet::new();
        listeners.spawn(internal.serve(http::internal(Arc::clone(&shared)), shutdown.clone()));
        listeners.spawn(admin.serve(http::admin(Arc::clone(&shared)), shutdown.clone()));
        listeners.spawn(public.serve(http::public(Arc::clone(&shared)), shutdown.clone()));
        if let Some(metrics) = metrics {
            listeners.spawn(metrics.serve(http::metrics(Arc::clone(&shared)), shutdown.clone()));
        }
        let jobs = async {
            tokio::join!(
                follower.run(&shared),
                jobs::look_for_commits(&shared),
                jobs::write_key_uses(&shared),
                jobs::prune_changes(&shared),
                shared.learn_catalogues(),
                shared.keep_catalogues(),
                follow_keys(&shared),
                jobs::renew_connections(&shared),
                jobs::sweep_browsers(&shared),
                jobs::keep_signing_keys(&shared),
                jobs::keep_data_keys(&shared),
                shared.keep_in_touch(),
                jobs::prune_records(&shared),
            )
        };
        let (served, _) = tokio::join!(drained(&mut listeners, &shutdown), jobs);
        if tokio::time::timeout(RENEWALS, shared.broker.drain()).await.is_err() {
            tracing::warn!("renewals that had not finished were cut off");
        }
        served
    }
}

/// Until every listener is done, or the drain is over. One that fails stops the others.
async fn drained(listeners: &mut JoinSet<io::Result<()>>, shutdown: &Shutdown) -> Result<(), StartError> {
    let all = async {
        let mut outcome = Ok(());
        while let Some(joined) = listeners.join_next().await {
            let served = joined.map_err(io::Error::other).and_then(|served| served);
            if outcome.is_ok() {
                outcome = served;
            }
            shutdown.request();
        }
        outcome
    };
    let overdue = async {
        shutdown.requested().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        outcome = all => Ok(outcome?),
        () = overdue => {
            tracing::warn!("requests that had not finished were cut off");
            Ok(())
        }
    }
}

async fn open(
    file: &Path,
    config: &Config,
    tables: Tables,
    own: Vec<SocketAddr>,
    admin_url: String,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Shared, StartError> {
    let ServiceConfig { store, root_keys, admin_token_file, .. } = &config.service;
    let beside = store.beside();
    if let StoreConfig::Postgres { directory, .. } = store {
        make_private(directory)
            .map_err(|source| StartError::Directory { path: directory.clone(), source })?;
    }
    let store: Arc<dyn Store> = Arc::new(SqlStore::open(&store.location(), tables).await?);
    // Of a database that holds nothing yet no filter can have heard.
    let is_first_start = store.current_revision().await? == Revision(0);
    let roots = RootKeys::establish(root_keys, &*store, &entropy).await?;
    let vault = Arc::new(Vault::open(roots, &*store, Arc::clone(&entropy)).await?);
    let admin_token = AdminToken::establish(admin_token_file, &*store, &*entropy).await?;
    tracing::info!(file = %admin_token_file.display(), "the admin token is in this file");
    let egress = EgressClient::new(&config.service.egress).map_err(StartError::Egress)?;
    let egress = Arc::new(egress.keeping_off(own));
    let shutdown = Shutdown::default();
    let settings = Settings {
        lease_ttl: config.service.lease_ttl,
        watch_hold: config.service.watch_hold,
        connect_wait: config.service.connect_wait,
        public_url: config.service.public_url.clone(),
        development_sign_in: config.service.development_sign_in,
        admin_url: config.service.admin_url.clone().unwrap_or(admin_url),
        admin_token_always: config.service.admin_token_always,
        authorization: config.service.authorization.clone(),
        applied_timeout: APPLIED_TIMEOUT,
        key_environment: config.service.api_key_environment.clone(),
        config_file: file.display().to_string(),
        catalogue_every: config.service.catalogue_every,
    };
    let broker = Broker::new(Parts {
        store: Arc::clone(&store),
        vault: Arc::clone(&vault),
        egress: Arc::clone(&egress),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        shutdown: shutdown.clone(),
        failpoints: Arc::new(NoFailpoints),
        timings: Timings::default(),
        public_url: settings.public_url.clone(),
        unsaved: unsaved(&beside),
    });
    let watch_hub = if is_first_start {
        WatchHub::default()
    } else {
        WatchHub::after_restart(clock.now(), config.service.watch_hold)
    };
    // What the service before could not commit is newer than what is in the database.
    broker.settle_unsaved().await;
    let records = match config.service.records {
        Some(keep) => {
            let location = config.service.store.location_of_records();
            let opened = SqlRecordStore::open(&location, tables).await;
            let store = opened.map_err(|source| StartError::Records { location, source })?;
            Some(Records::new(Arc::new(store), keep))
        }
        None => None,
    };
    let replica = u64::from_be_bytes(random(&*entropy));
    Ok(Arc::new(Service {
        replica: format!("rep_{replica:016x}"),
        store,
        vault,
        watch_hub,
        news_desk: NewsDesk::default(),
        key_use: KeyUse::default(),
        session_use: SessionUse::default(),
        clock,
        entropy,
        admin_token,
        shutdown,
        egress,
        broker,
        identity_providers: IdentityProviders::default(),
        unconnected: Work::default(),
        company: config.service.company_sign_in.clone().map(Company::new),
        client_documents: ClientDocuments::default(),
        records,
        settings,
    }))
}

fn make_private(directory: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
