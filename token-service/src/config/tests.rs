use std::fmt::Write as _;
use std::path::Path;

use insta::assert_snapshot;
use portcullis_wire::policy::{Condition, NewTools, Pattern};
use secrecy::ExposeSecret as _;

use super::*;
use crate::domain::oauth_client::{SecretCheck, secret_digest};
use crate::egress::AllowedPrivate;

mod auth;
mod limits;
mod payloads;
mod policies;
mod root_keys;
mod sign_in;
mod store;

const EXAMPLE: &str = include_str!("../../portcullis.example.yaml");

fn parse_in(directory: &Path, text: &str) -> Result<Config, Problems> {
    let environment = |name: &str| match name {
        "LINEAR_TEAM" => Some("core".to_owned()),
        "ASSISTANT_SECRET" => Some("hunter2-hunter2-hunter2-hunter2-hunter2".to_owned()),
        "WAREHOUSE_SECRET" => Some("hunter2".to_owned()),
        "DATABASE_URL" => Some("postgres://ada:hunter2@db/gate".to_owned()),
        "ROOT_KEY" => Some(root_keys::ROOT_KEY.to_owned()),
        "UNUSABLE" => Some("line one\nhunter2".to_owned()),
        _ => None,
    };
    Config::parse(&directory.join("portcullis.yaml"), text, &environment)
}

/// What is reported about `text`, which lies in a directory that is not there.
fn problems(text: &str) -> String {
    parse_in(Path::new(""), text).expect_err("has problems").to_string()
}

/// The least that works, with `more` sections.
fn minimal(more: &str) -> String {
    format!(
        "public_url: http://127.0.0.1:10000\nlisteners: {{internal: 'unix:/run/p.sock', admin: '127.0.0.1:2', \
         public: '127.0.0.1:3'}}\nstore: {{sqlite: p.db}}\nroot_key: {{file: r}}\nadmin_token_file: a\n{more}"
    )
}

#[test]
fn the_example_loads() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("secrets")).expect("makes");
    std::fs::write(directory.path().join("secrets/linear-authorization"), "Bearer hunter2\n")
        .expect("writes");
    for client in ["secrets/crm-client", "secrets/login-client"] {
        std::fs::write(directory.path().join(client), "hunter2\n").expect("writes");
    }
    let config = parse_in(directory.path(), EXAMPLE).unwrap_or_else(|problems| panic!("{problems}"));

    assert_eq!(config.service.public_url, "https://mcp.example.com");
    assert_eq!(config.service.store, StoreConfig::Sqlite(directory.path().join("portcullis.db")));
    assert_eq!(config.service.lease_ttl, Duration::from_mins(1));
    let oauth = config.service.authorization;
    assert_eq!(
        oauth.clients[0].authentication,
        SecretCheck::Basic(secret_digest("assistant", "hunter2-hunter2-hunter2-hunter2-hunter2"))
    );
    assert_eq!(
        (oauth.clients[1].name.as_str(), &oauth.clients[1].authentication),
        ("desktop", &SecretCheck::None)
    );
    assert_eq!(oauth.browser_origins, ["https://inspector.example"]);
    assert!(!format!("{oauth:?}").contains("hunter2"));
    assert_eq!(config.service.admin_url.as_deref(), Some("https://portcullis-admin.example.com"));
    assert!(!config.service.admin_token_always && !config.service.development_sign_in);
    let company = config.service.company_sign_in.expect("a sign-in");
    assert_eq!((company.issuer.as_str(), company.rules.len()), ("https://login.example.com", 4));
    assert_eq!(company.secret.as_ref().map(SecretText::expose), Some("hunter2"));
    assert!(!format!("{company:?}").contains("hunter2"));
    let declared = config.declared;
    assert_eq!(declared.administrators[0].identity.issuer, "https://login.example.com");
    assert_eq!(declared.administrators[0].role, OrganizationRole::Owner);
    assert_eq!(declared.workspaces[0].members[0].role, MemberRole::Manager);
    assert_eq!(declared.workspaces[0].staleness, Staleness::parse("30s").ok());
    assert_eq!(declared.workspaces[1].staleness, None);
    let sizes =
        [declared.workspaces.len(), declared.servers.len(), declared.issuers.len(), declared.policies.len()];
    assert_eq!(sizes, [2, 5, 1, 3]);
    assert_eq!((declared.limits.len(), declared.servers[4].concurrency), (4, Some(20)));
    assert_eq!(declared.workspaces[0].members[0].identity.subject, "248289761001");
    let AuthConfig::Headers(headers) = &declared.servers[0].auth else { panic!("headers") };
    let sent: Vec<(&str, &str)> =
        headers.iter().map(|header| (header.name.as_str(), header.value.expose_secret())).collect();
    assert_eq!(sent, [("authorization", "Bearer hunter2"), ("x-team", "core")]);
    assert!(!format!("{:?}", declared.servers).contains("hunter2"));
    assert_eq!(declared.servers[4].workspaces, WorkspacesConfig::All);
    let chosen = &declared.servers[1].admission[0];
    assert_eq!((chosen.workspace.as_str(), chosen.members), ("core", Members::Chosen));
    assert_eq!(chosen.access, [(declared.workspaces[0].members[0].identity.clone(), MemberAccess::Allow)]);
    assert_eq!(declared.servers[1].url.to_string(), "https://mcp.notion.com/mcp");
    let AuthConfig::OAuth(crm) = &declared.servers[2].auth else { panic!("oauth") };
    let CheckedAuth::OAuth(crm) = &**crm else { panic!("oauth") };
    assert_eq!(crm.client.as_ref().expect("a client").authentication.as_str(), "client_secret_post");
    let AuthConfig::OAuth(shared) = &declared.servers[3].auth else { panic!("client credentials") };
    let CheckedAuth::ClientCredentials(shared) = &**shared else { panic!("client credentials") };
    assert_eq!(shared.token_parameters["audience"], "warehouse");
    let warehouse = AllowedPrivate::parse("warehouse.internal", "10.1.0.0/16").expect("an entry");
    assert_eq!(config.service.egress.allowed, [warehouse]);
    assert_eq!(declared.issuers[0].issuer.keys.len(), 1);
    assert_eq!(declared.policies[2].rules.enabled, Some(false));
    let [everywhere, support] = [0, 1].map(|index| &declared.policies[index].rules);
    assert_eq!(everywhere.new_tools, NewTools::AllowIfReadOnly);
    assert_eq!(everywhere.sensitive, [Pattern("update_*".into())]);
    assert!(support.read_only && support.arguments[2].optional);
    assert_eq!(support.arguments[1].is, Condition::Prefix("public/".into()));
}

/// One of every mistake in rules.
#[test]
fn little_is_needed() {
    let config = parse_in(Path::new("/etc/portcullis"), &minimal("")).expect("loads");
    let service = config.service;
    assert_eq!(service.listeners.internal, InternalListener::Unix("/run/p.sock".into()));
    assert_eq!(service.root_keys.present, RootKeyConfig::File("/etc/portcullis/r".into()));
    assert_eq!(service.root_keys.others, []);
    let defaults = (service.api_key_environment.as_str(), service.lease_ttl, service.watch_hold);
    assert_eq!(defaults, ("live", Duration::from_mins(1), Duration::from_secs(1)));
    assert!(config.declared.servers.is_empty());
    // A heading without anything under it is no mistake.
    parse_in(Path::new(""), &minimal("servers:\npolicies:\n")).expect("loads");
}

#[test]
fn what_is_wrong_about_members_of_a_server() {
    let server = "{slug: docs, url: 'https://docs.example/mcp', auth: {type: none}, workspaces: [WORKSPACE]}";
    let problem = |workspace: &str| {
        let servers = server.replace("WORKSPACE", workspace);
        let core = "{slug: core, members: [{issuer: i, subject: s}]}";
        problems(&minimal(&format!("workspaces: [{core}]\nservers: [{servers}]\n")))
    };
    for (workspace, expected) in [
        ("{workspace: core, members: some}", "write all or chosen"),
        ("{workspace: core, members: chosen, allow: [{issuer: i, subject: x}]}", "no such member"),
        ("{workspace: core, allow: [{issuer: i, subject: s}]}", "unless members are chosen"),
        (
            "{workspace: core, members: chosen, allow: [{issuer: i, subject: s}], deny: [{issuer: i, subject: s}]}",
            "listed twice",
        ),
        ("{workspace: core}, {workspace: core}", "listed twice"),
        ("{workspace: cor}", "did you mean core?"),
    ] {
        let found = problem(workspace);
        assert!(found.contains(expected), "{workspace}: {found}");
    }
}

/// One of every mistake.
const BAD: &str = r"
public_ulr: https://mcp.example.com
listeners:
  internal: 0.0.0.0:8081
  admin: localhost:1
  public: 127.0.0.1:3
store: {sqlite: p.db}
root_key: r
lease_ttl: 1h
workspaces:
  - slug: Core
  - slug: support
    members:
      - {issuer: https://idp.example, subject: 17}
      - {issuer: https://idp.example}
  - slug: support
servers:
  - slug: linear
    name: ''
    url: http://me:hunter2@mcp.linear.app/mcp
    auth: {type: oatuh}
    workspaces: [suport]
  - slug: admin
    url: https://a.example/a/../b
    auth:
      type: headers
      headers:
        Host: {env: LINEAR_TEAM}
        Authorization: hunter2
        X-Key: {env: UNUSABLE}
        X-Missing: {env: MISSING}
        X-File: {file: nowhere/at-all}
        X-Both: {file: a, env: b}
    payload: all
    workspaces: some
  - slug: plain
    url: http://a.example/
    auth: {type: none, headers: {}}
    workspaces: all
issuers:
  - issuer: idp
    jwks: {keys: []}
    auto_provision_members: true
  - issuer: https://idp.example
    workspace: support
    workspace_claim: team
policies:
  organization: {servers: {linaer: {enabled: 'no'}}}
  workspaces: {sales: {servers: {}}}
  members:
    - {workspace: support, issuer: https://idp.example, subject: nobody, servers: {linear: {tools: {alow: []}}}}
";

#[test]
fn every_problem_is_named_at_once() {
    assert_snapshot!(problems(BAD), @r#"
    portcullis.yaml:2: public_ulr: unknown key
        did you mean public_url?
    portcullis.yaml:2: `public_url` is missing
        add `public_url`
    portcullis.yaml:2: `admin_token_file` is missing
        add `admin_token_file`
    portcullis.yaml:4: listeners.internal: 0.0.0.0:8081 can be reached from other machines, and whoever reaches it gets credentials
        use a loopback address or unix:/path, or add internal_tls with certificate, key and client_ca
    portcullis.yaml:5: listeners.admin: "localhost:1": invalid socket address syntax
        write an IP address and a port, such as 127.0.0.1:8080
    portcullis.yaml:8: root_key: this must be a mapping, but it is a text
        write a mapping
    portcullis.yaml:9: lease_ttl: "1h": not a duration in these bounds
        write it as 500ms, 60s, 5m, 8h or 30d, from 1s to 300s
    portcullis.yaml:11: workspaces[0].slug: "Core": a slug has 1 to 63 lower-case letters, digits and hyphens, and starts with a letter or digit
        choose a slug such as linear or team-2
    portcullis.yaml:14: workspaces[1].members[0].subject: this must be a text, but it is a number
        put it in quotes
    portcullis.yaml:15: workspaces[1].members[1]: `subject` is missing
        add `subject`
    portcullis.yaml:16: workspaces[2].slug: there are two workspaces "support"
        rename one of them
    portcullis.yaml:19: servers[0].name: "": not a name
        give it a name of 1 to 200 visible characters
    portcullis.yaml:20: servers[0].url: the URL must be https; plain http has to be allowed for this server explicitly
        write https://host/path, or add allow_http: true for an http URL in a network that you trust
    portcullis.yaml:21: servers[0].auth.type: "oatuh" is not an auth type
        write none, headers, oauth or client_credentials
    portcullis.yaml:22: servers[0].workspaces[0]: there is no workspace "suport" in this file
        did you mean support?
    portcullis.yaml:23: servers[1].slug: "admin": this slug is reserved by the gateway; choose another
        choose a slug such as linear or team-2
    portcullis.yaml:24: servers[1].url: the path would be read as "/b"; write it that way
        write https://host/path, or add allow_http: true for an http URL in a network that you trust
    portcullis.yaml:28: servers[1].auth.headers.Host: this header frames, routes or describes the request and cannot carry a credential
        name the header that the server reads its credential from
    portcullis.yaml:29: servers[1].auth.headers.Authorization: a secret cannot be written here
        write {file: path} or {env: NAME}
    portcullis.yaml:30: servers[1].auth.headers.X-Key: the value has a character that is not visible ASCII, or begins or ends with a space
        put a usable value into the file or the variable
    portcullis.yaml:31: servers[1].auth.headers.X-Missing.env: the environment has no variable MISSING
        set it, or name another
    portcullis.yaml:32: servers[1].auth.headers.X-File.file: nowhere/at-all cannot be read: No such file or directory (os error 2)
        name a readable text file; relative paths start at the directory of this file
    portcullis.yaml:33: servers[1].auth.headers.X-Both: a secret comes from either a file or the environment
        write {file: path} or {env: NAME}
    portcullis.yaml:34: servers[1].payload: "all": not a payload policy
        write off, digest, redacted or full
    portcullis.yaml:35: servers[1].workspaces: "some": not a list of workspaces
        write all, or a list of slugs
    portcullis.yaml:37: servers[2].url: the URL must be https; plain http has to be allowed for this server explicitly
        write https://host/path, or add allow_http: true for an http URL in a network that you trust
    portcullis.yaml:38: servers[2].auth.headers: type none sends no headers
        remove the headers, or write type: headers
    portcullis.yaml:41: issuers[0].issuer: "idp": an issuer is a URL
        write it exactly as the tokens have it in `iss`
    portcullis.yaml:41: issuers[0]: auto_provision_members needs to know which workspace a new member belongs to
        add workspace or workspace_claim
    portcullis.yaml:42: issuers[0].jwks: the key set has no key for EdDSA, ES256 or RS256 signatures
        give the issuer's public keys: EdDSA, ES256, or RS256 with 2048 bits or more
    portcullis.yaml:44: issuers[1]: tokens are checked by either keys or introspection, given once
        write jwks_url: or jwks_file:, the keys themselves under jwks:, or introspection:
    portcullis.yaml:46: issuers[1].workspace_claim: workspace and workspace_claim exclude each other
        remove one of the two
    portcullis.yaml:48: policies.organization.servers.linaer: there is no server "linaer" in this file
        did you mean linear?
    portcullis.yaml:48: policies.organization.servers.linaer.enabled: this must be true or false, but it is a text
        write true or false
    portcullis.yaml:49: policies.workspaces.sales: there is no workspace "sales" in this file
        declare it under workspaces:
    portcullis.yaml:51: policies.members[0]: the workspace has no such member in this file
        declare the member under workspaces:
    portcullis.yaml:51: policies.members[0].servers.linear.tools.alow: unknown key
        did you mean allow?
    37 problems
    "#);
}

/// One of every mistake in how to be authorised.
#[test]
fn listeners_are_never_remote_and_open() {
    for (internal, good) in [
        ("127.0.0.1:1", true),
        ("'[::1]:1'", true),
        ("unix:/run/x.sock", true),
        ("unix:x.sock", false),
        ("0.0.0.0:1", false),
        ("'[::]:1'", false),
        ("10.0.0.1:1", false),
        ("localhost:1", false),
    ] {
        let text = minimal("").replace("'unix:/run/p.sock'", internal);
        assert_eq!(parse_in(Path::new(""), &text).is_ok(), good, "{internal}");
    }
    let directory = tempfile::tempdir().expect("a directory");
    for file in ["c.pem", "k.pem", "a.pem"] {
        std::fs::write(directory.path().join(file), "").expect("writes");
    }
    let tls = "0.0.0.0:1, internal_tls: {certificate: c.pem, key: k.pem, client_ca: a.pem}";
    let text = minimal("").replace("'unix:/run/p.sock'", tls);
    let config = parse_in(directory.path(), &text).expect("loads");
    let InternalListener::MutualTls(address, files) = config.service.listeners.internal else {
        panic!("TLS")
    };
    assert_eq!((address.port(), files.client_ca), (1, directory.path().join("a.pem")));
}

#[test]
fn public_urls_are_origins() {
    for (url, good) in [
        ("https://mcp.example.com", true),
        ("https://mcp.example.com/", true),
        ("https://mcp.example.com:8443", true),
        ("http://localhost:8080", true),
        ("'http://[::1]:8080'", true),
        ("http://mcp.example.com", false),
        ("https://mcp.example.com/x", false),
        ("https://MCP.example.com", false),
        ("https://me@mcp.example.com", false),
        ("mcp.example.com", false),
    ] {
        let text = minimal("").replace("http://127.0.0.1:10000", url);
        assert_eq!(parse_in(Path::new(""), &text).is_ok(), good, "{url}");
    }
}

#[test]
fn unreadable_yaml_is_one_problem_with_its_line() {
    assert_snapshot!(problems("a: 1\nb: [\n"), @r#"
    portcullis.yaml:2: this is not YAML that can be read: unclosed bracket '[' at line 2, column 4
        correct the YAML; further problems show after that
    1 problem
    "#);
    assert_snapshot!(problems("public_url: a\npublic_url: b\n"), @r#"
    portcullis.yaml:2: the key "public_url" is there twice
        join the two; further problems show after that
    1 problem
    "#);
    assert_snapshot!(problems("- a\n"), @r#"
    portcullis.yaml:1: this must be a mapping, but it is a list
        write a mapping
    1 problem
    "#);
    assert_snapshot!(problems(""), @r#"
    portcullis.yaml:1: this must be a mapping, but it is nothing
        write a mapping
    1 problem
    "#);
}

#[test]
fn yaml_bombs_are_refused_quickly() {
    // Nine lists of nine of the one before: a billion leaves.
    let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..10 {
        let before = format!("*a{},", level - 1).repeat(9);
        writeln!(laughs, "a{level}: &a{level} [{before}]").expect("writes");
    }
    let deep = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let long = "a: b\n".repeat(1_000_000);
    let wide = format!("a: [{}]", "x,".repeat(300_000));
    for bomb in [laughs, deep, long, wide] {
        let refused = parse_in(Path::new(""), &bomb).expect_err("refused");
        assert_eq!(refused.problems.len(), 1);
    }
}

#[test]
fn a_missing_file_is_a_problem_too() {
    let missing = Config::load(Path::new("/nowhere/portcullis.yaml"), &|_| None).expect_err("missing");
    assert_snapshot!(missing, @r#"
    /nowhere/portcullis.yaml: the file cannot be read: No such file or directory (os error 2)
        name a readable UTF-8 file
    1 problem
    "#);
}

#[test]
fn clients_are_checked_whole() {
    let report = problems(&minimal(
        "oauth:
  signing_algorithm: HS256
",
    ));
    assert!(report.contains("ES256 or EdDSA"), "{report}");
    let report = problems(&minimal(
        "oauth:
  access_token_ttl: 2h
",
    ));
    assert!(report.contains("from 60s to 3600s"), "{report}");
    let report = problems(&minimal(
        "oauth:
  browser_origins: ['https://a.example/', '*', 'https://b.example:443']
  clients:
    - {id: 'https://a.example/c', redirect_uris: ['https://a.example/cb']}
    - {id: dyn_1, redirect_uris: ['https://a.example/cb']}
    - {id: a, redirect_uris: ['http://a.example/cb', 'javascript:alert(1)', 'https://a.example/cb#x']}
    - {id: b, redirect_uris: []}
    - {id: b, redirect_uris: ['https://a.example/cb'], method: client_secret_post}
    - {id: c, redirect_uris: ['https://a.example/cb'], secret: {env: WAREHOUSE_SECRET}}
    - {id: d, redirect_uris: ['https://a.example/cb'], secret: {env: ASSISTANT_SECRET}, method: none}
    - {id: e}
",
    ));
    for (place, count) in [
        ("oauth.browser_origins[", 3),
        ("oauth.clients[0].id", 1),
        ("oauth.clients[1].id", 1),
        ("oauth.clients[2].redirect_uris[", 3),
        ("cannot sign in", 1),
        ("two clients with this id", 1),
        ("without a secret has no method", 1),
        ("at least 32 characters", 1),
        ("client_secret_basic or client_secret_post", 1),
        ("`redirect_uris` is missing", 1),
    ] {
        assert_eq!(report.matches(place).count(), count, "{place}: {report}");
    }
    assert!(!report.contains("hunter2"), "{report}");
}
