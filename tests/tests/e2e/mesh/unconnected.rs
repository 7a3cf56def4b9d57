//! A member who has yet to connect an account: the token-service answers in the server's place, and its pages are there.

use portcullis_tests::mcp::{Era, LATEST_LEGACY};
use portcullis_tests::mesh::Mesh;
use portcullis_tests::person::Person;
use portcullis_tests::provider::Provider;
use portcullis_tests::provider::shape::Shape;
use portcullis_tests::upstream::protected::Protected;

use super::stack;
use crate::accounts::{ADA, LINEAR, link_of, oauth, server, sign_in, whoami};

#[tokio::test]
async fn istio_by_wasm_plugin() {
    tell(Mesh::IstioStream).await;
}

#[tokio::test]
async fn istio_by_envoy_filter() {
    tell(Mesh::IstioHold).await;
}

#[tokio::test]
async fn envoy_gateway() {
    tell(Mesh::EnvoyGateway).await;
}

async fn tell(mesh: Mesh) {
    let provider = Provider::start(Shape::linear()).await.expect("a provider");
    let protected = Protected::behind(&provider).await.expect("a protected server");
    let Some(stack) = stack(mesh, vec![server(LINEAR, &protected, oauth())]).await else { return };
    for era in [Era::Modern, Era::Legacy(LATEST_LEGACY)] {
        let mut agent = stack.agent(LINEAR, era);
        if era != Era::Modern {
            agent.initialize().await;
        }
        let asked = whoami(&agent).await;
        assert_eq!(asked.status, 200, "{asked:?}");
        let link = link_of(&asked);
        assert!(link.starts_with(&stack.public_url()), "{link}");
        let consent = sign_in(&Person::new(), &link, ADA).await;
        assert_eq!(consent.status, 200, "{}", consent.text());
        assert!(consent.text().contains("Continue to"), "{}", consent.text());
    }
    assert!(protected.subjects_of("tools/call").is_empty());
    let record = stack.envoy.access_log.wait_for(|record| record["decision"] == "connect_required").await;
    assert!(record.is_some(), "{}", stack.envoy.access_log.text());
    assert!(stack.filter_never_trapped().await);
}
