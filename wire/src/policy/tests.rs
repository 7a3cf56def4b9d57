use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern((*text).to_owned())).collect()
}

fn rules(allow: Option<&[&str]>, deny: &[&str]) -> NameRules {
    NameRules { allow: allow.map(patterns), deny: patterns(deny) }
}

fn level(level: Level, tools: NameRules) -> LevelRules {
    LevelRules { level, tools, ..LevelRules::default() }
}

fn denied(decision: Decision<'_>) -> String {
    decision.rule_name(Kind::Tool).unwrap_or_default()
}

#[test]
fn deny_wins_and_the_level_is_named() {
    let policy = Policy {
        levels: vec![
            level(Level::Organization, rules(None, &["delete_*"])),
            level(Level::Workspace, rules(Some(&["*_issue"]), &[])),
        ],
        ..Policy::default()
    };
    let policy = CompiledPolicy::from(policy);
    assert!(policy.decide(Kind::Tool, "create_issue").is_allowed());
    assert_eq!(denied(policy.decide(Kind::Tool, "delete_issue")), "organization/tools.deny:delete_*");
    assert_eq!(denied(policy.decide(Kind::Tool, "search")), "workspace/tools.allow");
    assert!(policy.decide(Kind::Prompt, "search").is_allowed());
}

#[test]
fn what_is_known_of_tools_decides_where_a_level_asks() {
    let with = |read_only, new_tools| {
        let rules = LevelRules { level: Level::Workspace, read_only, new_tools, ..LevelRules::default() };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let known = KnownTools { reading: names(&["get", "list"]), approved: names(&["get", "put"]) };
        CompiledPolicy::from(Policy { levels: vec![rules], known })
    };
    let judged = |policy: &CompiledPolicy| {
        ["get", "list", "put", "drop"].map(|name| match policy.decide(Kind::Tool, name) {
            Decision::Allowed => '+',
            Decision::Denied { rule: Rule::ReadOnly, .. } => 'r',
            Decision::Denied { .. } => 'n',
        })
    };
    for (read_only, new_tools, expected) in [
        (false, NewTools::Allow, ['+', '+', '+', '+']),
        (true, NewTools::Allow, ['+', '+', 'r', 'r']),
        (false, NewTools::AllowIfReadOnly, ['+', '+', '+', 'n']),
        (false, NewTools::Hold, ['+', 'n', '+', 'n']),
        (true, NewTools::Hold, ['+', 'n', 'r', 'r']),
    ] {
        let policy = with(read_only, new_tools);
        assert_eq!(judged(&policy), expected, "{read_only} {new_tools:?}");
        assert!(
            policy.decide(Kind::Prompt, "drop").is_allowed()
                && policy.decide(Kind::Resource, "x").is_allowed()
        );
    }
}

fn judge(policy: &CompiledPolicy, tool: &str, arguments: &Value, is_unverified: bool) -> String {
    denied(policy.decide_call(tool, Some(arguments), is_unverified))
}

#[test]
fn calls_are_judged_by_name_then_by_time_then_by_arguments() {
    let policy: Policy = serde_json::from_value(json!({"levels": [
        {"level": "organization", "arguments": [{"tool": "create*", "argument": "/repo", "is": {"prefix": "acme/"}}]},
        {"level": "workspace", "sensitive": ["*_pr"], "tools": {"deny": ["create_key"]}, "arguments": [
            {"tool": "create_pr", "argument": "/draft", "is": {"equals": true}, "optional": true},
        ]},
    ]}))
    .expect("a policy");
    let policy = CompiledPolicy::from(policy);
    let good = json!({"repo": "acme/x"});
    for (tool, arguments, is_unverified, rule) in [
        ("create_pr", good.clone(), false, ""),
        ("create_pr", good.clone(), true, "workspace/sensitive"),
        ("create_pr", json!({"repo": "evil/x"}), false, "organization/arguments:/repo"),
        ("create_pr", json!({"repo": "evil/x"}), true, "workspace/sensitive"),
        ("create_pr", json!({"repo": "acme/x", "draft": false}), false, "workspace/arguments:/draft"),
        ("create_key", json!({"repo": "evil/x"}), true, "workspace/tools.deny:create_key"),
        ("search", json!({"repo": "evil/x"}), true, ""),
    ] {
        assert_eq!(judge(&policy, tool, &arguments, is_unverified), rule, "{tool} {arguments}");
    }
    let without = policy.decide_call("create_pr", None::<&Value>, false);
    assert_eq!(denied(without), "organization/arguments:/repo");
    assert!(policy.judges_arguments("create_pr") && !policy.judges_arguments("search"));
    assert!(policy.decide(Kind::Tool, "create_pr").is_allowed());
}

fn any_rules() -> impl Strategy<Value = NameRules> {
    let pattern = "[ab*]{0,4}".prop_map(Pattern);
    let list = proptest::collection::vec(pattern, 0..4);
    (proptest::option::of(list.clone()), list).prop_map(|(allow, deny)| NameRules { allow, deny })
}

fn any_level() -> impl Strategy<Value = LevelRules> {
    let level = prop_oneof![Just(Level::Organization), Just(Level::Key)];
    let new_tools = prop_oneof![Just(NewTools::Allow), Just(NewTools::AllowIfReadOnly), Just(NewTools::Hold)];
    (level, any_rules(), any_rules(), any::<bool>(), new_tools).prop_map(
        |(level, tools, resources, read_only, new_tools)| LevelRules {
            level,
            tools,
            resources,
            read_only,
            new_tools,
            ..LevelRules::default()
        },
    )
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let names = || proptest::collection::vec("[ab]{0,3}", 0..4);
    (proptest::collection::vec(any_level(), 0..4), names(), names())
        .prop_map(|(levels, reading, approved)| Policy { levels, known: KnownTools { reading, approved } })
}

proptest! {
    #[test]
    fn compiled_it_says_the_same(policy in any_policy(), names in proptest::collection::vec("[ab]{0,5}", 8)) {
        let compiled = CompiledPolicy::from(policy.clone());
        for name in &names {
            for kind in [Kind::Tool, Kind::Prompt, Kind::Resource] {
                prop_assert_eq!(compiled.decide(kind, name), policy.decide(kind, name));
            }
        }
    }

    #[test]
    fn a_further_level_never_widens(policy in any_policy(), further in any_level(), at in 0_usize..5, name in "[ab]{0,5}") {
        let mut narrower = policy.clone();
        narrower.levels.insert(at.min(policy.levels.len()), further);
        if narrower.decide(Kind::Tool, &name).is_allowed() {
            prop_assert!(policy.decide(Kind::Tool, &name).is_allowed());
        }
    }
}
