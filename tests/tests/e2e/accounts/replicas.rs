//! Several token-services on one database.

use portcullis_tests::mcp::Era;
use portcullis_tests::provider::Provider;
use portcullis_tests::provider::shape::Shape;
use portcullis_tests::stack::Builder;
use portcullis_tests::upstream::protected::Protected;

use super::{ADA, ADA_THERE, LINEAR, Setting, oauth, server};

#[tokio::test]
async fn another_token_service_on_the_same_database_knows_the_same() {
    let provider = Provider::start(Shape::linear()).await.expect("a provider");
    let protected = Protected::behind(&provider).await.expect("a protected server");
    let servers = vec![server(LINEAR, &protected, oauth())];
    let builder = Builder { servers, replicas: 1, ..Builder::default() };
    let mut setting = Setting::of(provider, protected, builder).await;
    let agent = setting.agent(Era::Modern);
    setting.connected(&agent, ADA, ADA_THERE).await;
    let before = setting.connections().await;
    assert_eq!((before.len(), &before[0]["state"]), (1, &"active".into()), "{before:?}");

    setting.stack.service.kill().expect("a process to end");
    let elsewhere = setting.stack.replicas[0].admin.get("/v1/connections").await.expect("a list");
    assert_eq!(elsewhere["connections"], serde_json::Value::from(before.clone()));
    setting.stack.service.restart().await.expect("a start");
    assert_eq!(setting.connections().await, before);
}
