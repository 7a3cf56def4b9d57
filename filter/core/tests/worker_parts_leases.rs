//! Leases: how long they live, what ends them early, and that nobody ever gets another's.

use portcullis_filter_core::leases::{
    Access, DENIAL_TTL_MS, Known, LeaseCache, LeaseKey, MAX_LEASE_BYTES, MAX_LEASE_TTL_MS, Refused,
    ServerKey, UpstreamSession,
};
use portcullis_wire::digest::Digest;
use portcullis_wire::lease::{
    Caller, ConnectRequired, CredentialHeader, CredentialKind, CredentialLimits, DenyReason, Lease, Terms,
    WorkspaceRef,
};
use portcullis_wire::names::Slug;
use portcullis_wire::policy::Policy;
use portcullis_wire::secret::SecretText;
use portcullis_wire::watch::Invalidation;
use wasm_bindgen_test::wasm_bindgen_test;

const NOW: u64 = 1_800_000_000_000;

fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

fn key(credential: &str, server: &str) -> LeaseKey {
    LeaseKey {
        credential: Digest::of("credential", &[credential.as_bytes()]),
        workspace: None,
        server: ServerKey::Listed(server.into()),
    }
}

/// The lease of member `m-{credential}` with key `k-{credential}` in workspace w1.
fn lease(credential: &str, server: &str, revision: u64) -> Lease {
    Lease {
        caller: Caller {
            id: format!("m-{credential}"),
            name: "Ada".into(),
            credential: CredentialKind::MemberKey,
            key_id: Some(format!("k-{credential}")),
            session_id: None,
            client_id: None,
        },
        workspace: WorkspaceRef { id: "w1".into(), slug: slug("core") },
        server_id: server.into(),
        connection_id: Some(format!("c-{credential}-{server}")),
        credential_generation: 0,
        policy: Policy::default(),
        limits: CredentialLimits::default(),
        terms: Terms::default(),
        credential_headers: vec![CredentialHeader {
            name: "authorization".into(),
            value: SecretText::new(format!("Bearer upstream-{credential}-{server}")),
        }],
        session_key: None,
        ttl_ms: 60_000,
        revision,
    }
}

fn grant(cache: &mut LeaseCache, credential: &str, server: &str) {
    let granted = cache.grant(key(credential, server), lease(credential, server, 5), NOW);
    granted.expect("granted");
}

fn holds(cache: &mut LeaseCache, credential: &str, server: &str) -> bool {
    match cache.look_up(&key(credential, server), NOW) {
        Known::Held(Access::Granted(found)) => {
            assert_eq!(**found, lease(credential, server, 5), "the lease of this very caller and server");
            true
        }
        Known::Held(_) | Known::Denied(_) | Known::Nothing => false,
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn long_credentials_leave_room_for_fewer_leases() {
    const LENGTH: usize = 100_000;
    let mut cache = LeaseCache::new(20_000);
    let long = |credential: &str| {
        let mut lease = lease(credential, "s1", 5);
        lease.credential_headers[0].value = SecretText::new("x".repeat(LENGTH));
        lease
    };
    let most = MAX_LEASE_BYTES / LENGTH;
    for number in 0..2 * most {
        let credential = number.to_string();
        cache.grant(key(&credential, "s1"), long(&credential), NOW).expect("granted");
        assert!(cache.len() <= most, "{number}");
        assert!(matches!(cache.look_up(&key(&credential, "s1"), NOW), Known::Held(_)), "{number}");
    }
    assert!(cache.len() > most / 2);
    assert_eq!(cache.look_up(&key("0", "s1"), NOW), Known::Nothing, "the oldest went first");
    // What is forgotten gives its room back, by an invalidation as well.
    cache.invalidate(vec![Invalidation::Server("s1".into())], 6, NOW);
    assert!(cache.is_empty());
    for number in 0..10_000 {
        let credential = number.to_string();
        cache.grant(key(&credential, "s2"), lease(&credential, "s2", 7), NOW).expect("granted");
    }
    assert_eq!(cache.len(), 10_000);
    // One that there is never room for serves the request that asked.
    let mut endless = lease("endless", "s2", 7);
    endless.credential_headers[0].value = SecretText::new("x".repeat(MAX_LEASE_BYTES));
    cache.grant(key("endless", "s2"), endless, NOW).expect("granted");
    assert_eq!(cache.look_up(&key("endless", "s2"), NOW), Known::Nothing);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lease_serves_until_its_time_is_over() {
    let mut cache = LeaseCache::new(10);
    assert_eq!(cache.look_up(&key("a", "s1"), NOW), Known::Nothing);
    grant(&mut cache, "a", "s1");
    assert!(matches!(cache.look_up(&key("a", "s1"), NOW + 59_999), Known::Held(_)));
    assert_eq!(cache.look_up(&key("a", "s1"), NOW + 60_000), Known::Nothing);
    assert!(cache.is_empty(), "and is gone then, with its secret");

    let mut endless = lease("a", "s1", 5);
    endless.ttl_ms = u64::MAX;
    cache.grant(key("a", "s1"), endless, NOW).expect("granted");
    assert!(matches!(cache.look_up(&key("a", "s1"), NOW + MAX_LEASE_TTL_MS - 1), Known::Held(_)));
    assert_eq!(cache.look_up(&key("a", "s1"), NOW + MAX_LEASE_TTL_MS), Known::Nothing);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clock_put_back_does_not_lengthen_a_lease() {
    let mut cache = LeaseCache::new(10);
    grant(&mut cache, "a", "s1");
    assert!(matches!(cache.look_up(&key("a", "s1"), NOW - 2_000), Known::Held(_)));
    assert_eq!(cache.look_up(&key("a", "s1"), NOW - 2_001), Known::Nothing);
    assert_eq!(cache.look_up(&key("a", "s1"), NOW), Known::Nothing);
}

#[wasm_bindgen_test(unsupported = test)]
fn expired_leases_do_not_wait_for_a_look_up_to_go() {
    let mut cache = LeaseCache::new(10);
    grant(&mut cache, "a", "s1");
    cache.grant(key("b", "s1"), lease("b", "s1", 5), NOW + 1).expect("granted");
    cache.drop_expired(NOW + 60_000);
    assert_eq!(cache.len(), 1);
    assert!(holds(&mut cache, "b", "s1"));
}

#[wasm_bindgen_test(unsupported = test)]
fn callers_servers_and_workspaces_do_not_mix() {
    let mut cache = LeaseCache::new(10);
    grant(&mut cache, "a", "s1");
    grant(&mut cache, "b", "s1");
    grant(&mut cache, "a", "s2");
    for (credential, server) in [("a", "s1"), ("b", "s1"), ("a", "s2")] {
        assert!(holds(&mut cache, credential, server));
    }
    assert!(!holds(&mut cache, "b", "s2"));
    let named = LeaseKey { workspace: Some(slug("core")), ..key("a", "s1") };
    assert_eq!(cache.look_up(&named, NOW), Known::Nothing);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_to_another_question_is_refused() {
    let mut cache = LeaseCache::new(10);
    assert_eq!(cache.grant(key("a", "s1"), lease("a", "s2", 5), NOW), Err(Refused::Mismatched));
    let other_workspace = LeaseKey { workspace: Some(slug("sales")), ..key("a", "s1") };
    assert_eq!(cache.grant(other_workspace, lease("a", "s1", 5), NOW), Err(Refused::Mismatched));
    for name in ["s1", "other"] {
        let unlisted = LeaseKey { server: ServerKey::Unlisted(slug(name)), ..key("a", "s1") };
        assert_eq!(cache.grant(unlisted, lease("a", "s1", 5), NOW), Err(Refused::Mismatched));
    }
    let same_workspace = LeaseKey { workspace: Some(slug("core")), ..key("a", "s1") };
    assert!(cache.grant(same_workspace, lease("a", "s1", 5), NOW).is_ok());
    assert_eq!(cache.len(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn invalidations_end_what_they_name_and_nothing_else() {
    use Invalidation::{All, Connection, Key, Member, Server, Workspace};
    for (invalidation, left) in [
        (Member("m-a".into()), vec![("b", "s1")]),
        (Key("k-b".into()), vec![("a", "s1"), ("a", "s2")]),
        (Workspace("w1".into()), vec![]),
        (Workspace("w2".into()), vec![("a", "s1"), ("a", "s2"), ("b", "s1")]),
        (Server("s1".into()), vec![("a", "s2")]),
        (Connection("c-a-s2".into()), vec![("a", "s1"), ("b", "s1")]),
        (Member("k-b".into()), vec![("a", "s1"), ("a", "s2"), ("b", "s1")]),
        (All, vec![]),
    ] {
        let mut cache = LeaseCache::new(10);
        for (credential, server) in [("a", "s1"), ("a", "s2"), ("b", "s1")] {
            grant(&mut cache, credential, server);
        }
        cache.invalidate(vec![invalidation.clone()], 6, NOW);
        assert_eq!(cache.len(), left.len(), "{invalidation:?}");
        for (credential, server) in left {
            assert!(holds(&mut cache, credential, server), "{invalidation:?} {credential} {server}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_invalidation_that_overtook_an_older_lease_still_counts() {
    use Invalidation::{All, Connection, Key, Member, Server, Workspace};
    for invalidation in [
        Member("m-a".into()),
        Key("k-a".into()),
        Workspace("w1".into()),
        Server("s1".into()),
        Connection("c-a-s1".into()),
        All,
    ] {
        let mut cache = LeaseCache::new(10);
        cache.invalidate(vec![invalidation.clone()], 6, NOW);
        let old = cache.grant(key("a", "s1"), lease("a", "s1", 5), NOW + 100);
        assert_eq!(old, Err(Refused::Outdated), "{invalidation:?}");
        assert!(cache.is_empty());
        assert!(cache.grant(key("a", "s1"), lease("a", "s1", 6), NOW + 100).is_ok(), "{invalidation:?}");
    }
    let mut cache = LeaseCache::new(10);
    cache.invalidate(vec![Member("m-b".into())], 6, NOW);
    assert!(cache.grant(key("a", "s1"), lease("a", "s1", 5), NOW).is_ok(), "others are not concerned");
}

#[wasm_bindgen_test(unsupported = test)]
fn many_invalidations_at_once_count_as_one_that_names_everything() {
    let mut cache = LeaseCache::new(10);
    let many = (0..10_001).map(|number| Invalidation::Member(number.to_string())).collect();
    cache.invalidate(many, 6, NOW);
    assert_eq!(cache.grant(key("a", "s1"), lease("a", "s1", 5), NOW), Err(Refused::Outdated));
    assert!(cache.grant(key("a", "s1"), lease("a", "s1", 6), NOW).is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_reset_forgets_everything_even_back_in_time() {
    let mut cache = LeaseCache::new(10);
    grant(&mut cache, "a", "s1");
    cache.deny(key("b", "s1"), DenyReason::UnknownServer, NOW);
    cache.forget_all(9);
    assert_eq!(cache.look_up(&key("a", "s1"), NOW), Known::Nothing);
    assert_eq!(cache.look_up(&key("b", "s1"), NOW), Known::Nothing);
    assert_eq!(cache.grant(key("a", "s1"), lease("a", "s1", 8), NOW), Err(Refused::Outdated));
    cache.forget_all(2);
    assert!(cache.grant(key("a", "s1"), lease("a", "s1", 2), NOW).is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn denials_are_short_and_good_news_ends_them() {
    let mut cache = LeaseCache::new(10);
    let denied = Known::Denied(DenyReason::UnknownServer.into());
    cache.deny(key("a", "s1"), DenyReason::UnknownServer, NOW);
    assert_eq!(cache.look_up(&key("a", "s1"), NOW + DENIAL_TTL_MS - 1), denied);
    assert_eq!(cache.look_up(&key("a", "s1"), NOW + DENIAL_TTL_MS), Known::Nothing);
    assert_eq!(cache.look_up(&key("a", "s2"), NOW), Known::Nothing);

    cache.invalidate(vec![], 6, NOW);
    assert_eq!(cache.look_up(&key("a", "s1"), NOW), denied);
    cache.invalidate(vec![Invalidation::Workspace("w7".into())], 6, NOW);
    assert_eq!(cache.look_up(&key("a", "s1"), NOW), Known::Nothing);

    grant(&mut cache, "a", "s1");
    cache.deny(key("a", "s1"), DenyReason::DisabledCredential, NOW);
    assert_eq!(
        cache.look_up(&key("a", "s1"), NOW),
        Known::Denied(DenyReason::DisabledCredential.into()),
        "the latest answer counts"
    );
    grant(&mut cache, "a", "s1");
    assert!(holds(&mut cache, "a", "s1"));
}

#[wasm_bindgen_test(unsupported = test)]
fn memory_is_bounded_and_denials_push_no_lease_out() {
    let mut cache = LeaseCache::new(3);
    for number in 0..10 {
        grant(&mut cache, &number.to_string(), "s1");
    }
    assert_eq!(cache.len(), 3);
    for number in 0..5_000 {
        cache.deny(key(&format!("x{number}"), "s1"), DenyReason::UnknownCredential, NOW);
    }
    for number in 7..10 {
        assert!(holds(&mut cache, &number.to_string(), "s1"));
    }
    assert_eq!(cache.look_up(&key("x0", "s1"), NOW), Known::Nothing);
    cache.set_capacity(1);
    assert_eq!(cache.len(), 1);
    cache.invalidate(vec![Invalidation::Server("s1".into())], 6, NOW);
    assert!(cache.is_empty());
}

/// The answer to the same caller that an account has to be connected first.
fn connect_required(credential: &str, server: &str, revision: u64) -> ConnectRequired {
    let lease = lease(credential, server, revision);
    ConnectRequired {
        caller: lease.caller,
        workspace: lease.workspace,
        server_id: lease.server_id,
        connection_id: lease.connection_id.expect("one"),
        policy: lease.policy,
        limits: lease.limits,
        terms: lease.terms,
        handle: SecretText::new("handle".into()),
        ttl_ms: 60_000,
        revision,
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn that_an_account_has_to_be_connected_is_kept_like_a_lease() {
    use Invalidation::{Connection, Key, Member, Server, Workspace};
    for invalidation in [
        Member("m-a".into()),
        Key("k-a".into()),
        Workspace("w1".into()),
        Server("s1".into()),
        Connection("c-a-s1".into()),
    ] {
        let mut cache = LeaseCache::new(10);
        cache.grant(key("a", "s1"), connect_required("a", "s1", 5), NOW).expect("kept");
        assert!(matches!(cache.look_up(&key("a", "s1"), NOW), Known::Held(Access::ConnectRequired(_))));
        assert_eq!(cache.look_up(&key("a", "s1"), NOW + 60_000), Known::Nothing);
        cache.grant(key("a", "s1"), connect_required("a", "s1", 5), NOW).expect("kept");
        cache.invalidate(vec![invalidation.clone()], 6, NOW);
        assert_eq!(cache.look_up(&key("a", "s1"), NOW), Known::Nothing, "{invalidation:?}");
        let old = cache.grant(key("a", "s1"), connect_required("a", "s1", 5), NOW);
        assert_eq!(old, Err(Refused::Outdated), "{invalidation:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_that_was_overtaken_does_not_count() {
    let generation = |generation: u64| Lease { credential_generation: generation, ..lease("a", "s1", 5) };
    let mut cache = LeaseCache::new(10);
    cache.grant(key("a", "s1"), generation(2), NOW).expect("granted");
    for older in [Access::from(generation(1)), Access::from(connect_required("a", "s1", 4))] {
        let counts = cache.grant(key("a", "s1"), older, NOW).expect("not refused");
        assert_eq!(counts, Access::from(generation(2)));
    }
    cache.grant(key("a", "s1"), connect_required("a", "s1", 5), NOW).expect("as late as the lease");
    assert!(matches!(cache.look_up(&key("a", "s1"), NOW), Known::Held(Access::ConnectRequired(_))));
}

#[wasm_bindgen_test(unsupported = test)]
fn sessions_live_and_end_with_the_lease() {
    let digest = |number: u32| Digest::of("session", &[&number.to_be_bytes()]);
    let upstream = |id: &str| UpstreamSession::new(Some(id.into()), "2025-06-18".into()).expect("fits");
    let mut cache = LeaseCache::new(10);
    cache.keep_session(&key("a", "s1"), digest(0), upstream("x"), 60_000, NOW);
    assert_eq!(cache.session(&key("a", "s1"), &digest(0), NOW), None, "no lease, no session");
    grant(&mut cache, "a", "s1");
    grant(&mut cache, "b", "s1");
    cache.keep_session(&key("a", "s1"), digest(0), upstream("x"), 1_000, NOW);
    assert_eq!(cache.session(&key("a", "s1"), &digest(0), NOW + 999).as_deref(), Some(&upstream("x")));
    assert_eq!(cache.session(&key("a", "s1"), &digest(0), NOW + 1_000), None, "its time is over");
    assert_eq!(cache.session(&key("b", "s1"), &digest(0), NOW), None, "another caller's");
    cache.invalidate(vec![Invalidation::Connection("c-a-s1".into())], 5, NOW);
    grant(&mut cache, "a", "s1");
    assert_eq!(cache.session(&key("a", "s1"), &digest(0), NOW), None, "the lease had ended");
    for number in 0..100 {
        cache.keep_session(&key("a", "s1"), digest(number), upstream("x"), 1_000, NOW);
    }
    let kept = (0..100).filter(|number| cache.session(&key("a", "s1"), &digest(*number), NOW).is_some());
    assert_eq!(kept.count(), 16);
    for (id, version) in [(Some("a b"), "x"), (Some(""), "x"), (None, ""), (None, "x\r\n")] {
        assert_eq!(UpstreamSession::new(id.map(str::to_owned), version.into()), None);
    }
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// The index of names never loses or invents a lease, whatever happens in whatever order.
        #[test]
        fn the_cache_agrees_with_a_plain_set(
            steps in proptest::collection::vec((0_u8..6, 0_u8..4, 0_u8..3), 0..80),
        ) {
            let mut cache = LeaseCache::new(100);
            let mut held: BTreeSet<(String, String)> = BTreeSet::new();
            for (action, credential, server) in steps {
                let (credential, server) = (credential.to_string(), format!("s{server}"));
                let pair = (credential.clone(), server.clone());
                match action {
                    0 | 1 => {
                        grant(&mut cache, &credential, &server);
                        held.insert(pair);
                    }
                    2 => {
                        cache.deny(key(&credential, &server), DenyReason::UnknownServer, NOW);
                        held.remove(&pair);
                    }
                    // At the revision of the leases, so that they are not outdated by it.
                    3 => {
                        cache.invalidate(vec![Invalidation::Member(format!("m-{credential}"))], 5, NOW);
                        held.retain(|(other, _)| *other != credential);
                    }
                    4 => {
                        cache.invalidate(vec![Invalidation::Server(server.clone())], 5, NOW);
                        held.retain(|(_, other)| *other != server);
                    }
                    _ => {
                        let connection = format!("c-{credential}-{server}");
                        cache.invalidate(vec![Invalidation::Connection(connection)], 5, NOW);
                        held.remove(&pair);
                    }
                }
                prop_assert_eq!(cache.len(), held.len());
                for (credential, server) in &held {
                    prop_assert!(holds(&mut cache, credential, server));
                }
            }
        }
    }
}
