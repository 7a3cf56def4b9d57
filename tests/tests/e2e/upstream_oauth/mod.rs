//! Rows of the catalogue of hostile inputs (token-service/tests/api/upstream_oauth) that take a provider which keeps
//! the rules of OAuth itself.

use portcullis_tests::mcp::Era;
use portcullis_tests::person::Person;
use portcullis_tests::provider::Provider;
use portcullis_tests::provider::faults::Endpoint;
use portcullis_tests::provider::shape::Shape;
use portcullis_tests::seed::GRACE;
use portcullis_tests::stack::{Builder, Stack};
use portcullis_tests::upstream::protected::Protected;
use reqwest::Url;
use serde_json::json;

use super::accounts::{
    self, ADA, ADA_THERE, GRACE_NAME, LINEAR, Setting, account_of, link_of, sign_in, whoami,
};

/// Slug of the server of an attacker.
const EVIL: &str = "evil";

/// O10, O11: Eve has signed in at the provider and keeps her code, unused, to have it connected as Ada's account.
#[tokio::test]
async fn a_code_is_good_for_its_own_flow_only() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    setting.provider.approve_as(Some("eve@provider"));
    let eves =
        leaving(&Person::new(), &link_of(&whoami(&setting.graces_agent(Era::Modern)).await), GRACE_NAME)
            .await;
    let eves = way_back(&eves).await;

    let ada = Person::new();
    let departure = leaving(&ada, &link_of(&whoami(&agent).await), ADA).await;
    let back = with(
        &parameter(&departure, "redirect_uri"),
        [("code", parameter(&eves, "code")), ("state", parameter(&departure, "state"))],
    );
    let page = ada.open(back.as_str()).await.expect("a page");
    assert_eq!(page.status, 400, "{}", page.text());
    let asked = setting.provider.ledger.requests_of("authorization_code");
    let refusals: Vec<_> =
        asked.iter().map(|request| request.outcome.as_ref().map_err(|no| no.error)).collect();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert_eq!(refusals[0].as_ref().err(), Some(&"invalid_grant"));

    // It is final: neither the code nor the flow is tried again, and nobody's account is connected.
    assert_eq!(ada.open(back.as_str()).await.expect("a page").status, 400);
    assert_eq!(setting.provider.ledger.requests_of("authorization_code").len(), 1);
    let link = link_of(&whoami(&agent).await);
    setting.connect(&link, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
}

/// O9: an attacker's server says that its authorization endpoint is the honest provider's, and that it is the gateway's
/// client there, to be sent the code.
#[tokio::test]
async fn an_honest_provider_is_not_lent_to_another_server() {
    let honest = Provider::start(Shape::linear()).await.expect("a provider");
    let evil = Provider::start(Shape::linear()).await.expect("a provider");
    let (linear, trap) = (Protected::behind(&honest).await, Protected::behind(&evil).await);
    let (linear, trap) = (linear.expect("a server"), trap.expect("a server"));
    let evils = accounts::server(EVIL, &trap, json!({"type": "oauth"}));
    let builder = Builder {
        servers: vec![accounts::server(LINEAR, &linear, json!({"type": "oauth"})), evils],
        members: vec![GRACE],
        scripted: false,
        ..Builder::default()
    };
    let stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
    honest.approve_as(Some(ADA_THERE));
    // The gateway is a client of the honest provider.
    let ada = Person::new();
    let agent = stack.agent(LINEAR, Era::Modern);
    let departure = leaving(&ada, &link_of(&whoami(&agent).await), ADA).await;
    let client = parameter(&departure, "client_id");

    // The flow that the evil server began is led to the honest provider, with that client id.
    let evils = leaving(&Person::new(), &link_of(&whoami(&stack.agent(EVIL, Era::Modern)).await), ADA).await;
    let lure = |redirect_uri: &str| {
        let changed = [("client_id", &*client), ("redirect_uri", redirect_uri), ("resource", &linear.url())];
        redirected(&evils, &honest.url(Endpoint::Authorize), changed)
    };
    let own = stack.callback_url(EVIL);
    let refused = ada.get(lure(&own).as_str()).await.expect("a page");
    assert_eq!((refused.status, honest.ledger.authorizations().len()), (400, 0), "{}", refused.text());

    // With the redirect URI that the provider knows, the code comes to the path of another server than the flow's.
    let back = way_back(&lure(&stack.callback_url(LINEAR))).await;
    let page = ada.open(back.as_str()).await.expect("a page");
    assert!((400..500).contains(&page.status), "{}", page.text());
    assert!(honest.ledger.token_requests().is_empty() && evil.ledger.token_requests().is_empty());
}

/// An authorization request as another provider would get it, with these parameters in place of its own.
fn redirected(request: &Url, endpoint: &str, changed: [(&str, &str); 3]) -> Url {
    let pairs = request.query_pairs().map(|(name, value)| {
        let other =
            changed.iter().find(|(changed, _)| *changed == name).map(|(_, value)| (*value).to_owned());
        (name.into_owned(), other.unwrap_or_else(|| value.into_owned()))
    });
    let mut url = Url::parse(endpoint).expect("a URL");
    url.query_pairs_mut().extend_pairs(pairs);
    url
}

/// Agrees on the page of a link, and is the address that the browser would go to.
async fn leaving(person: &Person, link: &str, member: &str) -> Url {
    let consent = sign_in(person, link, member).await;
    let page = person.send(consent.form("Continue to").expect("a form")).await.expect("a page");
    page.onward().expect("readable").expect("an address")
}

/// Where the provider, which agrees at once, sends the browser back to.
async fn way_back(departure: &Url) -> Url {
    let page = Person::new().get(departure.as_str()).await.expect("a page");
    page.onward().expect("readable").unwrap_or_else(|| panic!("{}: {}", page.status, page.text()))
}

fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(found, _)| found == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

fn with(url: &str, pairs: [(&str, String); 2]) -> Url {
    let mut url = Url::parse(url).expect("a URL");
    url.query_pairs_mut().extend_pairs(pairs);
    url
}
