//! A secret is in leases and nowhere else.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::harness::{CANARY, LOG, Service, contents};

const DECLARED: &str = "
workspaces: [{slug: core}]
servers:
  - slug: linear
    url: https://mcp.linear.example/mcp
    auth: {type: headers, headers: {Authorization: {env: CANARY}}}
    workspaces: all
  - slug: crm
    url: https://mcp.crm.example/mcp
    auth: {type: oauth, client: {id: portcullis, secret: {env: CANARY}}}
    workspaces: all
";

/// The spellings in which a secret could lie around. Base64 has three, by the position it begins at.
fn spellings(secret: &str) -> Vec<(String, Vec<u8>)> {
    let hex = secret.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let mut spellings = vec![
        ("raw".to_owned(), secret.as_bytes().to_vec()),
        ("hex".to_owned(), hex.as_bytes().to_vec()),
        ("HEX".to_owned(), hex.to_uppercase().into_bytes()),
        ("UTF-16".to_owned(), secret.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ];
    for skip in 0..3 {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&secret.as_bytes()[skip..]);
            // The last symbol depends on what follows.
            spellings.push((format!("Base64 from {skip}"), text.as_bytes()[..text.len() - 2].to_vec()));
        }
    }
    spellings
}

fn assert_absent(secret: &str, place: &str, content: &[u8]) {
    for (spelling, needle) in spellings(secret) {
        let found = content.windows(needle.len()).any(|window| window == needle);
        assert!(!found, "a secret as {spelling} in {place}");
    }
}

#[test]
fn the_search_finds_what_it_looks_for() {
    for content in [CANARY.to_owned(), STANDARD.encode(format!("xy{CANARY}z"))] {
        let found = std::panic::catch_unwind(|| assert_absent(CANARY, "a sample", content.as_bytes()));
        assert!(found.is_err(), "{content}");
    }
}

#[tokio::test]
async fn secrets_are_in_no_reply_log_or_file() {
    let given = "Bearer given-to-the-api-77aa01";
    let service = Service::start(DECLARED).await;
    let server = json!({
        "slug": "slack", "url": "https://slack.example/mcp", "workspaces": "all",
        "auth": {"type": "headers", "headers": [{"name": "authorization", "value": given}]},
    });
    let mut replies = vec![service.post("/v1/servers", server.clone()).await];
    replies.push(service.post("/v1/servers", server).await);
    let shared = json!({
        "slug": "warehouse", "url": "https://warehouse.example/mcp", "workspaces": "all",
        "auth": {"type": "client_credentials", "client": {"id": "portcullis", "secret": given}},
    });
    replies.push(service.post("/v1/servers", shared).await);
    assert_eq!(replies[2].status, reqwest::StatusCode::CREATED);
    let made = service.post("/v1/workspaces/core/keys", json!({"name": "ci"})).await;
    let key = made.body["api_key"].as_str().expect("a key").to_owned();
    let path = format!("/v1/keys/{}", made.body["key"]["id"].as_str().expect("an id"));
    for (server, value) in [("linear", CANARY), ("slack", given)] {
        let lease = service.lease_with_key(server, &key).await;
        assert_eq!(lease.body["credential_headers"][0]["value"], value);
    }
    // A secret in places where it does not belong comes back in an error at most to whoever sent it.
    let misplaced = json!({"slug": given, "auth": {"type": given}, given: given});
    service.post("/v1/servers", misplaced).await;
    service.get(&format!("/v1/{}", given.replace(' ', "%20"))).await;
    service.get(&format!("/v1/servers?token={}", given.replace(' ', "%20"))).await;
    for path in [
        "/v1/servers",
        "/v1/servers/linear",
        "/v1/servers/slack",
        "/v1/servers/crm",
        "/v1/servers/warehouse",
        "/v1/connections",
        "/v1/presets",
        "/v1/workspaces",
        "/v1/workspaces/core/keys",
        &path,
        "/v1/policies/organization",
        "/v1/issuers",
        "/v1/audit",
        "/v1/status",
        "/openapi.json",
        "/",
    ] {
        replies.push(service.get(path).await);
    }
    replies.push(service.watch("vm-1", 0).await);
    let token = service.token().to_owned();
    let secret = key.rsplit('_').nth(1).expect("a secret").to_owned();
    let root_key = std::fs::read_to_string(service.directory().path("root.key")).expect("the root key");
    let while_running = contents(service.directory());
    let after = contents(&service.stop().await);

    for secret in [CANARY, given, &secret, &token, root_key.trim()] {
        for reply in &replies {
            assert_absent(secret, "a reply", reply.text.as_bytes());
        }
        assert_absent(secret, "the log", LOG.text().as_bytes());
        for (name, content) in while_running.iter().chain(&after) {
            let its_own = (name.ends_with("admin-token") && *secret == token)
                || (name.ends_with("root.key") && *secret == *root_key.trim());
            if !its_own {
                assert_absent(secret, name, content);
            }
        }
    }
    assert!(
        while_running.keys().any(|name| name.ends_with("portcullis.db-wal")),
        "{:?}",
        while_running.keys()
    );
}
