//! A running service, and clients for each of its listeners.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use portcullis_token_service::app::{Addresses, App, StartError};
use portcullis_token_service::apply::ConfigSource;
use portcullis_token_service::clock::{Clock, Entropy, Timestamp};
use portcullis_token_service::connect::{ConnectLinkError, ticket_digest};
use portcullis_token_service::shutdown::Shutdown;
use portcullis_token_service::state::Shared;
use portcullis_token_service::store::Store;
use portcullis_token_service::telemetry;
use portcullis_wire::api_key::ApiKey;
use portcullis_wire::digest::Digest;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing_subscriber::fmt::MakeWriter;

use crate::reply::Reply;

/// Where tests begin: 2026-11-23T10:00:00Z.
pub(crate) const START: Timestamp = Timestamp(1_795_428_000_000);

/// The secret that must not turn up anywhere but in leases.
pub(crate) const CANARY: &str = "Bearer canary-4f1d8a60c2";

/// What every configuration begins with. `DIRECTORY` becomes the directory of the test.
const PREAMBLE: &str = "
public_url: http://127.0.0.1:10000
listeners:
  INTERNAL
  admin: 127.0.0.1:0
  public: 127.0.0.1:0
store: {sqlite: DIRECTORY/portcullis.db}
root_key: {file: DIRECTORY/root.key}
admin_token_file: DIRECTORY/admin-token
api_key_environment: test
";

/// A service that runs until it is dropped.
pub(crate) struct Service {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) addresses: Addresses,
    pub(crate) admin: Client,
    pub(crate) filter: Client,
    token: String,
    shared: Shared,
    shutdown: Shutdown,
    running: JoinHandle<Result<(), StartError>>,
    directory: Directory,
}

/// Where a service keeps its files; outlives the service, for a second start.
#[derive(Clone)]
pub(crate) struct Directory(Arc<TempDir>);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(Arc::new(tempfile::tempdir().expect("a directory")))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes `portcullis.yaml`: the preamble, and what it declares.
    pub(crate) fn configure(&self, declared: &str) -> PathBuf {
        self.configure_internal("internal: unix:DIRECTORY/internal.sock", declared)
    }

    fn configure_internal(&self, internal: &str, declared: &str) -> PathBuf {
        let preamble = PREAMBLE.replace("INTERNAL", internal);
        let preamble = preamble.replace("DIRECTORY", &self.0.path().display().to_string());
        // Long, so that only an event can end a watch within the time that a test takes.
        let hold = if declared.contains("watch_hold:") { "" } else { "watch_hold: 30s\n" };
        // Servers hear only of what a test is about.
        let catalogue = if declared.contains("catalogue:") { "" } else { "catalogue: {every: never}\n" };
        self.write("portcullis.yaml", &format!("{preamble}{hold}{catalogue}{declared}"))
    }

    /// Replaces a file as a careful program does: whoever reads it sees the old or the new.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let (path, neighbour) = (self.path(name), self.path(&format!("{name}.new")));
        std::fs::write(&neighbour, content).expect("writes");
        std::fs::rename(&neighbour, &path).expect("renames");
        path
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.0.path()).expect("the directory");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

impl Service {
    /// Starts with an empty database and what `declared` adds to the preamble.
    pub(crate) async fn start(declared: &str) -> Self {
        Self::start_in(Directory::new(), declared).await.expect("the service starts")
    }

    pub(crate) async fn start_in(directory: Directory, declared: &str) -> Result<Self, StartError> {
        let internal = "internal: unix:DIRECTORY/internal.sock";
        Self::start_with_internal(directory, internal, declared).await
    }

    /// `internal` replaces the settings of the internal listener.
    pub(crate) async fn start_with_internal(
        directory: Directory,
        internal: &str,
        declared: &str,
    ) -> Result<Self, StartError> {
        LazyLock::force(&LOG);
        LazyLock::force(&TLS);
        let path = directory.configure_internal(internal, declared);
        let environment = Box::new(|name: &str| (name == "CANARY").then(|| CANARY.to_owned()));
        let clock = Arc::new(TestClock(AtomicU64::new(START.0)));
        let entropy = Arc::new(CountingEntropy::another());
        let app = App::build(ConfigSource { path, environment }, clock.clone(), entropy).await?;
        let addresses = app.addresses().expect("addresses");
        let (shared, shutdown) = (app.service(), app.shutdown());
        let token = std::fs::read_to_string(directory.path("admin-token")).expect("the admin token");
        let filter = match addresses.internal.strip_prefix("unix:") {
            Some(socket) => Client::builder().unix_socket(PathBuf::from(socket)),
            None => Client::builder(),
        };
        Ok(Self {
            clock,
            admin: Client::new(),
            filter: filter.build().expect("a client"),
            token: token.trim().to_owned(),
            running: tokio::spawn(app.serve()),
            addresses,
            shared,
            shutdown,
            directory,
        })
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.shared.store
    }

    /// What its handlers share, for what otherwise happens by itself.
    pub(crate) fn shared(&self) -> Shared {
        Arc::clone(&self.shared)
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Stops the service and waits until it has.
    pub(crate) async fn stop(mut self) -> Directory {
        self.shutdown.request();
        (&mut self.running).await.expect("no panic").expect("a clean stop");
        self.directory.clone()
    }

    pub(crate) fn request_stop(&self) {
        self.shutdown.request();
    }

    /// A request of the administrator. `target` is a path and a query.
    pub(crate) async fn admin(&self, method: Method, target: &str, body: Option<Value>) -> Reply {
        let url = format!("{}{target}", self.addresses.admin);
        let mut request = self.admin.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Reply::read(request.send().await.expect("a reply")).await
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.admin(Method::GET, target, None).await
    }

    pub(crate) async fn post(&self, target: &str, body: Value) -> Reply {
        self.admin(Method::POST, target, Some(body)).await
    }

    pub(crate) async fn put(&self, target: &str, body: Value) -> Reply {
        self.admin(Method::PUT, target, Some(body)).await
    }

    pub(crate) async fn patch(&self, target: &str, body: Value) -> Reply {
        self.admin(Method::PATCH, target, Some(body)).await
    }

    pub(crate) async fn delete(&self, target: &str) -> Reply {
        self.admin(Method::DELETE, target, None).await
    }

    /// A lease as a filter asks for it.
    pub(crate) async fn lease(&self, request: &Value) -> Reply {
        let request = self.filter.post("http://token-service/v1/leases").json(request);
        Reply::read(request.send().await.expect("a reply")).await
    }

    /// A lease for the bearer of an API key.
    pub(crate) async fn lease_with_key(&self, server: &str, key: &str) -> Reply {
        self.lease(&json!({"server": server, "proof": key_proof(key)})).await
    }

    /// One long-poll of a filter.
    pub(crate) async fn watch(&self, filter: &str, cursor: u64) -> Reply {
        let url = format!("http://token-service/v1/watch?cursor={cursor}&filter={filter}");
        Reply::read(self.filter.get(url).send().await.expect("a reply")).await
    }

    /// The newest revision.
    pub(crate) async fn revision(&self) -> u64 {
        self.get("/v1/status").await.body["revision"].as_u64().expect("a revision")
    }

    pub(crate) async fn server_id(&self, slug: &str) -> String {
        self.get(&format!("/v1/servers/{slug}")).await.id()
    }

    /// The member of this subject.
    pub(crate) async fn member_id(&self, workspace: &str, subject: &str) -> String {
        let members = self.get(&format!("/v1/workspaces/{workspace}/members")).await;
        let mut members = members.body["members"].as_array().expect("members").iter();
        let member = members.find(|member| member["subject"] == subject).expect("the member");
        member["id"].as_str().expect("an id").to_owned()
    }

    /// The path of a link as an agent of this member gets it.
    pub(crate) async fn connect_link(
        &self,
        workspace: &str,
        subject: &str,
        server: &str,
        agent: Option<&str>,
    ) -> String {
        self.try_connect_link(workspace, subject, server, agent).await.expect("a link")
    }

    /// `None` if there were too many.
    pub(crate) async fn try_connect_link(
        &self,
        workspace: &str,
        subject: &str,
        server: &str,
        agent: Option<&str>,
    ) -> Option<String> {
        let (member, server) = (self.member_id(workspace, subject).await, self.server_id(server).await);
        let link = self.shared.connect_link(&member.into(), &server.into(), agent).await;
        match link {
            Ok(link) => Some(link.strip_prefix("http://127.0.0.1:10000").expect("the gateway's").to_owned()),
            Err(ConnectLinkError::TooMany) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether a link could still be used.
    pub(crate) async fn ticket_is_good(&self, link: &str) -> bool {
        let ticket = link.strip_prefix("/connect/").expect("a link");
        let ticket = self.shared.store.ticket(&ticket_digest(ticket), self.clock.now()).await;
        ticket.expect("the store answers").is_some()
    }

    /// Makes a service key in a workspace: the key itself and its id.
    pub(crate) async fn service_key(&self, workspace: &str) -> (String, String) {
        let made = self.post(&format!("/v1/workspaces/{workspace}/keys"), json!({"name": "ci"})).await;
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (text(&made.body["api_key"]), text(&made.body["key"]["id"]))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

/// A key of the member with this subject, of the workspace `core`.
pub(crate) async fn key_of(service: &Service, subject: &str) -> String {
    let member = service.member_id("core", subject).await;
    let body = json!({"name": "an agent", "member": member});
    let made = service.post("/v1/workspaces/core/keys", body).await;
    made.body["api_key"].as_str().unwrap_or_else(|| panic!("{}", made.text)).to_owned()
}

/// What the filter sends for a bearer of this key.
pub(crate) fn key_proof(key: &str) -> Value {
    let key = ApiKey::parse(key).expect("an API key");
    json!({"kind": "api_key", "id": key.id, "digest": key.digest})
}

/// What the filter sends for a token that it has verified; `expires_in` in seconds.
pub(crate) fn token_proof(issuer: &str, subject: &str, claim: Option<&str>, expires_in: i64) -> Value {
    let now = i64::try_from(START.0 / 1000).expect("a time");
    let mut proof = json!({"kind": "jwt", "issuer": issuer, "subject": subject, "audiences": ["gateway"], "expires_at": now + expires_in});
    if let Some(claim) = claim {
        proof["workspace_claim"] = claim.into();
    }
    proof
}

/// A clock that stands still until it is moved.
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn advance(&self, milliseconds: u64) {
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Never the same bytes twice in a run. The services of one process differ, because their lines in [`LOG`] are told
/// apart by ids.
struct CountingEntropy(AtomicU64);

impl CountingEntropy {
    fn another() -> Self {
        static SERVICES: AtomicU64 = AtomicU64::new(0);
        Self(AtomicU64::new(SERVICES.fetch_add(1, Ordering::SeqCst) << 32))
    }
}

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let count = self.0.fetch_add(1, Ordering::SeqCst);
            let block = Digest::of("test entropy", &[&count.to_be_bytes()]);
            chunk.copy_from_slice(&block.as_bytes()[..chunk.len()]);
        }
    }
}

/// What the clients of this test binary speak TLS with.
static TLS: LazyLock<()> = LazyLock::new(|| {
    rustls::crypto::ring::default_provider().install_default().expect("the only provider");
});

/// Everything that any service of this test binary has logged, at the most talkative level.
pub(crate) static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let subscriber = telemetry::subscriber("trace", log.clone()).expect("levels");
    tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
    log
});

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>, Arc<Notify>);

impl Log {
    /// Returns once there is a line of which this holds.
    pub(crate) async fn wait_for(&self, holds: impl Fn(&str) -> bool) {
        loop {
            let written = self.1.notified();
            if self.text().lines().any(&holds) {
                return;
            }
            written.await;
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic while writing")).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic while writing").extend_from_slice(bytes);
        self.1.notify_waiters();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'writer> MakeWriter<'writer> for Log {
    type Writer = Self;

    fn make_writer(&'writer self) -> Self {
        self.clone()
    }
}

/// The content of every file that a service keeps, by name.
pub(crate) fn contents(directory: &Directory) -> BTreeMap<String, Vec<u8>> {
    let read = |path: &Path| (path.display().to_string(), std::fs::read(path));
    let files = directory.files();
    // A socket cannot be read.
    files.iter().map(|path| read(path)).filter_map(|(name, content)| Some((name, content.ok()?))).collect()
}
