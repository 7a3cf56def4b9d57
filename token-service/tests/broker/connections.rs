//! A member's connection through everything that can happen to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use portcullis_token_service::broker::NoCredential;
use portcullis_token_service::broker::failpoints::Failpoints;
use portcullis_token_service::domain::connection::{ConnectionState, ReauthReason};
use portcullis_token_service::store::connections::{ClientKind, ConnectionStore as _};
use portcullis_token_service::store::{Actor, Store as _, StoreError};
use serde_json::json;

use crate::authorization_server::{Answer, Reuse};
use crate::stage::{OAUTH, QUICK, Stage, member_grant, of_service_key, reconnect, refused, token_of};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_token_is_renewed_when_it_is_over_and_each_has_their_own() {
    let stage = Stage::new(Reuse::Strict).await;
    let broker = stage.broker();
    stage.connected("ada", 1800).await;
    stage.connected("grace", -60).await;
    stage.add_member("hopper").await;
    for round in 0..3 {
        for name in ["ada", "grace"] {
            let grant = stage.member_grant(name).await;
            let credential = broker.credential(&grant, None).await.expect("a credential");
            assert_eq!(stage.owner_of(&credential).as_deref(), Some(name), "round {round}");
        }
        stage.clock.advance(2 * HOUR);
    }
    assert_eq!(stage.provider.ledger().uses("ada"), [0, 1, 1]);
    assert_eq!(stage.provider.ledger().uses("grace"), [0, 1, 1, 1]);

    let stranger = stage.member_grant("hopper").await;
    assert_eq!(reconnect(&broker.credential(&stranger, None).await), Some(""), "for the first time");
    let nobody = of_service_key(stranger);
    assert_eq!(broker.credential(&nobody, None).await.err(), Some(NoCredential::MemberRequired));
}

#[tokio::test]
async fn renewal_comes_before_expiry() {
    let stage = Stage::new(Reuse::Strict).await;
    let broker = stage.broker();
    let ada = stage.connected("ada", 300).await;
    let grace = stage.connected("grace", 3000).await;
    broker.renew_due().await.expect("looks");
    broker.drain().await;
    assert_eq!(stage.present(&ada.id).await.generation, 2);
    assert_eq!(stage.present(&grace.id).await.generation, 1, "it is not due");
    broker.renew_due().await.expect("looks");
    broker.drain().await;
    assert_eq!(stage.provider.ledger().token_requests, 1);
}

#[tokio::test]
async fn a_provider_that_is_down_costs_nothing_before_expiry_and_no_consent_after() {
    let stage = Stage::new(Reuse::Strict).await;
    let broker = stage.broker();
    let connection = stage.connected("ada", 300).await;
    let grant = stage.member_grant("ada").await;
    stage.provider.script([Answer::RetryAfter(7), Answer::RetryAfter(7)]);
    let old = broker.credential(&grant, None).await.expect("a credential");
    broker.drain().await;
    let still = broker.credential(&grant, None).await.expect("the old one is good");
    assert_eq!(token_of(&old), token_of(&still));
    stage.clock.advance(Duration::from_secs(301));
    let Err(NoCredential::Unavailable { retry_after_ms }) = broker.credential(&grant, None).await else {
        panic!("it has expired")
    };
    assert!((6_000..=7_000).contains(&retry_after_ms), "{retry_after_ms}");
    assert_eq!(stage.provider.ledger().token_requests, 1, "the provider is left alone");
    // Another replica neither tries nor waits long.
    let another = stage.broker();
    assert!(matches!(another.credential(&grant, None).await, Err(NoCredential::Unavailable { .. })));
    assert_eq!(stage.provider.ledger().token_requests, 1);
    assert_eq!(stage.present(&connection.id).await.state, ConnectionState::Active);
}

#[tokio::test]
async fn what_the_provider_says_decides() {
    let error = |code| Answer::Status(StatusCode::BAD_REQUEST, json!({"error": code}));
    for (answers, requests, outcome) in [
        // Once more after an answer that was lost; it may have been before or after the provider acted.
        (vec![Answer::LostBefore], 2, None),
        (vec![Answer::LostAfterwards], 2, Some("lost_rotation")),
        (vec![error("invalid_grant")], 1, Some("revoked")),
        (vec![Answer::WithoutRefresh], 1, None),
        (
            vec![Answer::Status(StatusCode::OK, json!({"access_token": "a\nb", "token_type": "Bearer"}))],
            1,
            Some("lost_rotation"),
        ),
    ] {
        let stage = Stage::new(Reuse::Strict).await;
        let broker = stage.broker();
        let connection = stage.connected("ada", -60).await;
        let grant = stage.member_grant("ada").await;
        let what = format!("{answers:?}");
        stage.provider.script(answers);
        let first = broker.credential(&grant, None).await;
        assert_eq!(stage.provider.ledger().token_requests, requests, "{what}");
        if let Ok(credential) = &first {
            assert_eq!(stage.owner_of(credential).as_deref(), Some("ada"), "{what}");
        } else {
            let kept = stage.present(&connection.id).await.tokens.is_some();
            assert!(kept, "{what}: nothing is deleted");
        }
        assert_eq!(reconnect(&first), outcome, "{what}");
        // The same again, from the database; and a refresh token that was not replaced is still good.
        let again = broker.credential(&grant, None).await;
        assert_eq!(reconnect(&again), outcome, "{what}");
        if outcome.is_none() {
            stage.clock.advance(2 * HOUR);
            let renewed = broker.credential(&grant, None).await.expect("a credential");
            assert_eq!(stage.owner_of(&renewed).as_deref(), Some("ada"), "{what}");
        } else {
            assert_eq!(stage.provider.ledger().token_requests, requests, "{what}: nothing more is asked");
            stage.connect("ada", 3600).await;
            let connected = broker.credential(&grant, None).await.expect("a credential");
            assert_eq!(stage.owner_of(&connected).as_deref(), Some("ada"), "{what}");
        }
    }
}

#[tokio::test]
async fn a_client_that_the_provider_refuses_is_for_an_administrator() {
    let stage = Stage::new(Reuse::Strict).await;
    let broker = stage.broker();
    let connection = stage.connected("ada", -60).await;
    stage.provider.script([Answer::Status(StatusCode::UNAUTHORIZED, json!({"error": "invalid_client"}))]);
    let grant = stage.member_grant("ada").await;
    assert_eq!(broker.credential(&grant, None).await.err(), Some(NoCredential::Misconfigured));
    assert_eq!(stage.present(&connection.id).await.state, ConnectionState::Active);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_then_given_up() {
    let stage = Stage::new(Reuse::Strict).await;
    let broker = stage.broker();
    let connection = stage.connected("ada", 3000).await;
    let grant = stage.member_grant("ada").await;
    let old = broker.credential(&grant, None).await.expect("a credential");
    stage.provider.ledger().revoke_access("ada");
    let new = broker.credential(&grant, Some(&refused(&old, 401, None))).await.expect("a new one");
    assert_ne!(token_of(&old), token_of(&new));
    // Another call was refused with the old one, too: the new one is its answer.
    let late = broker.credential(&grant, Some(&refused(&old, 401, None))).await.expect("the new one");
    assert_eq!(token_of(&new), token_of(&late));
    let mut foreign = refused(&new, 401, None);
    foreign.connection_id = "con_of_somebody_else".to_owned();
    assert!(broker.credential(&grant, Some(&foreign)).await.is_ok(), "that says nothing about this one");
    assert_eq!(stage.provider.ledger().token_requests, 1);

    let outcome = broker.credential(&grant, Some(&refused(&new, 401, None))).await;
    assert_eq!(reconnect(&outcome), Some("rejected"));
    assert_eq!(reconnect(&broker.credential(&grant, None).await), Some("rejected"));
    assert_eq!(stage.provider.ledger().token_requests, 1, "it is not tried again");
    let present = stage.present(&connection.id).await;
    assert_eq!(present.state, ConnectionState::NeedsReauth(ReauthReason::Rejected));
}

#[tokio::test]
async fn revoked_at_the_provider_leads_to_the_link() {
    let stage = Stage::new(Reuse::Strict).await;
    let broker = stage.broker();
    stage.connected("ada", 3000).await;
    let grant = stage.member_grant("ada").await;
    let first = broker.credential(&grant, None).await.expect("a credential");
    stage.provider.ledger().revoke_all("ada");
    let after = broker.credential(&grant, Some(&refused(&first, 401, None))).await;
    assert_eq!(reconnect(&after), Some("revoked"));
}

#[tokio::test]
async fn further_scopes_are_asked_for_three_times_an_hour() {
    let stage = Stage::new(Reuse::Strict).await;
    let broker = stage.broker();
    let connection = stage.connected("ada", 3500).await;
    let grant = stage.member_grant("ada").await;
    let credential = broker.credential(&grant, None).await.expect("a credential");
    for scope in ["write", "admin", "more"] {
        let challenge = format!(r#"Bearer error="insufficient_scope", scope="{scope}""#);
        let demand = refused(&credential, 403, Some(&challenge));
        let missing = broker.credential(&grant, Some(&demand)).await;
        assert!(matches!(missing, Err(NoCredential::ConnectRequired { missing_scopes: true, .. })));
    }
    let wanted = stage.present(&connection.id).await.step_up.wanted;
    assert_eq!(Vec::from_iter(wanted), ["admin", "more", "write"]);
    // What the next consent asks for anyway may be demanded as often as agents call.
    let known = refused(&credential, 403, Some(r#"Bearer error="insufficient_scope", scope="admin""#));
    let missing = broker.credential(&grant, Some(&known)).await;
    assert!(matches!(missing, Err(NoCredential::ConnectRequired { missing_scopes: true, .. })));
    let demand = refused(&credential, 403, Some(r#"Bearer error="insufficient_scope", scope="yet_more""#));
    assert_eq!(broker.credential(&grant, Some(&demand)).await.err(), Some(NoCredential::TooManyScopes));
    assert!(broker.credential(&grant, None).await.is_ok(), "other requests go on");
    assert_eq!(stage.provider.ledger().token_requests, 0);
}

#[tokio::test]
async fn disconnecting_discards_a_renewal_and_revokes_what_it_brings() {
    let stage = Stage::new(Reuse::Strict).await;
    let broker = stage.broker();
    let connection = stage.connected("ada", -60).await;
    stage.provider.script([Answer::Held]);
    let grant = stage.member_grant("ada").await;
    let caller = {
        let (broker, grant) = (Arc::clone(&broker), grant.clone());
        tokio::spawn(async move { broker.credential(&grant, None).await })
    };
    stage.provider.held.notified().await;
    assert!(broker.disconnect(&connection.id, Actor::Member).await.expect("ends"));
    stage.provider.release.notify_one();
    assert_eq!(reconnect(&caller.await.expect("no panic")), Some(""));
    broker.drain().await;
    let present = stage.present(&connection.id).await;
    assert_eq!((present.state, present.tokens), (ConnectionState::Disconnected, None));
    // Both pairs: the one that was there, and the one that came too late.
    assert_eq!(stage.provider.ledger().revoked.len(), 4);
    assert!(!broker.disconnect(&connection.id, Actor::Member).await.expect("there is nothing to end"));
    let audit = stage.store.audit(None, 1).await.expect("reads");
    assert_eq!((audit[0].action.as_str(), &audit[0].actor), ("connection.disconnect", &Actor::Member));
}

/// Commits fail until they are told not to.
#[derive(Default)]
struct FullDisk(AtomicBool);

impl Failpoints for FullDisk {
    fn commit_fails(&self) -> Option<StoreError> {
        let full = !self.0.load(Ordering::SeqCst);
        full.then(|| StoreError::Unavailable { problem: "the disk is full".to_owned() })
    }
}

#[tokio::test]
async fn renewed_tokens_that_cannot_be_committed_are_not_lost() {
    let stage = Stage::new(Reuse::Strict).await;
    let disk = Arc::new(FullDisk::default());
    let broker = stage.broker_with(disk.clone(), QUICK);
    let connection = stage.connected("ada", -60).await;
    let grant = stage.member_grant("ada").await;
    let held = broker.credential(&grant, None).await.expect("from memory");
    assert_eq!(stage.owner_of(&held).as_deref(), Some("ada"));
    assert_eq!(held.connection.as_ref().map(|(_, generation)| *generation), Some(2));
    assert_eq!(stage.present(&connection.id).await.generation, 1);
    let files: Vec<_> = std::fs::read_dir(stage.unsaved()).expect("reads").collect();
    assert_eq!(files.len(), 1);
    let content = std::fs::read(files[0].as_ref().expect("an entry").path()).expect("reads");
    assert!(!String::from_utf8_lossy(&content).contains(token_of(&held)), "it is sealed");
    broker.settle_unsaved().await;
    assert_eq!(token_of(&broker.credential(&grant, None).await.expect("still")), token_of(&held));

    disk.0.store(true, Ordering::SeqCst);
    broker.settle_unsaved().await;
    assert_eq!(stage.present(&connection.id).await.generation, 2);
    assert_eq!(std::fs::read_dir(stage.unsaved()).expect("reads").count(), 0);
    let stored = stage.broker().credential(&grant, None).await.expect("from the database");
    assert_eq!(token_of(&stored), token_of(&held));
    assert_eq!(stage.provider.ledger().token_requests, 1);
}

#[tokio::test]
async fn a_token_that_was_tampered_with_concerns_its_owner_only() {
    let stage = Stage::new(Reuse::Strict).await;
    let broker = stage.broker();
    stage.connected("ada", 3000).await;
    stage.connected("grace", 3000).await;
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(stage.home.directory.join("portcullis.db"));
    let mut database = sqlx::ConnectOptions::connect(&options).await.expect("opens");
    // Ada's row now holds what is Grace's.
    sqlx::query(
        "UPDATE connections SET access_token = (SELECT access_token FROM connections WHERE member_id = 'mem_grace')
         WHERE member_id = 'mem_ada'",
    )
    .execute(&mut database)
    .await
    .expect("writes");
    let ada = broker.credential(&stage.member_grant("ada").await, None).await;
    assert_eq!(reconnect(&ada), Some("unreadable"));
    let grace = broker.credential(&stage.member_grant("grace").await, None).await.expect("a credential");
    assert_eq!(stage.owner_of(&grace).as_deref(), Some("grace"));
}

#[tokio::test]
async fn the_gateway_registers_once_for_everybody() {
    let stage = Stage::new(Reuse::Strict).await;
    stage.add_server("srv_new", stage.oauth(None)).await;
    stage.add_member("ada").await;
    let (one, two) = (stage.broker(), stage.broker());
    let server = member_grant(&*stage.store, "srv_new", "ada").await.server;
    let ask = async |broker: &portcullis_token_service::broker::Broker| {
        broker.provider(&server, None).await.expect("a provider").client.client_id
    };
    let (first, second) = tokio::join!(ask(&one), ask(&one));
    assert_eq!((first.as_str(), second.as_str()), ("client-1", "client-1"));
    assert_eq!(ask(&two).await, "client-1");
    assert_eq!(stage.provider.ledger().registrations, 1);
    let kept = stage.store.registered_client(&server.id, &stage.provider.origin).await.expect("reads");
    let kept = kept.expect("is there");
    assert_eq!(
        (kept.kind, kept.redirect_uri.as_str()),
        (ClientKind::Dynamic, "http://127.0.0.1:10000/callback/srv_new")
    );
    let oauth = member_grant(&*stage.store, OAUTH, "ada").await.server;
    assert_eq!(one.provider(&oauth, None).await.expect("a provider").client.client_id, "gateway");
}
