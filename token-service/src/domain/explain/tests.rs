//! An explanation is the decision.

use portcullis_wire::lease::{CredentialKind, CredentialLimits, Terms};
use portcullis_wire::names::Slug;
use portcullis_wire::policy::{ArgumentRule, Condition, Decision, Level, LevelRules, NameRules, Pattern};
use portcullis_wire::watch::PayloadPolicy;
use proptest::prelude::*;

use super::*;
use crate::domain::Origin;
use crate::domain::server::{Server, ServerAuth, ServerSettings};
use crate::domain::url::{PlainHttp, ServerUrl};

fn grant(levels: Vec<LevelRules>, reading_tools: Option<Vec<String>>) -> Grant {
    let slug = |text: &str| Slug::parse(text).expect("a slug");
    let url = ServerUrl::parse("https://mcp.example/mcp", PlainHttp::Refused).expect("a URL");
    let settings = ServerSettings {
        name: "Linear".into(),
        url,
        auth: ServerAuth::None,
        payload: PayloadPolicy::Off.into(),
        provision_new_workspaces: false,
        concurrency: None,
    };
    let server = Server {
        id: "server".into(),
        slug: slug("linear"),
        settings,
        origin: Origin::Api,
        revision: Revision(1),
        quarantined: false,
    };
    let caller = portcullis_wire::lease::Caller {
        id: "ada".into(),
        name: "Ada".into(),
        credential: CredentialKind::AccessToken,
        key_id: None,
        session_id: None,
        client_id: None,
    };
    Grant {
        caller,
        member: None,
        workspace: portcullis_wire::lease::WorkspaceRef { id: "core".into(), slug: slug("core") },
        server,
        policy: Policy { levels, ..Policy::default() },
        limits: CredentialLimits { sources: Vec::new(), reading_tools },
        terms: Terms::default(),
        not_after: None,
        revision: Revision(7),
    }
}

fn explain(grant: &Grant, asked: &Asked) -> Explanation {
    Explanation::of(Resolution::Granted(Box::new(grant.clone())), &Trail::default(), Some(asked))
}

fn any_rules() -> impl Strategy<Value = NameRules> {
    let list = proptest::collection::vec("[ab*]{1,3}".prop_map(Pattern), 0..4);
    (proptest::option::of(list.clone()), list).prop_map(|(allow, deny)| NameRules { allow, deny })
}

proptest! {
    #[test]
    fn an_explanation_is_what_the_policy_decides(
        rules in proptest::collection::vec((any_rules(), any_rules()), 0..5),
        prompt in any::<bool>(),
        name in "[ab]{1,4}",
    ) {
        let levels = [Level::Organization, Level::Workspace, Level::Member, Level::Key, Level::Key];
        let rules = rules.into_iter().zip(levels);
        let rules = rules.map(|((tools, prompts), level)| LevelRules { level, tools, prompts, ..LevelRules::default() });
        let grant = grant(rules.collect(), None);
        let kind = if prompt { Kind::Prompt } else { Kind::Tool };
        let asked = Asked { kind, name, arguments: None };
        let explanation = explain(&grant, &asked);
        let decision = grant.policy.decide(asked.kind, &asked.name);
        prop_assert_eq!(explanation.is_allowed(), decision.is_allowed());
        prop_assert_eq!(explanation.decisive().is_some(), !decision.is_allowed());
        if let Decision::Denied { level, .. } = decision {
            let rule = &explanation.decisive().expect("a rule").rule;
            prop_assert!(rule.starts_with(level.as_str()), "{}", rule);
            prop_assert_eq!(explanation.reason, Some("policy_denied"));
        } else {
            prop_assert_eq!(explanation.judged.len(), grant.policy.levels.len());
        }
    }
}

#[test]
fn scopes_come_after_policy() {
    let deny = NameRules { allow: None, deny: vec![Pattern("delete_*".into())] };
    let level = LevelRules { level: Level::Member, tools: deny, ..LevelRules::default() };
    let grant = grant(vec![level], Some(vec!["search".into()]));
    let asked = |kind, name: &str| Asked { kind, name: name.into(), arguments: None };
    assert!(explain(&grant, &asked(Kind::Tool, "search")).is_allowed());
    assert!(explain(&grant, &asked(Kind::Prompt, "anything")).is_allowed(), "scopes are about tools");
    assert_eq!(explain(&grant, &asked(Kind::Tool, "create")).reason, Some("insufficient_scope"));
    let denied = explain(&grant, &asked(Kind::Tool, "delete_all"));
    assert_eq!(denied.decisive().map(|judged| judged.rule.as_str()), Some("member/tools.deny:delete_*"));
}

#[test]
fn arguments_are_judged_as_in_a_call() {
    let rule = ArgumentRule {
        tool: Pattern("create_*".into()),
        argument: "/project".into(),
        optional: false,
        is: Condition::Prefix("PC".into()),
    };
    let level = LevelRules { level: Level::Workspace, arguments: vec![rule], ..LevelRules::default() };
    let grant = grant(vec![level], None);
    let asked = |arguments| Asked { kind: Kind::Tool, name: "create_issue".into(), arguments };
    let unsaid = explain(&grant, &asked(None));
    assert!(unsaid.is_allowed() && unsaid.depends_on_arguments(&asked(None)));
    let good = asked(Some(serde_json::json!({"project": "PC-1"})));
    assert!(explain(&grant, &good).is_allowed() && !unsaid.depends_on_arguments(&good));
    let denied = explain(&grant, &asked(Some(serde_json::json!({"project": 1}))));
    assert_eq!(denied.decisive().map(|judged| judged.rule.as_str()), Some("workspace/arguments:/project"));
}
