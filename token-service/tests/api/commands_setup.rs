//! The whole set-up by commands, from nothing to a lease, and back.

use serde_json::{Value, json};

use crate::commands::{done, refused};
use crate::harness::Service;

const HEADER: &str = "Bearer upstream-secret-41aa";

async fn start() -> Service {
    Service::start("workspaces: []\n").await
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_nothing_to_a_lease() {
    let service = start().await;
    assert_eq!(done(&service, "workspace add core --name Core").await, "core is a workspace\n");
    let header = service.directory().write("header", HEADER);
    let add = format!(
        "server add notes --workspaces core --url https://notes.example/mcp --auth headers --header \
         Authorization=@{} --payload digest --concurrency 5",
        header.display()
    );
    assert_eq!(done(&service, &add).await, "notes is registered\n");
    let member = "member add core --issuer https://idp.example --subject ada --name Ada --role manager";
    let member = first_word(&done(&service, member).await);
    assert!(done(&service, &format!("member show {member}")).await.contains("manager"));
    let key = done(&service, &format!("key make core laptop --member {member} --servers notes")).await;
    let key = key.trim_end();
    let lease = service.lease_with_key("notes", key).await.body;
    assert_eq!(lease["credential_headers"][0]["value"], HEADER);

    // Nothing that is printed has the secret.
    for command in
        ["server show notes", "server show notes --json", "audit --limit 1000", "server list --json"]
    {
        assert!(!done(&service, command).await.contains("upstream-secret"), "{command}");
    }
    assert!(done(&service, "audit").await.contains("server.create"));
    assert!(done(&service, "status").await.contains("revision"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_is_shown_and_can_be_taken_back() {
    let service = start().await;
    done(&service, "workspace add core").await;
    done(
        &service,
        "server add docs --workspaces all --url http://docs.internal/mcp --allow-http --auth none",
    )
    .await;
    assert_eq!(
        done(&service, "policy set workspace:core docs --deny-tools delete_*,drop_* --read-only").await,
        "the policy of workspace:core on docs is set\n"
    );
    let policies = done(&service, "policy list workspace:core --json").await;
    let policies: Value = serde_json::from_str(&policies).expect("JSON");
    let rules = &policies["policies"][0]["rules"];
    assert_eq!(rules["tools"]["deny"], json!(["delete_*", "drop_*"]), "{policies}");
    let arguments = json!({"arguments": [{"tool": "x", "argument": "/a", "is": {"equals": 1}}]});
    let file = service.directory().write("rules.json", &arguments.to_string());
    done(&service, &format!("policy set organization docs --body {}", file.display())).await;
    assert!(done(&service, "policy list organization").await.contains("arguments"));
    done(&service, "policy delete organization docs").await;
    assert_eq!(done(&service, "policy list organization").await, "");

    done(&service, "limit set workspace:core writes --requests 60 --per hour --tools create_* --each member")
        .await;
    assert!(done(&service, "limit list workspace:core").await.starts_with("writes  60  hour"));
    done(&service, "limit delete workspace:core writes").await;
    assert_eq!(done(&service, "limit list workspace:core").await, "");

    done(
        &service,
        "server change docs --name Docs --payload redacted --payload-limit 2048 --new-workspaces off",
    )
    .await;
    let redact = "server change docs --redact-parameter /arguments/pin --redact-response /result/content";
    done(&service, redact).await;
    let shown: Value = serde_json::from_str(&done(&service, "server show docs --json").await).expect("JSON");
    assert_eq!((&shown["name"], &shown["payload"]), (&json!("Docs"), &json!("redacted")));
    assert_eq!((&shown["payload_limit"], &shown["provision_new_workspaces"]), (&json!(2048), &json!(false)));
    assert_eq!(shown["redact"], json!({"parameters": ["/arguments/pin"], "response": ["/result/content"]}));
    done(&service, "workspace change core --staleness strict").await;
    assert!(done(&service, "workspace show core").await.contains("strict"));
    let key = done(&service, "key make core ci --read-only --sources 10.0.0.0/8").await;
    let id = first_word(&done(&service, "key list core").await);
    let newer = done(&service, &format!("key rotate {id} --overlap 0")).await;
    assert_ne!(key, newer);
    done(&service, &format!("key change {id} --name old --disabled on")).await;
    assert!(done(&service, &format!("key show {id}")).await.contains("old"));
    done(&service, &format!("key delete {id}")).await;
    assert_eq!(done(&service, "connection list --server docs").await, "");
    done(&service, "administrator add --issuer https://idp.example --subject eve --role owner").await;
    assert!(done(&service, "administrator list").await.contains("eve"));
    assert_eq!(done(&service, "server delete docs").await, "docs is deleted\n");
    assert_eq!(done(&service, "workspace delete core --json").await, "{\n  \"deleted\": \"core\"\n}\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_named_with_their_remedy() {
    let service = start().await;
    let error = refused(&service, "server check http://docs.example/mcp").await;
    assert!(error.contains("url") && error.contains("http"), "{error}");
    let error = refused(&service, "server check https://127.0.0.1:9/mcp").await;
    assert!(error.contains("cannot be asked"), "{error}");
    let error = refused(&service, "server add x! --workspaces nowhere --url ftp://x --auth none").await;
    for part in ["slug", "workspaces", "url"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = refused(&service, "server add x --workspaces all --auth headers --header A=secret").await;
    assert!(error.contains("@<file>"), "{error}");
    let error = refused(&service, "policy set organization docs").await;
    assert!(error.contains("delete it"), "{error}");
    let error = refused(&service, "workspace show nothing").await;
    assert!(error.contains("no workspace under this path"), "{error}");
    let error = refused(&service, "server change docs --body /unheard/of").await;
    assert!(error.contains("/unheard/of"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_has_no_command_is_asked_of_the_api() {
    let service = start().await;
    let file = service.directory().write("body.json", &json!({"slug": "core"}).to_string());
    let made = done(&service, &format!("api post /v1/workspaces --body {}", file.display())).await;
    assert!(made.contains("\"slug\": \"core\""), "{made}");
    assert!(done(&service, "api get /v1/workspaces").await.contains("core"));
    assert_eq!(done(&service, "api delete /v1/workspaces/core --wait").await, "");
    let error = refused(&service, "api get v1/workspaces").await;
    assert!(error.contains("/v1/"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shells_complete_the_commands() {
    let service = start().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = done(&service, &format!("completions {shell}")).await;
        assert!(script.contains("quarantine") && script.contains("portcullis"), "{shell}");
    }
}
