//! What becomes of upstream credentials when a server's URL moves to another origin.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portcullis_wire::digest::Digest;
use portcullis_wire::watch::Invalidation;

use super::Database;
use super::fixtures::*;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::connection::{Binding, Connection, ConnectionState, ReauthReason};
use crate::domain::provisioning::Admission;
use crate::domain::server::{Server, ServerSettings};
use crate::domain::url::{PlainHttp, ServerUrl};
use crate::store::connections::{
    Catalogue, NewConnection, RefreshFailure, RefreshStart, Renewed, UpstreamSession,
};
use crate::store::{Declaration, DeclaredServer, DeclaredWorkspaces, Store, StoreError};

const ELSEWHERE: &str = "https://other.example";

fn settings_at(server: &Server, url: &str) -> ServerSettings {
    let url = ServerUrl::parse(url, PlainHttp::Refused).expect("a URL");
    ServerSettings { url, ..server.settings.clone() }
}

async fn move_to(store: &dyn Store, server: &Server, url: &str) -> Server {
    let settings = settings_at(server, url);
    store.change_server(&server.id, &settings, None).await.expect("changes").expect("is there")
}

fn binding_elsewhere() -> Binding {
    Binding { origin: ELSEWHERE.into(), ..binding() }
}

async fn read(store: &dyn Store, connection: &Connection) -> Connection {
    store.connection(&connection.id).await.expect("reads").expect("is there")
}

pub(in crate::store) async fn another_origin_quarantines(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let untouched = store.create_server(&new_server(2)).await.expect("makes");
    let active = connected(store.as_ref(), &small).await;
    let mut others = Vec::new();
    for number in [2, 3] {
        let member = store.create_member(&new_member(number, &small.workspace)).await.expect("makes");
        let new = new_connection(&small.server, of_member(&member), 1);
        others.push(store.connect(&new).await.expect("connects"));
    }
    let elsewhere = new_connection(&untouched, of_member(&small.member), 1);
    let elsewhere = store.connect(&elsewhere).await.expect("connects");
    let refused = store.need_reauth(&others[0].id, 1, ReauthReason::Revoked).await.expect("notes");
    let refused = refused.expect("is there");
    store.disconnect(&others[1].id).await.expect("disconnects");
    let ended = read(store.as_ref(), &others[1]).await;
    remember(store.as_ref(), &small).await;

    // Another path of the same origin is where the tokens may go.
    move_to(store.as_ref(), &small.server, "https://mcp.example/other").await;
    assert_eq!(read(store.as_ref(), &active).await, active);
    assert_eq!(what_is_remembered(store.as_ref(), &small).await, [true, true, true]);

    let before = revision(store.as_ref()).await;
    let moved = move_to(store.as_ref(), &small.server, "https://other.example/mcp").await;
    for connection in [&active, &refused] {
        let state = ConnectionState::Quarantined;
        let expected = Connection { state, revision: moved.revision, ..connection.clone() };
        assert_eq!(read(store.as_ref(), connection).await, expected, "its tokens stay as they are");
    }
    assert_eq!(read(store.as_ref(), &ended).await, ended);
    assert_eq!(read(store.as_ref(), &elsewhere).await, elsewhere);
    assert_eq!(what_is_remembered(store.as_ref(), &small).await, [true, false, false]);
    let start = store.begin_refresh(&active.id, 1, "late", Duration::ZERO).await.expect("asks");
    assert!(matches!(start, RefreshStart::Moved(_)), "{start:?}");
    assert_eq!(store.need_reauth(&active.id, 1, ReauthReason::Expired).await.expect("asks"), None);

    let mut ids = [active.id.to_string(), refused.id.to_string()];
    ids.sort_unstable();
    let quarantined = |id: &String| ("connection.quarantine".to_owned(), id.clone());
    let expected = [
        ("server.change".to_owned(), small.server.id.to_string()),
        quarantined(&ids[0]),
        quarantined(&ids[1]),
    ];
    assert_eq!(audited(store.as_ref(), 3).await, expected);
    let mut told = vec![Invalidation::Server(small.server.id.to_string())];
    told.extend(ids.map(Invalidation::Connection));
    assert_eq!(changes(store.as_ref(), before).await, change_set(moved.revision, true, &told));

    // Moving back is an administrator's change too, and decides nothing about them.
    move_to(store.as_ref(), &small.server, "https://mcp.example/mcp").await;
    assert_eq!(read(store.as_ref(), &active).await.state, ConnectionState::Quarantined);
}

/// Leaves a registered client, a catalogue and a session behind.
async fn remember(store: &dyn Store, small: &Small) {
    assert!(store.save_registered_client(&client(&small.server, 1)).await.expect("saves"));
    let results = BTreeMap::from([("tools/list".into(), "{}".into())]);
    let catalogue = Catalogue { learnt_at: Timestamp(1), results, ..Catalogue::default() };
    store.save_catalogue(&small.server.id, &catalogue).await.expect("saves");
    let session = UpstreamSession {
        member: small.member.id.clone(),
        server: small.server.id.clone(),
        session_id: None,
        protocol_version: "2025-11-25".into(),
        created_at: Timestamp(1),
    };
    store.save_upstream_session(&Digest::of("test", &[]), &session).await.expect("saves");
}

async fn what_is_remembered(store: &dyn Store, small: &Small) -> [bool; 3] {
    let server = &small.server.id;
    [
        store.registered_client(server, UPSTREAM_ISSUER).await.expect("reads").is_some(),
        store.catalogue(server).await.expect("reads").is_some(),
        store.upstream_session(&Digest::of("test", &[])).await.expect("reads").is_some(),
    ]
}

pub(in crate::store) async fn moving_by_declaration_quarantines(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let made = connected(store.as_ref(), &small).await;
    remember(store.as_ref(), &small).await;
    let declare = async |url: &str| {
        let server = DeclaredServer {
            id: small.server.id.clone(),
            slug: small.server.slug.clone(),
            settings: settings_at(&small.server, url),
            workspaces: DeclaredWorkspaces::Only(BTreeSet::from([small.workspace.id.clone()])),
            admission: Admission::default(),
        };
        let declaration = Declaration { servers: vec![server], ..Declaration::default() };
        store.declare(&declaration, revision(store.as_ref()).await).await.expect("declares")
    };
    declare("https://mcp.example/other").await;
    assert_eq!(read(store.as_ref(), &made).await, made);
    let moved = declare("https://other.example/mcp").await;
    let quarantined = read(store.as_ref(), &made).await;
    assert_eq!((quarantined.state, quarantined.revision), (ConnectionState::Quarantined, moved));
    assert_eq!(what_is_remembered(store.as_ref(), &small).await, [true, false, false]);
}

pub(in crate::store) async fn quarantined_connections_are_released_or_connected_anew(
    database: &dyn Database,
) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let made = connected(store.as_ref(), &small).await;
    let to = binding_elsewhere();
    let not_needed = store.release(&made.id, 2, &binding(), &tokens(2)).await.expect("asks");
    assert_eq!(not_needed, None, "it is in use");
    let moved = move_to(store.as_ref(), &small.server, "https://other.example/mcp").await;
    for generation in [0, 1, 3, u64::MAX] {
        let wrong = store.release(&made.id, generation, &to, &tokens(generation)).await.expect("asks");
        assert_eq!(wrong, None, "{generation}");
    }
    let no_longer = store.release(&made.id, 2, &binding(), &tokens(2)).await;
    assert!(matches!(no_longer, Err(StoreError::Stale)), "sealed for the old origin");
    let before = revision(store.as_ref()).await;
    let released = store.release(&made.id, 2, &to, &tokens(2)).await.expect("releases").expect("quarantined");
    let expected = Connection {
        binding: to.clone(),
        generation: 2,
        tokens: Some(tokens(2)),
        revision: Revision(before.0 + 1),
        ..made.clone()
    };
    assert_eq!(released, expected);
    assert_eq!(audited(store.as_ref(), 1).await, [("connection.release".to_owned(), made.id.to_string())]);
    let told = [Invalidation::Connection(made.id.to_string())];
    assert_eq!(changes(store.as_ref(), before).await, change_set(released.revision, false, &told));
    assert_eq!(store.release(&made.id, 3, &to, &tokens(3)).await.expect("asks"), None);

    // A member may also consent anew, or end it.
    move_to(store.as_ref(), &moved, "https://mcp.example/mcp").await;
    let anew = store.connect(&new_connection(&small.server, of_member(&small.member), 3)).await;
    assert_eq!(anew.expect("connects").state, ConnectionState::Active);
    move_to(store.as_ref(), &moved, "https://other.example/mcp").await;
    let ended = store.disconnect(&made.id).await.expect("disconnects").expect("was there");
    assert_eq!((ended.state, ended.tokens), (ConnectionState::Quarantined, Some(tokens(3))));
}

/// The provider rotates the refresh token while the server moves: the new one must not be lost.
pub(in crate::store) async fn a_renewal_under_way_survives_quarantine(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let made = connected(store.as_ref(), &small).await;
    let hour = Duration::from_hours(1);
    store.begin_refresh(&made.id, 1, "one", hour).await.expect("begins");
    assert!(store.mark_sent(&made.id, "one").await.expect("notes"));
    let moved = move_to(store.as_ref(), &small.server, "https://other.example/mcp").await;
    assert!(!store.mark_sent(&made.id, "one").await.expect("asks"), "nothing more is sent");
    let early = store.release(&made.id, 2, &binding_elsewhere(), &tokens(2)).await;
    assert!(matches!(early, Err(StoreError::Stale)), "other tokens may be on their way");

    let renewed = Renewed { generation: 2, tokens: tokens(2), scopes: None, now: Timestamp(9) };
    let kept = store.finish_refresh(&made.id, "one", &renewed).await.expect("stores").expect("its own");
    assert_eq!((kept.state, kept.tokens), (ConnectionState::Quarantined, Some(tokens(2))));
    assert_eq!(kept.binding, binding(), "they are for where they were asked for");
    let released = store.release(&made.id, 3, &binding_elsewhere(), &tokens(3)).await.expect("releases");
    assert_eq!(released.map(|released| released.state), Some(ConnectionState::Active));

    // One that never comes back is waited for no longer than its lease, and not forgotten.
    store.begin_refresh(&made.id, 3, "two", hour).await.expect("begins");
    assert!(store.mark_sent(&made.id, "two").await.expect("notes"));
    move_to(store.as_ref(), &moved, "https://mcp.example/mcp").await;
    database.end_leases().await;
    let released = store.release(&made.id, 4, &binding(), &tokens(4)).await.expect("releases");
    assert_eq!(released.map(|released| released.state), Some(ConnectionState::Active));
    let late = Renewed { generation: 5, tokens: tokens(5), ..renewed };
    assert_eq!(store.finish_refresh(&made.id, "two", &late).await.expect("asks"), None);
    match store.begin_refresh(&made.id, 4, "three", hour).await.expect("asks") {
        RefreshStart::Begun { previous: Some(previous), .. } => assert_eq!(previous.id, "two"),
        other => panic!("{other:?}"),
    }

    // A refusal does not lift the quarantine.
    let moved = move_to(store.as_ref(), &moved, "https://other.example/mcp").await;
    let refusal = RefreshFailure::Refused(ReauthReason::Revoked);
    let refused = store.fail_refresh(&made.id, "three", &refusal).await.expect("notes").expect("its own");
    assert_eq!((refused.state, refused.attempt), (ConnectionState::Quarantined, None));
    let audit = audited(store.as_ref(), 1).await;
    assert_eq!(audit, [("connection.quarantine".to_owned(), made.id.to_string())], "nothing to record");
    assert_eq!(store.server(&moved.id).await.expect("reads"), Some(moved));
}

pub(in crate::store) async fn tokens_for_another_origin_are_not_kept(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    // The member consents while an administrator moves the server.
    move_to(store.as_ref(), &small.server, "https://other.example/mcp").await;
    let before = revision(store.as_ref()).await;
    let late = new_connection(&small.server, of_member(&small.member), 1);
    assert!(matches!(store.connect(&late).await, Err(StoreError::Stale)));
    assert_eq!(revision(store.as_ref()).await, before);
    let right = NewConnection { binding: binding_elsewhere(), ..late };
    store.connect(&right).await.expect("connects");
}
