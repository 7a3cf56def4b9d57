use proptest::prelude::*;
use serde_json::json;

use super::*;

const RESOURCE: &str = "https://gateway.example/linear/mcp";
const NOW: Timestamp = Timestamp(1_000_000);
const TOLERANCE: Duration = Duration::from_secs(30);

fn claims(value: Value) -> BTreeMap<String, Value> {
    serde_json::from_value(value).expect("an object")
}

fn rule(claim: &str, test: ClaimTest) -> TokenRules {
    let claim = ClaimPath::parse(claim).expect("a claim");
    TokenRules { claims: vec![ClaimRule { claim, test }], ..TokenRules::default() }
}

fn judge(
    rules: &TokenRules,
    audiences: &[&str],
    issued_at: Option<u64>,
    said: Value,
) -> Result<(), DenyReason> {
    let audiences: Vec<String> = audiences.iter().map(|audience| (*audience).to_owned()).collect();
    let token = TokenView { audiences: &audiences, issued_at, claims: &claims(said) };
    rules.judge(token, RESOURCE, TOLERANCE, NOW)
}

#[test]
fn without_audiences_a_token_is_for_the_one_server() {
    let rules = TokenRules::default();
    assert_eq!(judge(&rules, &[RESOURCE], None, json!({})), Ok(()));
    for other in [
        &[][..],
        &["https://gateway.example/notion/mcp"],
        &["https://gateway.example/linear/mcp/"],
        &["https://gateway.example/linear"],
        &[RESOURCE, "https://other.example"],
    ] {
        assert_eq!(judge(&rules, other, None, json!({})), Err(DenyReason::WrongAudience), "{other:?}");
    }
}

#[test]
fn of_the_named_audiences_one_will_do() {
    let rules = TokenRules { audiences: vec!["a".into(), "b".into()], ..TokenRules::default() };
    assert_eq!(judge(&rules, &["x", "b"], None, json!({})), Ok(()));
    for other in [&["A"][..], &["ab"], &[RESOURCE], &[]] {
        assert_eq!(judge(&rules, other, None, json!({})), Err(DenyReason::WrongAudience), "{other:?}");
    }
}

#[test]
fn claims_are_judged_by_value_and_type() {
    let pattern = |text| ClaimTest::Matches(Pattern::parse(text).expect("an expression"));
    for (claim, test, said, passes) in [
        ("team", ClaimTest::Equals(json!("core")), json!({"team": "core"}), true),
        ("team", ClaimTest::Equals(json!("core")), json!({"team": ["core"]}), false),
        ("team", ClaimTest::Equals(json!("core")), json!({"team": "Core"}), false),
        ("level", ClaimTest::Equals(json!(3)), json!({"level": 3}), true),
        ("level", ClaimTest::Equals(json!(3)), json!({"level": "3"}), false),
        ("verified", ClaimTest::Equals(json!(true)), json!({"verified": true}), true),
        ("verified", ClaimTest::Equals(json!(true)), json!({"verified": "true"}), false),
        ("verified", ClaimTest::Equals(json!(true)), json!({}), false),
        ("groups", ClaimTest::Contains(json!("mcp")), json!({"groups": ["a", "mcp"]}), true),
        ("groups", ClaimTest::Contains(json!("mcp")), json!({"groups": ["mcp2"]}), false),
        ("groups", ClaimTest::Contains(json!("mcp")), json!({"groups": {"mcp": 1}}), false),
        ("scope", ClaimTest::Contains(json!("mcp")), json!({"scope": "openid mcp"}), true),
        ("scope", ClaimTest::Contains(json!("mcp")), json!({"scope": "openid mcp-admin"}), false),
        ("/realm/roles", ClaimTest::Contains(json!("mcp")), json!({"realm": {"roles": ["mcp"]}}), true),
        ("/realm/roles", ClaimTest::Contains(json!("mcp")), json!({"realm": {"roles": []}}), false),
        ("/a~1b", ClaimTest::Equals(json!(1)), json!({"a/b": 1}), true),
        ("/a~1b/~0", ClaimTest::Equals(json!(1)), json!({"a/b": {"~": 1}}), true),
        ("mail", pattern(r"[a-z]+@example\.com"), json!({"mail": "ada@example.com"}), true),
        ("mail", pattern(r"[a-z]+@example\.com"), json!({"mail": "ada@example.com.evil"}), false),
        ("mail", pattern(r"[a-z]+@example\.com"), json!({"mail": "x ada@example.com"}), false),
        ("mail", pattern(r"[a-z]+@example\.com"), json!({"mail": "ada@example.com\n"}), false),
        ("mail", pattern(r"(?m)^ada$"), json!({"mail": "ada\nx"}), false),
        ("mail", pattern("a|b"), json!({"mail": "ax"}), false),
        ("mail", pattern("a"), json!({"mail": ["a"]}), false),
    ] {
        let found = judge(&rule(claim, test.clone()), &[RESOURCE], None, said.clone());
        assert_eq!(found.is_ok(), passes, "{claim} {test:?} {said}");
        assert!(passes || found == Err(DenyReason::NotForThisServer));
    }
}

#[test]
fn all_rules_have_to_hold() {
    let mut rules = rule("a", ClaimTest::Equals(json!(1)));
    rules.claims.extend(rule("b", ClaimTest::Equals(json!(2))).claims);
    assert_eq!(judge(&rules, &[RESOURCE], None, json!({"a": 1, "b": 2})), Ok(()));
    for said in [json!({"a": 1}), json!({"b": 2}), json!({"a": 1, "b": 3})] {
        assert_eq!(judge(&rules, &[RESOURCE], None, said), Err(DenyReason::NotForThisServer));
    }
}

#[test]
fn a_token_is_too_old_after_its_age_and_the_tolerance() {
    let rules = TokenRules { max_age: Some(60), ..TokenRules::default() };
    let now = NOW.0 / 1000;
    for (issued_at, passes) in [
        (Some(now), true),
        (Some(now + 20), true),
        (Some(now - 89), true),
        (Some(now - 90), false),
        (None, false),
    ] {
        let found = judge(&rules, &[RESOURCE], issued_at, json!({}));
        assert_eq!(found, if passes { Ok(()) } else { Err(DenyReason::ExpiredCredential) }, "{issued_at:?}");
    }
}

#[test]
fn what_is_no_path_or_no_expression_is_refused() {
    for bad in ["", "/", "//x", "a\nb", &"x".repeat(257)] {
        assert_eq!(ClaimPath::parse(bad), None, "{bad:?}");
    }
    for bad in ["(", "a)|(b", "[", r"\p{Nope}", "(?x) a # b", "(a{1000}){1000}"] {
        assert!(Pattern::parse(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_pattern_matches_the_whole_or_not_at_all(text in ".{0,12}", extra in ".{1,3}") {
        let pattern = Pattern::parse(&regex::escape(&text)).expect("an expression");
        prop_assert!(pattern.matches(&text));
        let more = [format!("{text}{extra}"), format!("{extra}{text}")];
        prop_assert!(more.iter().all(|more| *more == text || !pattern.matches(more)));
    }

    #[test]
    fn a_further_rule_never_lets_more_pass(value in "[ab]{0,2}", wanted in "[ab]{0,2}", further in "[ab]{0,2}") {
        let one = rule("c", ClaimTest::Equals(json!(wanted)));
        let mut two = one.clone();
        two.claims.extend(rule("c", ClaimTest::Equals(json!(further))).claims);
        let said = json!({"c": value});
        if judge(&two, &[RESOURCE], None, said.clone()).is_ok() {
            prop_assert_eq!(judge(&one, &[RESOURCE], None, said), Ok(()));
        }
    }
}
