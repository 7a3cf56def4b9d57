//! What is known of upstreams: registered clients, issuers, catalogues, sessions. None of it takes a revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_wire::digest::Digest;

use super::Database;
use super::fixtures::*;
use crate::clock::Timestamp;
use crate::domain::connection::ConnectionOwner;
use crate::domain::server::Sealed;
use crate::store::StoreError;
use crate::store::connections::{Catalogue, ClientKind, NewConnection, RegisteredClient, UpstreamSession};

pub(in crate::store) async fn registered_clients_are_compared_and_set(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    let server = store.create_server(&new_server(1)).await.expect("makes");
    let before = revision(store.as_ref()).await;
    let one = client(&server, 1);
    for too_high in [2, 7] {
        assert!(!store.save_registered_client(&client(&server, too_high)).await.expect("asks"), "{too_high}");
    }
    assert!(store.save_registered_client(&one).await.expect("saves"));
    let found = other.registered_client(&server.id, UPSTREAM_ISSUER).await.expect("reads");
    assert_eq!(found, Some(one.clone()));

    let two = RegisteredClient {
        kind: ClientKind::MetadataDocument,
        authentication: "none".into(),
        secret: None,
        secret_expires_at: None,
        redirect_uri: "https://gateway.example/other".into(),
        ..client(&server, 2)
    };
    assert!(other.save_registered_client(&two).await.expect("saves"));
    for stale in [1, 2, 4] {
        assert!(!store.save_registered_client(&client(&server, stale)).await.expect("asks"), "{stale}");
    }
    let found = store.registered_client(&server.id, UPSTREAM_ISSUER).await.expect("reads");
    assert_eq!(found, Some(two));

    // Another issuer's client is another client.
    let elsewhere = RegisteredClient {
        issuer: "https://other.example".into(),
        kind: ClientKind::PreRegistered,
        ..client(&server, 1)
    };
    assert!(store.save_registered_client(&elsewhere).await.expect("saves"));
    store.delete_registered_client(&server.id, UPSTREAM_ISSUER).await.expect("deletes");
    store.delete_registered_client(&server.id, UPSTREAM_ISSUER).await.expect("deletes nothing");
    assert_eq!(store.registered_client(&server.id, UPSTREAM_ISSUER).await.expect("reads"), None);
    let found = store.registered_client(&server.id, &elsewhere.issuer).await.expect("reads");
    assert_eq!(found, Some(elsewhere.clone()));
    assert_eq!(revision(store.as_ref()).await, before);

    let nowhere = RegisteredClient { server: "nowhere".into(), ..one };
    let refused = store.save_registered_client(&nowhere).await;
    assert!(matches!(refused, Err(StoreError::Missing { what: "server" })));
    store.delete_server(&server.id).await.expect("deletes");
    assert_eq!(store.registered_client(&server.id, &elsewhere.issuer).await.expect("reads"), None);
}

pub(in crate::store) async fn of_many_registrations_one_is_kept(database: &dyn Database) {
    let handles = [database.open().await, database.open().await];
    let server = handles[0].create_server(&new_server(1)).await.expect("makes");
    for generation in [1, 2] {
        let mut tasks = Vec::new();
        for task in 0..10_usize {
            let store = Arc::clone(&handles[task % 2]);
            let mine =
                RegisteredClient { client_id: format!("client-{task}"), ..client(&server, generation) };
            tasks.push(tokio::spawn(async move {
                store.save_registered_client(&mine).await.expect("asks").then_some(mine)
            }));
        }
        let mut kept = Vec::new();
        for task in tasks {
            kept.extend(task.await.expect("no panic"));
        }
        let found = handles[0].registered_client(&server.id, UPSTREAM_ISSUER).await.expect("reads");
        assert_eq!(kept, Vec::from_iter(found), "{generation}");
    }
}

pub(in crate::store) async fn the_last_issuer_is_the_newest_for_this_origin(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let id = &small.server.id;
    let last = async || store.last_issuer(id).await.expect("reads");
    assert_eq!(last().await, None);
    assert_eq!(store.last_issuer(&"nowhere".into()).await.expect("reads"), None);
    let client = RegisteredClient {
        kind: ClientKind::PreRegistered,
        created_at: Timestamp(100),
        ..client(&small.server, 1)
    };
    assert!(store.save_registered_client(&client).await.expect("saves"));
    assert_eq!(last().await.as_deref(), Some(UPSTREAM_ISSUER));
    let mut newer =
        NewConnection { now: Timestamp(200), ..new_connection(&small.server, of_member(&small.member), 1) };
    newer.binding.issuer = "https://newer.example".into();
    let connection = store.connect(&newer).await.expect("connects");
    assert_eq!(last().await.as_deref(), Some("https://newer.example"));
    let newest = RegisteredClient {
        issuer: "https://newest.example".into(),
        created_at: Timestamp(300),
        ..client.clone()
    };
    assert!(store.save_registered_client(&newest).await.expect("saves"));
    assert_eq!(last().await.as_deref(), Some("https://newest.example"));
    // What was disconnected was made all the same.
    store.delete_registered_client(id, &newest.issuer).await.expect("deletes");
    store.disconnect(&connection.id).await.expect("disconnects");
    assert_eq!(last().await.as_deref(), Some("https://newer.example"));

    // At another origin, nothing was made yet.
    let settings = oauth_settings("https://other.example/mcp");
    store.change_server(id, &settings, None).await.expect("changes");
    assert_eq!(last().await, None);
    let mut elsewhere =
        NewConnection { now: Timestamp(1), ..new_connection(&small.server, ConnectionOwner::Shared, 1) };
    elsewhere.binding.origin = "https://other.example".into();
    store.connect(&elsewhere).await.expect("connects");
    assert_eq!(last().await.as_deref(), Some(UPSTREAM_ISSUER));
}

pub(in crate::store) async fn catalogues_are_replaced_by_newer_ones(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    let server = store.create_server(&new_server(1)).await.expect("makes").id;
    let before = revision(store.as_ref()).await;
    assert_eq!(store.catalogue(&server).await.expect("reads"), None);
    let learnt = |at, method: &str| Catalogue {
        learnt_at: Timestamp(at),
        results: BTreeMap::from([(method.to_owned(), r#"{"tools":["\u00e9 \"quoted\""]}"#.to_owned())]),
        cut: [method.to_owned()].into(),
    };
    for (saved, kept) in [
        (Catalogue::default(), Catalogue::default()),
        (learnt(5, "initialize"), learnt(5, "initialize")),
        (learnt(6, "tools/list"), learnt(6, "tools/list")),
        (learnt(5, "late"), learnt(6, "tools/list")),
        (learnt(6, "server/discover"), learnt(6, "server/discover")),
    ] {
        store.save_catalogue(&server, &saved).await.expect("saves");
        assert_eq!(other.catalogue(&server).await.expect("reads"), Some(kept), "{saved:?}");
    }
    assert_eq!(revision(store.as_ref()).await, before);
    let refused = store.save_catalogue(&"nowhere".into(), &Catalogue::default()).await;
    assert!(matches!(refused, Err(StoreError::Missing { what: "server" })));
    store.delete_server(&server).await.expect("deletes");
    assert_eq!(store.catalogue(&server).await.expect("reads"), None);
}

pub(in crate::store) async fn the_first_upstream_session_wins(database: &dyn Database) {
    let handles = [database.open().await, database.open().await];
    let store = &handles[0];
    let small = small(store.as_ref()).await;
    let made = connected(store.as_ref(), &small).await;
    let before = revision(store.as_ref()).await;
    let digest = Digest::of("test", &[b"session"]);
    let opened = |number: u8| UpstreamSession {
        member: small.member.id.clone(),
        server: small.server.id.clone(),
        session_id: (number > 0).then(|| Sealed::new(vec![number])),
        protocol_version: "2025-11-25".into(),
        created_at: Timestamp(number.into()),
    };
    assert_eq!(store.upstream_session(&digest).await.expect("reads"), None);
    let mut tasks = Vec::new();
    for number in 0..10_u8 {
        let (store, mine) = (Arc::clone(&handles[usize::from(number) % 2]), opened(number));
        tasks.push(tokio::spawn(async move { store.save_upstream_session(&digest, &mine).await }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("no panic").expect("saves"));
    }
    let kept = store.upstream_session(&digest).await.expect("reads").expect("is kept");
    assert!((0..10).map(opened).any(|one| one == kept), "as it was given");
    assert!(answers.iter().all(|answer| *answer == kept), "all use the same");
    let without = Digest::of("test", &[b"without"]);
    assert_eq!(store.save_upstream_session(&without, &opened(0)).await.expect("saves"), opened(0));
    assert_eq!(store.upstream_session(&without).await.expect("reads"), Some(opened(0)));
    assert_eq!(revision(store.as_ref()).await, before);
    let nobody = UpstreamSession { member: "nobody".into(), ..opened(1) };
    let refused = store.save_upstream_session(&Digest::of("test", &[b"nobody"]), &nobody).await;
    assert!(matches!(refused, Err(StoreError::Missing { .. })));

    // A session that was opened with a credential goes with it.
    store.disconnect(&made.id).await.expect("disconnects");
    assert_eq!(store.upstream_session(&digest).await.expect("reads"), None);
    assert_eq!(store.upstream_session(&without).await.expect("reads"), None);
}
