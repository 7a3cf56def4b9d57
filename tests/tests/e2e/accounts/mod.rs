//! Servers that want an account of each member: from the first call to the connection, and what may become of it.

mod first_consent;
mod lasting;
mod names;
mod page;
mod refusals;
mod renewal;
mod shared;

use portcullis_tests::mcp::{Agent, Era, Reply};
use portcullis_tests::person::{Page, Person};
use portcullis_tests::provider::Provider;
use portcullis_tests::provider::shape::Shape;
use portcullis_tests::seed::{GRACE, Server};
use portcullis_tests::stack::{Builder, Stack};
use portcullis_tests::upstream::protected::Protected;
use serde_json::{Value, json};

/// Slug of the protected server.
pub(super) const LINEAR: &str = "linear";

/// What Ada and Grace are called at the provider.
pub(super) const ADA_THERE: &str = "ada@provider";
const GRACE_THERE: &str = "grace@provider";

/// How the pages call them.
pub(super) const ADA: &str = "Ada Lovelace";
pub(super) const GRACE_NAME: &str = GRACE.name;

/// A gateway with a server that registers its clients itself, rotates refresh tokens and notices when one comes twice.
pub(super) struct Setting {
    pub(super) stack: Stack,
    pub(super) provider: Provider,
    pub(super) protected: Protected,
}

impl Setting {
    pub(super) async fn start() -> Self {
        Self::with(Shape::linear(), json!({"type": "oauth"})).await
    }

    async fn with(shape: Shape, auth: Value) -> Self {
        Self::behind(Provider::start(shape).await.expect("a provider"), auth).await
    }

    async fn behind(provider: Provider, auth: Value) -> Self {
        let protected = Protected::behind(&provider).await.expect("a protected server");
        let builder = Builder {
            servers: vec![server(&protected, auth)],
            members: vec![GRACE],
            scripted: false,
            ..Builder::default()
        };
        let stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
        Self { stack, provider, protected }
    }

    pub(super) fn agent(&self, era: Era) -> Agent {
        self.stack.agent(LINEAR, era)
    }

    pub(super) fn graces_agent(&self, era: Era) -> Agent {
        self.stack.agent_of(&self.stack.seeded.others[0].key, LINEAR, era)
    }

    /// Opens the link as a member with a fresh browser and agrees to everything.
    pub(super) async fn connect(&self, link: &str, member: &str, account: &str) -> Page {
        self.connect_with(&Person::new(), link, member, account).await
    }

    async fn connect_with(&self, person: &Person, link: &str, member: &str, account: &str) -> Page {
        self.provider.approve_as(Some(account));
        let consent = sign_in(person, link, member).await;
        assert_eq!(consent.status, 200, "{}", consent.text());
        let connected = person.press(&consent, "Continue to").await.expect("a way on");
        assert_eq!(connected.status, 200, "{}", connected.text());
        assert!(connected.text().contains("Connected"), "{}", connected.text());
        connected
    }

    /// Connects a member from the first refused call on.
    async fn connected(&self, agent: &Agent, member: &str, account: &str) {
        let link = link_of(&whoami(agent).await);
        self.connect(&link, member, account).await;
    }
}

pub(super) fn server(protected: &Protected, auth: Value) -> Server {
    Server {
        slug: LINEAR,
        url: protected.url(),
        auth,
        allowed_tool: "whoami",
        denied_tool: "delete_issue",
        denied_prompts: Vec::new(),
        denied_resources: Vec::new(),
        payload: "full",
    }
}

/// Opens an address as a member who is not signed in yet.
pub(super) async fn sign_in(person: &Person, url: &str, member: &str) -> Page {
    let page = person.open(url).await.expect("a page");
    person.press(&page, member).await.expect("a page behind the sign-in")
}

pub(super) async fn whoami(agent: &Agent) -> Reply {
    agent.call_tool("whoami", json!({})).await
}

/// The account that the call was made with.
pub(super) fn account_of(reply: &Reply) -> String {
    let answer = reply.answer();
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no account: {reply:?}")).to_owned()
}

/// The link in an answer, wherever the dialect puts it.
pub(super) fn link_of(reply: &Reply) -> String {
    let start = reply.body.find("/connect/").unwrap_or_else(|| panic!("no link: {reply:?}"));
    let origin = reply.body[..start].rfind("http").unwrap_or_else(|| panic!("no address: {reply:?}"));
    let link = &reply.body[origin..];
    let end = link.find(|end: char| !(end.is_ascii_alphanumeric() || "-_.:/".contains(end)));
    link[..end.unwrap_or(link.len())].trim_end_matches('.').to_owned()
}
