//! What is wrong with rules, said at once.

use insta::assert_snapshot;

use super::{minimal, problems};

const BAD_RULES: &str = r"
servers: [{slug: linear, url: 'https://mcp.linear.app/mcp', auth: {type: none}, workspaces: all}]
policies:
  organization:
    servers:
      linear:
        tools: {allow: [''], deny: [7]}
        read_only: 'yes'
        new_tools: maybe
        sensitive: ['']
        arguments:
          - {tool: a, argument: repo, is: {one_of: []}}
          - {tool: a, argument: /a, is: {like: x}}
          - {tool: a, argument: /a, is: {range: {max: 1e300}}}
          - {tool: a, argument: /a, is: {range: {min: 2, max: 1}}}
          - {tool: a, argument: /a}
";

#[test]
fn every_problem_of_rules_is_named_at_once() {
    assert_snapshot!(problems(&minimal(BAD_RULES)), @r#"
    portcullis.yaml:12: policies.organization.servers.linear.tools.allow[0]: is empty, longer than 1024 bytes, or has a control character
        give a name, or a glob such as `create_*`
    portcullis.yaml:12: policies.organization.servers.linear.tools.deny[0]: this must be a text, but it is a number
        put it in quotes
    portcullis.yaml:13: policies.organization.servers.linear.read_only: this must be true or false, but it is a text
        write true or false
    portcullis.yaml:14: policies.organization.servers.linear.new_tools: "maybe": not what can become of new tools
        write allow, allow_if_read_only or hold
    portcullis.yaml:15: policies.organization.servers.linear.sensitive[0]: is empty, longer than 1024 bytes, or has a control character
        give a name, or a glob such as `create_*`
    portcullis.yaml:17: policies.organization.servers.linear.arguments[0].argument: does not begin with `/`, as a JSON pointer does
        write a JSON pointer into the call's arguments, such as /repo or /filter/0/name
    portcullis.yaml:17: policies.organization.servers.linear.arguments[0].is.one_of: has 0 values
        give 1 to 1000 values; to take the tool away, deny it
    portcullis.yaml:18: policies.organization.servers.linear.arguments[1].is: unknown variant `like`, expected one of `equals`, `one_of`, `prefix`, `glob`, `range`
        write one of equals: value, one_of: [values], prefix: text, glob: pattern, range: {min: 1, max: 9}
    portcullis.yaml:19: policies.organization.servers.linear.arguments[2].is.range.max: is a number that cannot be held exactly
        give an integer of 64 bits, or a decimal number of at most 15 digits below 2^53
    portcullis.yaml:20: policies.organization.servers.linear.arguments[3].is.range: has a min above its max
        swap them
    portcullis.yaml:21: policies.organization.servers.linear.arguments[4]: `is` is missing
        add `is`
    11 problems
    "#);
}
