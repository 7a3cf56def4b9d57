//! One token for everybody, fetched with the gateway's own client.

use std::time::Duration;

use axum::http::StatusCode;
use portcullis_token_service::broker::NoCredential;
use portcullis_token_service::store::Actor;
use portcullis_token_service::store::connections::ConnectionStore as _;
use serde_json::json;

use crate::authorization_server::{Answer, Reuse};
use crate::stage::{SHARED, Stage, member_grant, of_service_key, refused, token_of};

#[tokio::test]
async fn one_token_for_everybody_and_each_lifetime() {
    let stage = Stage::new(Reuse::Strict).await;
    for name in ["ada", "grace"] {
        stage.add_member(name).await;
    }
    let (one, two) = (stage.broker(), stage.broker());
    let ada = member_grant(&*stage.store, SHARED, "ada").await;
    let grace = member_grant(&*stage.store, SHARED, "grace").await;
    let first = one.credential(&ada, None).await.expect("a credential");
    for (broker, grant) in [(&one, &grace), (&two, &ada), (&two, &of_service_key(grace.clone()))] {
        let same = broker.credential(grant, None).await.expect("a credential");
        assert_eq!(token_of(&same), token_of(&first));
    }
    assert_eq!(stage.owner_of(&first).as_deref(), Some("gateway"));
    assert_eq!(stage.provider.ledger().client_credentials, 1);

    // Renewed early, by whoever looks first.
    stage.clock.advance(Duration::from_mins(55));
    for broker in [&one, &two] {
        broker.renew_due().await.expect("looks");
        broker.drain().await;
    }
    assert_eq!(stage.provider.ledger().client_credentials, 2);
    let second = one.credential(&ada, None).await.expect("a credential");
    assert_ne!(token_of(&second), token_of(&first));
}

#[tokio::test]
async fn a_refused_token_is_fetched_again_once() {
    let stage = Stage::new(Reuse::Strict).await;
    stage.add_member("ada").await;
    let broker = stage.broker();
    let grant = member_grant(&*stage.store, SHARED, "ada").await;
    let first = broker.credential(&grant, None).await.expect("a credential");
    let second = broker.credential(&grant, Some(&refused(&first, 401, None))).await.expect("another");
    assert_ne!(token_of(&first), token_of(&second));
    let third = broker.credential(&grant, Some(&refused(&second, 401, None))).await;
    assert_eq!(third.err(), Some(NoCredential::Misconfigured));
    assert_eq!(stage.provider.ledger().client_credentials, 2);
    // Nobody can consent to more on everybody's behalf.
    let demand = refused(&second, 403, Some(r#"Bearer error="insufficient_scope", scope="x""#));
    assert_eq!(broker.credential(&grant, Some(&demand)).await.err(), Some(NoCredential::Misconfigured));
    assert!(broker.credential(&grant, None).await.is_ok());
}

#[tokio::test]
async fn a_refused_client_and_a_provider_that_is_down() {
    let stage = Stage::new(Reuse::Strict).await;
    stage.add_member("ada").await;
    let grant = member_grant(&*stage.store, SHARED, "ada").await;
    stage.provider.script([Answer::Status(StatusCode::UNAUTHORIZED, json!({"error": "invalid_client"}))]);
    let broker = stage.broker();
    assert_eq!(broker.credential(&grant, None).await.err(), Some(NoCredential::Misconfigured));
    assert_eq!(stage.provider.ledger().token_requests, 1);

    let stage = Stage::new(Reuse::Strict).await;
    stage.add_member("ada").await;
    let grant = member_grant(&*stage.store, SHARED, "ada").await;
    stage.provider.script([Answer::RetryAfter(60)]);
    let broker = stage.broker();
    for _ in 0..2 {
        let down = broker.credential(&grant, None).await;
        assert!(matches!(down, Err(NoCredential::Unavailable { .. })), "{down:?}");
    }
    assert_eq!(stage.provider.ledger().token_requests, 1);
}

#[tokio::test]
async fn an_ended_one_is_fetched_anew() {
    let stage = Stage::new(Reuse::Strict).await;
    stage.add_member("ada").await;
    let broker = stage.broker();
    let grant = member_grant(&*stage.store, SHARED, "ada").await;
    let first = broker.credential(&grant, None).await.expect("a credential");
    let (id, generation) = first.connection.clone().expect("a connection");
    assert!(broker.disconnect(&id, Actor::AdminToken).await.expect("ends"));
    broker.drain().await;
    assert_eq!(stage.owner_of(&first), None, "it is revoked");
    let second = broker.credential(&grant, None).await.expect("another");
    assert_eq!(stage.owner_of(&second).as_deref(), Some("gateway"));
    let present = stage.store.connection(&id).await.expect("reads").expect("is there");
    assert!(present.generation > generation);
}
