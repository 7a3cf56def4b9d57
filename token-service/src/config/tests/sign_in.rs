//! How people sign in.

use std::path::Path;

use insta::assert_snapshot;

use super::{minimal, parse_in, problems};
use crate::config::*;

/// `sign_in.oidc` with these lines.
fn company(lines: &str) -> String {
    let client = "issuer: https://login.example, client: {id: p}";
    minimal(&format!("workspaces: [{{slug: core}}]\nsign_in:\n  oidc: {{{client}{lines}}}\n"))
}

#[test]
fn little_is_needed_to_sign_in() {
    let config = parse_in(Path::new(""), &company("")).expect("loads");
    let company = config.service.company_sign_in.expect("a sign-in");
    assert_eq!((company.method, company.secret), (ClientMethod::None, None));
    assert_eq!((company.name_claim.as_str(), company.groups_claim.as_str()), ("name", "groups"));
    assert_eq!((company.scopes, company.rules), (vec!["profile".to_owned()], Vec::new()));
}

#[test]
fn rules_of_the_sign_in_are_checked_whole() {
    assert_snapshot!(problems(&company(", memberships: [
      {group: a, workspace: nowhere},
      {group: a},
      {workspace: core},
      {group: a, everyone: true, workspace: core},
      {everyone: false, workspace: core},
      {everyone: true, organization_role: owner},
      {group: a, organization_role: manager},
      {group: a, organization_role: admin, role: member},
      {group: a, workspace: core, role: owner},
      {group: '', workspace: core}]")), @r#"
    portcullis.yaml:9: sign_in.oidc.memberships[0].workspace: there is no workspace "nowhere" in this file
        declare it under workspaces:
    portcullis.yaml:10: sign_in.oidc.memberships[1]: a rule gives either a workspace or an organization_role
        write workspace: <slug>, or organization_role: owner or admin
    portcullis.yaml:11: sign_in.oidc.memberships[2]: a rule is about either a group or everyone
        write group: <name>, or everyone: true
    portcullis.yaml:12: sign_in.oidc.memberships[3]: a rule is about either a group or everyone
        write group: <name>, or everyone: true
    portcullis.yaml:13: sign_in.oidc.memberships[4]: a rule is about either a group or everyone
        write group: <name>, or everyone: true
    portcullis.yaml:14: sign_in.oidc.memberships[5].organization_role: everyone would administer the gateway
        name a group
    portcullis.yaml:15: sign_in.oidc.memberships[6].organization_role: "manager": not a role in the organization
        write owner or admin
    portcullis.yaml:16: sign_in.oidc.memberships[7].organization_role: role is that of a member of a workspace
        remove role
    portcullis.yaml:17: sign_in.oidc.memberships[8].role: "owner": not a role in a workspace
        write member or manager
    portcullis.yaml:18: sign_in.oidc.memberships[9].group: "": not the name of a group
        write the group exactly as the ID tokens have it
    10 problems
    "#);
}

#[test]
fn signing_in_is_one_provider_for_one_company() {
    for (text, expected) in [
        (
            company("").replace("https://login.example", "'https://login.example/{tenantid}/v2.0'"),
            "a template is no issuer",
        ),
        (company("").replace("https://login.example", "http://login.example"), "an https URL"),
        (company("").replace("https://login.example", "'https://login.example?x=1'"), "an https URL"),
        (company("").replace("sign_in:\n", "sign_in:\n  development: true\n"), "exclude each other"),
        (company("").replace("{id: p}", "{id: p, secret: hunter2}"), "cannot be written here"),
        (company("").replace("{id: p}", "{id: p, method: client_secret_post}"), "do not go together"),
        (company("").replace("{id: p}", "{id: p, method: private_key_jwt}"), "not a method"),
        (company(", scopes: ['a b']"), "scopes[0]"),
        (company("").replace("admin: '127.0.0.1:2'", "admin: '0.0.0.0:2'"), "add admin_url"),
        (format!("{}admin_url: http://127.0.0.1:10000\n", company("")), "are the same"),
        (format!("{}admin_url: http://admin.example\n", company("")), "it must be https"),
        (format!("{}admin_token: never\n", company("")), "write always or until_owner"),
        (minimal("workspaces: [{slug: core, staleness: 301s}]\n"), "at most 300s"),
        (minimal("administrators: [{subject: x, role: owner}]\n"), "`issuer` is missing"),
        (format!("{}administrators: [{{subject: x, role: manager}}]\n", company("")), "write owner or admin"),
        (
            format!(
                "{}administrators: [{{subject: x, role: owner}}, {{subject: x, role: admin}}]\n",
                company("")
            ),
            "listed twice",
        ),
    ] {
        let found = problems(&text);
        assert!(found.contains(expected) && found.ends_with("1 problem"), "{expected}: {found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn what_is_for_a_laptop_stays_there() {
    let development = "egress: {development_loopback: true}\nsign_in: {development: true}\n";
    let config = parse_in(Path::new(""), &minimal(development)).expect("loads");
    assert!(config.service.egress.development_loopback && config.service.development_sign_in);
    let remote = minimal(development).replace("http://127.0.0.1:10000", "https://mcp.example.com");
    assert_snapshot!(problems(&remote), @"
    portcullis.yaml:6: egress.development_loopback: this is for a gateway that only its own machine can reach
        remove it, or use a public_url with a loopback host
    portcullis.yaml:7: sign_in.development: this is for a gateway that only its own machine can reach
        remove it, or use a public_url with a loopback host
    2 problems
    ");
    let off = remote.replace("true", "false");
    parse_in(Path::new(""), &off).expect("loads");
}
