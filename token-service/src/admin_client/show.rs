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
    let lines: Vec<String> = fields.map(|(name, value)| format!("{name:<width$}  {}", cell(value))).collect();
    if lines.is_empty() { String::new() } else { lines.join("\n") + "\n" }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => plain(text),
        other => other.to_string(),
    }
}

/// One line: when, what became of it, where, what, who, how long, and by what rule if it was not let through.
pub(super) fn record(record: &Value) -> String {
    let text = |name: &str| plain(record[name].as_str().unwrap_or("-"));
    let what = match record["name"].as_str() {
        Some(name) => format!("{} {}", text("method"), plain(name)),
        None => text("method"),
    };
    let status = record["status"].as_u64().unwrap_or(0);
    let latency = record["latency_ms"].as_u64().unwrap_or(0);
    let who =
        record["caller_name"].as_str().or(record["caller"].as_str()).map_or_else(|| "-".to_owned(), plain);
    let rule = record["rule"].as_str().map(|rule| format!("  {}", plain(rule))).unwrap_or_default();
    let (at, outcome, server) = (text("at"), text("outcome"), text("server"));
    format!("{at}  {outcome:<16} {status:>3} {latency:>6} ms  {server}  {what}  {who}{rule}\n")
}

/// Callers choose some of what is shown, and terminals obey some of what they show.
fn plain(text: &str) -> String {
    let harmless =
        |letter: char| !letter.is_control() && crate::text::presentable(&letter.to_string()).is_some();
    let shown = |letter: char| if letter == ' ' || harmless(letter) { letter } else { '\u{fffd}' };
    text.chars().map(shown).collect()
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
    fn a_record_is_one_harmless_line() {
        let shown = record(&json!({
            "at": "2026-11-23T10:00:00Z", "outcome": "denied", "status": 200, "latency_ms": 3, "server": "linear",
            "method": "tools/call", "name": "x\r\n\u{1b}[2J\u{2028}\u{202e}y", "caller": "mem_1", "rule": "workspace/tools.deny:x",
        }));
        let shown: Vec<&str> = shown.split_inclusive('\n').collect();
        let expected = "2026-11-23T10:00:00Z  denied           200      3 ms  linear  \
                        tools/call x\u{fffd}\u{fffd}\u{fffd}[2J\u{fffd}\u{fffd}y  mem_1  workspace/tools.deny:x\n";
        assert_eq!(shown, [expected]);
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
