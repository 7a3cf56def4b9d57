use std::collections::BTreeMap;

use portcullis_wire::names::Slug;
use portcullis_wire::policy::{Kind, Level, NameRules, Pattern};
use portcullis_wire::watch::PayloadPolicy;
use proptest::prelude::*;

use super::*;
use crate::domain::Origin;
use crate::domain::client_session::{ClientName, ClientSession, Extent};
use crate::domain::ids::ServerId;
use crate::domain::issuer::{IssuerSettings, TokenSource};
use crate::domain::people::{KeyScope, KeySettings};
use crate::domain::policy::ServerRules;
use crate::domain::resource::ResourcePath;
use crate::domain::server::{OAuthSettings, ServerSettings};
use crate::domain::token_rules::TokenRules;
use crate::domain::url::{PlainHttp, ServerUrl};

const NOW: Timestamp = Timestamp(100_000);
const ISSUER: &str = "https://idp.example";
const RESOURCE: &str = "https://gateway.example/linear/mcp";

fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

fn workspace(name: &str) -> Workspace {
    Workspace {
        id: name.into(),
        slug: slug(name),
        name: name.to_uppercase(),
        origin: Origin::Api,
        revision: Revision(1),
    }
}

fn identity(subject: &str) -> Identity {
    Identity { issuer: ISSUER.into(), subject: subject.into() }
}

fn member(id: &str, workspace: &str) -> Member {
    Member {
        id: id.into(),
        workspace: workspace.into(),
        identity: identity("ada"),
        name: "Ada".into(),
        role: MemberRole::Member,
        disabled: false,
        lapsed: false,
        origin: Origin::Api,
        revision: Revision(1),
    }
}

fn digest() -> Digest {
    Digest::of("test", &[b"key"])
}

fn key(owner: KeyOwner) -> ApiKeyRecord {
    ApiKeyRecord {
        id: "key".into(),
        digest: digest(),
        workspace: "core".into(),
        owner,
        made_by: None,
        settings: KeySettings {
            name: "CI".into(),
            expires_at: None,
            disabled: false,
            scope: KeyScope::default(),
            sources: Vec::new(),
        },
        replaces: None,
        created_at: Timestamp(0),
        revision: Revision(1),
        last_used_at: None,
    }
}

fn server_facts(policies: Vec<PolicyEntry>) -> ServerFacts {
    let url = ServerUrl::parse("https://mcp.example/mcp", PlainHttp::Refused).expect("a URL");
    let settings = ServerSettings {
        name: "Linear".into(),
        url,
        auth: ServerAuth::None,
        payload: PayloadPolicy::Redacted,
        provision_new_workspaces: false,
    };
    let server = Server {
        id: "server".into(),
        slug: slug("linear"),
        settings,
        origin: Origin::Api,
        revision: Revision(1),
    };
    ServerFacts { server, provisioned: BTreeSet::from(["core".into()]), policies, reading_tools: Vec::new() }
}

fn key_facts() -> KeyFacts {
    KeyFacts {
        key: key(KeyOwner::Member("ada".into())),
        workspace: workspace("core"),
        member: Some(member("ada", "core")),
        maker: None,
    }
}

fn of_key(facts: KeyFacts) -> LeaseFacts {
    LeaseFacts {
        revision: Revision(7),
        caller: CallerFacts::ApiKey(Some(facts)),
        server: Some(server_facts(Vec::new())),
    }
}

fn key_request() -> LeaseRequest {
    let proof = CallerProof::ApiKey { id: "key".into(), digest: digest() };
    LeaseRequest { server: slug("linear"), workspace: None, proof, rejected: None, wait_ms: None }
}

fn issuer(workspaces: WorkspaceMapping) -> Issuer {
    Issuer {
        issuer: ISSUER.into(),
        rules: TokenRules::default(),
        settings: IssuerSettings::default(),
        require_at_jwt: false,
        source: TokenSource::Given,
        keys_fetched_at: None,
        keys: Vec::new(),
        workspaces,
        auto_provision_members: false,
        origin: Origin::Config,
        revision: Revision(1),
    }
}

fn membership(workspace_name: &str) -> Membership {
    Membership { workspace: workspace(workspace_name), member: member("ada", workspace_name) }
}

fn of_token(mapping: WorkspaceMapping, memberships: Vec<Membership>) -> LeaseFacts {
    let token = TokenFacts { issuer: Some(issuer(mapping)), memberships, mapped: Some(workspace("core")) };
    LeaseFacts {
        revision: Revision(7),
        caller: CallerFacts::Token(token),
        server: Some(server_facts(Vec::new())),
    }
}

fn token_request(claim: Option<&str>, path: Option<&str>) -> LeaseRequest {
    let proof = CallerProof::Jwt {
        issuer: ISSUER.into(),
        subject: "ada".into(),
        workspace_claim: claim.map(str::to_owned),
        audiences: vec![RESOURCE.into()],
        issued_at: None,
        claims: BTreeMap::new(),
        expires_at: 101,
    };
    LeaseRequest { server: slug("linear"), workspace: path.map(slug), proof, rejected: None, wait_ms: None }
}

fn granted(request: &LeaseRequest, facts: &LeaseFacts) -> Grant {
    match resolve(request, facts, RESOURCE, NOW) {
        Resolution::Granted(grant) => *grant,
        other => panic!("granted, not {other:?}"),
    }
}

fn denied(request: &LeaseRequest, facts: &LeaseFacts) -> DenyReason {
    match resolve(request, facts, RESOURCE, NOW) {
        Resolution::Denied(reason) => reason,
        other => panic!("denied, not {other:?}"),
    }
}

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
fn unknown_disabled_and_unprovisioned_servers_look_alike() {
    let request = key_request();
    let gone = LeaseFacts { server: None, ..of_key(key_facts()) };
    assert_eq!(denied(&request, &gone), DenyReason::UnknownServer);
    let elsewhere = ServerFacts { provisioned: BTreeSet::from(["sales".into()]), ..server_facts(Vec::new()) };
    let elsewhere = LeaseFacts { server: Some(elsewhere), ..of_key(key_facts()) };
    assert_eq!(denied(&request, &elsewhere), DenyReason::UnknownServer);
    // A stranger is told so, whatever the server.
    let stranger = LeaseFacts { caller: CallerFacts::ApiKey(None), ..gone };
    assert_eq!(denied(&request, &stranger), DenyReason::UnknownCredential);
}

fn entry(target: PolicyTarget, rules: ServerRules) -> PolicyEntry {
    PolicyEntry { target, server: "server".into(), rules, origin: Origin::Api, revision: Revision(1) }
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
    assert_eq!((grant.policy.levels.len(), grant.reads_only), (0, false));
    assert_eq!(grant.limits.sources, ["10.0.0.0/8", "2001:db8::/32"]);

    let scope = KeyScope {
        servers: None,
        tools: NameRules { allow: None, deny: names(&["secret_*"]) },
        read_only: true,
    };
    let grant = granted(&key_request(), &with(scope, &[]));
    assert!(grant.reads_only && grant.limits.is_empty());
    let allows = |kind, name| grant.policy.decide(kind, name).is_allowed();
    assert!(allows(Kind::Tool, "read") && allows(Kind::Prompt, "any") && allows(Kind::Resource, "file:///x"));
    for name in ["write", "list*", "listing", "secret_read", ""] {
        assert!(!allows(Kind::Tool, name), "{name}");
    }
    assert!(grant.policy.levels.iter().all(|rules| rules.level == Level::Key));
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

fn my_targets() -> [PolicyTarget; 4] {
    [
        PolicyTarget::Organization,
        PolicyTarget::Workspace("core".into()),
        PolicyTarget::Member("ada".into()),
        PolicyTarget::Key("key".into()),
    ]
}

fn with_policies(policies: Vec<PolicyEntry>) -> LeaseFacts {
    LeaseFacts { server: Some(server_facts(policies)), ..of_key(key_facts()) }
}

/// What a caller may do, as a set that can be compared: `None` without a lease.
fn allowed(facts: &LeaseFacts) -> Option<BTreeSet<String>> {
    match resolve(&key_request(), facts, RESOURCE, NOW) {
        Resolution::Granted(grant) => {
            let names = ["", "a", "b", "aa", "ab", "ba", "bb", "aba"].into_iter();
            let kinds = [Kind::Tool, Kind::Prompt, Kind::Resource];
            let all = names.flat_map(|name| kinds.map(|kind| (kind, name)));
            let kept = all.filter(|(kind, name)| grant.policy.decide(*kind, name).is_allowed());
            Some(kept.map(|(kind, name)| format!("{} {name}", kind.as_str())).collect())
        }
        Resolution::Denied(_) => None,
        other => unreachable!("the member is there: {other:?}"),
    }
}

fn any_rules() -> impl Strategy<Value = ServerRules> {
    let names = || {
        let list = proptest::collection::vec("[ab*]{0,3}".prop_map(Pattern), 0..3);
        (proptest::option::weighted(0.3, list.clone()), list)
            .prop_map(|(allow, deny)| NameRules { allow, deny })
    };
    let enabled = prop_oneof![4 => Just(None), 2 => Just(Some(true)), 1 => Just(Some(false))];
    (enabled, names(), names(), names()).prop_map(|(enabled, tools, prompts, resources)| ServerRules {
        enabled,
        tools,
        prompts,
        resources,
    })
}

fn any_policies() -> impl Strategy<Value = Vec<PolicyEntry>> {
    proptest::collection::vec(proptest::option::of(any_rules()), 4).prop_map(|rules| {
        let given = my_targets().into_iter().zip(rules);
        given.filter_map(|(target, rules)| rules.map(|rules| entry(target, rules))).collect()
    })
}

proptest! {
    #[test]
    fn a_level_can_only_take_away(policies in any_policies(), kept in proptest::collection::vec(any::<bool>(), 4)) {
        let fewer = policies.iter().zip(kept).filter(|(_, kept)| *kept).map(|(entry, _)| entry.clone()).collect();
        let (all, fewer) = (allowed(&with_policies(policies)), allowed(&with_policies(fewer)));
        match (all, fewer) {
            (Some(all), Some(fewer)) => prop_assert!(all.is_subset(&fewer)),
            (Some(_), None) => prop_assert!(false, "a level has given the server back"),
            (None, _) => {}
        }
    }

    #[test]
    fn enabling_adds_nothing(policies in any_policies()) {
        let mut without = policies.clone();
        for entry in &mut without {
            entry.rules.enabled = entry.rules.enabled.filter(|enabled| !enabled);
        }
        let off = policies.iter().any(|entry| entry.rules.enabled == Some(false));
        let found = allowed(&with_policies(policies));
        prop_assert_eq!(found.is_none(), off);
        prop_assert_eq!(found, allowed(&with_policies(without)));
    }

    #[test]
    fn the_order_of_entries_and_other_peoples_rules_do_not_matter(
        policies in any_policies(),
        foreign in any_rules(),
        rotation in 0_usize..8,
    ) {
        let others = [
            PolicyTarget::Workspace("sales".into()),
            PolicyTarget::Member("eve".into()),
            PolicyTarget::Key("other".into()),
        ];
        let mut crowded = policies.clone();
        crowded.extend(others.map(|target| entry(target, foreign.clone())));
        let elsewhere = my_targets().map(|target| PolicyEntry { server: ServerId::from("x"), ..entry(target, foreign.clone()) });
        crowded.extend(elsewhere);
        let middle = rotation % crowded.len();
        crowded.rotate_left(middle);
        prop_assert_eq!(resolve(&key_request(), &with_policies(crowded), RESOURCE, NOW), resolve(&key_request(), &with_policies(policies), RESOURCE, NOW));
    }

    #[test]
    fn levels_come_outermost_first(policies in any_policies()) {
        if let Resolution::Granted(grant) = resolve(&key_request(), &with_policies(policies.clone()), RESOURCE, NOW) {
            let levels: Vec<Level> = grant.policy.levels.iter().map(|rules| rules.level).collect();
            prop_assert!(levels.is_sorted());
            prop_assert_eq!(levels.len(), policies.len());
        }
    }
}

fn session_request(scopes: &[&str], expires_at: u64) -> LeaseRequest {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let proof = CallerProof::AccessToken { session: "ses_1".into(), scopes, expires_at };
    LeaseRequest { server: slug("linear"), workspace: None, proof, rejected: None, wait_ms: None }
}

const BOTH: [&str; 2] = ["mcp:read", "mcp:write"];

fn of_session(change: impl FnOnce(&mut SessionFacts)) -> LeaseFacts {
    let session = ClientSession {
        id: "ses_1".into(),
        member: "ada".into(),
        server: "server".into(),
        resource: ResourcePath { workspace: None, server: slug("linear") },
        client: ClientName { id: "https://client.example/c".into(), name: "Client".into() },
        extent: Extent::Everything,
        created_at: Timestamp(0),
        last_used_at: Timestamp(0),
        expires_at: Timestamp(900_000),
    };
    let mut facts = SessionFacts { session, workspace: workspace("core"), member: member("ada", "core") };
    change(&mut facts);
    let mut server = server_facts(Vec::new());
    server.reading_tools = vec!["list_issues".into()];
    let caller = CallerFacts::Session(Some(Box::new(facts)));
    LeaseFacts { revision: Revision(7), caller, server: Some(server) }
}

#[test]
fn an_access_token_acts_as_the_member_who_allowed_it() {
    let grant = granted(&session_request(&BOTH, 101), &of_session(|_| {}));
    let caller = Caller {
        id: "ada".into(),
        name: "Ada".into(),
        credential: CredentialKind::AccessToken,
        key_id: None,
        session_id: Some("ses_1".into()),
        client_id: Some("https://client.example/c".into()),
    };
    assert_eq!((grant.caller, grant.workspace), (caller, workspace("core").reference()));
    assert_eq!((grant.limits, grant.not_after), (CredentialLimits::default(), Some(Timestamp(101_000))));
    let grant = granted(&session_request(&BOTH, 9_000), &of_session(|_| {}));
    assert_eq!(grant.not_after, Some(Timestamp(900_000)), "the sign-in ends before the token");
}

#[test]
fn reading_is_all_that_a_token_without_the_other_scope_is_good_for() {
    let reading = Some(vec!["list_issues".to_owned()]);
    let grant = granted(&session_request(&["mcp:read"], 101), &of_session(|_| {}));
    assert_eq!(grant.limits.reading_tools, reading);
    let narrowed = of_session(|facts| facts.session.extent = Extent::Reading);
    assert_eq!(granted(&session_request(&BOTH, 101), &narrowed).limits.reading_tools, reading);
    for scopes in [&["mcp:write"][..], &[], &["admin"]] {
        assert_eq!(denied(&session_request(scopes, 101), &of_session(|_| {})), DenyReason::UnknownCredential);
    }
}

#[test]
fn an_access_token_is_for_one_server_and_for_as_long_as_the_sign_in() {
    let request = session_request(&BOTH, 101);
    for (facts, reason) in [
        (of_session(|facts| facts.session.expires_at = NOW), DenyReason::ExpiredCredential),
        (of_session(|facts| facts.member.disabled = true), DenyReason::DisabledCredential),
        (of_session(|facts| facts.session.server = "another".into()), DenyReason::NotForThisServer),
        (of_session(|facts| facts.session.resource.server = slug("notion")), DenyReason::NotForThisServer),
        (
            of_session(|facts| facts.session.resource.workspace = Some(slug("core"))),
            DenyReason::NotForThisServer,
        ),
        (of_session(|facts| facts.workspace = workspace("sales")), DenyReason::UnknownServer),
        (
            LeaseFacts { caller: CallerFacts::Session(None), ..of_session(|_| {}) },
            DenyReason::UnknownCredential,
        ),
        (of_key(key_facts()), DenyReason::UnknownCredential),
    ] {
        assert_eq!(denied(&request, &facts), reason, "{facts:?}");
    }
    assert_eq!(denied(&session_request(&BOTH, 100), &of_session(|_| {})), DenyReason::ExpiredCredential);
    let named = LeaseRequest { workspace: Some(slug("core")), ..session_request(&BOTH, 101) };
    assert_eq!(denied(&named, &of_session(|_| {})), DenyReason::NotForThisServer);
    let there = of_session(|facts| facts.session.resource.workspace = Some(slug("core")));
    assert_eq!(granted(&named, &there).workspace.slug, slug("core"));
}
