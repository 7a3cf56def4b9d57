//! API keys: whom they act as, and what they leave of that.

use super::*;

#[test]
fn a_members_key_acts_as_the_member() {
    let grant = granted(&key_request(), &of_key(key_facts()));
    let caller = Caller {
        id: "ada".into(),
        name: "Ada".into(),
        credential: CredentialKind::MemberKey,
        key_id: Some("key".into()),
        session_id: None,
        client_id: None,
    };
    assert_eq!((grant.caller, grant.workspace), (caller, workspace("core").reference()));
    assert_eq!((grant.revision, grant.not_after), (Revision(7), None));
    assert_eq!(grant.policy, Policy::default());
}

#[test]
fn a_service_key_cannot_use_accounts_of_members() {
    let service = KeyFacts { key: key(KeyOwner::Service), member: None, ..key_facts() };
    for (auth, outcome) in
        [(ServerAuth::None, None), (ServerAuth::OAuth(Box::default()), Some(DenyReason::MemberRequired))]
    {
        let mut facts = of_key(service.clone());
        facts.server.as_mut().expect("a server").server.settings.auth = auth.clone();
        let Resolution::Denied(reason) = resolve(&key_request(), &facts, RESOURCE, NOW) else {
            assert_eq!(outcome, None);
            continue;
        };
        assert_eq!(Some(reason), outcome);
        // Where the workspace does not have the server, the reason tells nothing about it.
        facts.server.as_mut().expect("a server").provisioned.clear();
        let resolution = resolve(&key_request(), &facts, RESOURCE, NOW);
        assert_eq!(resolution, Resolution::Denied(DenyReason::UnknownServer));
    }
    let mut facts = of_key(key_facts());
    facts.server.as_mut().expect("a server").server.settings.auth =
        ServerAuth::OAuth(Box::<OAuthSettings>::default());
    assert!(
        matches!(resolve(&key_request(), &facts, RESOURCE, NOW), Resolution::Granted(_)),
        "a member's key may"
    );
}

#[test]
fn a_service_key_acts_for_itself() {
    let mut facts = KeyFacts { key: key(KeyOwner::Service), member: None, ..key_facts() };
    facts.key.settings.expires_at = Some(Timestamp(100_001));
    let grant = granted(&key_request(), &of_key(facts));
    let caller = Caller {
        id: "key".into(),
        name: "CI".into(),
        credential: CredentialKind::ServiceKey,
        key_id: Some("key".into()),
        session_id: None,
        client_id: None,
    };
    assert_eq!((grant.caller, grant.not_after), (caller, Some(Timestamp(100_001))));
}

#[test]
fn bad_keys_are_refused() {
    let change = |change: &dyn Fn(&mut KeyFacts)| {
        let mut facts = key_facts();
        change(&mut facts);
        of_key(facts)
    };
    let request = key_request();
    let unknown = LeaseFacts { caller: CallerFacts::ApiKey(None), ..of_key(key_facts()) };
    assert_eq!(denied(&request, &unknown), DenyReason::UnknownCredential);
    for (facts, reason) in [
        (change(&|facts| facts.key.digest = Digest::from_bytes([0; 32])), DenyReason::UnknownCredential),
        (change(&|facts| facts.member = None), DenyReason::UnknownCredential),
        (change(&|facts| facts.member = Some(member("eve", "core"))), DenyReason::UnknownCredential),
        (change(&|facts| facts.key.settings.disabled = true), DenyReason::DisabledCredential),
        (
            change(&|facts| facts.member = Some(Member { disabled: true, ..member("ada", "core") })),
            DenyReason::DisabledCredential,
        ),
        (
            change(&|facts| facts.member = Some(Member { lapsed: true, ..member("ada", "core") })),
            DenyReason::DisabledCredential,
        ),
        (change(&|facts| facts.key.settings.expires_at = Some(NOW)), DenyReason::ExpiredCredential),
    ] {
        assert_eq!(denied(&request, &facts), reason, "{facts:?}");
    }
    let elsewhere = LeaseRequest { workspace: Some(slug("sales")), ..key_request() };
    assert_eq!(denied(&elsewhere, &of_key(key_facts())), DenyReason::WrongWorkspace);
    let here = LeaseRequest { workspace: Some(slug("core")), ..key_request() };
    assert_eq!(granted(&here, &of_key(key_facts())).workspace.slug, slug("core"));
    // Facts and proof that do not belong together are worth nothing.
    assert_eq!(denied(&token_request(None, None), &of_key(key_facts())), DenyReason::UnknownCredential);
}

#[test]
fn a_service_key_can_do_what_its_maker_can_now() {
    let manager = Member { role: MemberRole::Manager, ..member("mia", "core") };
    let made_by = |administers, membership| KeyFacts {
        key: key(KeyOwner::Service),
        member: None,
        maker: Some(MakerFacts { administers, membership }),
        ..key_facts()
    };
    let request = key_request();
    for maker in [
        made_by(false, Some(manager.clone())),
        made_by(true, None),
        made_by(true, Some(member("mia", "core"))),
        KeyFacts { maker: None, ..made_by(false, None) },
    ] {
        assert!(granted(&request, &of_key(maker)).member.is_none());
    }
    for maker in [
        made_by(false, None),
        made_by(false, Some(member("mia", "core"))),
        made_by(false, Some(Member { disabled: true, ..manager.clone() })),
        made_by(false, Some(Member { lapsed: true, ..manager.clone() })),
    ] {
        assert_eq!(denied(&request, &of_key(maker)), DenyReason::DisabledCredential);
    }
    // A member's key is the member's, whoever has made it.
    let stranger = Some(MakerFacts { administers: false, membership: None });
    granted(&request, &of_key(KeyFacts { maker: stranger, ..key_facts() }));

    // What the maker may not do, the key may not either.
    let mut facts = of_key(made_by(false, Some(manager)));
    let narrow = entry(PolicyTarget::Member("mia".into()), ServerRules::default());
    facts.server = Some(server_facts(vec![narrow.clone()]));
    let levels = granted(&request, &facts).policy.levels;
    assert_eq!(levels.iter().map(|level| level.level).collect::<Vec<_>>(), [Level::Member]);
    let removed = ServerRules { enabled: Some(false), ..ServerRules::default() };
    facts.server = Some(server_facts(vec![entry(PolicyTarget::Member("mia".into()), removed)]));
    assert_eq!(denied(&request, &facts), DenyReason::UnknownServer);
}

#[test]
fn a_keys_scope_takes_away_on_every_server() {
    let names = |names: &[&str]| names.iter().map(|name| Pattern((*name).to_owned())).collect();
    let with = |scope: KeyScope, sources: &[&str]| {
        let mut facts = of_key(key_facts());
        let CallerFacts::ApiKey(Some(key)) = &mut facts.caller else { unreachable!() };
        key.key.settings.scope = scope;
        key.key.settings.sources = sources.iter().map(|text| text.parse().expect("a network")).collect();
        facts.server.as_mut().expect("set").reading_tools = vec!["read".into(), "list*".into()];
        facts
    };
    let elsewhere = KeyScope { servers: Some(BTreeSet::from(["other".into()])), ..KeyScope::default() };
    assert_eq!(denied(&key_request(), &with(elsewhere, &[])), DenyReason::UnknownServer);
    let here = KeyScope { servers: Some(BTreeSet::from(["server".into()])), ..KeyScope::default() };
    let grant = granted(&key_request(), &with(here, &["10.0.0.0/8", "2001:db8::/32"]));
    assert_eq!((grant.policy.levels.len(), judges_by_catalogue(&grant.policy)), (0, false));
    assert_eq!(grant.limits.sources, ["10.0.0.0/8", "2001:db8::/32"]);

    let scope = KeyScope {
        servers: None,
        tools: NameRules { allow: None, deny: names(&["secret_*"]) },
        read_only: true,
    };
    let grant = granted(&key_request(), &with(scope, &[]));
    assert!(judges_by_catalogue(&grant.policy) && grant.limits.is_empty());
    let allows = |kind, name| grant.policy.decide(kind, name).is_allowed();
    assert!(allows(Kind::Tool, "read") && allows(Kind::Prompt, "any") && allows(Kind::Resource, "file:///x"));
    // A name is no glob, whatever it looks like.
    assert!(allows(Kind::Tool, "list*"));
    for name in ["write", "listing", "secret_read", ""] {
        assert!(!allows(Kind::Tool, name), "{name}");
    }
    assert!(grant.policy.levels.iter().all(|rules| rules.level == Level::Key));
}
