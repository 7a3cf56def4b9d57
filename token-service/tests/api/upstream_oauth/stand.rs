//! A running service that may ask one site and nobody else, and what becomes of each input.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::site::{Place, SECRET, Site, Spoilt};
use crate::browser::{Browser, Departure, field};
use crate::harness::{Directory, LOG, Service, key_of};
use crate::reply::Reply;

/// Time after which nothing that has failed is remembered.
const FORGOTTEN: u64 = 61_000;

/// One input of a row of the catalogue, and what has to become of it.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) row: &'static str,
    pub(crate) name: String,
    pub(crate) spoilt: Vec<(Place, Spoilt)>,
    pub(crate) outcome: Outcome,
}

/// How far a member gets who wants to connect an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A page says that the server is not set up right, or does not answer.
    NobodyLeaves,
    /// The member comes back with a code, and it is sent to nobody.
    CodeKept,
    /// The code was redeemed, once, and nothing came of it.
    NothingConnected,
    Connected,
}

pub(crate) struct Stand {
    pub(crate) service: Service,
    pub(crate) site: Site,
    pub(crate) ada: Browser,
    /// An API key of Ada's.
    pub(crate) key: String,
    canary: Canary,
    made: usize,
}

impl Input {
    pub(crate) fn new(
        row: &'static str,
        name: impl Into<String>,
        place: Place,
        spoilt: Spoilt,
        outcome: Outcome,
    ) -> Self {
        Self { row, name: name.into(), spoilt: vec![(place, spoilt)], outcome }
    }
}

impl Stand {
    pub(crate) async fn start() -> Self {
        let canary = Canary::start().await;
        let (site, authority) = Site::start(canary.port).await;
        let directory = Directory::new();
        let authority = directory.write("site.pem", &authority.0);
        let declared = configuration(&authority.display().to_string());
        let service = Service::start_in(directory, &declared).await.expect("the service starts");
        let ada = Browser::signed_in(&service, "Ada Lovelace").await;
        let key = key_of(&service, "ada").await;
        Self { service, site, ada, key, canary, made: 0 }
    }

    /// Registers the next server of the site; its name.
    pub(crate) async fn register(&mut self, auth: Value) -> String {
        self.made += 1;
        let slug = format!("server-{}", self.made);
        let url = format!("{}/{slug}/mcp", self.site.origin);
        let server = json!({"slug": slug, "url": url, "auth": auth, "workspaces": ["core"]});
        let made = self.service.post("/v1/servers", server).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        slug
    }

    /// Everything that a row promises, for each of its inputs: the outcome, that nothing was reached that must not be,
    /// that the same server works once it behaves, and that no secret was shown or logged.
    pub(crate) async fn hold(&mut self, inputs: Vec<Input>) {
        assert!(!inputs.is_empty());
        for input in inputs {
            let server = self.register(json!({"type": "oauth"})).await;
            for (place, spoilt) in &input.spoilt {
                self.site.spoil(&server, *place, spoilt.clone());
            }
            let outcome = self.connect(&server).await;
            assert_eq!(outcome, input.outcome, "{} {}", input.row, input.name);
            self.nothing_was_reached(&format!("{} {}", input.row, input.name));
            self.works_again(&server, &input).await;
        }
        self.no_secret_was_logged();
    }

    /// The member goes from the link as far as possible.
    pub(crate) async fn connect(&mut self, server: &str) -> Outcome {
        match self.leave(server).await {
            None => Outcome::NobodyLeaves,
            Some(departure) => {
                let id = self.service.server_id(server).await;
                let callback = departure.callback(&id, &self.site.issuer(server));
                self.come_back(server, &callback).await
            }
        }
    }

    /// `None` if the page does not let anybody go.
    pub(crate) async fn leave(&mut self, server: &str) -> Option<Departure> {
        let link = self.service.connect_link("core", "ada", server, None).await;
        let page = self.ada.get(&link).await;
        if !is_good(&page) {
            return None;
        }
        let form = [("csrf", field(&page.text, "csrf")), ("plan", field(&page.text, "plan"))];
        let page = self.ada.post(&link, &form).await;
        is_good(&page).then(|| Departure::read(&page))
    }

    /// What becomes of a callback, in the browser that has left.
    pub(crate) async fn come_back(&mut self, server: &str, callback: &str) -> Outcome {
        let before = self.site.asked(server, Place::Token).len();
        let page = self.ada.get(callback).await;
        let asked = self.site.asked(server, Place::Token).len() - before;
        match (page.status, asked) {
            (StatusCode::SEE_OTHER, 1) => Outcome::Connected,
            (_, 0) if !is_good(&page) => Outcome::CodeKept,
            (_, 1) if !is_good(&page) => Outcome::NothingConnected,
            (status, asked) => panic!("{status} after {asked} token requests: {}", page.text),
        }
    }

    /// The next normal request: the same server, which behaves now.
    async fn works_again(&mut self, server: &str, input: &Input) {
        self.site.behave(server);
        self.service.clock.advance(FORGOTTEN);
        let changed =
            self.service.patch(&format!("/v1/servers/{server}"), json!({"name": "Good again"})).await;
        assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
        let outcome = self.connect(server).await;
        assert_eq!(outcome, Outcome::Connected, "{} {}: and good again", input.row, input.name);
        let lease = self.service.lease_with_key(server, &self.key).await;
        let bearer = format!("Bearer {SECRET}access-{server}");
        assert_eq!(lease.body["credential_headers"][0]["value"], bearer, "{}", input.name);
    }

    pub(crate) fn nothing_was_reached(&self, input: &str) {
        assert_eq!(self.canary.connections(), 0, "{input}: reached what nobody may reach");
        for place in [Place::Server, Place::Resource, Place::Metadata, Place::Register, Place::Token] {
            assert!(self.site.asked("other", place).is_empty(), "{input}: followed elsewhere");
        }
    }

    /// Of any server so far, in the log at its most talkative.
    #[expect(clippy::unused_self, reason = "the log is that of the stand's service")]
    pub(crate) fn no_secret_was_logged(&self) {
        let log = LOG.text();
        assert!(log.contains("\"TRACE\""), "the log is not talkative");
        let line = log.lines().find(|line| line.contains(SECRET));
        assert_eq!(line, None, "a secret is in the log");
    }
}

/// A page that goes on. One that does not is a page of ours, about a failure that is not of our making.
fn is_good(page: &Reply) -> bool {
    assert!(!page.text.contains(SECRET), "a page shows a secret: {}", page.text);
    if page.status == StatusCode::OK || page.status == StatusCode::SEE_OTHER {
        return true;
    }
    assert_ne!(page.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", page.text);
    assert!(page.text.contains("Incident "), "{}", page.text);
    false
}

/// The site's host may be asked in its network. The others are on the allow-list with networks in which nobody is, so
/// that their port does not save us: what keeps the service away from them is their address alone.
fn configuration(authority: &str) -> String {
    let elsewhere = ["127.0.0.1", "0.0.0.0", "[::1]", "[::]", "localhost.", "inside.localhost"];
    let elsewhere = elsewhere.map(|host| format!("    - {{host: '{host}', network: 10.255.255.0/24}}\n"));
    format!(
        "
sign_in: {{development: true}}
egress:
  trusted_ca: {authority}
  allow:
    - {{host: localhost, network: 127.0.0.0/8}}
{}
workspaces:
  - slug: core
    members: [{{issuer: 'https://idp.example', subject: ada, name: Ada Lovelace}}]
",
        elsewhere.concat()
    )
}

/// Listens on every address of this machine, and counts who comes.
pub(crate) struct Canary {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
}

impl Canary {
    pub(crate) async fn start() -> Self {
        let listener = match TcpListener::bind("[::]:0").await {
            Ok(listener) => listener,
            // A machine without IPv6.
            Err(_) => TcpListener::bind("0.0.0.0:0").await.expect("a port"),
        };
        let port = listener.local_addr().expect("an address").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            // Closed at once, and so counted before whoever came can be done.
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        });
        Self { port, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn the_canary_notices_every_visitor() {
    use tokio::io::AsyncReadExt as _;
    let canary = Canary::start().await;
    for host in ["127.0.0.1", "localhost"] {
        let before = canary.connections();
        let mut stream = tokio::net::TcpStream::connect((host, canary.port)).await.expect("somebody there");
        let _ = stream.read(&mut [0]).await;
        assert_eq!(canary.connections(), before + 1, "{host}");
    }
}
