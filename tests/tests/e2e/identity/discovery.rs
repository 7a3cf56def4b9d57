//! From a challenge to where to sign in, and that strangers learn nothing on the way.

use portcullis_tests::http;
use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::stack::SAMPLE;
use portcullis_wire::api_key::ApiKey;
use reqwest::Method;
use serde_json::{Value, json};

use super::Setting;

async fn document(url: &str) -> anyhow::Result<Value> {
    Ok(http::client().build()?.get(url).send().await?.error_for_status()?.json().await?)
}

fn metadata_in(challenge: &str) -> String {
    let (_, rest) = challenge.split_once("resource_metadata=\"").unwrap_or_else(|| panic!("{challenge}"));
    rest.split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_challenge_leads_to_the_authorization_server_from_every_path() -> anyhow::Result<()> {
    let setting = Setting::start().await;
    for path in [format!("/{SAMPLE}/mcp"), format!("/core/{SAMPLE}/mcp"), "/unheard-of/mcp".to_owned()] {
        let url = setting.url(&path);
        let reply = Agent::new(&url, None, Era::Modern).call_tool("whoami", json!({})).await;
        assert_eq!(reply.status, 401);
        let metadata = document(&metadata_in(reply.header("www-authenticate").expect("a challenge"))).await?;
        assert_eq!(metadata["resource"], url, "to the letter");
        assert_eq!(metadata["scopes_supported"], json!(["mcp:read", "mcp:write"]));
        assert_eq!(metadata["authorization_servers"], json!([setting.public_url()]));
    }
    let server = document(&setting.url("/.well-known/oauth-authorization-server")).await?;
    assert_eq!(server["issuer"], setting.public_url());
    assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
    Ok(())
}

/// All that a stranger sees of an answer, but for its time and number.
async fn seen(agent: &Agent, method: Method, path: &str) -> String {
    let request = if method == Method::POST {
        agent.post(&agent.message("tools/call", json!({"name": "whoami", "arguments": {}})))
    } else {
        agent.builder(method)
    };
    let reply = agent.send(request).await;
    let mut headers: Vec<String> = reply
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    format!("{} {headers:?} {}", reply.status, reply.body).replace(path, "PATH")
}

#[tokio::test]
async fn strangers_see_no_difference_between_names() {
    let setting = Setting::start().await;
    let misspelt = "pcl_local_cut-off".to_owned();
    for credential in [None, Some(misspelt), Some("opaque".to_owned()), Some(unheard_of())] {
        for method in [Method::POST, Method::GET, Method::DELETE] {
            let mut answers = Vec::new();
            for path in
                [format!("/{SAMPLE}/mcp"), "/unheard-of/mcp".to_owned(), format!("/other/{SAMPLE}/mcp")]
            {
                let agent = Agent::new(setting.url(&path), credential.as_deref(), Era::Modern);
                answers.push(seen(&agent, method.clone(), &path).await);
            }
            assert!(answers[0].starts_with("401"), "{answers:?}");
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
        }
    }
}

/// A key that is spelt right and that nobody has.
fn unheard_of() -> String {
    let entropy: Vec<u8> = (0..=127).collect();
    ApiKey::spell("local", &entropy).expect("enough entropy").0.expose().to_owned()
}
