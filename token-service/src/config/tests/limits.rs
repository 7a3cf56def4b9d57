//! The section `limits`.

use super::{minimal, problems};

#[test]
fn limits_are_checked_whole() {
    let head = "workspaces: [{slug: core}]\nservers: [{slug: docs, url: 'https://docs.example/mcp', auth: {type: none}, \
                workspaces: all, concurrency: 0}]\n";
    let limits = "limits:
  organization:
    - {name: Bad Name, requests: 0, per: week}
    - {name: a, server: dox, requests: 5, per: day, each: [member, minute]}
    - {name: a, requests: 5, per: day, tools: []}
  workspaces:
    core: [{name: b, workspace: core, requests: many, per: day}]
    none: []
  members: [{workspace: core, issuer: i, subject: s, limits: []}]
";
    let reported = problems(&minimal(&format!("{head}{limits}")));
    for problem in [
        "write one from 1 to 1000000",
        "a name has 1 to 63 lower-case letters",
        "\"week\": not one of them",
        "\"minute\": not one of them",
        "there is no server \"dox\"",
        "two limits of this name",
        "no tools, or more than 100",
        "only limits of the organization",
        "this must be a number, but it is a text",
        "there is no workspace \"none\"",
        "no such member",
    ] {
        assert!(reported.contains(problem), "{problem} in {reported}");
    }
}
