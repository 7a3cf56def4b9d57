//! Links, browser sessions and flows: good once or for a while, then not any more.

use std::sync::Arc;
use std::time::Duration;

use portcullis_wire::digest::Digest;

use super::Database;
use super::fixtures::*;
use crate::clock::Timestamp;
use crate::domain::connecting::{BrowserSession, Flow, Ticket};
use crate::domain::server::Sealed;
use crate::store::browsers::{LIVE_TICKETS, TICKETS_COUNTED_FOR, UPSTREAM_SESSION_AGE};
use crate::store::connections::UpstreamSession;
use crate::store::{Actor, StoreError};

/// How many reach for the same thing at once.
const AT_ONCE: usize = 50;

fn digest(name: &str) -> Digest {
    Digest::of("test", &[name.as_bytes()])
}

/// No ticket is good for so long, so that a new one is made.
pub(super) const NEVER: Timestamp = Timestamp(u64::MAX);

/// Good from 100 to 700.
pub(super) fn ticket(small: &Small, name: &str) -> Ticket {
    Ticket {
        digest: digest(name),
        member: small.member.id.clone(),
        server: small.server.id.clone(),
        client_name: Some("An agent".into()),
        sealed: Some(Sealed::new(vec![3, 0, 3])),
        created_at: Timestamp(100),
        expires_at: Timestamp(700),
    }
}

pub(super) fn session(name: &str) -> BrowserSession {
    BrowserSession {
        digest: digest(name),
        identity: identity(1),
        name: "Ada".into(),
        csrf: digest("csrf"),
        created_at: Timestamp(100),
        last_seen_at: Timestamp(100),
        expires_at: Timestamp(700),
    }
}

pub(super) fn flow(small: &Small, name: &str) -> Flow {
    Flow {
        state: digest(name),
        cookie: digest("cookie"),
        session: digest("session"),
        member: small.member.id.clone(),
        server: small.server.id.clone(),
        binding: binding(),
        sealed: Sealed::new(vec![0, 255]),
        expires_at: Timestamp(700),
    }
}

pub(in crate::store) async fn a_live_ticket_is_found_again(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    let small = small(store.as_ref()).await;
    let one = ticket(&small, "one");
    let find = async |client: Option<&str>, good_until: u64| {
        let found = other.live_ticket(&one.member, &one.server, client, Timestamp(good_until)).await;
        found.expect("reads")
    };
    assert_eq!(find(Some("An agent"), 0).await, None);
    assert_eq!(store.create_ticket(&one, Timestamp(400)).await.expect("keeps"), None);
    assert_eq!(find(Some("An agent"), 699).await, Some(one.clone()));
    assert_eq!(find(Some("An agent"), 700).await, None, "it is over by then");
    assert_eq!((find(Some("Another"), 0).await, find(None, 0).await), (None, None));
    // Of several replicas that would make one at once, the first does.
    let two = ticket(&small, "two");
    assert_eq!(other.create_ticket(&two, Timestamp(400)).await.expect("answers"), Some(one.clone()));
    assert_eq!(other.ticket(&two.digest, Timestamp(200)).await.expect("reads"), None);
    let unnamed = Ticket { client_name: None, sealed: None, ..ticket(&small, "unnamed") };
    assert_eq!(store.create_ticket(&unnamed, Timestamp(400)).await.expect("keeps"), None);
    assert_eq!(find(None, 0).await, None, "nobody can spell it");
    assert_eq!(store.take_ticket(&one.digest, Timestamp(200)).await.expect("takes"), Some(one.clone()));
    assert_eq!(find(Some("An agent"), 0).await, None, "it is used");
    assert_eq!(store.create_ticket(&two, Timestamp(400)).await.expect("keeps"), None);
}

pub(in crate::store) async fn tickets_are_used_once(database: &dyn Database) {
    let handles = [database.open().await, database.open().await];
    let store = &handles[0];
    let small = small(store.as_ref()).await;
    let before = revision(store.as_ref()).await;
    let one = ticket(&small, "one");
    store.create_ticket(&one, NEVER).await.expect("keeps");
    let twice = store.create_ticket(&one, NEVER).await;
    assert!(matches!(twice, Err(StoreError::Taken { what: "ticket", .. })));
    let nobody = Ticket { member: "nobody".into(), ..ticket(&small, "nobody") };
    assert!(matches!(store.create_ticket(&nobody, NEVER).await, Err(StoreError::Missing { .. })));

    // Looking at it, as link previews do, does not use it up.
    for _ in 0..2 {
        let seen = handles[1].ticket(&one.digest, Timestamp(699)).await.expect("reads");
        assert_eq!(seen.as_ref(), Some(&one));
    }
    for over in [700, 701, u64::MAX] {
        assert_eq!(store.ticket(&one.digest, Timestamp(over)).await.expect("reads"), None, "{over}");
        assert_eq!(store.take_ticket(&one.digest, Timestamp(over)).await.expect("reads"), None, "{over}");
    }
    let mut tasks = Vec::new();
    for task in 0..AT_ONCE {
        let (store, digest) = (Arc::clone(&handles[task % 2]), one.digest);
        tasks.push(tokio::spawn(async move { store.take_ticket(&digest, Timestamp(699)).await }));
    }
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await.expect("no panic").expect("asks"));
    }
    assert_eq!(taken, std::slice::from_ref(&one));
    assert_eq!(store.ticket(&one.digest, Timestamp(200)).await.expect("reads"), None);

    let unnamed = Ticket { client_name: None, ..ticket(&small, "unnamed") };
    store.create_ticket(&unnamed, NEVER).await.expect("keeps");
    assert_eq!(store.ticket(&unnamed.digest, Timestamp(0)).await.expect("reads"), Some(unnamed));
    assert_eq!(revision(store.as_ref()).await, before);
}

pub(in crate::store) async fn a_burnt_ticket_is_audited(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let one = ticket(&small, "one");
    store.create_ticket(&one, NEVER).await.expect("keeps");
    let before = revision(store.as_ref()).await;
    let witness = store.on_behalf_of(Actor::Member, Timestamp(3));
    assert!(!witness.burn_ticket(&one.digest, Timestamp(700)).await.expect("asks"), "it is over");
    assert_eq!(revision(store.as_ref()).await, before);
    assert!(witness.burn_ticket(&one.digest, Timestamp(200)).await.expect("burns"));
    assert!(!witness.burn_ticket(&one.digest, Timestamp(200)).await.expect("asks"), "it is used");
    assert_eq!(store.take_ticket(&one.digest, Timestamp(200)).await.expect("asks"), None);
    let entry = ("connect.wrong_person".to_owned(), small.member.id.to_string());
    assert_eq!(audited(store.as_ref(), 1).await, [entry]);
    assert_eq!(changes(store.as_ref(), before).await.invalidations, [], "filters do not hold it");
}

pub(in crate::store) async fn a_flow_in_a_wrong_browser_is_audited(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let before = revision(store.as_ref()).await;
    let witness = store.on_behalf_of(Actor::Member, Timestamp(3));
    witness.note_wrong_browser(&small.member.id).await.expect("notes");
    let entry = ("connect.wrong_browser".to_owned(), small.member.id.to_string());
    assert_eq!(audited(store.as_ref(), 1).await, [entry]);
    assert_eq!(changes(store.as_ref(), before).await.invalidations, [], "filters do not hold it");
}

pub(in crate::store) async fn newer_tickets_end_older_ones(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let other = store.create_member(&new_member(2, &small.workspace)).await.expect("makes");
    let elsewhere = store.create_server(&new_server(2)).await.expect("makes");
    let others = [
        Ticket { member: other.id, ..ticket(&small, "other member") },
        Ticket { server: elsewhere.id, ..ticket(&small, "other server") },
    ];
    for ticket in &others {
        store.create_ticket(ticket, NEVER).await.expect("keeps");
    }
    // Made in the same millisecond, as far as the clock can tell.
    let all: Vec<Ticket> =
        (0..LIVE_TICKETS + 2).map(|number| ticket(&small, &format!("ticket {number}"))).collect();
    for ticket in &all {
        store.create_ticket(ticket, NEVER).await.expect("keeps");
    }
    for (position, ticket) in all.iter().enumerate() {
        let found = store.ticket(&ticket.digest, Timestamp(200)).await.expect("reads");
        assert_eq!(found.as_ref(), (position >= 2).then_some(ticket), "{position}");
    }
    assert_eq!(store.take_ticket(&all[0].digest, Timestamp(200)).await.expect("asks"), None);
    // A used one makes room.
    store.take_ticket(&all[4].digest, Timestamp(200)).await.expect("asks").expect("is good");
    let newest = Ticket { created_at: Timestamp(101), ..ticket(&small, "newest") };
    store.create_ticket(&newest, NEVER).await.expect("keeps");
    for ticket in [&all[2], &all[3], &newest, &others[0], &others[1]] {
        let found = store.ticket(&ticket.digest, Timestamp(200)).await.expect("reads");
        assert_eq!(found.as_ref(), Some(ticket));
    }
}

pub(in crate::store) async fn tickets_are_counted(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let (member, server) = (&small.member.id, &small.server.id);
    let since = async |at| store.tickets_since(member, server, Timestamp(at)).await.expect("counts");
    assert_eq!(since(0).await, 0);
    for number in 1..=6_u64 {
        let made = Ticket {
            created_at: Timestamp(number * 100),
            expires_at: Timestamp(number * 100 + 600),
            ..ticket(&small, &format!("ticket {number}"))
        };
        store.create_ticket(&made, NEVER).await.expect("keeps");
    }
    store.take_ticket(&digest("ticket 6"), Timestamp(650)).await.expect("asks").expect("is good");
    // Used ones and those that newer ones ended count too.
    assert_eq!((since(0).await, since(99).await, since(100).await, since(599).await), (6, 6, 5, 1));
    assert_eq!(store.tickets_since(&"nobody".into(), server, Timestamp(0)).await.expect("counts"), 0);
    // They are counted for an hour after their end.
    let end = Timestamp(700).plus(TICKETS_COUNTED_FOR);
    store.sweep_browsers(Timestamp(end.0 - 1)).await.expect("sweeps");
    assert_eq!(since(0).await, 6);
    store.sweep_browsers(end).await.expect("sweeps");
    assert_eq!(since(0).await, 5);
}

pub(in crate::store) async fn sessions_end_and_are_prolonged(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    let before = revision(store.as_ref()).await;
    let made = session("one");
    store.create_session(&made).await.expect("keeps");
    let twice = store.create_session(&made).await;
    assert!(matches!(twice, Err(StoreError::Taken { what: "session", .. })));
    let read = async |at| other.session(&made.digest, Timestamp(at)).await.expect("reads");
    assert_eq!(read(699).await.as_ref(), Some(&made));
    assert_eq!(read(700).await, None);

    let touch = async |seen, end| {
        store.touch_session(&made.digest, Timestamp(seen), Timestamp(end)).await.expect("notes");
    };
    touch(300, 900).await;
    let touched = BrowserSession { last_seen_at: Timestamp(300), expires_at: Timestamp(900), ..made.clone() };
    assert_eq!(read(899).await.as_ref(), Some(&touched));
    // What was seen before arrives after; what is over stays over.
    touch(200, 800).await;
    touch(900, 2_000).await;
    assert_eq!(read(899).await.as_ref(), Some(&touched));
    assert_eq!(read(900).await, None);
    store.touch_session(&digest("none"), Timestamp(1), Timestamp(9)).await.expect("notes nothing");

    store.create_session(&session("two")).await.expect("keeps");
    store.delete_session(&made.digest).await.expect("deletes");
    store.delete_session(&made.digest).await.expect("deletes nothing");
    assert_eq!(read(0).await, None);
    let left = store.session(&digest("two"), Timestamp(0)).await.expect("reads");
    assert_eq!(left, Some(session("two")));
    assert_eq!(revision(store.as_ref()).await, before);
}

pub(in crate::store) async fn flows_are_used_once(database: &dyn Database) {
    let handles = [database.open().await, database.open().await];
    let store = &handles[0];
    let small = small(store.as_ref()).await;
    let before = revision(store.as_ref()).await;
    let one = flow(&small, "one");
    store.create_flow(&one).await.expect("keeps");
    let twice = store.create_flow(&one).await;
    assert!(matches!(twice, Err(StoreError::Taken { what: "flow", .. })));
    let nobody = Flow { member: "nobody".into(), ..flow(&small, "nobody") };
    assert!(matches!(store.create_flow(&nobody).await, Err(StoreError::Missing { .. })));
    assert_eq!(store.take_flow(&digest("none"), Timestamp(0)).await.expect("asks"), None);
    assert_eq!(store.take_flow(&one.state, Timestamp(700)).await.expect("asks"), None, "it is over");

    let mut tasks = Vec::new();
    for task in 0..AT_ONCE {
        let (store, state) = (Arc::clone(&handles[task % 2]), one.state);
        tasks.push(tokio::spawn(async move { store.take_flow(&state, Timestamp(699)).await }));
    }
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await.expect("no panic").expect("asks"));
    }
    assert_eq!(taken, [one]);
    assert_eq!(revision(store.as_ref()).await, before);
}

pub(in crate::store) async fn what_is_over_is_swept(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let before = revision(store.as_ref()).await;
    let upstream = UpstreamSession {
        member: small.member.id.clone(),
        server: small.server.id.clone(),
        session_id: None,
        protocol_version: "2025-11-25".into(),
        created_at: Timestamp(700),
    };
    store.create_ticket(&ticket(&small, "ticket"), NEVER).await.expect("keeps");
    store.create_session(&session("session")).await.expect("keeps");
    store.create_flow(&flow(&small, "flow")).await.expect("keeps");
    store.save_upstream_session(&digest("upstream"), &upstream).await.expect("keeps");
    // Looked at as of a time when none was over, so that only the sweep takes them.
    let left = async || {
        let (member, server, start) = (&small.member.id, &small.server.id, Timestamp(0));
        [
            store.tickets_since(member, server, start).await.expect("counts") > 0,
            store.session(&digest("session"), start).await.expect("reads").is_some(),
            store.upstream_session(&digest("upstream")).await.expect("reads").is_some(),
        ]
    };
    let sweep = async |at: Timestamp| store.sweep_browsers(at).await.expect("sweeps");
    sweep(Timestamp(699)).await;
    assert_eq!(left().await, [true, true, true]);
    sweep(Timestamp(700)).await;
    assert_eq!(left().await, [true, false, true]);
    assert_eq!(store.take_flow(&digest("flow"), Timestamp(0)).await.expect("asks"), None);
    sweep(Timestamp(700).plus(TICKETS_COUNTED_FOR)).await;
    assert_eq!(left().await, [false, false, true]);
    let end = Timestamp(700).plus(UPSTREAM_SESSION_AGE);
    sweep(Timestamp(end.0 - 1)).await;
    assert_eq!(left().await, [false, false, true]);
    sweep(end).await;
    assert_eq!(left().await, [false; 3]);
    sweep(Timestamp(0).plus(Duration::MAX)).await;
    assert_eq!(revision(store.as_ref()).await, before);
}

pub(in crate::store) async fn browser_objects_go_with_their_server_and_member(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let other = store.create_server(&new_server(2)).await.expect("makes").id;
    let now = Timestamp(200);
    for (server, name) in [(&small.server.id, "one"), (&other, "two")] {
        let ticket = Ticket { server: server.clone(), ..ticket(&small, name) };
        store.create_ticket(&ticket, NEVER).await.expect("keeps");
        let flow = Flow { server: server.clone(), ..flow(&small, name) };
        store.create_flow(&flow).await.expect("keeps");
    }
    store.delete_server(&small.server.id).await.expect("deletes").expect("was there");
    assert_eq!(store.ticket(&digest("one"), now).await.expect("reads"), None);
    assert_eq!(store.take_flow(&digest("one"), now).await.expect("asks"), None);
    assert!(store.ticket(&digest("two"), now).await.expect("reads").is_some());
    store.delete_member(&small.member.id).await.expect("deletes").expect("was there");
    assert_eq!(store.ticket(&digest("two"), now).await.expect("reads"), None);
    assert_eq!(store.take_flow(&digest("two"), now).await.expect("asks"), None);
}
