//! The servers behind the gateway, and the providers of accounts there.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::RwLock;

use super::fact::{Clock, Fact};
use super::world::WORKSPACES;
use crate::provider::Provider;
use crate::provider::clients::{Authentication, Client};
use crate::provider::shape::Shape;
use crate::seed::{self, Server};
use crate::stack::Stack;
use crate::upstream::protected::witness::{self, TESTIFY};
use crate::upstream::protected::{Keys, Protected, Protection, ResourceMetadata, Verifier};

/// Of the tokens of one provider, so that a long run sees many renewed by themselves.
pub(super) const SHORT_LIFE: Duration = Duration::from_mins(2);
/// Of the gateway's own: renewed when a step says so, and never by itself right before that.
const LONG_LIFE: Duration = Duration::from_hours(24);

/// What the gateway is called at the provider of the server for which it fetches tokens itself.
pub(super) const MACHINE: &str = "gateway";
const MACHINE_SECRET: &str = "machine-secret-c2d8";
/// Whose the fixed header is.
pub(super) const HEADER_OWNER: &str = "everybody";

/// A server behind the gateway.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) slug: &'static str,
    pub(super) id: String,
    pub(super) upstream: Protected,
    pub(super) credential: Credential,
    /// By workspace.
    pub(super) offered: Vec<Fact<bool>>,
    /// Written while it is withheld or its settings change: connecting to it would fail for a reason.
    pub(super) steady: RwLock<()>,
}

#[derive(Debug)]
pub(super) enum Credential {
    /// Each member connects an account.
    Personal(Provider),
    /// The gateway fetches tokens for all.
    Machine(Provider),
    /// A fixed header; which of its values.
    Header { keys: Keys, value: Fact<u64> },
}

/// What stands behind the gateway.
pub(super) struct Upstreams {
    personal: [(&'static str, Provider, Protected); 2],
    machine: (Provider, Protected),
    header: (Keys, Protected),
}

/// The value of the fixed header.
pub(super) fn header_value(number: u64) -> String {
    format!("header-key-{number}")
}

impl Upstreams {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let short_lived = Shape { access_lifetime: Some(SHORT_LIFE), ..Shape::notion() };
        let (notes, repos) = (Provider::start(Shape::linear()).await?, Provider::start(short_lived).await?);
        let client = Client::machine(MACHINE, Authentication::SecretBasic(MACHINE_SECRET.to_owned()));
        let machines =
            Provider::start(Shape { access_lifetime: Some(LONG_LIFE), ..Shape::machines(client) }).await?;
        let (of_notes, of_repos) = (behind(&notes).await?, behind(&repos).await?);
        Ok(Self {
            personal: [("notes", notes, of_notes), ("repos", repos, of_repos)],
            machine: (machines.clone(), behind(&machines).await?),
            header: with_fixed_header().await?,
        })
    }

    pub(super) fn servers(&self) -> Vec<Server> {
        let personal = self.personal.iter();
        let mut all: Vec<Server> =
            personal.map(|(slug, _, protected)| server(slug, protected, json!({"type": "oauth"}))).collect();
        let client = json!({"id": MACHINE, "secret": MACHINE_SECRET, "method": "client_secret_basic"});
        let machine = json!({"type": "client_credentials", "client": client});
        all.push(server("reports", &self.machine.1, machine));
        all.push(server("archive", &self.header.1, fixed_header()));
        all
    }

    pub(super) fn endpoints(self, clock: &Clock, stack: &Stack) -> Vec<Endpoint> {
        let endpoint = |slug, upstream, credential| Endpoint {
            slug,
            id: stack.server_id(slug).to_owned(),
            upstream,
            credential,
            offered: WORKSPACES.iter().map(|_| Fact::new(clock, true)).collect(),
            steady: RwLock::default(),
        };
        let personal = self.personal.into_iter();
        let mut all: Vec<Endpoint> = personal
            .map(|(slug, provider, upstream)| endpoint(slug, upstream, Credential::Personal(provider)))
            .collect();
        let (provider, upstream) = self.machine;
        all.push(endpoint("reports", upstream, Credential::Machine(provider)));
        let (keys, upstream) = self.header;
        let value = Fact::new(clock, 0);
        all.push(endpoint("archive", upstream, Credential::Header { keys, value }));
        all
    }
}

/// A server with a fixed header, and as what it is registered.
pub(super) async fn for_everybody(slug: &'static str) -> anyhow::Result<(Protected, Server)> {
    let (_, protected) = with_fixed_header().await?;
    let registered = server(slug, &protected, fixed_header());
    Ok((protected, registered))
}

fn server(slug: &'static str, protected: &Protected, auth: Value) -> Server {
    Server {
        slug,
        url: protected.url(),
        auth,
        allowed_tool: TESTIFY,
        denied_tool: "delete_issue",
        denied_prompts: Vec::new(),
        denied_resources: Vec::new(),
        payload: "digest",
    }
}

fn fixed_header() -> Value {
    let bearer = format!("Bearer {}", header_value(0));
    seed::headers(&[("authorization", &bearer)])
}

async fn with_fixed_header() -> anyhow::Result<(Keys, Protected)> {
    let keys = Keys::default();
    keys.add(&header_value(0), HEADER_OWNER, 0);
    let by_key = Protection {
        verifier: Verifier::Keys(keys.clone()),
        authorization_servers: Vec::new(),
        metadata: ResourceMetadata::Absent,
        scope: "",
    };
    Ok((keys, witness(by_key).await?))
}

async fn behind(provider: &Provider) -> anyhow::Result<Protected> {
    let protected = witness(Protection::by(provider)).await?;
    provider.allow_resource(&protected.url());
    Ok(protected)
}

async fn witness(protection: Protection) -> anyhow::Result<Protected> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    Ok(Protected::start_with(listener, protection, witness::endpoint())?)
}
