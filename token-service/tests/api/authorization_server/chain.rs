//! From the consent for a client straight on to the account that the server wants.

use reqwest::StatusCode;

use super::stand::{Ask, DESKTOP_URI, Stand, Tokens, parameter};
use crate::browser::{Browser, Departure, encoded, field};
use crate::provider::ACCESS_TOKEN;
use crate::reply::Reply;

/// A server of type `oauth`, which Ada has in one workspace.
const LINEAR: &str = "http://127.0.0.1:10000/linear/mcp";

fn ask() -> Ask {
    Ask::of("desktop", DESKTOP_URI, LINEAR)
}

/// Allows the client, and is asked about the account.
async fn offered(stand: &mut Stand) -> Reply {
    let page = stand.consent(&ask()).await;
    let offer = stand.decide(&page, "allow", &[]).await;
    assert_eq!(offer.status, StatusCode::OK, "{}", offer.text);
    assert!(offer.text.contains("One more step: your Linear account"), "{}", offer.text);
    assert!(!offer.text.contains("http-equiv"), "nobody is sent anywhere without another consent");
    offer
}

async fn go_on(ada: &mut Browser, offer: &Reply, decision: &str) -> Reply {
    let form = ["csrf", "request", "plan"].map(|name| (name, field(&offer.text, name)));
    let mut form = form.to_vec();
    form.push(("decision", decision.to_owned()));
    ada.post("/oauth/continue", &form).await
}

async fn tokens(stand: &Stand, back: &Reply) -> Tokens {
    let url = Departure::read(back).url;
    assert!(url.as_str().starts_with(DESKTOP_URI), "{url}");
    assert_eq!(parameter(&url, "state").as_deref(), Some("a state & more"));
    let code = parameter(&url, "code").expect("a code");
    let mut form = stand.exchange(&code);
    form.retain(|(name, _)| *name != "resource");
    form.push(("resource", LINEAR));
    Tokens::read(&stand.post("/oauth/token", &form).await)
}

async fn lease(stand: &Stand, tokens: &Tokens) -> serde_json::Value {
    stand.service.lease(&serde_json::json!({"server": "linear", "proof": tokens.proof()})).await.body
}

#[tokio::test]
async fn one_way_from_the_client_to_a_connected_account() {
    let mut stand = Stand::start().await;
    let offer = offered(&mut stand).await;
    let left = go_on(&mut stand.ada, &offer, "connect").await;
    let departure = Departure::read(&left);
    assert_eq!(departure.url.origin().ascii_serialization(), stand.provider.url);
    // A provider may take longer than the client's request would have been good for.
    stand.service.clock.advance(9 * 60 * 1_000);
    let id = stand.service.server_id("linear").await;
    let issuer = stand.provider.url.clone();
    let back = stand.ada.come_back(&id, &departure, &issuer).await;
    assert_eq!(back.status, StatusCode::OK, "{}", back.text);
    let tokens = tokens(&stand, &back).await;
    let lease = lease(&stand, &tokens).await;
    assert_eq!(lease["credential_headers"][0]["value"], format!("Bearer {ACCESS_TOKEN}"));
    // The next client finds the account connected.
    let page = stand.consent(&ask()).await;
    let back = stand.decide(&page, "allow", &[]).await;
    assert!(parameter(&Departure::read(&back).url, "code").is_some());
}

#[tokio::test]
async fn it_can_be_put_off_here_and_at_the_provider() {
    let mut stand = Stand::start().await;
    let offer = offered(&mut stand).await;
    let back = go_on(&mut stand.ada, &offer, "skip").await;
    let signed_in = tokens(&stand, &back).await;
    assert_eq!(lease(&stand, &signed_in).await["result"], "connect_required");
    let again = go_on(&mut stand.ada, &offer, "skip").await;
    assert_eq!(again.status, StatusCode::GONE, "{}", again.text);

    let offer = offered(&mut stand).await;
    let departure = Departure::read(&go_on(&mut stand.ada, &offer, "connect").await);
    let id = stand.service.server_id("linear").await;
    let denied =
        encoded(&[("error", "access_denied"), ("state", &departure.state), ("iss", &stand.provider.url)]);
    let back = stand.ada.get(&format!("/callback/{id}?{denied}")).await;
    let signed_in = tokens(&stand, &back).await;
    assert_eq!(lease(&stand, &signed_in).await["result"], "connect_required");
}

#[tokio::test]
async fn nobody_else_goes_on_with_it() {
    let mut stand = Stand::start().await;
    let offer = offered(&mut stand).await;
    let mut eve = Browser::signed_in(&stand.service, "Eve Mallory").await;
    let csrf = field(&eve.get("/connections").await.text, "csrf");
    for decision in ["skip", "connect"] {
        let form = [
            ("csrf", csrf.clone()),
            ("request", field(&offer.text, "request")),
            ("plan", field(&offer.text, "plan")),
            ("decision", decision.to_owned()),
        ];
        let reply = eve.post("/oauth/continue", &form).await;
        assert_eq!(reply.status, StatusCode::GONE, "{decision}: {}", reply.text);
    }
    // A request that nobody has agreed to cannot be finished this way.
    let page = stand.consent(&ask()).await;
    let form = [
        ("csrf", field(&page.text, "csrf")),
        ("request", field(&page.text, "request")),
        ("plan", String::new()),
        ("decision", "skip".to_owned()),
    ];
    let reply = stand.ada.post("/oauth/continue", &form).await;
    assert_eq!(reply.status, StatusCode::GONE, "{}", reply.text);
    let back = go_on(&mut stand.ada, &offer, "skip").await;
    tokens(&stand, &back).await;
}

#[tokio::test]
async fn what_would_be_asked_for_now_is_shown_again() {
    let mut stand = Stand::start().await;
    let offer = offered(&mut stand).await;
    let mut form = ["csrf", "request"].map(|name| (name, field(&offer.text, name))).to_vec();
    form.extend([("plan", "another".to_owned()), ("decision", "connect".to_owned())]);
    let again = stand.ada.post("/oauth/continue", &form).await;
    assert!(again.text.contains("One more step") && !again.text.contains("http-equiv"), "{}", again.text);
}
