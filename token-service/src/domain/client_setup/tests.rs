//! Each format against what its client documents, and what must be in none of them.

use portcullis_wire::names::Slug;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::resource::ResourcePath;

const GATEWAY: &str = "https://mcp.example.com";
const OPEN: SignIn = SignIn { dynamic_registration: true };
const CLOSED: SignIn = SignIn { dynamic_registration: false };

fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

fn target_at(gateway: &str, workspace: Option<&str>) -> Target {
    let resource = ResourcePath { workspace: workspace.map(slug), server: slug("linear") };
    Target::new(gateway, &resource).expect("a target")
}

fn target() -> Target {
    target_at(GATEWAY, None)
}

/// All that there is to copy.
fn snippets(setup: &ClientSetup) -> impl Iterator<Item = &Snippet> {
    setup.ways().flat_map(Way::all_steps).filter_map(|step| step.snippet.as_ref())
}

/// What a client's way has in a language; there is one.
fn text(client: Client, credential: Credential, language: Language) -> String {
    let setup = client.set_up(&target(), OPEN);
    let way = setup.ways().find(|way| way.credential == credential).expect("the way");
    let found: Vec<&Snippet> = way
        .all_steps()
        .filter_map(|step| step.snippet.as_ref())
        .filter(|snippet| snippet.language == language)
        .collect();
    assert_eq!(found.len(), 1, "{client:?} {credential:?} {language:?}: {found:?}");
    found[0].text.clone()
}

fn read(client: Client, credential: Credential) -> Value {
    serde_json::from_str(&text(client, credential, Language::Json)).expect("JSON")
}

fn commands(client: Client, credential: Credential) -> Vec<String> {
    let setup = client.set_up(&target(), OPEN);
    let way = setup.ways().find(|way| way.credential == credential).expect("the way");
    let snippets = way.all_steps().filter_map(|step| step.snippet.as_ref());
    snippets
        .filter(|snippet| snippet.language == Language::Shell)
        .map(|snippet| snippet.text.clone())
        .collect()
}

#[test]
fn claude_code() {
    let server = |headers: Value| json!({"mcpServers": {"linear": headers}});
    let url = "https://mcp.example.com/linear/mcp";
    assert_eq!(read(Client::ClaudeCode, Credential::SignIn), server(json!({"type": "http", "url": url})));
    let headers = json!({"Authorization": "Bearer ${PORTCULLIS_API_KEY}"});
    assert_eq!(
        read(Client::ClaudeCode, Credential::ApiKey),
        server(json!({"type": "http", "url": url, "headers": headers}))
    );
    assert_eq!(
        commands(Client::ClaudeCode, Credential::SignIn),
        [
            "claude mcp add --transport http --scope user linear https://mcp.example.com/linear/mcp",
            "claude mcp login linear",
        ]
    );
    assert_eq!(
        commands(Client::ClaudeCode, Credential::ApiKey),
        [
            "claude mcp add --transport http --scope user linear https://mcp.example.com/linear/mcp --header \
             'Authorization: Bearer ${PORTCULLIS_API_KEY}'",
            "claude mcp list",
        ]
    );
}

#[test]
fn claude_desktop() {
    let url = "https://mcp.example.com/linear/mcp";
    let bridge = |arguments: Value| json!({"mcpServers": {"linear": {"command": "npx", "args": arguments}}});
    assert_eq!(
        read(Client::ClaudeDesktop, Credential::SignIn),
        bridge(json!(["-y", BRIDGE, url, "--auth-timeout", "300"]))
    );
    assert_eq!(
        read(Client::ClaudeDesktop, Credential::ApiKey),
        bridge(json!(["-y", BRIDGE, url, "--header-file", "/PATH/TO/portcullis-headers.txt"]))
    );
    assert_eq!(text(Client::ClaudeDesktop, Credential::SignIn, Language::Text), url);
}

#[test]
fn a_connector_needs_https_and_the_bridge_has_to_register() {
    let local = target_at("http://127.0.0.1:8080", None);
    let languages = |target: &Target, sign_in| {
        let setup = Client::ClaudeDesktop.set_up(target, sign_in);
        let way = setup.sign_in.as_ref();
        let steps = way.into_iter().flat_map(Way::all_steps);
        steps.filter_map(|step| Some(step.snippet.as_ref()?.language)).collect::<Vec<_>>()
    };
    assert_eq!(languages(&target(), OPEN), [Language::Text, Language::Json]);
    assert_eq!(languages(&target(), CLOSED), [Language::Text]);
    assert_eq!(languages(&local, OPEN), [Language::Json]);
    assert_eq!(languages(&local, CLOSED), []);
}

#[test]
fn cursor() {
    let server = |server: Value| json!({"mcpServers": {"linear": server}});
    let url = "https://mcp.example.com/linear/mcp";
    assert_eq!(read(Client::Cursor, Credential::SignIn), server(json!({"url": url})));
    let headers = json!({"Authorization": "Bearer ${env:PORTCULLIS_API_KEY}"});
    assert_eq!(read(Client::Cursor, Credential::ApiKey), server(json!({"url": url, "headers": headers})));
}

#[test]
fn vs_code() {
    let url = "https://mcp.example.com/linear/mcp";
    assert_eq!(
        read(Client::VsCode, Credential::SignIn),
        json!({"servers": {"linear": {"type": "http", "url": url}}})
    );
    let headers = json!({"Authorization": "Bearer ${input:portcullis-api-key}"});
    assert_eq!(
        read(Client::VsCode, Credential::ApiKey),
        json!({
            "servers": {"linear": {"type": "http", "url": url, "headers": headers}},
            "inputs": [{
                "type": "promptString",
                "id": "portcullis-api-key",
                "description": format!("API key for {url}"),
                "password": true,
            }],
        })
    );
}

#[test]
fn codex() {
    let read = |credential| {
        let text = text(Client::Codex, credential, Language::Toml);
        toml::from_str::<Value>(&text).expect("TOML")
    };
    let url = "https://mcp.example.com/linear/mcp";
    assert_eq!(read(Credential::SignIn), json!({"mcp_servers": {"linear": {"url": url}}}));
    let server = json!({"url": url, "bearer_token_env_var": "PORTCULLIS_API_KEY"});
    assert_eq!(read(Credential::ApiKey), json!({"mcp_servers": {"linear": server}}));
    assert_eq!(
        commands(Client::Codex, Credential::ApiKey),
        [
            "codex mcp add linear --url https://mcp.example.com/linear/mcp --bearer-token-env-var PORTCULLIS_API_KEY"
        ]
    );
}

#[test]
fn sign_in_is_offered_where_it_works() {
    let able = |sign_in| {
        let able =
            Client::ALL.into_iter().filter(|client| client.set_up(&target(), sign_in).sign_in.is_some());
        able.collect::<Vec<_>>()
    };
    assert_eq!(able(OPEN), Client::ALL);
    assert_eq!(able(CLOSED), [Client::ClaudeCode, Client::ClaudeDesktop, Client::VsCode, Client::Codex]);
}

#[test]
fn who_is_in_several_workspaces_has_an_address_a_name_and_a_key_for_each() {
    let target = target_at(GATEWAY, Some("data-team"));
    assert_eq!(target.url(), "https://mcp.example.com/data-team/linear/mcp");
    assert_eq!(target.name(), "data-team-linear");
    assert_eq!(target.key_variable(), "PORTCULLIS_API_KEY_DATA_TEAM");
    let setup = Client::VsCode.set_up(&target, OPEN);
    let with_key = setup.api_key.steps[0].snippet.as_ref().expect("a snippet");
    assert!(with_key.text.contains("${input:portcullis-api-key-data-team}"), "{}", with_key.text);
    for client in Client::ALL {
        let setup = client.set_up(&target, OPEN);
        for snippet in snippets(&setup) {
            let names_another = snippet.text.contains(".com/linear") || snippet.text.contains("_KEY\"");
            assert!(!names_another, "{client:?}: {}", snippet.text);
        }
    }
}

#[test]
fn a_name_that_a_client_keeps_for_itself_is_another() {
    let resource = ResourcePath { workspace: None, server: slug("workspace") };
    assert_eq!(Target::new(GATEWAY, &resource).expect("a target").name(), "mcp-workspace");
}

#[test]
fn an_address_is_an_origin_and_nothing_more() {
    let resource = ResourcePath { workspace: None, server: slug("linear") };
    for gateway in [
        "",
        "mcp.example.com",
        "https://mcp.example.com/",
        "https://mcp.example.com/x",
        "https://mcp.example.com?x",
        "https://me@mcp.example.com",
        "https://mcp.example.com\n",
        "https://mcp.exa\nmple.com",
        "https://mcp.example.com'; touch /tmp/x; '",
        "https://$(touch /tmp/x)",
        "javascript:alert(1)",
        "ftp://mcp.example.com",
    ] {
        assert_eq!(Target::new(gateway, &resource), Err(TargetError::NotAnOrigin), "{gateway:?}");
    }
}

/// Hosts may have characters that mean something to shells and to programs. None may get out of its quotes.
#[test]
fn what_a_host_may_hold_stays_in_its_quotes() {
    for host in [
        "a$(id).example",
        "it's.example",
        "a`id`.example",
        "a;b.example",
        "a&b.example",
        "a!b.example",
        "a\"b.example",
    ] {
        let target = target_at(&format!("https://{host}"), None);
        for client in Client::ALL {
            for snippet in snippets(&client.set_up(&target, OPEN)) {
                check(snippet, target.url());
            }
        }
    }
}

/// The address is one word of a command, and one text of a file.
fn check(snippet: &Snippet, url: &str) {
    let text = &snippet.text;
    match snippet.language {
        Language::Shell => {
            let words = shlex::split(text).expect("words");
            let shown = words.iter().filter(|word| word.contains("https://")).collect::<Vec<_>>();
            assert!(shown.iter().all(|word| *word == url), "{text}");
        }
        Language::Json => {
            let value: Value = serde_json::from_str(text).expect("JSON");
            assert!(value.to_string().contains(&json!(url).to_string()), "{text}");
        }
        Language::Toml => {
            let value: Value = toml::from_str(text).expect("TOML");
            assert_eq!(value["mcp_servers"]["linear"]["url"], url);
        }
        Language::Python | Language::JavaScript => assert!(text.contains(&json!(url).to_string()), "{text}"),
        Language::PowerShell => assert!(!text.contains(url), "{text}"),
        Language::Text => assert!(text == url || !text.contains("https"), "{text}"),
    }
}

#[test]
fn every_step_says_something_and_no_two_clients_are_one() {
    let mut slugs: Vec<&str> = Client::ALL.into_iter().map(Client::slug).collect();
    slugs.dedup();
    assert_eq!(slugs.len(), Client::ALL.len());
    for client in Client::ALL {
        let setup = client.set_up(&target(), OPEN);
        for step in setup.ways().flat_map(Way::all_steps) {
            assert!(step.text.ends_with('.'), "{client:?}: {}", step.text);
        }
        for snippet in snippets(&setup) {
            assert!(!snippet.text.is_empty() && snippet.text.trim_end() == snippet.text, "{client:?}");
            // What is generated is written to be merged into a file that exists, and says which.
            let is_file = matches!(snippet.language, Language::Json | Language::Toml);
            assert!(!is_file || !snippet.places.is_empty(), "{client:?}: {}", snippet.text);
        }
    }
}

proptest! {
    #[test]
    fn slugs_are_all_that_varies(
        workspace in proptest::option::of("[a-z0-9][a-z0-9-]{0,62}"),
        server in "[a-z0-9][a-z0-9-]{0,62}",
    ) {
        let slugs = (workspace.as_deref().map(Slug::parse).transpose(), Slug::parse(&server));
        if let (Ok(workspace), Ok(server)) = slugs {
            let target = Target::new(GATEWAY, &ResourcePath { workspace, server }).expect("a target");
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            prop_assert!(target.name().bytes().all(is_plain));
            let is_variable = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            prop_assert!(target.key_variable().bytes().all(is_variable));
            for client in Client::ALL {
                for snippet in snippets(&client.set_up(&target, OPEN)) {
                    if snippet.language == Language::Json {
                        prop_assert!(serde_json::from_str::<Value>(&snippet.text).is_ok());
                    }
                }
            }
        }
    }
}
