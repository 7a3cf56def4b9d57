//! What is wrong with rules that somebody gives.

use std::fmt;

use portcullis_wire::policy::{ArgumentRule, Condition, Decimal, NameRules, Pattern, Pointer, Scalar, Shape};
use serde_json::Number;

use super::ServerRules;
use crate::domain::auth_draft::{Fault, Field};

/// In one list. Exact names and globs with one `*` at either end cost a call the same however many there are.
const MOST_PATTERNS: usize = 10_000;

/// Of those of a list that are tried one by one.
const MOST_TRIED: usize = 100;

const LONGEST_TEXT: usize = 1_024;
const MOST_ARGUMENT_RULES: usize = 100;
const MOST_VALUES: usize = 1_000;

/// From here on doubles skip integers, so that one may not be what was written.
const LEAST_INEXACT: f64 = 9_007_199_254_740_992.0;

/// Every double has as many digits without loss.
const MOST_DIGITS: usize = 15;

pub fn of_rules(rules: &ServerRules) -> Vec<Fault> {
    let mut faults = Vec::new();
    let lists = [("tools", &rules.tools), ("prompts", &rules.prompts), ("resources", &rules.resources)];
    for (kind, names) in lists {
        faults.extend(of_names(&Field::of(&[kind]), names));
    }
    faults.extend(of_patterns(&Field::of(&["sensitive"]), &rules.sensitive));
    let arguments = Field::of(&["arguments"]);
    faults.extend(of_count(&arguments, rules.arguments.len()));
    for (index, rule) in rules.arguments.iter().enumerate() {
        faults.extend(of_argument(&arguments.clone().index(index), rule));
    }
    faults
}

pub fn of_names(at: &Field, names: &NameRules) -> Vec<Fault> {
    let mut faults = of_patterns(&at.clone().key("allow"), names.allow.as_deref().unwrap_or_default());
    faults.extend(of_patterns(&at.clone().key("deny"), &names.deny));
    faults
}

pub fn of_patterns(at: &Field, patterns: &[Pattern]) -> Vec<Fault> {
    let mut faults = Vec::new();
    if patterns.len() > MOST_PATTERNS {
        let problem = format!("has {} patterns", patterns.len());
        let remedy = "give at most 10000; use globs: delete_* for all that begin so";
        faults.push(fault(at.clone(), problem, remedy));
    }
    let tried = patterns.iter().filter(|pattern| pattern.shape() == Shape::Other).count();
    if tried > MOST_TRIED {
        let problem = format!("has {tried} globs with a `*` inside or with several");
        let remedy = "give at most 100 of them, because each is tried on every name; one `*` at the start or the end \
                      costs nothing";
        faults.push(fault(at.clone(), problem, remedy));
    }
    let each = patterns.iter().enumerate();
    faults.extend(each.filter_map(|(index, pattern)| of_pattern(at.clone().index(index), pattern)));
    faults
}

fn of_pattern(at: Field, Pattern(text): &Pattern) -> Option<Fault> {
    is_bad_text(text).then(|| bad_text(at, "give a name, or a glob such as `create_*`"))
}

/// How many argument rules there are.
pub fn of_count(at: &Field, rules: usize) -> Option<Fault> {
    let remedy = "give at most 100; join those on one argument with one_of, and name tools by globs";
    (rules > MOST_ARGUMENT_RULES).then(|| fault(at.clone(), format!("has {rules} rules"), remedy))
}

pub fn of_argument(at: &Field, rule: &ArgumentRule) -> Vec<Fault> {
    let mut faults: Vec<Fault> = of_pattern(at.clone().key("tool"), &rule.tool).into_iter().collect();
    let pointer = at.clone().key("argument");
    let remedy = "write a JSON pointer into the call's arguments, such as /repo or /filter/0/name";
    if rule.argument.len() > LONGEST_TEXT {
        faults.push(fault(pointer, "is longer than 1024 bytes", remedy));
    } else if let Err(problem) = Pointer::parse(&rule.argument) {
        faults.push(fault(pointer, problem, remedy));
    }
    faults.extend(of_condition(&at.clone().key("is"), &rule.is));
    faults
}

fn of_condition(at: &Field, condition: &Condition) -> Vec<Fault> {
    let text = |key, text: &str, remedy| {
        is_bad_text(text).then(|| bad_text(at.clone().key(key), remedy)).into_iter().collect()
    };
    match condition {
        Condition::Equals(value) => of_value(at.clone().key("equals"), value).into_iter().collect(),
        Condition::OneOf(values) => of_values(&at.clone().key("one_of"), values),
        Condition::Prefix(prefix) => text("prefix", prefix, "give what the text has to begin with"),
        Condition::Glob(Pattern(glob)) => text("glob", glob, "give a glob such as `acme/*`"),
        Condition::Range { min, max } => of_range(&at.clone().key("range"), min.as_ref(), max.as_ref()),
    }
}

fn of_values(at: &Field, values: &[Scalar]) -> Vec<Fault> {
    if values.is_empty() || values.len() > MOST_VALUES {
        let remedy = "give 1 to 1000 values; to take the tool away, deny it";
        return vec![fault(at.clone(), format!("has {} values", values.len()), remedy)];
    }
    let each = values.iter().enumerate();
    each.filter_map(|(index, value)| of_value(at.clone().index(index), value)).collect()
}

fn of_value(at: Field, value: &Scalar) -> Option<Fault> {
    match value {
        Scalar::Number(number) => of_number(at, number),
        // An empty text is a value like others.
        Scalar::Text(text) if text.len() > LONGEST_TEXT => {
            Some(fault(at, "is longer than 1024 bytes", "give a shorter text"))
        }
        Scalar::Text(_) | Scalar::Bool(_) | Scalar::Null => None,
    }
}

fn of_range(at: &Field, min: Option<&Number>, max: Option<&Number>) -> Vec<Fault> {
    if min.is_none() && max.is_none() {
        return vec![fault(at.clone(), "has neither min nor max", "give at least one of them")];
    }
    let decimal = |number: Option<&Number>| number.and_then(|number| Decimal::parse(&number.to_string()));
    let bounds = [("min", min), ("max", max)];
    let mut faults: Vec<Fault> =
        bounds.into_iter().filter_map(|(key, bound)| of_number(at.clone().key(key), bound?)).collect();
    if let (Some(least), Some(most)) = (decimal(min), decimal(max))
        && least > most
    {
        faults.push(fault(at.clone(), "has a min above its max", "swap them"));
    }
    faults
}

/// Numbers are compared exactly, so they have to be read exactly.
fn of_number(at: Field, number: &Number) -> Option<Fault> {
    let is_integer = number.is_i64() || number.is_u64();
    let digits = Decimal::parse(&number.to_string()).map_or(usize::MAX, |number| number.significant_digits());
    let is_small = number.as_f64().is_some_and(|value| value.abs() < LEAST_INEXACT);
    let is_exact = is_integer || (is_small && digits <= MOST_DIGITS);
    let remedy = "give an integer of 64 bits, or a decimal number of at most 15 digits below 2^53";
    (!is_exact).then(|| fault(at, "is a number that cannot be held exactly", remedy))
}

fn is_bad_text(text: &str) -> bool {
    text.is_empty() || text.len() > LONGEST_TEXT || text.chars().any(char::is_control)
}

fn bad_text(at: Field, remedy: &str) -> Fault {
    fault(at, "is empty, longer than 1024 bytes, or has a control character", remedy)
}

fn fault(field: Field, problem: impl fmt::Display, remedy: &str) -> Fault {
    Fault { field, problem: problem.to_string(), remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn places(rules: &Value) -> Vec<String> {
        let rules: ServerRules = serde_json::from_value(rules.clone()).expect("of the right shape");
        of_rules(&rules).iter().map(|fault| fault.field.to_string()).collect()
    }

    fn argument(is: &Value) -> Value {
        json!({"arguments": [{"tool": "t", "argument": "/a", "is": is}]})
    }

    #[test]
    fn all_faults_at_once() {
        let rules = json!({
            "tools": {"allow": ["", "ok"], "deny": ["line\nbreak"]},
            "resources": {"deny": ["x".repeat(1_025)]},
            "sensitive": [""],
            "arguments": [
                {"tool": "", "argument": "repo", "is": {"one_of": []}},
                {"tool": "ok", "argument": "/ok", "is": {"range": {"min": 2, "max": 1}}},
            ],
        });
        assert_eq!(
            places(&rules),
            [
                "tools.allow[0]",
                "tools.deny[0]",
                "resources.deny[0]",
                "sensitive[0]",
                "arguments[0].tool",
                "arguments[0].argument",
                "arguments[0].is.one_of",
                "arguments[1].is.range",
            ]
        );
    }

    #[test]
    fn numbers_that_would_not_be_exact() {
        for good in
            [json!(1), json!(-1.5), json!(u64::MAX), json!(i64::MIN), json!(0.1), json!(1e15), json!(null)]
        {
            assert!(places(&argument(&json!({"equals": good}))).is_empty(), "{good}");
        }
        for bad in ["99999999999999999999", "1e300", "9007199254740993.0", "0.1234567890123456789"] {
            let bad: Value = serde_json::from_str(bad).expect("JSON");
            assert_eq!(
                places(&argument(&json!({"one_of": [0, bad]}))),
                ["arguments[0].is.one_of[1]"],
                "{bad}"
            );
        }
    }

    #[test]
    fn conditions_that_say_nothing() {
        for (is, place) in [
            (json!({"range": {}}), "range"),
            (json!({"range": {"min": null}}), "range"),
            (json!({"prefix": ""}), "prefix"),
            (json!({"glob": ""}), "glob"),
        ] {
            assert_eq!(places(&argument(&is)), [format!("arguments[0].is.{place}")]);
        }
    }

    #[test]
    fn many_patterns_only_of_the_kind_that_costs_nothing() {
        let deny = |pattern: &dyn Fn(usize) -> String, count| {
            places(&json!({"tools": {"deny": (0..count).map(pattern).collect::<Vec<_>>()}}))
        };
        for pattern in
            [&(|number| format!("t{number}")) as &dyn Fn(usize) -> String, &|number| format!("t{number}*")]
        {
            assert!(deny(pattern, 10_000).is_empty());
            assert_eq!(deny(pattern, 10_001), ["tools.deny"]);
        }
        assert!(deny(&|number| format!("*{number}*"), 100).is_empty());
        assert_eq!(deny(&|number| format!("a*{number}"), 101), ["tools.deny"]);
    }
}
