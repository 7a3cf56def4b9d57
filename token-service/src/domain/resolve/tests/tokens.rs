//! Tokens of issuers: the workspace, the member, and the rules of the issuer.

use super::*;

#[test]
fn the_mapping_decides_on_the_workspace_of_a_token() {
    let fixed = || WorkspaceMapping::Fixed(slug("core"));
    let claim = || WorkspaceMapping::Claim("team".into());
    let both = || vec![membership("sales"), membership("core")];
    let grant = granted(&token_request(None, None), &of_token(fixed(), both()));
    assert_eq!((grant.workspace.slug, grant.not_after), (slug("core"), Some(Timestamp(131_000))));
    assert_eq!((grant.caller.credential, grant.caller.key_id), (CredentialKind::Jwt, None));
    let grant = granted(&token_request(Some("core"), Some("core")), &of_token(claim(), both()));
    assert_eq!(grant.workspace.slug, slug("core"));

    for (mapping, memberships, claim, path, reason) in [
        (fixed(), both(), None, Some("sales"), DenyReason::WrongWorkspace),
        (fixed(), vec![membership("sales")], None, None, DenyReason::UnknownCredential),
        (claim(), both(), None, None, DenyReason::UnknownCredential),
        (claim(), both(), Some("No Slug"), None, DenyReason::UnknownCredential),
        (claim(), both(), Some("other"), None, DenyReason::UnknownCredential),
        (claim(), both(), Some("sales"), Some("core"), DenyReason::WrongWorkspace),
    ] {
        let found = denied(&token_request(claim, path), &of_token(mapping.clone(), memberships));
        assert_eq!(found, reason, "{mapping:?} {claim:?} {path:?}");
    }
}

#[test]
fn without_a_mapping_the_path_chooses_among_memberships() {
    let facts = |memberships| of_token(WorkspaceMapping::Membership, memberships);
    let both = || vec![membership("sales"), membership("core")];
    let grant = granted(&token_request(None, None), &facts(vec![membership("core")]));
    assert_eq!(grant.workspace.slug, slug("core"));
    let grant = granted(&token_request(None, Some("core")), &facts(both()));
    assert_eq!(grant.workspace.slug, slug("core"));
    assert_eq!(denied(&token_request(None, None), &facts(both())), DenyReason::WrongWorkspace);
    assert_eq!(denied(&token_request(None, Some("other")), &facts(both())), DenyReason::WrongWorkspace);
    assert_eq!(denied(&token_request(None, None), &facts(Vec::new())), DenyReason::UnknownCredential);
}

#[test]
fn bad_tokens_are_refused() {
    let good = || of_token(WorkspaceMapping::Fixed(slug("core")), vec![membership("core")]);
    let change = |change: &dyn Fn(&mut TokenFacts)| {
        let mut facts = good();
        let CallerFacts::Token(token) = &mut facts.caller else { unreachable!() };
        change(token);
        facts
    };
    let request = token_request(None, None);
    for (facts, reason) in [
        (change(&|token| token.issuer = None), DenyReason::UnknownCredential),
        (
            change(&|token| token.issuer.as_mut().expect("set").issuer = "other".into()),
            DenyReason::UnknownCredential,
        ),
        (
            change(&|token| token.memberships[0].member.identity = identity("eve")),
            DenyReason::UnknownCredential,
        ),
        (change(&|token| token.memberships[0].member.disabled = true), DenyReason::DisabledCredential),
        (change(&|token| token.memberships[0].member.lapsed = true), DenyReason::DisabledCredential),
    ] {
        assert_eq!(denied(&request, &facts), reason, "{facts:?}");
    }
    let late = resolve(&request, &good(), RESOURCE, Timestamp(131_000));
    assert_eq!(late, Resolution::Denied(DenyReason::ExpiredCredential));
}

#[test]
fn newcomers_are_provisioned_only_for_what_they_may_use() {
    let mut facts = of_token(WorkspaceMapping::Fixed(slug("core")), Vec::new());
    let request = token_request(None, None);
    assert_eq!(denied(&request, &facts), DenyReason::UnknownCredential);
    let CallerFacts::Token(token) = &mut facts.caller else { unreachable!() };
    token.issuer.as_mut().expect("set").auto_provision_members = true;
    let newcomer =
        Resolution::Provision { workspace: "core".into(), identity: identity("ada"), name: "ada".into() };
    assert_eq!(resolve(&request, &facts, RESOURCE, NOW), newcomer);

    let removed = ServerRules { enabled: Some(false), ..ServerRules::default() };
    let removed = entry(PolicyTarget::Organization, removed);
    let without = [
        None,
        Some(ServerFacts { provisioned: BTreeSet::new(), ..server_facts(Vec::new()) }),
        Some(server_facts(vec![removed])),
    ];
    for server in without {
        let facts = LeaseFacts { server, ..facts.clone() };
        assert_eq!(denied(&request, &facts), DenyReason::UnknownServer);
    }
    let CallerFacts::Token(token) = &mut facts.caller else { unreachable!() };
    token.mapped = None;
    assert_eq!(denied(&request, &facts), DenyReason::UnknownCredential);
}

#[test]
fn the_rules_of_a_server_judge_its_tokens() {
    let with = |settings: IssuerSettings, rules: TokenRules| {
        let mut facts = of_token(WorkspaceMapping::Membership, vec![membership("core")]);
        let CallerFacts::Token(token) = &mut facts.caller else { unreachable!() };
        let issuer = token.issuer.as_mut().expect("set");
        (issuer.settings, issuer.rules) = (settings, rules);
        facts
    };
    let request = token_request(None, None);
    let here =
        |rules| IssuerSettings { servers: [(slug("linear"), rules)].into(), ..IssuerSettings::default() };
    let for_audience =
        |audience: &str| TokenRules { audiences: vec![audience.to_owned()], ..TokenRules::default() };
    let only = |name| IssuerSettings { only: Some([slug(name)].into()), ..IssuerSettings::default() };
    for (settings, rules, expected) in [
        (IssuerSettings::default(), TokenRules::default(), None),
        (IssuerSettings::default(), for_audience(RESOURCE), None),
        (IssuerSettings::default(), for_audience("gateway"), Some(DenyReason::WrongAudience)),
        (here(TokenRules::default()), for_audience("gateway"), None),
        (here(for_audience("gateway")), TokenRules::default(), Some(DenyReason::WrongAudience)),
        (only("linear"), TokenRules::default(), None),
        (only("notion"), TokenRules::default(), Some(DenyReason::NotForThisServer)),
        (
            IssuerSettings::default(),
            TokenRules { max_age: Some(60), ..TokenRules::default() },
            Some(DenyReason::ExpiredCredential),
        ),
    ] {
        let facts = with(settings, rules);
        match expected {
            None => drop(granted(&request, &facts)),
            Some(reason) => assert_eq!(denied(&request, &facts), reason, "{facts:?}"),
        }
    }
}
