//! Providers as they are out there, each from the first call to the renewed one, registered by its preset.

use portcullis_tests::mcp::Era;
use portcullis_tests::oidc::{Event as OidcEvent, Oidc};
use portcullis_tests::patience::{poll, within};
use portcullis_tests::person::Person;
use portcullis_tests::provider::Provider;
use portcullis_tests::provider::clients::{Authentication, Client};
use portcullis_tests::provider::ledger::{Authorization, Event};
use portcullis_tests::provider::shape::{Pkce, Registration, Shape};
use portcullis_tests::stack::{Builder, Stack};
use portcullis_tests::upstream::protected::{Protected, Protection, ResourceMetadata, Verifier};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{ADA, ADA_THERE, LINEAR, Setting, account_of, agree, link_of, oauth, server, sign_in, whoami};

/// What is registered by hand at providers that want it so.
const CLIENT: &str = "portcullis-by-hand";
const SECRET: &str = "secret-by-hand-61f0";

/// A kind of provider, and how a server behind it is registered.
struct Case {
    name: &'static str,
    shape: Shape,
    /// What the admin API is told.
    auth: Value,
    /// How the gateway shows itself at the token endpoint.
    authentication: &'static str,
    /// What the authorization request has to say besides.
    asks: &'static [(&'static str, &'static str)],
    /// Whether tokens can be renewed without the member.
    renews: bool,
}

fn by_hand(authentication: fn(String) -> Authentication) -> Client {
    Client { authentication: authentication(SECRET.to_owned()), ..Client::confidential(CLIENT, SECRET) }
}

fn client() -> Value {
    json!({"id": CLIENT, "secret": SECRET})
}

fn preset(name: &str) -> Value {
    json!({"type": "oauth", "preset": name})
}

fn preset_with_client(name: &str) -> Value {
    json!({"type": "oauth", "preset": name, "client": client()})
}

/// Clients register themselves, refresh tokens rotate.
fn dynamic(name: &'static str, shape: Shape) -> Case {
    let authentication = "client_secret_basic";
    Case { name, shape, auth: preset(name), authentication, asks: &[], renews: true }
}

/// The application is registered by hand; tokens have no end.
fn github(name: &'static str, pkce: Pkce, auth: Value) -> Case {
    let shape = Shape { pkce, ..Shape::github(by_hand(Authentication::SecretPost)) };
    Case { name, shape, auth, authentication: "client_secret_post", asks: &[], renews: false }
}

fn google() -> Case {
    const READ: &str = "https://www.googleapis.com/auth/gmail.readonly";
    const COMPOSE: &str = "https://www.googleapis.com/auth/gmail.compose";
    Case {
        name: "google-gmail",
        shape: Shape { scopes: vec![READ, COMPOSE], ..Shape::google(by_hand(Authentication::SecretPost)) },
        auth: preset_with_client("google-gmail"),
        authentication: "client_secret_post",
        asks: &[
            ("access_type", "offline"),
            ("prompt", "consent"),
            (
                "scope",
                "https://www.googleapis.com/auth/gmail.compose https://www.googleapis.com/auth/gmail.readonly",
            ),
        ],
        renews: true,
    }
}

/// Names itself in every answer, binds tokens to one resource, and knows its clients by hand here: the metadata document
/// of a gateway without https is nobody's.
fn strict() -> Case {
    let clients = vec![by_hand(Authentication::SecretBasic)];
    Case {
        name: "strict",
        shape: Shape { registration: Registration::ByHand, clients, ..Shape::strict() },
        auth: json!({"type": "oauth", "client": client()}),
        authentication: "client_secret_basic",
        asks: &[],
        renews: true,
    }
}

fn cases() -> Vec<Case> {
    let mut silent = preset_with_client("github");
    silent["assume_pkce"] = true.into();
    vec![
        dynamic("linear", Shape::linear()),
        dynamic("notion", Shape::notion()),
        dynamic("sentry", Shape::linear()),
        Case { asks: &[("prompt", "consent")], ..dynamic("atlassian", Shape::linear()) },
        github("github", Pkce::Required, preset_with_client("github")),
        github("github, without a word of PKCE", Pkce::Unadvertised, silent),
        google(),
        strict(),
    ]
}

/// Starts everything, and registers the gateway at the provider where that is done by hand.
async fn setting(case: &Case) -> Setting {
    let provider = Provider::start(case.shape.clone()).await.expect("a provider");
    let protected = Protected::behind(&provider).await.expect("a protected server");
    let mut auth = case.auth.clone();
    if case.name.starts_with("google") {
        // The preset names the real one.
        auth["authorization_server"] = json!({"issuer": provider.issuer()});
    }
    let servers = vec![server(LINEAR, &protected, auth)];
    let setting = Setting::of(provider, protected, Builder { servers, ..Builder::default() }).await;
    if case.shape.registration == Registration::ByHand {
        let shown = setting.stack.admin().get("/v1/servers/linear").await.expect("a server");
        let callback = shown["auth"]["callback_url"].as_str().expect("what to enter at the provider");
        setting.provider.allow_redirect(CLIENT, callback);
    }
    setting
}

fn check_request(case: &Case, setting: &Setting, asked: &Authorization) {
    let name = case.name;
    assert_eq!(asked.parameters.get("resource"), Some(&*setting.protected.url()), "{name}");
    assert_eq!(asked.parameters.get("code_challenge_method"), Some("S256"), "{name}");
    for (parameter, value) in case.asks {
        assert_eq!(asked.parameters.get(parameter), Some(*value), "{name}: {parameter}");
    }
}

/// Ends the connection; the provider is told by the token that is good now, which the gateway so has kept.
async fn end(case: &Case, setting: &Setting) {
    let ledger = &setting.provider.ledger;
    let last = ledger.token_requests().pop().expect("a token request").outcome.expect("tokens");
    let id = setting.connections().await[0]["id"].as_str().expect("an id").to_owned();
    setting.stack.admin().delete(&format!("/v1/connections/{id}")).await.expect("an end");
    let revoked = ledger.wait_for(|event| matches!(event, Event::Revoked { .. }));
    let Event::Revoked { token, subject, .. } = within("the revocation", revoked).await else {
        unreachable!()
    };
    assert_eq!(subject.as_deref(), Some(ADA_THERE), "{}", case.name);
    assert_eq!(token, last.refresh_token.unwrap_or(last.access_token), "{}", case.name);
}

#[tokio::test]
async fn every_kind_of_provider_from_the_first_call_to_the_renewed_one() {
    for case in cases() {
        let (name, setting) = (case.name, setting(&case).await);
        let agent = setting.agent(Era::Modern);
        setting.connected(&agent, ADA, ADA_THERE).await;
        assert_eq!(account_of(&whoami(&agent).await), ADA_THERE, "{name}");
        let ledger = &setting.provider.ledger;
        check_request(&case, &setting, &ledger.authorizations()[0]);
        assert_eq!(ledger.token_requests()[0].authentication, case.authentication, "{name}");

        setting.provider.expire_access_tokens();
        let after = whoami(&agent).await;
        if case.renews {
            assert_eq!(account_of(&after), ADA_THERE, "{name}");
            assert_eq!(ledger.authorizations().len(), 1, "{name}: nobody was asked again");
            assert_eq!(ledger.requests_of("refresh_token").len(), 1, "{name}");
        } else {
            setting.connect(&link_of(&after), ADA, ADA_THERE).await;
            assert_eq!(account_of(&whoami(&agent).await), ADA_THERE, "{name}");
            assert!(ledger.requests_of("refresh_token").is_empty(), "{name}");
        }
        end(&case, &setting).await;
        link_of(&whoami(&agent).await);
        assert_eq!(ledger.reuses(), 0, "{name}");
        assert!(setting.stack.filter_never_trapped().await, "{name}");
    }
}

/// Of the authorization server that nobody here wrote.
fn count(events: &[OidcEvent], event: &str, grant_type: Option<&str>) -> usize {
    let counts = |one: &&OidcEvent| {
        one.event == event
            && grant_type.is_none_or(|grant_type| one.grant_type.as_deref() == Some(grant_type))
    };
    events.iter().filter(counts).count()
}

/// Signs in and agrees on the pages of `oidc-provider`.
async fn connect_at(oidc: &Oidc, link: &str) -> anyhow::Result<()> {
    let ada = Person::new();
    let consent = sign_in(&ada, link, ADA).await;
    let login = ada.press(&consent, "Continue to").await?;
    assert!(login.url.as_str().starts_with(&oidc.issuer()), "{}", login.url);
    let login = login.form("Sign-in")?.with("login", "ada").with("password", "anything");
    let scopes = ada.submit(login).await?;
    let connected = ada.press(&scopes, "Continue").await?;
    assert!(connected.text().contains("Connected"), "{}", connected.text());
    Ok(())
}

#[tokio::test]
async fn a_certified_authorization_server_too() -> anyhow::Result<()> {
    let Some(oidc) = Oidc::start(std::time::Duration::from_mins(5)).await? else { return Ok(()) };
    let protection = Protection {
        verifier: Verifier::Introspection(oidc.introspection()?),
        authorization_servers: vec![oidc.issuer()],
        metadata: ResourceMetadata::Named,
        scope: "read",
    };
    let protected = Protected::start(TcpListener::bind("127.0.0.1:0").await?, protection)?;
    let servers = vec![server(LINEAR, &protected, oauth())];
    let stack = Stack::build(Builder { servers, scripted: false, ..Builder::default() }).await?;
    let agent = stack.agent(LINEAR, Era::Modern);
    connect_at(&oidc, &link_of(&whoami(&agent).await)).await?;
    assert_eq!(account_of(&whoami(&agent).await), "ada");
    assert_eq!(count(&oidc.events(), "registration_create.success", None), 1);

    let last = protected.journal.entries().pop().expect("a request");
    let used = last.header("authorization").join("").replace("Bearer ", "");
    oidc.expire(&used).await?;
    assert_eq!(account_of(&whoami(&agent).await), "ada");
    let last = protected.journal.entries().pop().expect("a request");
    assert_ne!(last.header("authorization"), [format!("Bearer {used}")]);
    let events = oidc.events();
    assert_eq!(count(&events, "grant.success", Some("refresh_token")), 1, "{events:?}");
    assert_eq!(count(&events, "grant.error", None), 0, "{events:?}");

    let id = &stack.admin().get("/v1/connections").await?["connections"][0]["id"];
    stack.admin().delete(&format!("/v1/connections/{}", id.as_str().expect("an id"))).await?;
    let revoked = poll(async || (count(&oidc.events(), "grant.revoked", None) > 0).then_some(())).await;
    assert!(revoked.is_some(), "it was not told: {:?}", oidc.events());
    link_of(&whoami(&agent).await);
    Ok(())
}

/// The gateway has no https here, and so no metadata document; it says so to the administrator and not to the member.
#[tokio::test]
async fn a_provider_that_takes_no_client_of_ours_is_the_administrators_matter() {
    let setting = Setting::with(Shape::strict(), oauth()).await;
    let agent = setting.agent(Era::Modern);
    let link = link_of(&whoami(&agent).await);
    let page = sign_in(&Person::new(), &link, ADA).await;
    assert_eq!(page.status, 503, "{}", page.text());
    assert!(page.text().contains("An administrator has to look at it"), "{}", page.text());
    assert!(setting.provider.ledger.token_requests().is_empty());
    // Entering a client is all that it takes; the link is still good.
    setting.provider.add_client(by_hand(Authentication::SecretBasic));
    setting.provider.allow_redirect(CLIENT, &setting.stack.callback_url(LINEAR));
    let change = json!({"auth": {"type": "oauth", "client": client()}});
    setting.stack.admin().patch("/v1/servers/linear", change).await.expect("a change");
    setting.provider.approve_as(Some(ADA_THERE));
    let ada = Person::new();
    let consent = sign_in(&ada, &link, ADA).await;
    agree(&ada, &consent).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
}
