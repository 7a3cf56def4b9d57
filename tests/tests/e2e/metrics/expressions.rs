//! What expressions of Prometheus ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// Metrics, each with the labels that it is asked for by.
pub(super) type Used = BTreeMap<String, BTreeSet<String>>;

/// Given to everything by the scrape itself.
const OF_THE_SCRAPE: [&str; 2] = ["instance", "job"];

/// What `text` uses. A label to group by counts for all metrics that are grouped, a label to match on for all.
///
/// Whether `text` is good is promtool's to say; this finds names in what is.
pub(super) fn used(text: &str) -> Used {
    let tokens = tokens(text);
    let mut used = Used::new();
    // Labels by where their scope ends.
    let mut scopes: Vec<(usize, Vec<String>)> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let next = tokens.get(at + 1).map(String::as_str);
        scopes.retain(|(end, _)| at <= *end);
        match token.as_str() {
            "by" | "on" => {
                let end = closing(&tokens, at + 1);
                let labels = tokens[at + 2..end].iter().filter(|label| *label != ",").cloned().collect();
                let scope = if token == "by" { closing(&tokens, end + 1) } else { tokens.len() };
                scopes.push((scope, labels));
                at = end;
            }
            "group_left" | "group_right" => at = closing(&tokens, at + 1),
            "[" => at = closing(&tokens, at),
            "offset" => at += 1,
            "or" | "and" | "unless" => {}
            name if is_name(name) && next != Some("(") && !is_aggregation(&tokens, at) => {
                let labels = used.entry(name.to_owned()).or_default();
                labels.extend(scopes.iter().flat_map(|(_, labels)| labels.clone()));
                if next == Some("{") {
                    let end = closing(&tokens, at + 1);
                    let inside = &tokens[at + 2..end];
                    let matched = inside
                        .iter()
                        .enumerate()
                        .filter(|(place, _)| *place == 0 || inside[place - 1] == ",");
                    labels.extend(matched.map(|(_, label)| label.clone()));
                    at = end;
                }
                labels.retain(|label| !OF_THE_SCRAPE.contains(&label.as_str()));
            }
            _ => {}
        }
        at += 1;
    }
    used
}

/// Names, numbers, texts, and every other character by itself.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let of_a_word = |character: char| character.is_ascii_alphanumeric() || "_:.".contains(character);
        let length = match first {
            '"' => 2 + rest[1..].find('"').expect("texts end, and hold no quotes here"),
            word if of_a_word(word) => rest.find(|character| !of_a_word(character)).unwrap_or(rest.len()),
            other => other.len_utf8(),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

/// Where the bracket at `open` closes.
fn closing(tokens: &[String], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    panic!("a bracket is open in {tokens:?}")
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

/// An aggregation has its labels before what it aggregates.
fn is_aggregation(tokens: &[String], at: usize) -> bool {
    tokens.get(at + 1).is_some_and(|next| next == "by")
}

/// Every expression of a dashboard, with what Grafana would put in place of its variables.
pub(super) fn of_dashboard(path: &Path) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read(path)).expect("JSON");
    let mut found = Vec::new();
    collect(&dashboard, &mut |key, text| {
        if key == "expr" {
            found.push(text.replace("$server", ".*"));
        }
    });
    found
}

/// Every expression of a file of rules; and the series that it records, with what each is made of.
pub(super) fn of_rules(path: &Path) -> (Vec<String>, BTreeMap<String, String>) {
    let rules: Value = serde_saphyr::from_str(&read(path)).expect("YAML");
    let groups = rules["groups"].as_array().expect("groups").iter();
    let rules: Vec<&Value> = groups.flat_map(|group| group["rules"].as_array().expect("rules")).collect();
    let text = |rule: &Value, key: &str| rule[key].as_str().map(str::to_owned);
    let expressions = rules.iter().map(|rule| text(rule, "expr").expect("an expression")).collect();
    let recorded =
        rules.iter().filter_map(|rule| Some((text(rule, "record")?, text(rule, "expr")?))).collect();
    (expressions, recorded)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn collect(value: &Value, take: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match member {
                    Value::String(text) => take(key, text),
                    other => collect(other, take),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, take)),
        _ => {}
    }
}

#[test]
fn what_an_expression_uses() {
    let set = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<BTreeSet<_>>();
    for (text, expected) in [
        (
            "sum by (a) (rate(one{b=~\"x,{(\",d=\"\"}[5m])) / on (c) group_left () max(two) > 0",
            vec![("one", set(&["a", "b", "d"])), ("two", set(&["c"]))],
        ),
        (
            "max by (instance, e) (x:y:z offset 10m) or 0 * three",
            vec![("x:y:z", set(&["e"])), ("three", set(&[]))],
        ),
        (
            "histogram_quantile(0.99, sum by (le) (rate(four_bucket[1h]))) / 1e6",
            vec![("four_bucket", set(&["le"]))],
        ),
    ] {
        let expected = expected.into_iter().map(|(name, labels)| (name.to_owned(), labels)).collect::<Used>();
        assert_eq!(used(text), expected, "{text}");
    }
}
