//! Properties of policies: whatever they are, a level only takes away.

use portcullis_wire::policy::{ArgumentRule, CompiledPolicy, NewTools};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn my_targets() -> [PolicyTarget; 4] {
    [
        PolicyTarget::Organization,
        PolicyTarget::Workspace("core".into()),
        PolicyTarget::Member("ada".into()),
        PolicyTarget::Key("key".into()),
    ]
}

fn with_policies(policies: Vec<PolicyEntry>) -> LeaseFacts {
    let reading_tools = vec!["a".to_owned(), "ab".to_owned()];
    let server = ServerFacts { reading_tools, ..server_facts(policies) };
    LeaseFacts { server: Some(server), ..of_key(key_facts()) }
}

/// The entries of the outermost `levels` levels.
fn outermost(policies: &[PolicyEntry], levels: usize) -> Vec<PolicyEntry> {
    let targets = &my_targets()[..levels];
    policies.iter().filter(|entry| targets.contains(&entry.target)).cloned().collect()
}

/// What a caller may do, as a set that can be compared: `None` without a lease. Calls come with their arguments, and
/// with whether the filters are sure.
fn allowed(facts: &LeaseFacts) -> Option<BTreeSet<String>> {
    match resolve(&key_request(), facts, RESOURCE, NOW) {
        Resolution::Granted(grant) => {
            let policy = CompiledPolicy::from(grant.policy);
            let names = || ["", "a", "b", "aa", "ab", "ba", "bb", "aba"].into_iter();
            let kinds = [Kind::Tool, Kind::Prompt, Kind::Resource];
            let all = names().flat_map(|name| kinds.map(|kind| (kind, name)));
            let kept = all.filter(|(kind, name)| policy.decide(*kind, name).is_allowed());
            let mut allowed: BTreeSet<String> =
                kept.map(|(kind, name)| format!("{} {name}", kind.as_str())).collect();
            let arguments = [json!({}), json!({"x": 1}), json!({"x": "a"}), json!({"x": "ab", "y": 3})];
            let calls = names().flat_map(|name| arguments.iter().map(move |arguments| (name, arguments)));
            for ((name, arguments), is_unverified) in calls.flat_map(|call| [(call, false), (call, true)]) {
                if policy.decide_call(name, Some(arguments), is_unverified).is_allowed() {
                    allowed.insert(format!("{name} {arguments} {is_unverified}"));
                }
            }
            Some(allowed)
        }
        Resolution::Denied(_) => None,
        other => unreachable!("the member is there: {other:?}"),
    }
}

fn any_argument_rule() -> impl Strategy<Value = ArgumentRule> {
    let is = prop_oneof![
        Just(json!({"equals": 1})),
        Just(json!({"prefix": "a"})),
        Just(json!({"one_of": ["ab", 3]})),
        Just(json!({"range": {"max": 2}})),
    ];
    ("[ab*]{1,3}", prop_oneof![Just("/x"), Just("/y")], any::<bool>(), is).prop_map(
        |(tool, argument, optional, is)| ArgumentRule {
            tool: Pattern(tool),
            argument: argument.into(),
            optional,
            is: serde_json::from_value(is).expect("a condition"),
        },
    )
}

fn any_rules() -> impl Strategy<Value = ServerRules> {
    let list = || proptest::collection::vec("[ab*]{0,3}".prop_map(Pattern), 0..3);
    let names = || {
        (proptest::option::weighted(0.3, list()), list()).prop_map(|(allow, deny)| NameRules { allow, deny })
    };
    let enabled = prop_oneof![4 => Just(None), 2 => Just(Some(true)), 1 => Just(Some(false))];
    let new_tools = prop_oneof![4 => Just(NewTools::Allow), 1 => Just(NewTools::AllowIfReadOnly), 1 => Just(NewTools::Hold)];
    let tools = (proptest::bool::weighted(0.2), new_tools, list());
    let arguments = proptest::collection::vec(any_argument_rule(), 0..2);
    (enabled, names(), names(), names(), tools, arguments).prop_map(
        |(enabled, tools, prompts, resources, (read_only, new_tools, sensitive), arguments)| ServerRules {
            enabled,
            tools,
            prompts,
            resources,
            read_only,
            new_tools,
            sensitive,
            arguments,
        },
    )
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
    fn whatever_is_edited_each_level_has_at_most_what_those_above_leave(
        policies in any_policies(),
        at in 0_usize..4,
        edited in any_rules(),
    ) {
        let mut changed = policies;
        let target = my_targets()[at].clone();
        changed.retain(|entry| entry.target != target);
        changed.push(entry(target, edited));
        let mut above = allowed(&with_policies(Vec::new()));
        for levels in 1..=4 {
            let here = allowed(&with_policies(outermost(&changed, levels)));
            match (&above, &here) {
                (Some(above), Some(here)) => prop_assert!(here.is_subset(above)),
                (None, Some(_)) => prop_assert!(false, "a level has given the server back"),
                (_, None) => {}
            }
            above = here;
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

#[test]
fn a_lease_has_what_is_known_of_tools_only_where_a_level_judges_by_it() {
    let reading = ServerRules { read_only: true, ..ServerRules::default() };
    let careful = ServerRules { new_tools: NewTools::AllowIfReadOnly, ..ServerRules::default() };
    for (rules, matters) in [(ServerRules::default(), false), (reading, true), (careful, true)] {
        let grant = granted(&key_request(), &with_policies(vec![entry(PolicyTarget::Organization, rules)]));
        assert_eq!(
            (judges_by_catalogue(&grant.policy), !grant.policy.known.reading.is_empty()),
            (matters, matters)
        );
    }
}
