//! O20: how a server refuses, and what its description is about.

use serde_json::{Value, json};

use super::site::{Place, Spoilt};
use super::stand::{Input, Outcome, Stand};

const GOOD: &str =
    r#"resource_metadata="{origin}/.well-known/oauth-protected-resource/{name}/mcp", scope="read""#;

/// All lead to the description in its place, and none to the trap.
fn challenges() -> Vec<String> {
    let trap = r#"resource_metadata="https://127.0.0.1:{canary}/x""#;
    let long = format!(r#"Bearer filler="{}", {trap}"#, "x".repeat(9 * 1024));
    vec![
        format!("Basic realm=\"x\", Bearer {GOOD}"),
        format!("DPoP algs=\"ES256 RS256\", Basic realm=\"a, b\", bearer {GOOD}, Negotiate"),
        format!("BEARER   realm = \"x\" ,,, {GOOD}"),
        // What looks like a parameter inside of a text is none, nor is another scheme's.
        format!(r#"Bearer error_description="a \"quoted\" {}", {GOOD}"#, trap.replace('"', "\\\"")),
        format!("Basic {trap}, Bearer {GOOD}"),
        format!("Bearer {GOOD}, Basic {trap}"),
        // Of one that is given twice, the first counts.
        format!("Bearer {GOOD}, {trap}"),
        // What is cut short, too long, or makes no sense is not taken.
        r#"Bearer resource_metadata="https://127.0.0.1:{canary}/x"#.to_owned(),
        long,
        "Bearer".to_owned(),
        String::new(),
        "Basic realm=\"x\"".to_owned(),
        r#",,=,"""",Bearer=,\"#.to_owned(),
        "Bearer dG9rZW42OA==".to_owned(),
        format!("Bearer scope=\"read \\\"x\\\" \u{7f}\", {GOOD}").replace('\u{7f}', "~"),
    ]
}

/// O20
#[tokio::test]
async fn challenges_are_read_tolerantly() {
    let mut inputs: Vec<Input> = challenges()
        .into_iter()
        .map(|text| {
            Input::new("O20", text.clone(), Place::Server, Spoilt::challenge(text), Outcome::Connected)
        })
        .collect();
    let two = vec![
        ("www-authenticate", "Basic realm=\"x\"".into()),
        ("www-authenticate", format!("Bearer {GOOD}")),
    ];
    let two = Spoilt::Answer { status: 401, headers: two, body: String::new() };
    inputs.push(Input::new("O20", "two headers", Place::Server, two, Outcome::Connected));
    for status in [200, 403, 404, 405, 406] {
        let headers = vec![("www-authenticate", format!("Bearer {GOOD}"))];
        let other = Spoilt::Answer { status, headers, body: String::new() };
        inputs.push(Input::new("O20", format!("status {status}"), Place::Server, other, Outcome::Connected));
    }
    Stand::start().await.hold(inputs).await;
}

/// O20
#[tokio::test]
async fn a_challenge_cannot_lead_elsewhere() {
    let elsewhere = [
        "https://127.0.0.1:{canary}/x",
        "http://127.0.0.1:{canary}/x",
        "http://localhost:{canary}/x",
        "file:///etc/passwd",
        "/.well-known/oauth-protected-resource/{name}/mcp",
        "https://me:password@localhost/x",
        // A good document, about another server.
        "{origin}/.well-known/oauth-protected-resource/another/mcp",
    ];
    let inputs = elsewhere.map(|url| {
        let spoilt = Spoilt::challenge(format!("Bearer resource_metadata=\"{url}\""));
        Input::new("O20", url, Place::Server, spoilt, Outcome::NobodyLeaves)
    });
    Stand::start().await.hold(inputs.into()).await;
}

/// O20: a description is of this server or of what it lies below, or it is none.
#[tokio::test]
async fn a_description_is_about_the_server() {
    let resources = [
        (json!("{origin}/{name}/mcp"), Outcome::Connected),
        (json!("{origin}/{name}/mcp/"), Outcome::Connected),
        (json!("{origin}/{name}"), Outcome::Connected),
        (json!("{origin}"), Outcome::Connected),
        (json!("{origin}/another/mcp"), Outcome::NobodyLeaves),
        (json!("{origin}/{name}/mcp/deeper"), Outcome::NobodyLeaves),
        (json!("{origin}/{name}/mc"), Outcome::NobodyLeaves),
        (json!("{origin}/{name}/mcp?x"), Outcome::NobodyLeaves),
        (json!("{origin}/{name}/mcp#x"), Outcome::NobodyLeaves),
        (json!("https://localhost/{name}/mcp"), Outcome::NobodyLeaves),
        (json!("https://evil.example/{name}/mcp"), Outcome::NobodyLeaves),
        (json!("http://localhost/{name}/mcp"), Outcome::NobodyLeaves),
        (json!("{origin}.evil.example/"), Outcome::NobodyLeaves),
        (json!("urn:x"), Outcome::NobodyLeaves),
        (json!(""), Outcome::NobodyLeaves),
        (json!(7), Outcome::NobodyLeaves),
        (Value::Null, Outcome::NobodyLeaves),
    ];
    let inputs = resources.map(|(resource, outcome)| {
        let name = resource.to_string();
        Input::new("O20", name, Place::Resource, Spoilt::Member("resource", resource), outcome)
    });
    let mut inputs = Vec::from(inputs);
    let without = Spoilt::Without("resource");
    inputs.push(Input::new("O20", "none", Place::Resource, without, Outcome::NobodyLeaves));
    Stand::start().await.hold(inputs).await;
}
