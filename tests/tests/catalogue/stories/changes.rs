//! What is taken away and made again.

use std::sync::Arc;

use portcullis_tests::mcp::Era;
use portcullis_tests::seed::{self, Member};
use portcullis_tests::stack::SAMPLE;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::stand::Stand;

/// Somebody who comes and goes.
const HOPPER: Member = Member { subject: "hopper", name: "Grace Brewster Hopper" };

/// Sent to a server that goes.
const FIRST_KEY: &str = "first-upstream-key-81c2d4";

/// Of a tool that both servers have.
async fn status(stand: &Stand, key: &seed::IssuedKey, slug: &str) -> u16 {
    let agent = stand.stack.agent_of(key, slug, Era::Modern);
    agent.call_tool("get_issue", json!({"id": "PC-1"})).await.status
}

pub(crate) async fn who_is_made_again_is_somebody_else(stand: Arc<Stand>) {
    let (admin, workspace) = (stand.stack.admin(), stand.stack.seeded.workspace.as_str());
    let first = seed::member(admin, workspace, HOPPER).await.expect("a member");
    assert_eq!(status(&stand, &first.key, SAMPLE).await, 200);
    admin.delete(&format!("/v1/members/{}?wait=applied", first.id)).await.expect("is deleted");
    assert_eq!(status(&stand, &first.key, SAMPLE).await, 401);
    let second = seed::member(admin, workspace, HOPPER).await.expect("a member again");
    assert_ne!(first.id, second.id);
    assert_eq!(status(&stand, &second.key, SAMPLE).await, 200);
    assert_eq!(status(&stand, &first.key, SAMPLE).await, 401, "the key is not the second's");
}

pub(crate) async fn a_slug_that_is_used_again_is_another_server(stand: Arc<Stand>) {
    let (stack, key) = (&stand.stack, &stand.stack.seeded.key);
    let admin = stack.admin();
    let register = async |url: String, auth: Value| {
        let body =
            json!({"slug": "again", "url": url, "allow_http": true, "auth": auth, "workspaces": "all"});
        let reply = admin.post("/v1/servers?wait=applied", body).await.expect("registers");
        reply["id"].as_str().expect("an id").to_owned()
    };
    let secret = format!("Bearer {FIRST_KEY}");
    let first = register(stack.scripted.url(), seed::headers(&[("authorization", &secret)])).await;
    let (answered, ()) = tokio::join!(status(&stand, key, "again"), async {
        let conversation = stack.scripted.next_request().await;
        assert_eq!(conversation.request.header("authorization"), [secret.as_str()]);
        conversation.json(&json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}})).await;
    });
    assert_eq!(answered, 200);
    admin.delete(&format!("/v1/servers/{first}?wait=applied")).await.expect("is deleted");
    assert_eq!(status(&stand, key, "again").await, 404);

    stack.sample.journal.clear();
    let second = register(stack.sample.open_url(), seed::no_credential()).await;
    assert_ne!(first, second);
    assert_eq!(status(&stand, key, "again").await, 200);
    let reached = stack.sample.journal.entries();
    assert!(!reached.is_empty() && reached.iter().all(|entry| !entry.contains(FIRST_KEY)), "{reached:?}");
}

/// The database takes no entry of the audit log, as if there were no room: no change is made, and requests go on.
pub(crate) async fn what_cannot_be_audited_is_not_done(stand: Arc<Stand>) {
    let stack = &stand.stack;
    let admin = stack.admin();
    let options = SqliteConnectOptions::new().filename(stack.directory.join("portcullis.db"));
    let mut database = options.connect().await.expect("the database");
    let full = "CREATE TRIGGER audit_is_full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END";
    sqlx::query(full).execute(&mut database).await.expect("the trigger");
    let made = admin.post("/v1/workspaces", json!({"slug": "unaudited", "name": "Unaudited"})).await;
    let key = format!("/v1/keys/{}", stack.seeded.key.id);
    let disabled = admin.patch(&key, json!({"disabled": true})).await;
    assert!(made.is_err() && disabled.is_err(), "{made:?} {disabled:?}");
    assert_eq!(status(&stand, &stack.seeded.key, SAMPLE).await, 200);

    sqlx::query("DROP TRIGGER audit_is_full").execute(&mut database).await.expect("there is room again");
    let workspaces = admin.get("/v1/workspaces").await.expect("the workspaces");
    assert!(!workspaces.to_string().contains("unaudited"), "{workspaces}");
    assert_eq!(admin.get(&key).await.expect("the key")["disabled"], false);
    admin.post("/v1/workspaces", json!({"slug": "audited", "name": "Audited"})).await.expect("is made now");
}
