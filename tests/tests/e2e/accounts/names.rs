//! Which account was connected: members see what the provider calls it, wherever it says so.

use std::time::Duration;

use portcullis_tests::mcp::Era;
use portcullis_tests::provider::Provider;
use portcullis_tests::provider::clients::{Authentication, Client};
use portcullis_tests::provider::faults::{Endpoint, Fault};
use portcullis_tests::provider::shape::{Named, Shape};
use serde_json::{Value, json};

use super::{ADA, ADA_THERE, LINEAR, Setting, account_of, link_of, whoami};

const SECRET: &str = "app-secret-5d20";

fn app() -> Client {
    Client {
        authentication: Authentication::SecretPost(SECRET.to_owned()),
        ..Client::confidential("app", SECRET)
    }
}

/// For a client that an administrator has registered at the provider.
fn entered(more: &Value) -> Value {
    let mut auth =
        json!({"type": "oauth", "client": {"id": "app", "secret": SECRET, "method": "client_secret_post"}});
    if let (Some(auth), Some(more)) = (auth.as_object_mut(), more.as_object()) {
        auth.extend(more.clone());
    }
    auth
}

async fn start(provider: Provider, auth: Value) -> Setting {
    let setting = Setting::behind(provider, auth).await;
    let server = setting.stack.admin().get(&format!("/v1/servers/{LINEAR}")).await.expect("the server");
    if setting.provider.shape().clients.iter().any(|client| client.client_id == "app") {
        let callback = server["auth"]["callback_url"].as_str().expect("where the provider sends browsers");
        setting.provider.allow_redirect("app", callback);
    }
    setting
}

/// Connects Ada and answers what the page and the administrator are told.
async fn named(setting: &Setting) -> (String, Value) {
    let agent = setting.agent(Era::Modern);
    let link = link_of(&whoami(&agent).await);
    let page = setting.connect(&link, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    let connections = setting.stack.admin().get("/v1/connections").await.expect("connections");
    (page.text(), connections["connections"][0]["account"].clone())
}

#[tokio::test]
async fn the_id_token_names_it() {
    let auth = json!({"scopes": ["openid", "calendar"], "authorize_parameters": {"access_type": "offline"}});
    let provider = Provider::start(Shape::google(app())).await.expect("a provider");
    let setting = start(provider, entered(&auth)).await;
    let (page, account) = named(&setting).await;
    assert!(page.contains(&format!("Connected as {ADA_THERE}")), "{page}");
    assert_eq!(account, ADA_THERE);
    assert_eq!(setting.provider.ledger.requests_of("authorization_code").len(), 1);
}

#[tokio::test]
async fn the_userinfo_endpoint_names_it_and_may_be_silent() {
    let shape =
        || Shape { named: Named::AtUserinfo, scopes: vec!["openid", "read", "export"], ..Shape::linear() };
    let openid = json!({"type": "oauth", "scopes": ["openid", "read"]});
    let setting = start(Provider::start(shape()).await.expect("a provider"), openid.clone()).await;
    let (page, account) = named(&setting).await;
    assert!(page.contains(&format!("Connected as {ADA_THERE}")), "{page}");
    assert_eq!(account, ADA_THERE);

    // A name is nothing that a connection could fail by.
    for fault in [Fault::Status(500), Fault::Html, Fault::Break, Fault::Slow(Duration::from_mins(1))] {
        let provider = Provider::start(shape()).await.expect("a provider");
        provider.fail(Endpoint::Userinfo, [fault.clone()]);
        let (page, account) = named(&start(provider, openid.clone()).await).await;
        assert!(page.contains("is connected"), "{fault:?}: {page}");
        assert_eq!(account, Value::Null, "{fault:?}");
    }
}

#[tokio::test]
async fn slack_is_understood_and_names_the_team() {
    let provider = Provider::start(Shape::slack(app())).await.expect("a provider");
    let auth = entered(&json!({
        "assume_pkce": true,
        "scopes": ["search:read", "chat:write"],
        "authorization_server": {
            "issuer": provider.issuer(),
            "authorization_endpoint": provider.url(Endpoint::Authorize),
            "token_endpoint": provider.url(Endpoint::Token),
        },
    }));
    let setting = start(provider, auth).await;
    let (page, account) = named(&setting).await;
    assert!(page.contains(&format!("Connected as Team of {ADA_THERE}")), "{page}");
    assert_eq!(account, format!("Team of {ADA_THERE}"));
    assert!(page.contains("chat:write"), "scopes with commas: {page}");

    // Twelve hours later.
    let agent = setting.agent(Era::Modern);
    setting.provider.expire_access_tokens();
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    assert_eq!(setting.provider.ledger.requests_of("refresh_token").len(), 1);
    // And once Ada has removed the app.
    setting.provider.withdraw(ADA_THERE);
    link_of(&whoami(&agent).await);
    let again = setting.provider.ledger.requests_of("refresh_token").len();
    link_of(&whoami(&agent).await);
    assert_eq!(
        setting.provider.ledger.requests_of("refresh_token").len(),
        again,
        "what is gone is not asked for again"
    );
}
