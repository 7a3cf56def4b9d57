use portcullis_wire::lease::CredentialKind;
use portcullis_wire::names::Slug;
use portcullis_wire::watch::PayloadPolicy;
use proptest::prelude::*;

use super::*;
use crate::domain::server::{ServerAuth, ServerSettings};
use crate::domain::url::{PlainHttp, ServerUrl};

fn server(id: &str) -> Server {
    let settings = ServerSettings {
        name: id.into(),
        url: ServerUrl::parse("https://mcp.example/mcp", PlainHttp::Refused).expect("a URL"),
        auth: ServerAuth::None,
        payload: PayloadPolicy::Off.into(),
        provision_new_workspaces: false,
        concurrency: Some(3),
    };
    let slug = Slug::parse(id).expect("a slug");
    Server { id: id.into(), slug, settings, origin: Origin::Api, revision: Revision(1), quarantined: false }
}

fn caller(id: &str, key: Option<&str>) -> Caller {
    Caller {
        id: id.into(),
        name: id.into(),
        credential: CredentialKind::MemberKey,
        key_id: key.map(str::to_owned),
        session_id: None,
        client_id: None,
    }
}

fn limit(target: PolicyTarget, name: &str, each: &[Each]) -> Limit {
    Limit {
        target,
        name: LimitName::parse(name).expect("a name"),
        scope: LimitScope::default(),
        rule: LimitRule {
            tools: Vec::new(),
            each: each.iter().copied().collect(),
            requests: 5,
            per: Per::Minute,
        },
        origin: Origin::Api,
        revision: Revision(1),
    }
}

/// Somebody who calls: server, workspace, member, key.
#[derive(Clone, Copy)]
struct Who(&'static str, &'static str, &'static str, Option<&'static str>);

const ADA: Who = Who("s1", "w1", "ada", Some("k1"));

impl Who {
    fn terms(self, limits: &[Limit]) -> Terms {
        let Self(server_id, workspace, member, key) = self;
        let (server, caller) = (server(server_id), caller(member, key));
        let (workspace, member, key) = (workspace.into(), member.into(), key.map(KeyId::from));
        let counted = Counted {
            server: &server,
            workspace: &workspace,
            bounded_by: Some(&member),
            key: key.as_ref(),
            caller: &caller,
        };
        counted.terms(limits)
    }

    fn counter(self, limit: &Limit) -> String {
        self.terms(std::slice::from_ref(limit)).rates.remove(0).counter
    }
}

#[test]
fn a_lease_has_what_concerns_its_caller() {
    let of = |target, name| limit(target, name, &[]);
    let mut elsewhere = of(PolicyTarget::Organization, "elsewhere");
    elsewhere.scope.server = Some("s2".into());
    let mut foreign = of(PolicyTarget::Organization, "foreign");
    foreign.scope.workspace = Some("w2".into());
    let mut here = of(PolicyTarget::Organization, "here");
    here.scope = LimitScope { server: Some("s1".into()), workspace: Some("w1".into()) };
    let limits = [
        of(PolicyTarget::Key("k1".into()), "d"),
        of(PolicyTarget::Key("k2".into()), "x"),
        of(PolicyTarget::Member("ada".into()), "c"),
        of(PolicyTarget::Member("bob".into()), "x"),
        of(PolicyTarget::Workspace("w1".into()), "b"),
        of(PolicyTarget::Workspace("w2".into()), "x"),
        of(PolicyTarget::Organization, "a"),
        elsewhere,
        foreign,
        here,
    ];
    let terms = ADA.terms(&limits);
    let names: Vec<&str> = terms.rates.iter().map(|rate| rate.name.as_str()).collect();
    let expected = [
        "organization/limits:a",
        "organization/limits:here",
        "workspace/limits:b",
        "member/limits:c",
        "key/limits:d",
    ];
    assert_eq!(names, expected);
    assert_eq!((terms.rates[0].requests, terms.rates[0].window_ms, terms.concurrency), (5, 60_000, Some(3)));
}

#[test]
fn each_says_what_is_counted_apart() {
    let others = [
        (Each::Server, Who("s2", "w1", "ada", Some("k1"))),
        (Each::Workspace, Who("s1", "w2", "ada", Some("k1"))),
        (Each::Member, Who("s1", "w1", "bob", Some("k1"))),
        (Each::Key, Who("s1", "w1", "ada", Some("k2"))),
        (Each::Key, Who("s1", "w1", "ada", None)),
        (Each::Tool, Who("s2", "w1", "ada", Some("k1"))),
    ];
    for (apart, other) in others {
        let limit = limit(PolicyTarget::Organization, "a", &[apart]);
        assert_ne!(ADA.counter(&limit), other.counter(&limit), "{apart:?}");
    }
    for each in [&[][..], &[Each::Level]] {
        let limit = limit(PolicyTarget::Organization, "a", each);
        for (_, other) in others {
            assert_eq!(ADA.counter(&limit), other.counter(&limit));
        }
    }
    let by_tool = |each: &[Each]| ADA.terms(&[limit(PolicyTarget::Organization, "a", each)]).rates[0].by_tool;
    assert!(by_tool(&[Each::Tool, Each::Member]) && !by_tool(&[Each::Member]));
}

#[test]
fn a_counter_is_the_limits_own_and_begins_anew_with_its_numbers() {
    let first = limit(PolicyTarget::Workspace("w1".into()), "a", &[]);
    let mut changed = first.clone();
    changed.rule.tools = vec![Pattern("create_*".into())];
    changed.revision = Revision(7);
    assert_eq!(ADA.counter(&first), ADA.counter(&changed));
    let with = |change: fn(&mut LimitRule)| {
        let mut other = first.clone();
        change(&mut other.rule);
        other
    };
    for other in [
        with(|rule| rule.requests = 9),
        with(|rule| rule.per = Per::Day),
        limit(PolicyTarget::Workspace("w1".into()), "b", &[]),
        limit(PolicyTarget::Organization, "a", &[]),
        limit(PolicyTarget::Member("ada".into()), "a", &[]),
    ] {
        assert_ne!(ADA.counter(&first), ADA.counter(&other));
    }
    assert_eq!(ADA.counter(&first).len(), 32);
}

#[test]
fn names_are_for_urls_and_logs() {
    for good in ["a", "all-writes_2", &"x".repeat(63)] {
        assert!(LimitName::parse(good).is_ok(), "{good}");
    }
    for bad in ["", "Writes", "a b", "a/b", "ä", &"x".repeat(64)] {
        assert!(LimitName::parse(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_further_limit_only_adds(names in proptest::collection::btree_set("[a-c]{1,2}", 1..6), split in 0_usize..6) {
        let limits: Vec<Limit> =
            names.iter().map(|name| limit(PolicyTarget::Workspace("w1".into()), name, &[])).collect();
        let (some, all) = (ADA.terms(&limits[..split.min(limits.len())]).rates, ADA.terms(&limits).rates);
        prop_assert!(some.iter().all(|rate| all.contains(rate)));
    }
}
