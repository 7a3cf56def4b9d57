//! Properties of policies: whatever they are, a level only takes away.

use proptest::prelude::*;

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
        ..ServerRules::default()
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
