//! A thousand callers at once, when the token has expired: one token request.

use std::sync::Arc;
use std::time::Duration;

use portcullis_token_service::broker::NoCredential;
use portcullis_token_service::clock::Clock as _;
use tokio::task::JoinSet;

use crate::authorization_server::{Answer, Reuse};
use crate::replica::{Orders, Replica};
use crate::stage::{OAUTH, SHARED, Stage, token_of};

const CALLERS: u32 = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_make_one_token_request() {
    let stage = Stage::new(Reuse::Strict).await;
    let connection = stage.connected("ada", -60).await;
    let (broker, grant) = (stage.broker(), Arc::new(stage.member_grant("ada").await));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (broker, grant) = (Arc::clone(&broker), Arc::clone(&grant));
        callers.spawn(async move { broker.credential(&grant, None).await });
    }
    let mut tokens = Vec::new();
    while let Some(caller) = callers.join_next().await {
        tokens.push(token_of(&caller.expect("no panic").expect("a credential")).to_owned());
    }
    tokens.sort();
    tokens.dedup();
    let requests = stage.provider.ledger().token_requests;
    println!("{CALLERS} callers in one process: {requests} token request");
    assert_eq!((tokens.len(), requests), (1, 1));
    assert_eq!(stage.present(&connection.id).await.generation, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_do_a_thousand_callers_of_two_replicas() {
    for server in [OAUTH, SHARED] {
        let stage = Stage::new(Reuse::Strict).await;
        stage.connected("ada", -60).await;
        let orders = Orders {
            home: stage.home.clone(),
            server: server.to_owned(),
            member: "ada".to_owned(),
            callers: CALLERS / 2,
            die_at: None,
            pause_at: None,
            commits_fail: false,
        };
        let (one, two) = (Replica::start(&orders).await, Replica::start(&orders).await);
        let (one, two) = tokio::join!(one.run(), two.run());
        let (one, two) = (one.expect("lives"), two.expect("lives"));
        let requests = stage.provider.ledger().token_requests;
        println!("{CALLERS} callers in two processes, {server}: {requests} token request");
        assert_eq!((one.tokens.len(), one.reconnect, one.lost), (1, 0, 0), "{one:?}");
        assert_eq!(one, two);
        assert_eq!(requests, 1);
    }
}

/// The caller who began the renewal is gone before it ends.
#[tokio::test]
async fn a_renewal_survives_its_caller() {
    let stage = Stage::new(Reuse::Strict).await;
    let connection = stage.connected("ada", -60).await;
    stage.provider.script([Answer::Held]);
    let (broker, grant) = (stage.broker(), stage.member_grant("ada").await);
    tokio::select! {
        _ = broker.credential(&grant, None) => panic!("the answer is held back"),
        () = stage.provider.held.notified() => {}
    }
    stage.provider.release.notify_one();
    broker.drain().await;
    assert_eq!(stage.present(&connection.id).await.generation, 2);
    let credential = broker.credential(&grant, None).await.expect("a credential");
    assert_eq!(stage.owner_of(&credential).as_deref(), Some("ada"));
    assert_eq!(stage.provider.ledger().token_requests, 1);
}

/// Who has no time is told that the renewal is under way, and it is there when they ask again.
#[tokio::test]
async fn nobody_waits_longer_than_they_can() {
    let stage = Stage::new(Reuse::Strict).await;
    stage.connected("ada", -60).await;
    stage.provider.script([Answer::Held]);
    let (broker, grant) = (stage.broker(), stage.member_grant("ada").await);
    let hasty = broker.credential_within(&grant, None, Duration::from_millis(1)).await;
    assert_eq!(hasty.err(), Some(NoCredential::Renewing));
    stage.provider.release.notify_one();
    let credential = broker.credential(&grant, None).await.expect("a credential");
    assert_eq!(stage.owner_of(&credential).as_deref(), Some("ada"));
    assert_eq!(stage.provider.ledger().token_requests, 1);
}

/// While a renewal is on its way, the old token is handed out as long as it is good.
#[tokio::test]
async fn nobody_waits_while_the_old_token_is_good() {
    let stage = Stage::new(Reuse::Strict).await;
    stage.connected("ada", 300).await;
    stage.provider.script([Answer::Held]);
    let (broker, grant) = (stage.broker(), stage.member_grant("ada").await);
    let old = broker.credential(&grant, None).await.expect("a credential");
    stage.provider.held.notified().await;
    let still = broker.credential(&grant, None).await.expect("a credential");
    assert_eq!((token_of(&still), still.connection.clone()), (token_of(&old), old.connection.clone()));
    let left = stage.clock.now().until(old.not_after.expect("it expires"));
    assert!(left <= Duration::from_secs(270), "the lease ends half a minute before the token: {left:?}");
    stage.provider.release.notify_one();
    broker.drain().await;
    let new = broker.credential(&grant, None).await.expect("a credential");
    assert_ne!(token_of(&new), token_of(&old));
    assert_eq!(stage.owner_of(&new).as_deref(), Some("ada"));
}
