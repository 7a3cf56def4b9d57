//! A database with members and servers, and brokers on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis_token_service::broker::failpoints::{Failpoints, NoFailpoints};
use portcullis_token_service::broker::{Broker, Credential, NoCredential, Parts, Timings, TokenPlace};
use portcullis_token_service::clock::{Clock, SystemClock, SystemEntropy, Timestamp};
use portcullis_token_service::credentials::{ClientPlace, seal_client_secret};
use portcullis_token_service::domain::connection::{
    Binding, Connection, ConnectionId, ConnectionOwner, ReauthReason,
};
use portcullis_token_service::domain::ids::{MemberId, ServerId};
use portcullis_token_service::domain::people::{Identity, MemberRole};
use portcullis_token_service::domain::resolve::Grant;
use portcullis_token_service::domain::server::{
    AuthorizationServerSettings, ClientAuthentication, ClientCredentialsSettings, ClientSettings,
    OAuthSettings, ServerAuth, ServerSettings,
};
use portcullis_token_service::domain::url::{PlainHttp, ServerUrl};
use portcullis_token_service::egress::{EgressClient, EgressPolicy};
use portcullis_token_service::oauth::token::Tokens;
use portcullis_token_service::shutdown::Shutdown;
use portcullis_token_service::store::connections::{ConnectionStore as _, NewConnection};
use portcullis_token_service::store::{
    InitialWorkspaces, Location, NewMember, NewServer, NewWorkspace, PostgresUrl, SqlStore, Store, Tables,
};
use portcullis_token_service::vault::Vault;
use portcullis_wire::lease::{Caller, CredentialKind, CredentialLimits, Rejected, Terms};
use portcullis_wire::names::Slug;
use portcullis_wire::policy::Policy;
use portcullis_wire::watch::PayloadPolicy;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::authorization_server::{AuthorizationServer, Reuse};

/// The server whose members connect accounts, and the one with a shared token.
pub(crate) const OAUTH: &str = "srv_oauth";
pub(crate) const SHARED: &str = "srv_shared";

const URL: &str = "http://127.0.0.1:9/mcp";
const ORIGIN: &str = "http://127.0.0.1:9";
const CLIENT: &str = "gateway";

/// Everything is quick, so that a test that kills somebody need not wait long for its lock.
pub(crate) const QUICK: Timings = Timings {
    lock: Duration::from_millis(1500),
    wait: Duration::from_secs(10),
    poll: Duration::from_millis(10),
    rest: Duration::from_millis(50),
};

/// Where a database is, and what replicas need besides.
pub(crate) struct Stage {
    pub(crate) home: Home,
    _directory: TempDir,
    pub(crate) provider: AuthorizationServer,
    pub(crate) store: Arc<SqlStore>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: Arc<MovingClock>,
}

/// The machine's clock, moved.
#[derive(Debug, Default)]
pub(crate) struct MovingClock(AtomicU64);

impl MovingClock {
    pub(crate) fn advance(&self, duration: Duration) {
        self.0.fetch_add(u64::try_from(duration.as_millis()).expect("not so long"), Ordering::SeqCst);
    }
}

impl Clock for MovingClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(Duration::from_millis(self.0.load(Ordering::SeqCst)))
    }
}

/// Where a database is, and what processes keep beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Home {
    /// Of the root key, of renewed tokens that could not be committed, and of a database of SQLite.
    pub(crate) directory: PathBuf,
    /// The URL of a database of PostgreSQL.
    pub(crate) postgres: Option<String>,
}

/// Store and vault, as every process opens them.
pub(crate) async fn open(home: &Home) -> (Arc<SqlStore>, Arc<Vault>) {
    let location = match &home.postgres {
        None => Location::Sqlite(home.directory.join("portcullis.db")),
        Some(url) => Location::Postgres(PostgresUrl::parse(url).expect("a URL of PostgreSQL")),
    };
    let store = Arc::new(SqlStore::open(&location, Tables::BringUpToDate).await.expect("opens"));
    let root_key = home.directory.join("root.key");
    let vault = Vault::open_with_file(&root_key, &*store, Arc::new(SystemEntropy)).await;
    (store, Arc::new(vault.expect("opens")))
}

impl Stage {
    pub(crate) async fn new(reuse: Reuse) -> Self {
        Self::over(reuse, None).await
    }

    /// On this database of PostgreSQL.
    pub(crate) async fn on_postgres(reuse: Reuse, url: &str) -> Self {
        Self::over(reuse, Some(url.to_owned())).await
    }

    async fn over(reuse: Reuse, postgres: Option<String>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let home = Home { directory: directory.path().to_owned(), postgres };
        let (store, vault) = open(&home).await;
        let provider = AuthorizationServer::start(reuse).await;
        let stage = Self { home, _directory: directory, provider, store, vault, clock: Arc::default() };
        let workspace = NewWorkspace {
            id: "wsp_1".into(),
            slug: Slug::parse("core").expect("a slug"),
            name: "Core".into(),
            staleness: None,
        };
        stage.store.create_workspace(&workspace).await.expect("makes");
        stage.add_server(OAUTH, stage.oauth(Some(CLIENT))).await;
        stage.add_server(SHARED, stage.client_credentials(SHARED)).await;
        stage
    }

    fn endpoints(&self) -> AuthorizationServerSettings {
        let endpoint = |path: &str| format!("{}{path}", self.provider.origin);
        AuthorizationServerSettings::Fixed {
            issuer: self.provider.origin.clone(),
            authorization_endpoint: Some(endpoint("/authorize")),
            token_endpoint: endpoint("/token"),
            registration_endpoint: Some(endpoint("/register")),
            revocation_endpoint: Some(endpoint("/revoke")),
        }
    }

    /// With a client that an administrator gave, or one that the gateway has to register.
    pub(crate) fn oauth(&self, client: Option<&str>) -> ServerAuth {
        let client = client.map(|client_id| ClientSettings {
            client_id: client_id.to_owned(),
            authentication: ClientAuthentication::None,
        });
        ServerAuth::OAuth(Box::new(OAuthSettings {
            client,
            authorization_server: self.endpoints(),
            assume_pkce: true,
            ..OAuthSettings::default()
        }))
    }

    pub(crate) fn client_credentials(&self, id: &str) -> ServerAuth {
        let (id, url, authorization_server) = (ServerId::from(id), url(), self.endpoints());
        let place = ClientPlace {
            server: &id,
            url: &url,
            authorization_server: &authorization_server,
            client_id: CLIENT,
        };
        let secret = seal_client_secret(&self.vault, place, &SecretString::from("hunter2-hunter2"), None);
        let authentication = ClientAuthentication::SecretBasic(secret);
        ServerAuth::ClientCredentials(Box::new(ClientCredentialsSettings {
            client: ClientSettings { client_id: CLIENT.to_owned(), authentication },
            scopes: None,
            token_parameters: BTreeMap::new(),
            authorization_server,
        }))
    }

    pub(crate) async fn add_server(&self, id: &str, auth: ServerAuth) {
        let settings = ServerSettings {
            name: id.to_owned(),
            url: url(),
            auth,
            payload: PayloadPolicy::Off.into(),
            provision_new_workspaces: false,
            concurrency: None,
        };
        let slug = Slug::parse(&id.replace('_', "-")).expect("a slug");
        let new = NewServer { id: id.into(), slug, settings, workspaces: InitialWorkspaces::All };
        self.store.create_server(&new).await.expect("makes");
    }

    /// A member who has connected an account whose access token expires in so many seconds.
    pub(crate) async fn connected(&self, name: &str, expires_in: i64) -> Connection {
        self.add_member(name).await;
        self.connect(name, expires_in).await
    }

    pub(crate) async fn add_member(&self, name: &str) {
        let member = NewMember {
            id: member_id(name),
            workspace: "wsp_1".into(),
            identity: Identity { issuer: "https://idp.example".into(), subject: name.to_owned() },
            name: name.to_owned(),
            role: MemberRole::Member,
        };
        self.store.create_member(&member).await.expect("makes");
    }

    /// What a consent leads to.
    pub(crate) async fn connect(&self, name: &str, expires_in: i64) -> Connection {
        let (access, refresh) = self.provider.consent(name);
        let owner = ConnectionOwner::Member(member_id(name));
        let id = ConnectionId::of(&OAUTH.into(), &owner);
        let before = self.store.connection(&id).await.expect("reads");
        let binding =
            Binding { origin: ORIGIN.into(), issuer: self.provider.origin.clone(), client_id: CLIENT.into() };
        let generation = before.map_or(1, |before| before.generation + 1);
        let server = ServerId::from(OAUTH);
        let place = TokenPlace { server: &server, owner: &owner, binding: &binding, generation };
        // Consented to an hour before it expires.
        let life = Duration::from_hours(1);
        let now = self.clock.now().0.checked_add_signed((expires_in - 3600) * 1000).expect("in range");
        let tokens = Tokens {
            access: access.into(),
            refresh: Some(refresh.into()),
            expires_in: Some(life),
            scopes: None,
            account: None,
        };
        let new = NewConnection {
            tokens: place.seal(&self.vault, &SystemEntropy, &tokens, Timestamp(now)),
            server: server.clone(),
            owner: owner.clone(),
            binding: binding.clone(),
            generation,
            scopes: BTreeSet::from(["read".to_owned()]),
            account: None,
            now: Timestamp(now),
        };
        self.store.connect(&new).await.expect("connects")
    }

    pub(crate) fn broker(&self) -> Arc<Broker> {
        self.broker_with(Arc::new(NoFailpoints), QUICK)
    }

    pub(crate) fn broker_with(&self, failpoints: Arc<dyn Failpoints>, timings: Timings) -> Arc<Broker> {
        broker(&self.home.directory, &self.store, &self.vault, self.clock.clone(), failpoints, timings)
    }

    pub(crate) async fn member_grant(&self, name: &str) -> Grant {
        member_grant(&*self.store, OAUTH, name).await
    }

    pub(crate) async fn present(&self, id: &ConnectionId) -> Connection {
        self.store.connection(id).await.expect("reads").expect("is there")
    }

    /// Whose the token of this credential is, for the provider; `None` if it does not take it.
    pub(crate) fn owner_of(&self, credential: &Credential) -> Option<String> {
        self.provider.ledger().owner_of(token_of(credential)).map(str::to_owned)
    }

    pub(crate) fn unsaved(&self) -> PathBuf {
        unsaved(&self.home.directory)
    }
}

fn unsaved(directory: &Path) -> PathBuf {
    directory.join("portcullis.db.unsaved")
}

pub(crate) fn broker(
    directory: &Path,
    store: &Arc<SqlStore>,
    vault: &Arc<Vault>,
    clock: Arc<dyn Clock>,
    failpoints: Arc<dyn Failpoints>,
    timings: Timings,
) -> Arc<Broker> {
    let egress = EgressPolicy { development_loopback: true, ..EgressPolicy::default() };
    Broker::new(Parts {
        store: Arc::clone(store) as Arc<dyn Store>,
        vault: Arc::clone(vault),
        egress: Arc::new(EgressClient::new(&egress).expect("a way out")),
        clock,
        entropy: Arc::new(SystemEntropy),
        shutdown: Shutdown::default(),
        failpoints,
        timings,
        public_url: "http://127.0.0.1:10000".to_owned(),
        unsaved: unsaved(directory),
    })
}

fn url() -> ServerUrl {
    ServerUrl::parse(URL, PlainHttp::Allowed).expect("a URL")
}

pub(crate) fn member_id(name: &str) -> MemberId {
    format!("mem_{name}").into()
}

/// What a lease request of this member comes to.
pub(crate) async fn member_grant(store: &dyn Store, server: &str, name: &str) -> Grant {
    let member = store.member(&member_id(name)).await.expect("reads").expect("is there");
    let server = store.server(&server.into()).await.expect("reads").expect("is there");
    let workspace = store.workspace(&member.workspace).await.expect("reads").expect("is there");
    Grant {
        caller: Caller {
            id: member.id.to_string(),
            name: name.to_owned(),
            credential: CredentialKind::MemberKey,
            key_id: None,
            session_id: None,
            client_id: None,
        },
        member: Some(member),
        workspace: workspace.reference(),
        revision: server.revision,
        server,
        policy: Policy::default(),
        limits: CredentialLimits::default(),
        terms: Terms::default(),
        not_after: None,
    }
}

/// The same without a person behind it.
pub(crate) fn of_service_key(grant: Grant) -> Grant {
    let caller = Caller { credential: CredentialKind::ServiceKey, ..grant.caller };
    Grant { caller, member: None, ..grant }
}

pub(crate) fn token_of(credential: &Credential) -> &str {
    credential.headers[0].value.expose().strip_prefix("Bearer ").expect("a bearer token")
}

/// The upstream's word on a credential.
pub(crate) fn refused(credential: &Credential, status: u16, challenge: Option<&str>) -> Rejected {
    let (id, generation) = credential.connection.clone().expect("of a connection");
    Rejected { connection_id: id.to_string(), generation, status, challenge: challenge.map(str::to_owned) }
}

/// Why the member has to connect again; empty for the first time, `None` if that is not the answer.
pub(crate) fn reconnect(outcome: &Result<Credential, NoCredential>) -> Option<&'static str> {
    match outcome {
        Err(NoCredential::ConnectRequired { reason, .. }) => Some(reason.map_or("", ReauthReason::as_str)),
        _ => None,
    }
}
