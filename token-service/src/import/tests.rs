use std::collections::BTreeMap;
use std::path::Path;

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ImportError, Imported, import_portkey};
use crate::config::Config;

/// Wherever a secret stands.
const CANARY: &str = "sk-canary-77f0";

fn import(json: &Value) -> Imported {
    let imported = import_portkey("export.json", &json.to_string()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!imported.yaml.contains(CANARY) && !imported.report.contains(CANARY), "{imported:?}");
    checked(&imported);
    imported
}

/// What is printed loads in a minimal configuration, once the secrets are where the report says.
fn checked(imported: &Imported) -> Config {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("secrets")).expect("is made");
    let files = imported.report.lines().filter_map(|line| line.trim().strip_prefix("secrets/"));
    for (name, _) in files.filter_map(|file| file.split_once(": ")) {
        std::fs::write(directory.path().join("secrets").join(name), "Bearer of-some-length")
            .expect("is written");
    }
    let text = format!(
        "public_url: https://mcp.example.com\nlisteners: {{internal: '127.0.0.1:1', admin: '127.0.0.1:2', public: \
         '127.0.0.1:3'}}\nstore: {{sqlite: portcullis.db}}\nroot_key: {{file: root.key}}\nadmin_token_file: t\n{}",
        imported.yaml
    );
    let path = directory.path().join("portcullis.yaml");
    Config::parse(&path, &text, &|_| None).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// As an organization that has moved would export it: what each endpoint answers.
fn export() -> Value {
    json!({
        "integrations": {"object": "list", "total": 4, "has_more": false, "data": [
            {
                "id": "int-1", "name": "Linear", "slug": "linear", "url": "https://mcp.linear.app/mcp", "status": "active",
                "auth_type": "oauth_auto", "transport": "http", "type": "organisation", "created_at": "2026-01-01",
                "global_workspace_access": {"enabled": true},
                "capabilities": [
                    {"name": "delete_issue", "type": "tool", "enabled": false},
                    {"name": "list_issues", "type": "tool", "enabled": true},
                    {"name": "triage", "type": "prompt", "enabled": false},
                    {"name": "issue://{id}", "type": "resource_template", "enabled": false}
                ]
            },
            {
                "id": "int-2", "name": "CRM", "slug": "crm_prod", "url": "https://mcp.crm.example/mcp",
                "auth_type": "headers", "transport": "http", "description": "Customers",
                "configurations": {
                    "headers": {"Authorization": format!("Bearer {CANARY}"), "Host": "x"},
                    "passthrough_headers": {"X-Tenant": CANARY},
                    "forward_headers": {"mode": "allowlist", "headers": ["x-trace"]},
                    "user_identity_forwarding": {"method": "jwt_header"},
                    "jwt_validation": {"jwksUri": "https://idp.example/jwks", "requiredClaims": ["team"]}
                },
                "workspaces": {
                    "workspaces": [{"id": "ws-a", "enabled": true}, {"id": "ws-b", "enabled": false}],
                    "global_workspace_access": {"enabled": false}
                }
            },
            {
                "id": "int-3", "name": "Calendar", "slug": "calendar", "url": "https://cal.example/mcp",
                "auth_type": "oauth_auto", "workspace_id": "ws-b",
                "configurations": {"oauth_metadata": {
                    "client_id": "portkey", "client_secret": CANARY, "client_name": "Portkey",
                    "scope": "calendar.read offline_access", "token_endpoint_auth_method": "client_secret_post",
                    "issuer": "https://login.cal.example",
                    "authorization_params": {"access_type": "offline", "prompt": "consent", "redirect_uri": "x"},
                    "authorization_endpoint": "https://login.cal.example/authorize",
                    "token_endpoint": "https://login.cal.example/token"
                }}
            },
            {
                "id": "int-4", "name": "Stock", "slug": "stock", "auth_type": "oauth_client_credentials",
                "url": format!("http://stock.internal:8080/mcp?tenant=7&api_key={CANARY}"), "transport": "sse",
                "configurations": format!(
                    r#"{{"client_id": "p", "client_secret": "{CANARY}", "scope": "read", "audience": "stock"}}"#
                ),
                "secret_mappings": [
                    {"target_field": "configurations.client_secret", "secret_reference_id": "vault-1", "secret_key": "s"}
                ],
                "global_workspace_access": {"enabled": true}
            }
        ]},
        "servers": {"data": [
            {"id": "srv-1", "name": "Tickets", "slug": "tickets", "mcp_integration_id": "int-1", "workspace_id": "ws-a",
             "capabilities": [{"name": "create_issue", "type": "tool", "enabled": false}]},
            {"id": "srv-2", "name": "Tickets", "slug": "tickets", "mcp_integration_id": "linear", "workspace_id": "ws-b",
             "user_access": {"user_access": [{"user_id": "u1", "enabled": true}], "default_user_access": "deny"}},
            {"id": "srv-3", "name": "Lost", "slug": "lost", "mcp_integration_id": "int-9"}
        ]},
        "workspaces": {"data": [
            {"id": "ws-a", "name": "Core team", "slug": "core"}, {"id": "ws-b", "name": "Support", "slug": "support"}
        ]}
    })
}

#[test]
fn an_export_becomes_a_configuration() {
    let imported = import(&export());
    assert_snapshot!("configuration", imported.yaml);
    assert_snapshot!("report", imported.report);
}

#[test]
fn one_integration_a_list_and_a_page_say_the_same() {
    let one = json!({"name": "Docs", "slug": "docs", "url": "https://docs.example/mcp", "auth_type": "none"});
    let expected = import(&one).yaml;
    for other in [json!([one]), json!({"data": [one]}), json!({"mcp_integrations": [one]})] {
        assert_eq!(import(&other).yaml, expected, "{other}");
    }
    assert!(expected.contains("workspaces: []"), "nobody gets more than before: {expected}");
    let page = import(&json!({"data": [one], "has_more": true}));
    assert!(page.report.contains("fetch the other pages"), "{}", page.report);
}

#[test]
fn slugs_stay_wherever_they_can() {
    let of = |slug: &str, url: &str| json!({"slug": slug, "url": url, "auth_type": "none"});
    let imported = import(&json!([
        of("linear", "https://a.example/mcp"),
        of("My_Server", "https://b.example/mcp"),
        of("my-server", "https://c.example/mcp"),
        of("admin", "https://d.example/mcp"),
        of("___", "https://e.example/mcp"),
    ]));
    let slugs: BTreeMap<String, String> = checked(&imported)
        .declared
        .servers
        .iter()
        .map(|server| (server.slug.to_string(), server.url.to_string()))
        .collect();
    let slugs: Vec<&str> = slugs.keys().map(String::as_str).collect();
    assert_eq!(slugs, ["linear", "mcp-admin", "my-server", "my-server-2"]);
    for part in
        ["call /my-server/mcp in place of /My_Server/mcp", "call /mcp-admin/mcp", "[4]: no slug can be made"]
    {
        assert!(imported.report.contains(part), "{part}: {}", imported.report);
    }
}

#[test]
fn what_cannot_be_imported_says_so() {
    for (text, said) in [
        ("", "is not JSON"),
        ("[", "is not JSON"),
        ("null", "has no integration"),
        ("[]", "has no integration"),
        ("\"x\"", "has no integration"),
        (r#"{"integrations": 7}"#, "has no integration"),
        (r#"[{"slug": "a"}]"#, "has no integration"),
    ] {
        let error = import_portkey("x.json", text).expect_err(text).to_string();
        assert!(error.contains(said) && error.contains("x.json"), "{text}: {error}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(import_portkey("deep.json", &deep), Err(ImportError::Json { .. })));
}

#[test]
fn wrong_types_are_told_by_their_place() {
    let imported = import(&json!([{
        "slug": "a", "url": "https://a.example/mcp", "name": 7, "auth_type": "headers", "transport": [],
        "workspaces": [{"id": 1}, {"enabled": true}, "x"], "capabilities": [{"type": "tool", "enabled": false}, 3],
        "configurations": {"headers": {"Authorization": {"deep": CANARY}}}, "secret_mappings": "x",
    }, {"slug": "b", "url": {"a": 1}, "auth_type": "none"}, {"slug": "c", "url": "https://u:p@c.example/mcp"}]));
    for place in [
        "[0].name: ",
        "[0].transport: ",
        "[0].workspaces[0].id: ",
        "[0].capabilities[0]: ",
        "[1].url: ",
        "[2].url: ",
    ] {
        assert!(imported.report.contains(place), "{place}: {}", imported.report);
    }
    assert!(imported.report.contains("1 server,"), "{}", imported.report);
}

fn json_value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "slug",
        "name",
        "url",
        "auth_type",
        "headers",
        "oauth_auto",
        "oauth_client_credentials",
        "configurations",
        "oauth_metadata",
        "client_id",
        "client_secret",
        "scope",
        "workspaces",
        "workspace_id",
        "id",
        "enabled",
        "capabilities",
        "type",
        "tool",
        "integrations",
        "servers",
        "data",
        "secret_mappings",
        "target_field",
        "mcp_integration_id",
        "https://a.example/mcp",
        "http://[::1]/?key=1",
        "configurations.headers.X",
        "user_access",
        "default_user_access",
        "deny",
        "authorization_params",
        "issuer",
        "token_endpoint",
        "transport",
        "none",
        "*",
    ]);
    let text = prop_oneof![word.prop_map(str::to_owned), ".{0,12}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(text.clone(), inner, 0..8)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_imported_loads(value in json_value()) {
        for value in [json!([{"url": "https://a.example/mcp", "slug": "a", "configurations": value}]), json!({"integrations": [value]})] {
            if let Ok(imported) = import_portkey("x", &value.to_string()) {
                checked(&imported);
            }
        }
    }

    #[test]
    fn what_is_no_json_is_refused_or_read(text in ".{0,200}") {
        let _ = import_portkey(Path::new("x").to_str().unwrap_or_default(), &text);
    }
}
