//! The authorization server's keys, clients, codes, sessions and refresh tokens.

use std::sync::Arc;
use std::time::Duration;

use portcullis_wire::digest::Digest;
use portcullis_wire::lease::{CallerProof, LeaseRequest};
use portcullis_wire::watch::{Algorithm, Invalidation};

use super::Database;
use super::fixtures::*;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::client_session::{Authorization, ClientName, ClientSession, Extent, IDLE, Successor};
use crate::domain::ids::ClientSessionId;
use crate::domain::oauth_client::DynamicClient;
use crate::domain::resolve::CallerFacts;
use crate::domain::resource::ResourcePath;
use crate::domain::server::Sealed;
use crate::domain::signing::SigningKeyRow;
use crate::store::authorization::{
    AUTHORIZATION_AGE, REFRESH_GRACE, REGISTRATIONS_PER_HOUR, Refreshed, SessionsOf, UNUSED_CLIENT_AGE,
    UNUSED_CLIENTS,
};
use crate::store::{Store, StoreError};

/// How many reach for the same thing at once.
const AT_ONCE: usize = 50;
const NOW: Timestamp = Timestamp(10_000_000);

fn digest(name: &str) -> Digest {
    Digest::of("test", &[name.as_bytes()])
}

pub(super) fn key(id: &str) -> SigningKeyRow {
    SigningKeyRow {
        id: id.to_owned(),
        algorithm: if id == "two" { Algorithm::EdDsa } else { Algorithm::Es256 },
        private_key: Sealed::new(vec![0, 255, 1]),
        published_at: Timestamp(100),
        active_from: Timestamp(700),
    }
}

pub(super) fn dynamic(number: u32, created_at: Timestamp) -> DynamicClient {
    DynamicClient {
        id: format!("dyn_{number:05}"),
        name: "A client".into(),
        redirect_uris: vec!["https://app.example/cb".into(), "http://127.0.0.1/cb".into()],
        created_at,
        used_at: None,
    }
}

fn client(id: &str) -> ClientName {
    ClientName { id: id.to_owned(), name: "A client".into() }
}

pub(super) fn authorization(small: &Small, name: &str) -> Authorization {
    Authorization {
        request: digest(name),
        member: small.member.id.clone(),
        server: small.server.id.clone(),
        resource: ResourcePath { workspace: Some(slug("team-1")), server: slug("server-1") },
        client: client("dyn_00001"),
        redirect_uri: "http://127.0.0.1:5/cb".into(),
        challenge: "challenge".into(),
        extent: Extent::Reading,
        created_at: NOW,
    }
}

fn session(small: &Small, name: &str) -> ClientSession {
    ClientSession {
        id: format!("ses_{name}").as_str().into(),
        member: small.member.id.clone(),
        server: small.server.id.clone(),
        resource: ResourcePath { workspace: None, server: slug("server-1") },
        client: client("dyn_00001"),
        extent: Extent::Everything,
        created_at: NOW,
        last_used_at: NOW,
        expires_at: NOW.plus(IDLE),
    }
}

fn successor(name: &str) -> Successor {
    Successor { digest: digest(name), sealed: Sealed::new(name.as_bytes().to_vec()) }
}

/// A session whose refresh token is `digest(name)`.
pub(super) async fn signed_in(store: &dyn Store, small: &Small, name: &str) -> ClientSession {
    let code = digest(&format!("code of {name}"));
    let request = Authorization { request: code, ..authorization(small, name) };
    assert!(store.agree(&request).await.expect("agrees"));
    assert!(store.show_code(&code, &code, NOW.plus(Duration::from_mins(1))).await.expect("shows"));
    let session = session(small, name);
    assert!(store.redeem_code(&code, &session, &digest(name)).await.expect("redeems"));
    session
}

pub(super) async fn refresh(store: &dyn Store, token: &str, next: &str, now: Timestamp) -> Refreshed {
    store.refresh(&digest(token), &successor(next), now, now.plus(IDLE)).await.expect("answers")
}

pub(in crate::store) async fn signing_keys_follow_each_other(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    assert!(store.publish_signing_key(&key("one"), None).await.expect("adds"));
    assert_eq!(revision(store.as_ref()).await, Revision(0), "nobody knows anything that could change");
    assert!(!other.publish_signing_key(&key("two"), None).await.expect("answers"));
    store.create_workspace(&new_workspace(1)).await.expect("makes");
    let before = revision(store.as_ref()).await;
    assert!(!other.publish_signing_key(&key("two"), Some("none")).await.expect("answers"));
    assert!(other.publish_signing_key(&key("two"), Some("one")).await.expect("adds"));
    assert_eq!(store.signing_keys().await.expect("reads"), [key("one"), key("two")]);
    assert_eq!(store.registry().await.expect("reads").signing_keys, [key("one"), key("two")]);
    assert!(store.forget_signing_key("one").await.expect("forgets"));
    assert!(!store.forget_signing_key("one").await.expect("answers"));
    assert_eq!(other.signing_keys().await.expect("reads"), [key("two")]);
    let after = Revision(before.0 + 2);
    assert_eq!(changes(store.as_ref(), before).await, change_set(after, true, &[]));
    let expected = [("signing_key.publish", "two"), ("signing_key.forget", "one")];
    assert_eq!(
        audited(store.as_ref(), 2).await,
        expected.map(|(action, id)| (action.to_owned(), id.to_owned()))
    );
}

pub(in crate::store) async fn clients_register_within_limits(database: &dyn Database) {
    let store = database.open().await;
    for number in 0..REGISTRATIONS_PER_HOUR {
        assert!(store.register_client(&dynamic(number, NOW)).await.expect("registers"));
    }
    assert!(!store.register_client(&dynamic(90_000, NOW)).await.expect("answers"), "too many in an hour");
    assert_eq!(store.dynamic_client("dyn_90000", NOW).await.expect("reads"), None);
    assert_eq!(store.dynamic_client("dyn_00007", NOW).await.expect("reads"), Some(dynamic(7, NOW)));
    let page = store.dynamic_clients(Some("dyn_00007"), 2).await.expect("reads");
    assert_eq!(page, [dynamic(8, NOW), dynamic(9, NOW)]);
    // Ten hours, and there are as many as may be unused.
    let mut number = REGISTRATIONS_PER_HOUR;
    for hour in 1..10 {
        let now = NOW.plus(Duration::from_hours(hour));
        for _ in 0..REGISTRATIONS_PER_HOUR {
            assert!(store.register_client(&dynamic(number, now)).await.expect("registers"), "{number}");
            number += 1;
        }
    }
    assert_eq!(number, UNUSED_CLIENTS);
    let later = NOW.plus(Duration::from_hours(11));
    assert!(!store.register_client(&dynamic(number, later)).await.expect("answers"), "too many unused");
    // The first of them end, and there is room again.
    let later = NOW.plus(UNUSED_CLIENT_AGE);
    assert_eq!(store.dynamic_client("dyn_00007", later).await.expect("reads"), None);
    assert!(store.register_client(&dynamic(number, later)).await.expect("registers"));
    assert_eq!(revision(store.as_ref()).await, Revision(0), "nobody decided anything");
}

pub(in crate::store) async fn used_clients_stay_until_they_are_deleted(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    for number in [1, 2] {
        assert!(store.register_client(&dynamic(number, NOW)).await.expect("registers"));
    }
    let session = signed_in(store.as_ref(), &small, "a").await;
    let later = NOW.plus(UNUSED_CLIENT_AGE);
    store.sweep_authorizations(later).await.expect("sweeps");
    let used = DynamicClient { used_at: Some(NOW), ..dynamic(1, NOW) };
    assert_eq!(store.dynamic_clients(None, 9).await.expect("reads"), [used]);
    let before = revision(store.as_ref()).await;
    let deleted = store.delete_dynamic_client("dyn_00001").await.expect("deletes");
    assert_eq!(deleted, Some(Revision(before.0 + 1)));
    assert_eq!(store.client_session(&session.id).await.expect("reads"), None);
    let forget = [Invalidation::Session(session.id.to_string())];
    assert_eq!(changes(store.as_ref(), before).await, change_set(Revision(before.0 + 1), false, &forget));
    assert_eq!(store.delete_dynamic_client("dyn_00001").await.expect("answers"), None);
}

pub(in crate::store) async fn a_request_is_agreed_to_once(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let before = revision(store.as_ref()).await;
    let agreed = authorization(&small, "a");
    assert!(store.agree(&agreed).await.expect("agrees"));
    let other = Authorization { client: client("other"), ..agreed.clone() };
    assert!(!store.agree(&other).await.expect("answers"), "the first agreement counts");
    assert_eq!(store.agreed(&agreed.request).await.expect("reads"), Some(agreed.clone()));
    assert_eq!(store.agreed(&digest("b")).await.expect("reads"), None);
    let nobodys = Authorization { member: "mem_none".into(), ..authorization(&small, "c") };
    assert!(matches!(store.agree(&nobodys).await, Err(StoreError::Missing { .. })));

    let expires_at = NOW.plus(Duration::from_mins(1));
    assert!(store.show_code(&agreed.request, &digest("code"), expires_at).await.expect("shows"));
    assert!(!store.show_code(&agreed.request, &digest("other"), expires_at).await.expect("answers"));
    assert_eq!(store.agreed(&agreed.request).await.expect("reads"), None, "its code was shown");
    let code = store.code(&digest("code")).await.expect("reads").expect("is there");
    assert_eq!((code.authorization, code.is_used, code.expires_at), (agreed.clone(), false, expires_at));
    assert_eq!(store.code(&digest("other")).await.expect("reads"), None);
    assert_eq!(revision(store.as_ref()).await, before);
    store.sweep_authorizations(NOW.plus(AUTHORIZATION_AGE)).await.expect("sweeps");
    assert_eq!(store.code(&digest("code")).await.expect("reads"), None);
}

pub(in crate::store) async fn a_code_becomes_one_session(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let before = revision(store.as_ref()).await;
    let made = signed_in(store.as_ref(), &small, "a").await;
    assert_eq!(store.client_session(&made.id).await.expect("reads"), Some(made.clone()));
    assert_eq!(store.session_of_refresh_token(&digest("a")).await.expect("reads"), Some(made.clone()));
    assert_eq!(changes(store.as_ref(), before).await, change_set(Revision(before.0 + 1), false, &[]));
    assert_eq!(audited(store.as_ref(), 1).await, [("session.create".to_owned(), made.id.to_string())]);
    // Shown again, it ends what came of it.
    let code = digest("code of a");
    assert!(store.code(&code).await.expect("reads").expect("is there").is_used);
    assert!(!store.redeem_code(&code, &session(&small, "b"), &digest("b")).await.expect("answers"));
    for id in [&made.id, &ClientSessionId::from("ses_b")] {
        assert_eq!(store.client_session(id).await.expect("reads"), None);
    }
    assert_eq!(store.session_of_refresh_token(&digest("a")).await.expect("reads"), None);
    let (action, object) = audited(store.as_ref(), 1).await.remove(0);
    assert_eq!((action.as_str(), object), ("session.code_reused", made.id.to_string()));
}

pub(in crate::store) async fn codes_end_and_are_spoilt(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    for name in ["late", "spoilt"] {
        assert!(store.agree(&authorization(&small, name)).await.expect("agrees"));
        assert!(store.show_code(&digest(name), &digest(name), NOW).await.expect("shows"));
    }
    assert!(!store.redeem_code(&digest("late"), &session(&small, "a"), &digest("a")).await.expect("answers"));
    assert!(!store.code(&digest("late")).await.expect("reads").expect("is there").is_used);
    store.spoil_code(&digest("spoilt"), NOW).await.expect("spoils");
    assert!(store.code(&digest("spoilt")).await.expect("reads").expect("is there").is_used);
    store.spoil_code(&digest("nothing"), NOW).await.expect("nothing to do");
    let made = signed_in(store.as_ref(), &small, "b").await;
    store.spoil_code(&digest("code of b"), NOW).await.expect("spoils");
    assert_eq!(store.client_session(&made.id).await.expect("reads"), None);
}

pub(in crate::store) async fn of_many_redemptions_one_counts(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    assert!(store.agree(&authorization(&small, "a")).await.expect("agrees"));
    let later = NOW.plus(Duration::from_mins(1));
    assert!(store.show_code(&digest("a"), &digest("a"), later).await.expect("shows"));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..AT_ONCE {
        let (store, session) = (Arc::clone(&store), session(&small, &number.to_string()));
        tasks.spawn(async move {
            store
                .redeem_code(&digest("a"), &session, &digest(&format!("token {number}")))
                .await
                .expect("answers")
        });
    }
    let redeemed = tasks.join_all().await;
    assert_eq!(redeemed.iter().filter(|redeemed| **redeemed).count(), 1);
    let of = SessionsOf::Member(small.member.id);
    assert_eq!(store.client_sessions(&of, None, 99).await.expect("reads"), [], "the others ended it");
}

pub(in crate::store) async fn refresh_tokens_rotate_without_a_commit(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let made = signed_in(store.as_ref(), &small, "a").await;
    let before = revision(store.as_ref()).await;
    let later = NOW.plus(Duration::from_hours(1));
    let expected = ClientSession { last_used_at: later, expires_at: later.plus(IDLE), ..made.clone() };
    assert_eq!(refresh(store.as_ref(), "a", "b", later).await, Refreshed::Rotated(expected.clone()));
    assert_eq!(store.session_of_refresh_token(&digest("a")).await.expect("reads"), Some(expected.clone()));
    assert_eq!(store.session_of_refresh_token(&digest("b")).await.expect("reads"), Some(expected.clone()));
    // Whoever lost the answer gets the same, and what they brought along is forgotten.
    let again = later.plus(REFRESH_GRACE.saturating_sub(Duration::from_millis(1)));
    let repeated = Refreshed::Repeated(expected, successor("b"));
    assert_eq!(refresh(store.as_ref(), "a", "c", again).await, repeated);
    assert_eq!(refresh(store.as_ref(), "c", "d", again).await, Refreshed::Unknown);
    assert_eq!(revision(store.as_ref()).await, before);
    // A session that is over has no tokens.
    assert_eq!(refresh(store.as_ref(), "b", "e", later.plus(IDLE)).await, Refreshed::Unknown);
}

pub(in crate::store) async fn a_stolen_refresh_token_ends_its_session(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let steps: [&[(&str, &str, Duration)]; 3] = [
        // After the grace.
        &[("a", "b", Duration::ZERO), ("a", "x", REFRESH_GRACE)],
        // Within it, but what took its place is in use.
        &[("a", "b", Duration::ZERO), ("b", "c", Duration::ZERO), ("a", "x", Duration::ZERO)],
        // Long after, when the thief has gone on.
        &[
            ("a", "b", Duration::ZERO),
            ("b", "c", Duration::from_hours(5)),
            ("a", "x", Duration::from_hours(9)),
        ],
    ];
    for (number, steps) in steps.into_iter().enumerate() {
        let name = |step: &str| format!("{number} {step}");
        let made = signed_in(store.as_ref(), &small, &name("a")).await;
        let before = revision(store.as_ref()).await;
        let mut last = Refreshed::Unknown;
        for (token, next, after) in steps {
            last = refresh(store.as_ref(), &name(token), &name(next), NOW.plus(*after)).await;
        }
        assert_eq!(last, Refreshed::Stolen(made.id.clone()), "{number}");
        assert_eq!(store.client_session(&made.id).await.expect("reads"), None);
        let forget = [Invalidation::Session(made.id.to_string())];
        assert_eq!(changes(store.as_ref(), before).await, change_set(Revision(before.0 + 1), false, &forget));
        assert_eq!(audited(store.as_ref(), 1).await, [("session.stolen".to_owned(), made.id.to_string())]);
        assert_eq!(refresh(store.as_ref(), &name("b"), &name("y"), NOW).await, Refreshed::Unknown);
    }
}

pub(in crate::store) async fn parallel_refreshes_get_one_successor(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    let small = small(store.as_ref()).await;
    for count in [2, 10, AT_ONCE] {
        let name = format!("a{count}");
        signed_in(store.as_ref(), &small, &name).await;
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..count {
            let store = Arc::clone(if number % 2 == 0 { &store } else { &other });
            let (token, next) = (name.clone(), format!("{name} {number}"));
            tasks.spawn(async move { (next.clone(), refresh(store.as_ref(), &token, &next, NOW).await) });
        }
        let mut successors = Vec::new();
        let mut rotated = 0;
        for (next, refreshed) in tasks.join_all().await {
            match refreshed {
                Refreshed::Rotated(_) => {
                    rotated += 1;
                    successors.push(successor(&next));
                }
                Refreshed::Repeated(_, successor) => successors.push(successor),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((rotated, successors.len()), (1, count));
        assert!(successors.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

pub(in crate::store) async fn client_sessions_are_listed_ended_and_swept(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let elsewhere = store.create_workspace(&new_workspace(2)).await.expect("makes");
    let again = crate::store::NewMember { id: "mem_again".into(), ..new_member(1, &elsewhere) };
    let again = store.create_member(&again).await.expect("makes");
    let mut made = Vec::new();
    for (name, member) in [("1", &small.member), ("2", &small.member), ("3", &again)] {
        let small = Small {
            workspace: small.workspace.clone(),
            member: member.clone(),
            server: small.server.clone(),
        };
        made.push(signed_in(store.as_ref(), &small, name).await);
    }
    let (of_member, of_person) =
        (SessionsOf::Member(small.member.id.clone()), SessionsOf::Person(identity(1)));
    assert_eq!(store.client_sessions(&of_member, None, 9).await.expect("reads"), made[..2]);
    assert_eq!(store.client_sessions(&of_person, None, 9).await.expect("reads"), made);
    assert_eq!(store.client_sessions(&of_person, Some(&made[0].id), 1).await.expect("reads"), made[1..2]);
    assert_eq!(store.client_sessions(&SessionsOf::Person(identity(2)), None, 9).await.expect("reads"), []);

    let before = revision(store.as_ref()).await;
    store
        .record_session_uses(&[
            (made[1].id.clone(), NOW.plus(Duration::from_secs(5))),
            ("ses_none".into(), NOW),
        ])
        .await
        .expect("notes");
    store.record_session_uses(&[(made[1].id.clone(), NOW)]).await.expect("notes");
    let used = store.client_session(&made[1].id).await.expect("reads").expect("is there");
    assert_eq!(used.last_used_at, NOW.plus(Duration::from_secs(5)));
    assert_eq!(revision(store.as_ref()).await, before);

    assert_eq!(store.end_client_session(&made[0].id).await.expect("ends"), Some(Revision(before.0 + 1)));
    assert_eq!(store.end_client_session(&made[0].id).await.expect("answers"), None);
    let forget = [Invalidation::Session(made[0].id.to_string())];
    assert_eq!(changes(store.as_ref(), before).await, change_set(Revision(before.0 + 1), false, &forget));
    assert_eq!(audited(store.as_ref(), 1).await, [("session.end".to_owned(), made[0].id.to_string())]);
    store.delete_member(&small.member.id).await.expect("deletes");
    assert_eq!(store.client_sessions(&of_person, None, 9).await.expect("reads"), made[2..]);
    store.sweep_authorizations(NOW.plus(IDLE)).await.expect("sweeps");
    assert_eq!(store.client_session(&made[2].id).await.expect("reads"), None);
}

pub(in crate::store) async fn an_access_token_brings_its_facts(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let made = signed_in(store.as_ref(), &small, "a").await;
    let ask = |session: &str| LeaseRequest {
        server: slug("server-1"),
        workspace: None,
        proof: CallerProof::AccessToken { session: session.to_owned(), scopes: Vec::new(), expires_at: 1 },
        rejected: None,
        wait_ms: None,
    };
    let facts = store.lease_facts(&ask(made.id.as_str())).await.expect("reads");
    let CallerFacts::Session(Some(of_session)) = facts.caller else { panic!("a session") };
    assert_eq!((of_session.session, of_session.member), (made, small.member));
    let server = facts.server.expect("the server");
    assert!(server.provisioned.contains(&small.workspace.id));
    let nobody = store.lease_facts(&ask("ses_none")).await.expect("reads");
    assert_eq!(nobody.caller, CallerFacts::Session(None));
    assert!(nobody.server.expect("the server").provisioned.is_empty());
}
