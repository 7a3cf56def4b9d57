//! Connections: made, read, ended. How they are renewed is in [`super::renewals`], what becomes of them when their
//! server moves in [`super::moved`].

use std::time::Duration;

use portcullis_wire::watch::Invalidation;

use super::Database;
use super::fixtures::*;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::connection::{
    Binding, Connection, ConnectionId, ConnectionOwner, ConnectionState, ReauthReason, SealedTokens, StepUp,
};
use crate::domain::server::Sealed;
use crate::store::connections::{ConnectionFilter, NewConnection, RefreshFailure, RefreshStart, Renewed};
use crate::store::{Actor, NewMember, StoreError};

pub(in crate::store) async fn connections_read_back_as_written(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let before = revision(store.as_ref()).await;
    let made = connected(store.as_ref(), &small).await;
    let owner = of_member(&small.member);
    let expected = Connection {
        id: ConnectionId::of(&small.server.id, &owner),
        server: small.server.id.clone(),
        owner,
        state: ConnectionState::Active,
        binding: binding(),
        generation: 1,
        tokens: Some(tokens(1)),
        scopes: scopes(&["read"]),
        account: Some("ada@upstream.example".into()),
        attempt: None,
        step_up: StepUp::default(),
        connected_at: Timestamp(501),
        refreshed_at: Timestamp(501),
        revision: Revision(before.0 + 1),
    };
    assert_eq!(made, expected);
    let bare = NewConnection {
        tokens: SealedTokens {
            access: Sealed::new(vec![7]),
            refresh: None,
            expires_at: None,
            refresh_at: None,
        },
        scopes: scopes(&[]),
        account: None,
        ..new_connection(&small.server, ConnectionOwner::Shared, 1)
    };
    let shared = store.connect(&bare).await.expect("connects");
    assert_eq!(
        (&shared.owner, &shared.tokens, &shared.account),
        (&ConnectionOwner::Shared, &Some(bare.tokens), &None)
    );

    // A handle of its own has only the database to know from.
    let other = database.open().await;
    assert_eq!(other.connection(&made.id).await.expect("reads"), Some(made));
    assert_eq!(other.connection(&shared.id).await.expect("reads"), Some(shared));
    assert_eq!(other.connection(&"con_none".to_owned().into()).await.expect("reads"), None);
}

pub(in crate::store) async fn connecting_again_takes_the_next_generation(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let owner = of_member(&small.member);
    let too_high = store.connect(&new_connection(&small.server, owner.clone(), 2)).await;
    assert!(matches!(too_high, Err(StoreError::Stale)), "there is none yet");
    let one = connected(store.as_ref(), &small).await;
    let before = revision(store.as_ref()).await;
    for generation in [0, 1, 3, u64::MAX] {
        let late = store.connect(&new_connection(&small.server, owner.clone(), generation)).await;
        assert!(matches!(late, Err(StoreError::Stale)), "{generation}");
    }
    assert_eq!(revision(store.as_ref()).await, before);
    assert_eq!(store.connection(&one.id).await.expect("reads"), Some(one.clone()));

    // Whatever became of the first one, a new consent makes all of it new, but for how often scopes were demanded: a
    // server that demands ever more would otherwise be free to ask again after each consent.
    let step_up = StepUp { wanted: scopes(&["admin"]), count: 2, window_start: Timestamp(5) };
    store.set_step_up(&one.id, 1, &step_up).await.expect("notes");
    store.need_reauth(&one.id, 1, ReauthReason::Revoked).await.expect("notes").expect("of this generation");
    let again = NewConnection {
        binding: Binding { client_id: "other".into(), ..binding() },
        scopes: scopes(&["admin"]),
        account: None,
        ..new_connection(&small.server, owner, 2)
    };
    let two = store.connect(&again).await.expect("connects");
    let expected = Connection {
        binding: again.binding,
        generation: 2,
        tokens: Some(tokens(2)),
        scopes: again.scopes,
        account: None,
        step_up: StepUp { wanted: scopes(&[]), ..step_up },
        connected_at: again.now,
        refreshed_at: again.now,
        revision: two.revision,
        ..one
    };
    assert_eq!(two, expected);
}

pub(in crate::store) async fn connecting_refers_to_what_there_is(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let before = revision(store.as_ref()).await;
    let nobody = new_connection(&small.server, ConnectionOwner::Member("nobody".into()), 1);
    assert!(matches!(store.connect(&nobody).await, Err(StoreError::Missing { what: "member" })));
    let nowhere = NewConnection {
        server: "nowhere".into(),
        ..new_connection(&small.server, of_member(&small.member), 1)
    };
    assert!(matches!(store.connect(&nowhere).await, Err(StoreError::Missing { what: "server" })));
    assert_eq!(revision(store.as_ref()).await, before);
}

pub(in crate::store) async fn consent_is_asked_for_and_tokens_stay(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let made = connected(store.as_ref(), &small).await;
    let before = revision(store.as_ref()).await;
    assert_eq!(store.need_reauth(&made.id, 2, ReauthReason::Expired).await.expect("reads"), None);
    let none = ConnectionId::from("con_none".to_owned());
    assert_eq!(store.need_reauth(&none, 1, ReauthReason::Expired).await.expect("reads"), None);
    assert_eq!(revision(store.as_ref()).await, before);

    let mut cursor = before;
    for reason in ReauthReason::ALL {
        let asked = store.need_reauth(&made.id, 1, reason).await.expect("notes").expect("is there");
        cursor = Revision(cursor.0 + 1);
        let state = ConnectionState::NeedsReauth(reason);
        assert_eq!(asked, Connection { state, revision: cursor, ..made.clone() });
        assert_eq!(asked.reason(), Some(reason.as_str()));
        // The same again is no change.
        let again = store.need_reauth(&made.id, 1, reason).await.expect("reads");
        assert_eq!(again, Some(asked));
        assert_eq!(revision(store.as_ref()).await, cursor);
    }
    store.disconnect(&made.id).await.expect("disconnects").expect("is connected");
    for generation in [1, 2] {
        let gone = store.need_reauth(&made.id, generation, ReauthReason::Expired).await.expect("reads");
        assert_eq!(gone, None, "{generation}");
    }
}

pub(in crate::store) async fn step_ups_are_noted_without_a_commit(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let made = connected(store.as_ref(), &small).await;
    let before = revision(store.as_ref()).await;
    let step_up = StepUp { wanted: scopes(&["write", "admin"]), count: 3, window_start: Timestamp(9) };
    let noted = store.set_step_up(&made.id, 1, &step_up).await.expect("notes").expect("is there");
    assert_eq!(noted, Connection { step_up: step_up.clone(), ..made.clone() });
    assert_eq!(store.set_step_up(&made.id, 2, &StepUp::default()).await.expect("reads"), None);
    assert_eq!(store.connection(&made.id).await.expect("reads"), Some(noted));
    assert_eq!(revision(store.as_ref()).await, before);
}

pub(in crate::store) async fn accounts_are_named_without_a_commit(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let made = connected(store.as_ref(), &small).await;
    let before = revision(store.as_ref()).await;
    let named = store.set_account(&made.id, 1, "ada@example.com").await.expect("notes").expect("is there");
    assert_eq!(named, Connection { account: Some("ada@example.com".to_owned()), ..made.clone() });
    assert_eq!(store.set_account(&made.id, 2, "grace@example.com").await.expect("reads"), None);
    assert_eq!(store.connection(&made.id).await.expect("reads"), Some(named));
    assert_eq!(revision(store.as_ref()).await, before);
}

pub(in crate::store) async fn disconnecting_removes_tokens_for_good(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let made = connected(store.as_ref(), &small).await;
    let as_it_was = store.disconnect(&made.id).await.expect("disconnects");
    assert_eq!(as_it_was.as_ref(), Some(&made), "with its tokens, to be revoked");
    let after = revision(store.as_ref()).await;
    assert_eq!(store.disconnect(&made.id).await.expect("reads"), None);
    let none = ConnectionId::from("con_none".to_owned());
    assert_eq!(store.disconnect(&none).await.expect("reads"), None);
    assert_eq!(revision(store.as_ref()).await, after);

    let gone = store.connection(&made.id).await.expect("reads").expect("the row stays");
    let expected = Connection {
        state: ConnectionState::Disconnected,
        generation: 2,
        tokens: None,
        scopes: scopes(&[]),
        account: None,
        revision: after,
        ..made.clone()
    };
    assert_eq!(gone, expected);
    let start = store.begin_refresh(&made.id, 2, "late", Duration::ZERO).await.expect("reads");
    assert_eq!(start, RefreshStart::Moved(gone));

    // The generation goes on counting.
    let owner = of_member(&small.member);
    for stale in [1, 2] {
        let late = store.connect(&new_connection(&small.server, owner.clone(), stale)).await;
        assert!(matches!(late, Err(StoreError::Stale)), "{stale}");
    }
    let again = store.connect(&new_connection(&small.server, owner, 3)).await.expect("connects");
    assert_eq!((again.id, again.state), (made.id, ConnectionState::Active));
}

pub(in crate::store) async fn connections_are_filtered_and_paged(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let other_server = store.create_server(&new_server(2)).await.expect("makes");
    let other_workspace = store.create_workspace(&new_workspace(2)).await.expect("makes");
    let elsewhere = NewMember { id: "mem_9".into(), ..new_member(1, &other_workspace) };
    let elsewhere = store.create_member(&elsewhere).await.expect("makes");
    let mut made = Vec::new();
    for (server, owner) in [
        (&small.server, of_member(&small.member)),
        (&small.server, of_member(&elsewhere)),
        (&small.server, ConnectionOwner::Shared),
        (&other_server, of_member(&small.member)),
    ] {
        made.push(store.connect(&new_connection(server, owner, 1)).await.expect("connects"));
    }
    let in_order = |numbers: &[usize]| {
        let mut some: Vec<Connection> = numbers.iter().map(|&number| made[number].clone()).collect();
        some.sort_by(|one, two| one.id.cmp(&two.id));
        some
    };

    let all = in_order(&[0, 1, 2, 3]);
    let whole = ConnectionFilter::default();
    assert_eq!(store.connections(&whole, None, 10).await.expect("reads"), all);
    assert_eq!(store.connections(&whole, None, 3).await.expect("reads"), all[..3]);
    assert_eq!(store.connections(&whole, Some(&all[2].id), 3).await.expect("reads"), all[3..]);
    assert_eq!(store.connections(&whole, Some(&all[3].id), 3).await.expect("reads"), []);

    let server = Some(small.server.id.clone());
    let workspace = Some(small.workspace.id.clone());
    let member = Some(small.member.id.clone());
    for (filter, expected) in [
        (ConnectionFilter { server: server.clone(), ..whole.clone() }, [0, 1, 2].as_slice()),
        (ConnectionFilter { workspace: workspace.clone(), ..whole.clone() }, &[0, 3]),
        (ConnectionFilter { member: member.clone(), ..whole.clone() }, &[0, 3]),
        (ConnectionFilter { server, workspace, member: member.clone() }, &[0]),
        (ConnectionFilter { workspace: Some(other_workspace.id), member, ..whole.clone() }, &[]),
        (ConnectionFilter { workspace: Some("wsp_none".into()), ..whole }, &[]),
    ] {
        let found = store.connections(&filter, None, 10).await.expect("reads");
        assert_eq!(found, in_order(expected), "{filter:?}");
    }
}

pub(in crate::store) async fn connections_are_counted_by_state(database: &dyn Database) {
    let store = database.open().await;
    assert_eq!(store.connection_counts().await.expect("reads"), []);
    let small = small(store.as_ref()).await;
    for number in 10..13 {
        let member = store.create_member(&new_member(number, &small.workspace)).await.expect("makes");
        let new = new_connection(&small.server, of_member(&member), 1);
        let made = store.connect(&new).await.expect("connects");
        if number == 10 {
            store.disconnect(&made.id).await.expect("disconnects");
        }
    }
    let expected = [(ConnectionState::Active, 2), (ConnectionState::Disconnected, 1)];
    let expected = expected.map(|(state, count)| (state.as_str().to_owned(), count));
    assert_eq!(store.connection_counts().await.expect("reads"), expected);
}

pub(in crate::store) async fn what_is_due_comes_longest_overdue_first(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let connect = async |number: u32, refresh: bool, refresh_at: Option<u64>| {
        let member = store.create_member(&new_member(number, &small.workspace)).await.expect("makes");
        let mut new = new_connection(&small.server, of_member(&member), 1);
        new.tokens.refresh_at = refresh_at.map(Timestamp);
        new.tokens.refresh = new.tokens.refresh.filter(|_| refresh);
        store.connect(&new).await.expect("connects").id
    };
    let late = connect(10, true, Some(300)).await;
    let later = connect(11, true, Some(200)).await;
    let latest = connect(12, true, Some(100)).await;
    let _not_yet = connect(13, true, Some(301)).await;
    let _no_refresh_token = connect(14, false, Some(50)).await;
    let _never = connect(15, true, None).await;
    let refused = connect(16, true, Some(10)).await;
    store.need_reauth(&refused, 1, ReauthReason::Revoked).await.expect("notes");
    let ended = connect(17, true, Some(10)).await;
    store.disconnect(&ended).await.expect("disconnects");
    let mut shared = new_connection(&small.server, ConnectionOwner::Shared, 1);
    shared.tokens.refresh = None;
    shared.tokens.refresh_at = Some(Timestamp(250));
    let shared = store.connect(&shared).await.expect("connects").id;

    let due = async |limit| store.due_connections(Timestamp(300), limit).await.expect("reads");
    assert_eq!(due(10).await, [&latest, &later, &shared, &late].map(Clone::clone));
    assert_eq!(due(2).await, [&latest, &later].map(Clone::clone));

    // Whoever is being renewed is left out, and comes back when the lease is over.
    store.begin_refresh(&latest, 1, "one", Duration::from_hours(1)).await.expect("begins");
    assert_eq!(due(10).await, [&later, &shared, &late].map(Clone::clone));
    let wait = RefreshFailure::NotDone { retry_in: Duration::from_hours(1) };
    store.begin_refresh(&later, 1, "two", Duration::from_hours(1)).await.expect("begins");
    store.fail_refresh(&later, "two", &wait).await.expect("notes").expect("is the present one");
    assert_eq!(due(10).await, [&shared, &late].map(Clone::clone), "a failure makes it wait too");
    database.end_leases().await;
    assert_eq!(due(10).await, [&latest, &later, &shared, &late].map(Clone::clone));
}

pub(in crate::store) async fn connections_go_with_their_server_and_member(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let other = store.create_server(&new_server(2)).await.expect("makes");
    let one = connected(store.as_ref(), &small).await;
    let shared = store.connect(&new_connection(&small.server, ConnectionOwner::Shared, 1)).await;
    let shared = shared.expect("connects");
    let two = store.connect(&new_connection(&other, of_member(&small.member), 1)).await.expect("connects");

    store.delete_server(&small.server.id).await.expect("deletes").expect("was there");
    assert_eq!(store.connection(&one.id).await.expect("reads"), None);
    assert_eq!(store.connection(&shared.id).await.expect("reads"), None);
    assert_eq!(store.connection(&two.id).await.expect("reads").as_ref(), Some(&two));
    let start = store.begin_refresh(&one.id, 1, "late", Duration::ZERO).await.expect("reads");
    assert_eq!(start, RefreshStart::Missing);
    store.delete_member(&small.member.id).await.expect("deletes").expect("was there");
    assert_eq!(store.connection(&two.id).await.expect("reads"), None);
    assert_eq!(store.connections(&ConnectionFilter::default(), None, 10).await.expect("reads"), []);
}

pub(in crate::store) async fn connection_changes_are_audited_and_told(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let member = store.on_behalf_of(Actor::Member, Timestamp(3));
    let id = ConnectionId::of(&small.server.id, &of_member(&small.member));
    let told = [Invalidation::Connection(id.to_string())];
    let mut cursor = revision(store.as_ref()).await;
    let mut entries = store.audit(None, 100).await.expect("reads").len();
    let mut expect = async |action: Option<&str>| {
        cursor = Revision(cursor.0 + 1);
        let since = Revision(cursor.0 - 1);
        assert_eq!(changes(store.as_ref(), since).await, change_set(cursor, false, &told), "{action:?}");
        entries += usize::from(action.is_some());
        let all = store.audit(None, 100).await.expect("reads");
        assert_eq!(all.len(), entries, "{action:?}");
        if let Some(action) = action {
            assert_eq!((all[0].action.as_str(), all[0].object.as_str()), (action, id.as_str()));
            assert_eq!((&all[0].actor, all[0].at, all[0].revision), (&Actor::Member, Timestamp(3), cursor));
        }
    };

    connected(member.as_ref(), &small).await;
    expect(Some("connection.connect")).await;
    // Beginning, sending and waiting are nobody's business; a renewal is the filters'.
    let hour = Duration::from_hours(1);
    member.begin_refresh(&id, 1, "one", hour).await.expect("begins");
    assert!(member.mark_sent(&id, "one").await.expect("notes"));
    let renewed = Renewed { generation: 2, tokens: tokens(2), scopes: None, now: Timestamp(4) };
    member.finish_refresh(&id, "one", &renewed).await.expect("stores").expect("is the present one");
    expect(None).await;
    for failure in [
        RefreshFailure::Ambiguous { retry_in: Duration::ZERO },
        RefreshFailure::NotDone { retry_in: Duration::ZERO },
    ] {
        member.begin_refresh(&id, 2, "two", hour).await.expect("begins");
        member.fail_refresh(&id, "two", &failure).await.expect("notes").expect("is the present one");
        database.end_leases().await;
    }
    member.begin_refresh(&id, 2, "three", hour).await.expect("begins");
    let refused = RefreshFailure::Refused(ReauthReason::Revoked);
    member.fail_refresh(&id, "three", &refused).await.expect("notes").expect("is the present one");
    expect(Some("connection.reauth")).await;
    member.need_reauth(&id, 2, ReauthReason::IssuerChanged).await.expect("notes").expect("is there");
    expect(Some("connection.reauth")).await;
    member.disconnect(&id).await.expect("disconnects").expect("was connected");
    expect(Some("connection.disconnect")).await;
}
