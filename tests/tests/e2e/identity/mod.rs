//! Who may come in, and with what: API keys, clients that sign their person in, tokens of the company's identity provider.

mod browsers;
mod cells;
mod configuration;
mod conformance;
mod discovery;
mod in_browser;
mod keys;
mod opaque;
mod sdks;
mod tokens;

use portcullis_tests::demo::Demo;
use portcullis_tests::idp::IdentityProvider;
use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::oauth_client::{OAuthClient, Tokens};
use portcullis_tests::person::{Page, Person};
use portcullis_tests::sdk::{self, Job, ToolCall};
use portcullis_tests::seed::GRACE;
use portcullis_tests::stack::{Builder, Stack};
use serde_json::{Map, json};

use crate::accounts::{ADA, sign_in};

/// What Ada is called at the provider of the server for which she connects an account.
const ADA_THERE: &str = "ada@sample";

/// A client that an administrator has registered.
const SUITE: &str = "suite";

/// A gateway with a server of each kind: fixed headers, an account of each member, the gateway's own client. It knows a
/// company's identity provider, and clients may register themselves.
pub(super) struct Setting {
    pub(super) stack: Stack,
    demo: Demo,
    idp: IdentityProvider,
}

impl Setting {
    async fn start() -> Self {
        Self::with_workers(1).await
    }

    pub(super) async fn with_workers(concurrency: u32) -> Self {
        let demo = Demo::start().await.unwrap_or_else(|error| panic!("no servers: {error:#}"));
        demo.provider.approve_as(Some(ADA_THERE));
        let idp = IdentityProvider::default();
        let suite = json!({"id": SUITE, "name": "The suite", "redirect_uris": ["http://127.0.0.1/callback"]});
        let builder = Builder {
            servers: demo.servers(),
            members: vec![GRACE],
            issuers: idp.issuers(),
            oauth: json!({"dynamic_registration": true, "clients": [suite]}),
            scripted: false,
            concurrency,
            ..Builder::default()
        };
        let stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
        Self { stack, demo, idp }
    }

    /// By which clients call the gateway.
    fn public_url(&self) -> String {
        format!("http://{}", self.stack.gateway)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url())
    }

    /// A client that signs Ada in by hand.
    pub(super) async fn tokens(&self, slug: &str, scope: &str) -> (OAuthClient, Tokens) {
        let client = OAuthClient::register(&self.public_url()).await.expect("a registration");
        let resource = self.stack.url(slug);
        let person = Person::new();
        let url = client.authorization_url(&resource, scope).expect("an address");
        let consent = sign_in(&person, &url, ADA).await;
        let allowed = person.send(consent.form("Allow").expect("a consent").with("extent", extent(scope)));
        let arrival = allowed.await.expect("a way back").onward().expect("readable").expect("an address");
        let tokens = client.redeem(&arrival, &resource).await.unwrap_or_else(|error| panic!("{error:#}"));
        (client, tokens)
    }

    pub(super) fn agent_with(&self, slug: &str, credential: &str, era: Era) -> Agent {
        Agent::new(self.stack.url(slug), Some(credential), era)
    }
}

fn extent(scope: &str) -> &'static str {
    if scope.contains("write") { "everything" } else { "reading" }
}

/// Signs in as a member with a fresh browser, allows all that is asked for, and connects an account if the server wants
/// one. The browser ends at the client.
pub(super) async fn allow(url: &str, member: &str) -> Page {
    let page = allow_anything(url, member).await;
    assert!(page.text().contains("You can close this page."), "{} {}", page.url, page.text());
    page
}

/// [`allow`], whatever the client says at the end.
pub(super) async fn allow_anything(url: &str, member: &str) -> Page {
    let person = Person::new();
    let consent = sign_in(&person, url, member).await;
    assert_eq!(consent.status, 200, "{}", consent.text());
    let form = consent.form("Allow").unwrap_or_else(|error| panic!("{error:#}"));
    let page = person.submit(form.with("extent", "everything")).await.expect("a way on");
    match page.form("Continue to") {
        Ok(form) => person.submit(form).await.expect("a way through the provider"),
        Err(_) => page,
    }
}

/// A client that calls `whoami` so often. With a credential, or to sign in by itself.
fn job(url: String, key: Option<String>, era: sdk::Era, calls: usize) -> Job {
    let call = ToolCall { tool: "whoami".to_owned(), arguments: Map::new() };
    Job {
        url,
        sign_in: key.is_none(),
        key,
        era,
        calls: vec![call; calls],
        prompts: Vec::new(),
        resources: Vec::new(),
        elicit: false,
        attended: true,
    }
}
