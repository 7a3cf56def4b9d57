//! A7: clients that register themselves.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::stand::{Ask, OPEN, Stand, send};
use crate::browser::field;
use crate::reply::Reply;

const URI: &str = "https://app.example/cb";

async fn register(stand: &Stand, request: &Value) -> Reply {
    send(stand.request(Method::POST, "/oauth/register").json(request)).await
}

#[tokio::test]
async fn a_client_registers_and_is_shown_as_unverified() {
    let mut stand = Stand::start().await;
    let request = json!({
        "client_name": "An app", "redirect_uris": [URI, "http://127.0.0.1/cb"], "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "refresh_token", "implicit"], "response_types": ["code"], "scope": "mcp:read",
        "application_type": "native", "later": true,
    });
    let made = register(&stand, &request).await;
    assert_eq!((made.status, made.header("cache-control")), (StatusCode::CREATED, Some("no-store")));
    let id = made.body["client_id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("dyn_"), "{id}");
    assert_eq!(made.body["token_endpoint_auth_method"], "none");
    assert_eq!(
        (&made.body["client_name"], &made.body["redirect_uris"]),
        (&json!("An app"), &json!([URI, "http://127.0.0.1/cb"]))
    );
    assert_eq!(made.body.get("client_secret"), None);
    let page = stand.consent(&Ask::of(&id, URI, OPEN)).await;
    assert!(page.text.contains("“An app”") && page.text.contains(">unverified<"), "{}", page.text);
    assert!(page.text.contains("It registered itself less than a minute ago"), "{}", page.text);
    let code = stand.code(&Ask::of(&id, URI, OPEN)).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", &id),
        ("code", &code),
        ("redirect_uri", URI),
        ("code_verifier", super::stand::VERIFIER),
    ];
    let reply = stand.post("/oauth/token", &form).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
}

#[tokio::test]
async fn what_is_no_registration_is_refused() {
    let stand = Stand::start().await;
    let many: Vec<String> = (0..1_000).map(|number| format!("https://app.example/{number}")).collect();
    let long = "x".repeat(10 * 1024);
    for (name, request, error) in [
        ("no redirect URIs", json!({}), "invalid_redirect_uri"),
        ("none of them", json!({"redirect_uris": []}), "invalid_redirect_uri"),
        ("a thousand", json!({"redirect_uris": many}), "invalid_client_metadata or too large"),
        ("eleven", json!({"redirect_uris": many[..11]}), "invalid_redirect_uri"),
        ("a number", json!({"redirect_uris": [1]}), "invalid_redirect_uri"),
        ("plain http", json!({"redirect_uris": ["http://app.example/cb"]}), "invalid_redirect_uri"),
        ("a script", json!({"redirect_uris": [URI, "javascript:alert(1)"]}), "invalid_redirect_uri"),
        ("a data URL", json!({"redirect_uris": ["data:text/html,x"]}), "invalid_redirect_uri"),
        ("a scheme of the system", json!({"redirect_uris": ["search-ms:query=x"]}), "invalid_redirect_uri"),
        ("a fragment", json!({"redirect_uris": ["https://app.example/cb#x"]}), "invalid_redirect_uri"),
        ("a wildcard", json!({"redirect_uris": ["https://*.example/cb"]}), "invalid_redirect_uri"),
        ("a long name", json!({"redirect_uris": [URI], "client_name": long}), "invalid_client_metadata"),
        ("a name that is none", json!({"redirect_uris": [URI], "client_name": 1}), "invalid_client_metadata"),
        (
            "other grants",
            json!({"redirect_uris": [URI], "grant_types": ["implicit"]}),
            "invalid_client_metadata",
        ),
        (
            "other responses",
            json!({"redirect_uris": [URI], "response_types": ["token"]}),
            "invalid_client_metadata",
        ),
        (
            "a statement",
            json!({"redirect_uris": [URI], "software_statement": "e30.e30.x"}),
            "unapproved_software_statement",
        ),
        ("a list", json!([]), "invalid_client_metadata"),
    ] {
        let reply = register(&stand, &request).await;
        if reply.status != StatusCode::PAYLOAD_TOO_LARGE {
            assert_eq!(
                (reply.status, &reply.body["error"]),
                (StatusCode::BAD_REQUEST, &json!(error)),
                "{name}"
            );
        }
        assert!(reply.body["client_id"].is_null(), "{name}");
    }
    let twice = format!(r#"{{"redirect_uris": ["{URI}"], "redirect_uris": ["https://evil.example/cb"]}}"#);
    for (media_type, body) in
        [("application/json", twice.as_str()), ("text/plain", "{}"), ("application/json", "{")]
    {
        let request = stand.request(Method::POST, "/oauth/register").header("content-type", media_type);
        let reply = send(request.body(body.to_owned())).await;
        assert_eq!(
            (reply.status, &reply.body["error"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_client_metadata"))
        );
    }
    assert_eq!(
        stand.service.get("/v1/oauth-clients").await.body["clients"].as_array().map(Vec::len),
        Some(3)
    );
}

#[tokio::test]
async fn names_are_plain_text_and_addresses_are_not_fetched() {
    let mut stand = Stand::start().await;
    let inside = stand.provider.url.clone();
    for (given, shown) in [
        ("GitHub ✔ Official", "“GitHub ✔ Official”"),
        ("\u{202e}buHtiG", "“buHtiG”"),
        ("<script>alert(1)</script>", "“&#60;script&#62;alert(1)&#60;/script&#62;”"),
        ("a\r\nb\u{200b}c", "“abc”"),
        ("\u{200b}", "“A client without a name”"),
    ] {
        let request = json!({
            "redirect_uris": [URI], "client_name": given, "logo_uri": format!("{inside}/logo"), "jwks_uri": format!("{inside}/jwks"),
            "client_uri": "javascript:alert(1)", "policy_uri": "data:text/html,x", "sector_identifier_uri": inside,
        });
        let made = register(&stand, &request).await;
        let id = made.body["client_id"].as_str().expect("an id").to_owned();
        for member in ["logo_uri", "jwks_uri", "client_uri", "policy_uri"] {
            assert_eq!(made.body.get(member), None, "{member}");
        }
        let page = stand.consent(&Ask::of(&id, URI, OPEN)).await;
        assert!(page.text.contains(shown), "{shown}: {}", page.text);
        assert!(!page.text.contains("<script") && !page.text.contains(&inside), "{}", page.text);
    }
    assert!(stand.provider.token_requests().is_empty());
}

#[tokio::test]
async fn there_is_a_limit_and_unused_clients_end() {
    let mut stand = Stand::start().await;
    let request = json!({"redirect_uris": [URI]});
    let mut ids = Vec::new();
    let refused = loop {
        let reply = register(&stand, &request).await;
        match reply.body["client_id"].as_str() {
            Some(id) => ids.push(id.to_owned()),
            None => break reply,
        }
        assert!(ids.len() <= 100, "there is no limit");
    };
    assert_eq!((ids.len(), refused.status), (100, StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(
        (refused.header("retry-after"), &refused.body["error"]),
        (Some("3600"), &json!("temporarily_unavailable"))
    );
    // The first is used, the others end after a day.
    let code = stand.code(&Ask::of(&ids[0], URI, OPEN)).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", &ids[0]),
        ("code", &code),
        ("redirect_uri", URI),
        ("code_verifier", super::stand::VERIFIER),
    ];
    assert_eq!(stand.post("/oauth/token", &form).await.status, StatusCode::OK);
    stand.service.clock.advance(24 * 3_600 * 1_000);
    let mut ada = crate::browser::Browser::signed_in(&stand.service, "Ada Lovelace").await;
    for (id, status) in [(&ids[0], StatusCode::SEE_OTHER), (&ids[1], StatusCode::BAD_REQUEST)] {
        assert_eq!(ada.get(&Ask::of(id, URI, OPEN).path()).await.status, status, "{id}");
    }
    assert_eq!(register(&stand, &request).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn somebody_elses_client_cannot_borrow_a_sign_in() {
    // A victim is signed in, and an attacker's client sends them here: nothing happens without the victim's own click.
    let mut stand = Stand::start().await;
    stand.sign_in().await;
    let made =
        register(&stand, &json!({"redirect_uris": ["https://evil.example/cb"], "client_name": "Desktop"}))
            .await;
    let id = made.body["client_id"].as_str().expect("an id").to_owned();
    let page = stand.consent(&Ask::of(&id, "https://evil.example/cb", OPEN)).await;
    assert!(
        page.text.contains("<strong>evil.example</strong>") && page.text.contains(">unverified<"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("http-equiv"));
    assert!(!field(&page.text, "request").is_empty());
}
