//! Editors cannot be had here, so this does what they document: puts in what variables stand for, and calls the address
//! with the headers.

use portcullis_tests::mcp::{Agent, Era};
use serde_json::{Value, json};

use super::{KEY_VARIABLE, Story, names};

/// The tools at the address of a configuration, called with its `Authorization`.
async fn tools(server: &Value, authorization: &str) -> Vec<String> {
    let key = authorization.strip_prefix("Bearer ").expect("a bearer token");
    let url = server["url"].as_str().expect("an address");
    let reply = Agent::new(url.to_owned(), Some(key), Era::Modern).call("tools/list", json!({})).await;
    let mut tools = names(&reply.answer()["result"]);
    tools.sort();
    tools
}

fn authorization(server: &Value) -> &str {
    server["headers"]["Authorization"].as_str().unwrap_or_else(|| panic!("no header: {server}"))
}

#[tokio::test]
async fn with_a_key_that_the_editor_puts_in() {
    let story = Story::start().await;
    let expected = story.tools().await;

    let server = story.server("cursor/api-key/2", "mcpServers");
    let header = authorization(&server).replace(&format!("${{env:{KEY_VARIABLE}}}"), story.key());
    assert_eq!(tools(&server, &header).await, expected);

    let server = story.server("claude-code/api-key/4", "mcpServers");
    assert_eq!(server["type"], "http");
    let header = authorization(&server).replace(&format!("${{{KEY_VARIABLE}}}"), story.key());
    assert_eq!(tools(&server, &header).await, expected);

    let server = story.server("vs-code/api-key/1", "servers");
    assert_eq!(server["type"], "http");
    let file: Value = serde_json::from_str(story.copied("vs-code/api-key/1")).expect("JSON");
    let input = &file["inputs"][0];
    assert_eq!((&input["type"], &input["password"]), (&json!("promptString"), &json!(true)), "{input}");
    let variable = format!("${{input:{}}}", input["id"].as_str().expect("an id"));
    assert_eq!(tools(&server, &authorization(&server).replace(&variable, story.key())).await, expected);
}

/// The address alone leads to where one signs in.
#[tokio::test]
async fn with_nothing_but_the_address() {
    let story = Story::start().await;
    for (name, list) in [
        ("cursor/sign-in/1", "mcpServers"),
        ("vs-code/sign-in/1", "servers"),
        ("claude-code/sign-in/3", "mcpServers"),
    ] {
        let server = story.server(name, list);
        assert!(server.get("headers").is_none(), "{server}");
        let url = server["url"].as_str().expect("an address").to_owned();
        let reply = Agent::new(url.clone(), None, Era::Modern).call("tools/list", json!({})).await;
        assert_eq!(reply.status, 401, "{name}: {reply:?}");
        let challenge = reply.headers["www-authenticate"].to_str().expect("a text");
        let metadata = challenge.split("resource_metadata=\"").nth(1).and_then(|rest| rest.split('"').next());
        let document = portcullis_tests::http::client().build().expect("a client");
        let document = document.get(metadata.expect("an address")).send().await.expect("a document");
        let document: Value = document.json().await.expect("JSON");
        assert_eq!(document["resource"], url, "{name}");
    }
}
