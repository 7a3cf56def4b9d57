use proptest::prelude::*;

use super::*;
use crate::broker::test_values::{self, CLIENT, ORIGIN};
use crate::domain::connection::SealedTokens;
use crate::domain::server::Sealed;

/// An hour and a bit after the connection was made.
const NOW: Timestamp = Timestamp(10_000_000);

fn seconds_from_now(seconds: i64) -> Timestamp {
    Timestamp(NOW.0.checked_add_signed(seconds * 1000).expect("in range"))
}

fn connection(state: ConnectionState, expires_in: Option<i64>, renew_in: Option<i64>) -> Connection {
    Connection {
        state,
        tokens: (state != ConnectionState::Disconnected).then(|| SealedTokens {
            access: Sealed::new(vec![1]),
            refresh: Some(Sealed::new(vec![2])),
            expires_at: expires_in.map(seconds_from_now),
            refresh_at: renew_in.map(seconds_from_now),
        }),
        connected_at: seconds_from_now(-4000),
        refreshed_at: seconds_from_now(-3000),
        ..test_values::connection()
    }
}

fn without_refresh(mut connection: Connection) -> Connection {
    connection.tokens.as_mut().expect("tokens").refresh = None;
    connection
}

const MEMBER: Wanted<'static> = Wanted { origin: ORIGIN, shared_client: None };
const SHARED: Wanted<'static> = Wanted { origin: ORIGIN, shared_client: Some(CLIENT) };

fn facts<'a>(connection: &'a Connection, wanted: Wanted<'a>, done: Done) -> Facts<'a> {
    Facts { connection: Some(connection), wanted, rejected: None, now: NOW, done }
}

const ALL_DONE: [Done; 3] = [Done::Nothing, Done::Made, Done::Renewed];

#[test]
fn by_state() {
    use ConnectionState::{Active, Disconnected, NeedsReauth, Quarantined};
    let states = [Active, Quarantined, Disconnected];
    for state in states.into_iter().chain(ReauthReason::ALL.map(NeedsReauth)) {
        let connection = connection(state, Some(3600), Some(1800));
        let reason = if let NeedsReauth(reason) = state { Some(reason) } else { None };
        for done in ALL_DONE {
            let (member, shared) = match (state, done) {
                (Active, _) => (Step::Use, Step::Use),
                (_, Done::Nothing) => (Step::Ask(reason), Step::Make),
                (_, _) => (Step::Ask(reason), Step::Unavailable),
            };
            assert_eq!(plan(&facts(&connection, MEMBER, done)), member, "{state:?} {done:?}");
            assert_eq!(plan(&facts(&connection, SHARED, done)), shared, "{state:?} {done:?}");
        }
    }
    let nothing = Facts { connection: None, wanted: MEMBER, rejected: None, now: NOW, done: Done::Nothing };
    assert_eq!(plan(&nothing), Step::Ask(None));
    assert_eq!(plan(&Facts { wanted: SHARED, ..nothing }), Step::Make);
    assert_eq!(plan(&Facts { wanted: SHARED, done: Done::Made, ..nothing }), Step::Unavailable);
}

#[test]
fn by_age() {
    for (expires_in, renew_in, first, after_renewal, without_refresh_token) in [
        (None, None, Step::Use, Step::Use, Step::Use),
        (Some(3600), Some(1), Step::Use, Step::Use, Step::Use),
        (Some(3600), Some(0), Step::UseAndRenew, Step::Use, Step::Use),
        (Some(3), Some(-9), Step::UseAndRenew, Step::Use, Step::Use),
        (Some(2), Some(-9), Step::Renew, Step::Use, Step::Use),
        (Some(1), Some(-9), Step::Renew, Step::Use, Step::Use),
        (Some(0), Some(-9), Step::Renew, Step::Unavailable, Step::Retire(ReauthReason::Expired)),
        (Some(-9), None, Step::Renew, Step::Unavailable, Step::Retire(ReauthReason::Expired)),
    ] {
        let connection = connection(ConnectionState::Active, expires_in, renew_in);
        for wanted in [MEMBER, SHARED] {
            assert_eq!(plan(&facts(&connection, wanted, Done::Nothing)), first, "{expires_in:?}");
            assert_eq!(plan(&facts(&connection, wanted, Done::Made)), first, "{expires_in:?}");
            assert_eq!(plan(&facts(&connection, wanted, Done::Renewed)), after_renewal, "{expires_in:?}");
        }
        let connection = without_refresh(connection);
        for done in ALL_DONE {
            let step = plan(&facts(&connection, MEMBER, done));
            assert_eq!(step, without_refresh_token, "{expires_in:?}");
        }
        // The shared one is fetched with the gateway's own client and needs none.
        assert_eq!(plan(&facts(&connection, SHARED, Done::Nothing)), first, "{expires_in:?}");
    }
}

#[test]
fn by_rejection() {
    let at = |connected: i64, refreshed: i64| {
        let mut connection = connection(ConnectionState::Active, Some(3600), Some(1800));
        connection.connected_at = seconds_from_now(connected);
        connection.refreshed_at = seconds_from_now(refreshed);
        connection
    };
    let retire = Step::Retire(ReauthReason::Rejected);
    for (connection, rejected, done, member, shared) in [
        // Somebody else has renewed it since.
        (at(-99, -1), 4, Done::Nothing, Step::Use, Step::Use),
        (at(-99, -30), 5, Done::Nothing, Step::Renew, Step::Renew),
        (at(-99, -30), 5, Done::Renewed, Step::Unavailable, Step::Unavailable),
        (at(-99, -29), 5, Done::Nothing, retire, Step::Refused),
        // Straight from a consent, it is renewed once all the same.
        (at(-1, -1), 5, Done::Nothing, Step::Renew, Step::Renew),
        // From a database that was put back to an earlier state.
        (at(-99, -99), 6, Done::Nothing, Step::Renew, Step::Renew),
    ] {
        for (wanted, step) in [(MEMBER, member), (SHARED, shared)] {
            let facts = Facts { rejected: Some(rejected), ..facts(&connection, wanted, done) };
            assert_eq!(plan(&facts), step, "{rejected} {done:?} {:?}", connection.refreshed_at);
        }
    }
    let connection = without_refresh(at(-99, -99));
    let rejected = Facts { rejected: Some(5), ..facts(&connection, MEMBER, Done::Nothing) };
    assert_eq!(plan(&rejected), retire);
}

#[test]
fn what_was_made_for_another_origin_or_client_is_not_used() {
    let connection = connection(ConnectionState::Active, Some(3600), Some(1800));
    let elsewhere = Wanted { origin: "https://other.example", shared_client: None };
    assert_eq!(plan(&facts(&connection, elsewhere, Done::Nothing)), Step::Ask(None));
    let elsewhere = Wanted { shared_client: Some(CLIENT), ..elsewhere };
    assert_eq!(plan(&facts(&connection, elsewhere, Done::Nothing)), Step::Make);
    let other_client = Wanted { shared_client: Some("other"), ..SHARED };
    assert_eq!(plan(&facts(&connection, other_client, Done::Nothing)), Step::Make);
}

fn any_state() -> impl Strategy<Value = ConnectionState> {
    prop_oneof![
        4 => Just(ConnectionState::Active),
        1 => proptest::sample::select(&ReauthReason::ALL[..]).prop_map(ConnectionState::NeedsReauth),
        1 => Just(ConnectionState::Quarantined),
        1 => Just(ConnectionState::Disconnected),
    ]
}

prop_compose! {
    fn any_connection()(
        state in any_state(),
        expires_in in proptest::option::of(-50_i64..50),
        renew_in in proptest::option::of(-50_i64..50),
        renewable: bool,
        ages in (0_i64..100, 0_i64..100),
    ) -> Connection {
        let mut connection = connection(state, expires_in, renew_in);
        connection.connected_at = seconds_from_now(-ages.0.max(ages.1));
        connection.refreshed_at = seconds_from_now(-ages.0.min(ages.1));
        if let Some(tokens) = connection.tokens.as_mut().filter(|_| !renewable) {
            tokens.refresh = None;
        }
        connection
    }
}

proptest! {
    #[test]
    fn only_a_good_token_is_used(
        connection in any_connection(),
        shared: bool,
        rejected in proptest::option::of(3_u64..8),
        done in proptest::sample::select(&ALL_DONE[..]),
    ) {
        let wanted = if shared { SHARED } else { MEMBER };
        let step = plan(&Facts { rejected, ..facts(&connection, wanted, done) });
        if matches!(step, Step::Use | Step::UseAndRenew) {
            prop_assert_eq!(connection.state, ConnectionState::Active);
            let tokens = connection.tokens.as_ref().expect("tokens");
            prop_assert!(tokens.expires_at.is_none_or(|end| NOW < end), "it has expired");
            prop_assert!(rejected.is_none_or(|generation| generation < connection.generation), "it was refused");
        }
    }

    /// Whatever others do to the connection between the steps.
    #[test]
    fn no_request_goes_round_in_circles(
        seen in proptest::collection::vec(proptest::option::of(any_connection()), 4),
        shared: bool,
        rejected in proptest::option::of(3_u64..8),
    ) {
        let mut done = Done::Nothing;
        let mut acted = Vec::new();
        for connection in &seen {
            let wanted = if shared { SHARED } else { MEMBER };
            let step = plan(&Facts { connection: connection.as_ref(), wanted, rejected, now: NOW, done });
            done = match step {
                Step::Make => Done::Made,
                Step::Renew => Done::Renewed,
                _ => return Ok(()),
            };
            prop_assert!(!acted.contains(&step), "{:?} twice", step);
            acted.push(step);
        }
        prop_assert!(false, "no end");
    }
}
