//! O12, O13, O14, O21: what an authorization server says of itself.

use serde_json::{Value, json};

use super::site::{Place, Spoilt};
use super::stand::{Input, Outcome, Stand};
use crate::harness::LOG;

/// O12
#[tokio::test]
async fn pkce_is_promised_with_s256() {
    let methods = "code_challenge_methods_supported";
    let mut inputs = vec![refused("O12", "no word of it", Spoilt::Without(methods))];
    let others = [
        json!(["plain"]),
        json!([]),
        json!(["s256"]),
        json!([" S256"]),
        json!("S256"),
        json!([7]),
        Value::Null,
    ];
    inputs.extend(
        others.map(|value| refused("O12", &value.to_string(), Spoilt::Member(methods, value.clone()))),
    );
    let mut stand = Stand::start().await;
    stand.hold(inputs).await;

    // An administrator may know better, for one server, and it is logged.
    let lenient = stand.register(json!({"type": "oauth", "assume_pkce": true})).await;
    stand.site.spoil(&lenient, Place::Metadata, Spoilt::Without(methods));
    assert_eq!(stand.connect(&lenient).await, Outcome::Connected);
    LOG.wait_for(|line| line.contains("PKCE with S256 is assumed")).await;
}

/// Almost the right one, and others.
fn issuers() -> Vec<Value> {
    vec![
        json!("{issuer}/"),
        json!("{issuer}/."),
        json!("{issuer}?"),
        json!("{issuer}#"),
        json!("{origin}"),
        json!("{origin}/"),
        json!("{origin}/another"),
        json!("https://LOCALHOST/{name}"),
        json!("https://localhost./{name}"),
        json!("http://localhost/{name}"),
        json!("https://localhost:443/{name}"),
        json!("https://localhost/{name}"),
        json!("https://evil.example/{name}"),
        json!("{origin}/%73erver"),
        json!(" {issuer}"),
        json!(""),
        json!(7),
        json!(["{issuer}"]),
        Value::Null,
    ]
}

/// O13
#[tokio::test]
async fn an_issuer_is_itself_to_the_letter() {
    let others = issuers();
    let mut inputs: Vec<Input> = others
        .into_iter()
        .map(|issuer| refused("O13", &issuer.to_string(), Spoilt::Member("issuer", issuer.clone())))
        .collect();
    inputs.push(refused("O13", "none", Spoilt::Without("issuer")));
    // The server names its issuer otherwise than the issuer does.
    for named in
        ["{issuer}/", "http://localhost/{name}", "https://LOCALHOST/{name}", "{issuer}?x=1", "{issuer}#x"]
    {
        let spoilt = Spoilt::Member("authorization_servers", json!([named]));
        inputs.push(Input::new(
            "O13",
            format!("named {named}"),
            Place::Resource,
            spoilt,
            Outcome::NobodyLeaves,
        ));
    }
    // One document counts, the first that there is. What the other says differently is not looked at.
    let disagreeing = json!({"issuer": "{issuer}", "token_endpoint": "https://127.0.0.1:{canary}/token"});
    let disagreeing = Spoilt::json(200, disagreeing.to_string());
    inputs.push(Input::new("O13", "OpenID says otherwise", Place::OpenId, disagreeing, Outcome::Connected));
    Stand::start().await.hold(inputs).await;
}

/// What is no https URL, or holds what it must not.
const URLS: [&str; 25] = [
    "http://as.example/x",
    "http://localhost/x",
    "file:///etc/passwd",
    "gopher://as.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "unix:/run/x",
    "ftp://as.example/",
    "ws://as.example/",
    "https://me:password@as.example/x",
    "https://me@as.example/x",
    "https://as.example/x#y",
    "https://as.example/x\r\nHost: y",
    "https://as.example/\tx",
    "https://as.example /x",
    "https://as.example:8443/x",
    "https://",
    "//as.example/x",
    "/x",
    "",
    "$(touch /tmp/x)",
    "; touch /tmp/x",
    "`id`",
    "--upload-pack=x",
    "https://as.example/\u{202e}x y",
];

/// O14
#[tokio::test]
async fn endpoints_are_https_urls_and_nothing_else() {
    let members =
        ["authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint"];
    let named = |url: &str| Spoilt::Member("authorization_servers", json!([url]));
    let mut inputs = Vec::new();
    for (number, url) in URLS.into_iter().enumerate() {
        // One judge for all places: the first few are shown to each of them, the others to one after the other.
        for (at, member) in members.into_iter().enumerate() {
            if number < 4 || number % members.len() == at {
                inputs.push(refused("O14", &format!("{member} {url:?}"), Spoilt::Member(member, url.into())));
            }
        }
        let name = format!("issuer {url:?}");
        inputs.push(Input::new("O14", name, Place::Resource, named(url), Outcome::NobodyLeaves));
    }
    Stand::start().await.hold(inputs).await;
}

/// O14: what is allowed in a URL goes out as a URL, and nothing here is given to a shell.
#[tokio::test]
async fn a_shells_characters_are_characters() {
    let mut stand = Stand::start().await;
    let server = stand.register(json!({"type": "oauth"})).await;
    let odd = "{issuer}/authorize;$(id)`id`?--upload-pack=x&a=|";
    stand.site.spoil(&server, Place::Metadata, Spoilt::Member("authorization_endpoint", odd.into()));
    let departure = stand.leave(&server).await.expect("it is a URL");
    let expected = format!("{}/authorize;$(id)%60id%60?--upload-pack=x&a=|&", stand.site.issuer(&server));
    assert!(departure.url.as_str().starts_with(&expected), "{}", departure.url);
}

/// O21: several authorization servers. The first that can be used is taken.
#[tokio::test]
async fn of_several_authorization_servers_one_is_taken() {
    let named = |names: Value| Spoilt::Member("authorization_servers", names);
    let inputs = [
        (json!(["https://127.0.0.1:{canary}", "{issuer}"]), Outcome::Connected),
        (json!(["http://localhost/x", "file:///x", "{issuer}"]), Outcome::Connected),
        (json!(["{issuer}", "https://127.0.0.1:{canary}"]), Outcome::Connected),
        (json!(["{origin}/another/way", "{issuer}"]), Outcome::Connected),
        (json!([]), Outcome::NobodyLeaves),
        (json!("{issuer}"), Outcome::NobodyLeaves),
        (json!([7]), Outcome::NobodyLeaves),
        (Value::Null, Outcome::NobodyLeaves),
    ];
    let inputs = inputs
        .map(|(names, outcome)| Input::new("O21", names.to_string(), Place::Resource, named(names), outcome));
    Stand::start().await.hold(inputs.into()).await;
}

/// O21: tokens belong to who gave them. A server that names another issuer afterwards gets nothing for it.
#[tokio::test]
async fn tokens_do_not_follow_to_another_issuer() {
    const TWO_HOURS: u64 = 2 * 3_600_000;
    let mut stand = Stand::start().await;
    let server = stand.register(json!({"type": "oauth"})).await;
    assert_eq!(stand.connect(&server).await, Outcome::Connected);
    let usurper = Spoilt::Member("authorization_servers", json!(["{origin}/usurper"]));
    stand.site.spoil(&server, Place::Resource, usurper);
    stand.service.clock.advance(TWO_HOURS);
    let lease = stand.service.lease_with_key(&server, &stand.key).await;
    assert_eq!(lease.body["result"], "connect_required", "{}", lease.text);
    assert!(stand.site.asked("usurper", Place::Token).is_empty());
    assert_eq!(stand.site.asked(&server, Place::Token).len(), 1, "the code, and no renewal");
    // Disconnecting tells the usurper nothing either.
    let connections = stand.service.get("/v1/connections").await;
    let id = connections.body["connections"][0]["id"].as_str().expect("an id").to_owned();
    stand.service.delete(&format!("/v1/connections/{id}")).await;
    LOG.wait_for(|line| line.contains(&id) && line.contains("has not confirmed")).await;
    assert!(stand.site.asked("usurper", Place::Revoke).is_empty());
    stand.nothing_was_reached("O21");
    stand.no_secret_was_logged();
}

fn refused(row: &'static str, name: &str, spoilt: Spoilt) -> Input {
    Input::new(row, name, Place::Metadata, spoilt, Outcome::NobodyLeaves)
}
