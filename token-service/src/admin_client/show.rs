//! Answers of the admin API, for people.

use std::fmt::Write as _;

use serde_json::Value;

pub(super) fn json(answer: &Value) -> String {
    format!("{answer:#}\n")
}

/// One line an item, with these fields in columns.
pub(super) fn list(answer: &Value, name: &str, columns: &[&str], as_json: bool) -> String {
    if as_json {
        return json(answer);
    }
    let items = answer[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Vec<String>> =
        items.iter().map(|item| columns.iter().map(|column| cell(&item[*column])).collect()).collect();
    let width = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0)
    };
    let mut text = String::new();
    for row in &rows {
        let padded =
            row.iter().enumerate().map(|(index, cell)| format!("{cell:width$}", width = width(index)));
        let line = padded.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// One line a field.
pub(super) fn object(answer: &Value) -> String {
    let fields = answer.as_object().into_iter().flatten();
    let width = fields.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
    fields.map(|(name, value)| format!("{name:<width$}  {}\n", cell(value))).collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The decision first, then what it rests on.
pub(super) fn explanation(answer: &Value) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &Value| {
        if !value.is_null() {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{label:<10}{}", cell(value));
        }
    };
    let then = &answer["then"];
    if !then.is_null() {
        line("denied", &then["at"]);
        line("caller", &then["caller"]);
        line("server", &then["server"]);
        line(then["kind"].as_str().unwrap_or("name"), &then["name"]);
        line("rule", &then["rule"]);
        line("", &then["says"]);
        line("holds", &answer["holds"]);
    }
    line("now", &answer["decision"]);
    line("reason", &answer["reason"]);
    line("rule", &answer["rule"]);
    line("", &answer["says"]);
    line("account", &answer["account"]);
    line("revision", &answer["revision"]);
    for step in answer["steps"].as_array().into_iter().flatten() {
        let revision = step["revision"].as_u64().map(|revision| format!(" (revision {revision})"));
        let revision = revision.unwrap_or_default();
        let _ = writeln!(text, "  {:<8}{}{revision}", cell(&step["verdict"]), cell(&step["rule"]));
    }
    for entry in answer["since"].as_array().into_iter().flatten() {
        let (at, action, object) = (cell(&entry["at"]), cell(&entry["action"]), cell(&entry["object"]));
        let _ = writeln!(text, "  since: {at} {action} {object}");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_in_columns() {
        let answer = json!({"servers": [{"slug": "a", "name": "First"}, {"slug": "longer", "name": null}]});
        assert_eq!(list(&answer, "servers", &["slug", "name"], false), "a       First\nlonger  -\n");
    }

    #[test]
    fn an_explanation_begins_with_the_decision() {
        let answer = json!({
            "decision": "denied", "reason": "policy_denied", "rule": "workspace/tools.deny:x", "says": "Because.",
            "revision": 7, "steps": [{"rule": "workspace/tools.deny:x", "verdict": "denied", "revision": 3}],
        });
        insta::assert_snapshot!(explanation(&answer), @r"
        now       denied
        reason    policy_denied
        rule      workspace/tools.deny:x
                  Because.
        revision  7
          denied  workspace/tools.deny:x (revision 3)
        ");
    }
}
