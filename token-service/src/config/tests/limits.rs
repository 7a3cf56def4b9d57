//! The section `limits`.

use insta::assert_snapshot;

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
    assert_snapshot!(problems(&minimal(&format!("{head}{limits}"))));
}
