//! Why was this denied? Each kind of denial is made through Envoy, and its record's decision id has a true answer.

use portcullis_tests::mcp::{Agent, Era, Reply};
use portcullis_tests::seed::GRACE;
use portcullis_tests::stack::{Builder, SAMPLE, Stack};
use reqwest::Method;
use serde_json::{Value, json};

/// One denial, and what there is to say about it.
pub(super) struct Denial {
    pub(super) reply: Reply,
    pub(super) rule: &'static str,
    /// Whether it still holds right afterwards.
    pub(super) holds: &'static str,
}

async fn start() -> Stack {
    let builder = Builder { members: vec![GRACE], scripted: false, ..Builder::default() };
    Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"))
}

async fn whoami(agent: &Agent) -> Reply {
    agent.call_tool("whoami", json!({})).await
}

async fn explained(stack: &Stack, reply: &Reply) -> (Value, Value) {
    let record = stack.envoy.access_log.record_of(reply.request_id()).await;
    let id = record["decision_id"].as_str().unwrap_or_else(|| panic!("no decision id: {record}"));
    assert!(
        !reply.body.contains(id) && !format!("{:?}", reply.headers).contains(id),
        "the caller is not told"
    );
    let answer = stack.admin().post("/v1/explain", json!({"decision": id})).await;
    (answer.unwrap_or_else(|error| panic!("{error:#}: {record}")), record)
}

pub(super) async fn assert_explained(stack: &Stack, denial: &Denial) {
    let (answer, record) = explained(stack, &denial.reply).await;
    let rule = denial.rule;
    assert_eq!((&record["decision"], &record["rule"]), (&json!("deny"), &json!(rule)), "{record}");
    let then = &answer["then"];
    assert_eq!((&then["rule"], &answer["holds"]), (&json!(rule), &json!(denial.holds)), "{answer}");
    assert_eq!(then["status"], denial.reply.status, "{answer}");
    if denial.holds == "yes" {
        assert_eq!((&answer["decision"], &answer["rule"]), (&json!("denied"), &json!(rule)), "{answer}");
    }
    let says = then["says"].as_str().unwrap_or_default();
    assert!(!says.is_empty() && !says.contains("does not know"), "{rule}: {says}");
}

/// Denied for what the request is, whoever sends it.
async fn of_requests(stack: &Stack) -> Vec<Denial> {
    let agent = stack.agent(SAMPLE, Era::Modern);
    let denial = |reply, rule| Denial { reply, rule, holds: "depends" };
    let message = agent.message("tools/call", json!({"name": "whoami", "arguments": {}}));
    let foreign = agent.post(&message).header("origin", "https://evil.example");
    let session = agent.at(stack.url(SAMPLE), Era::Legacy(portcullis_tests::mcp::LATEST_LEGACY));
    vec![
        denial(whoami(&agent.with_credential(None)).await, "no_credential"),
        denial(whoami(&agent.with_credential(Some("pcl_live_misspelt"))).await, "misspelt_api_key"),
        denial(whoami(&agent.with_credential(Some("not-a-token"))).await, "not_a_token"),
        denial(agent.send(foreign).await, "origin_not_allowed"),
        denial(whoami(&agent.at(stack.url("sales/sample"), Era::Modern)).await, "caller/workspace"),
        denial(session.in_session(Some("made-up")).call("tools/list", json!({})).await, "unknown_session"),
    ]
}

/// Denied for how it is said, to a caller who may say it.
async fn of_messages(stack: &Stack) -> Vec<Denial> {
    let agent = stack.agent(SAMPLE, Era::Modern);
    let message = agent.message("tools/call", json!({"name": "whoami", "arguments": {}}));
    let asking = |method| agent.builder(method).header("accept", "application/json, text/event-stream");
    let post = || asking(Method::POST).header("mcp-method", "tools/call").header("mcp-name", "whoami");
    let of_json = |body: String| post().header("content-type", "application/json").body(body);
    let twice = message.to_string().replacen("\"id\":1", "\"id\":1,\"id\":2", 1);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let mut denials = Vec::new();
    for (request, rule) in [
        (of_json("{".to_owned()), "invalid_json"),
        (of_json(twice), "ambiguous_request"),
        (of_json(deep), "body_too_complex"),
        (of_json(format!("[{message}]")), "batch"),
        (of_json(json!({"jsonrpc": "2.0"}).to_string()), "invalid_request"),
        (of_json("x".repeat(5 << 20)), "request_too_large"),
        (post().header("content-type", "text/plain").body(message.to_string()), "unsupported_media_type"),
        (asking(Method::PUT).header("content-type", "application/json").body("{}"), "method_not_allowed"),
        (agent.post(&message).header("mcp-name", "other"), "header_mismatch"),
        (agent.post(&agent.message("tools/unheard", json!({}))), "method_not_found"),
        (agent.post(&agent.message("tools/call", json!({"name": 7}))), "invalid_params"),
        (
            asking(Method::POST)
                .header("content-type", "application/json")
                .header("mcp-method", "tools/list")
                .body(message.to_string()),
            "header_mismatch",
        ),
    ] {
        denials.push(Denial { reply: agent.send(request).await, rule, holds: "depends" });
    }
    let old = agent.at(stack.url(SAMPLE), Era::Legacy("2023-01-01")).in_session(Some("made-up"));
    let old = old.call("tools/list", json!({})).await;
    denials.push(Denial { reply: old, rule: "unsupported_protocol_version", holds: "depends" });
    denials
}

#[tokio::test]
async fn what_the_request_itself_is_denied_for() {
    let stack = start().await;
    for denial in of_requests(&stack).await {
        assert_explained(&stack, &denial).await;
    }
    for denial in of_messages(&stack).await {
        assert_explained(&stack, &denial).await;
        let (answer, record) = explained(&stack, &denial.reply).await;
        // Methods and sizes are refused before anybody is looked at.
        if !record["caller"].is_null() {
            assert_eq!(answer["then"]["caller"], format!("key:{}", stack.seeded.key.id), "{answer}");
        }
    }
}

#[tokio::test]
async fn what_the_registry_denies_holds_until_it_is_changed() {
    let stack = start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    let server = stack.server_id(SAMPLE).to_owned();
    let (workspace, member) = (stack.seeded.workspace.clone(), stack.seeded.member.clone());
    let key = stack.seeded.key.id.clone();
    let provision = format!("/v1/servers/{server}/workspaces/{workspace}");
    let (off, deny) = (json!({"enabled": false}), json!({"access": "deny"}));
    let why = json!({"reason": "a drill"});
    let switches: Vec<Switch> = vec![
        ("provision/workspace", Method::DELETE, provision.clone(), None, Method::PUT, provision, None),
        of("provision/member", format!("/v1/servers/{server}/members/{member}"), &deny),
        of("organization/enabled", format!("/v1/policies/organization/{server}"), &off),
        of("member/enabled", format!("/v1/policies/member:{member}/{server}"), &off),
        of("key/enabled", format!("/v1/policies/key:{key}/{server}"), &off),
        of("quarantine/member", format!("/v1/quarantines/member:{member}"), &why),
        of("quarantine/key", format!("/v1/quarantines/key:{key}"), &why),
        of("quarantine/server", format!("/v1/quarantines/server:{SAMPLE}"), &why),
        patched("key/disabled", format!("/v1/keys/{key}")),
        patched("member/disabled", format!("/v1/members/{member}")),
    ];
    for (rule, method, path, body, back, there, before) in switches {
        change(&stack, method, &path, body).await;
        stack.sample.journal.clear();
        let reply = whoami(&agent).await;
        assert!(stack.sample.journal.entries().is_empty(), "{rule}");
        let denial = Denial { reply, rule, holds: "yes" };
        assert_explained(&stack, &denial).await;
        change(&stack, back, &there, before).await;
        assert_eq!(whoami(&agent).await.status, 200, "{rule}");
        let (answer, _) = explained(&stack, &denial.reply).await;
        assert_eq!((&answer["holds"], &answer["decision"]), (&json!("no"), &json!("allowed")), "{answer}");
        assert!(answer["since"].as_array().is_some_and(|since| !since.is_empty()), "{rule}: {answer}");
    }
    assert!(stack.filter_never_trapped().await);
}

/// A rule, how it comes to deny, and how it ends.
type Switch = (&'static str, Method, String, Option<Value>, Method, String, Option<Value>);

/// Set by a PUT, and taken back by a DELETE.
fn of(rule: &'static str, path: String, body: &Value) -> Switch {
    (rule, Method::PUT, path.clone(), Some(body.clone()), Method::DELETE, path, None)
}

fn patched(rule: &'static str, path: String) -> Switch {
    let disabled = |disabled: bool| Some(json!({"disabled": disabled}));
    (rule, Method::PATCH, path.clone(), disabled(true), Method::PATCH, path, disabled(false))
}

async fn change(stack: &Stack, method: Method, path: &str, body: Option<Value>) {
    let path = format!("{path}?wait=applied");
    let admin = stack.admin();
    let done = match (method, body) {
        (Method::DELETE, _) => admin.delete(&path).await,
        (Method::PATCH, Some(body)) => admin.patch(&path, body).await,
        (_, Some(body)) => admin.put(&path, body).await,
        (_, None) => admin.put_nothing(&path).await,
    };
    done.unwrap_or_else(|error| panic!("{error:#}"));
}

#[tokio::test]
async fn tools_servers_networks_and_keys_that_are_gone() {
    let stack = start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    let denied = agent.call_tool("delete_issue", json!({"id": "PC-1"})).await;
    let denied = Denial { reply: denied, rule: "workspace/tools.deny:delete_issue", holds: "yes" };
    assert_explained(&stack, &denied).await;
    let (answer, _) = explained(&stack, &denied.reply).await;
    let then = &answer["then"];
    assert_eq!(
        (&then["server"], &then["kind"], &then["name"]),
        (&json!(SAMPLE), &json!("tool"), &json!("delete_issue"))
    );
    assert_eq!(answer["level"], "workspace");

    let unknown = whoami(&stack.agent("unheard-of", Era::Modern)).await;
    assert_explained(&stack, &Denial { reply: unknown, rule: "server/unknown", holds: "yes" }).await;

    let limits = json!({"limits": {"sources": ["10.9.0.0/16"]}});
    change(&stack, Method::PATCH, &format!("/v1/keys/{}", stack.seeded.key.id), Some(limits)).await;
    let elsewhere = whoami(&agent).await;
    assert_explained(&stack, &Denial { reply: elsewhere, rule: "source_not_allowed", holds: "depends" })
        .await;

    let grace = &stack.seeded.others[0].key;
    change(&stack, Method::DELETE, &format!("/v1/keys/{}", grace.id), None).await;
    let gone = whoami(&stack.agent_of(grace, SAMPLE, Era::Modern)).await;
    assert_explained(&stack, &Denial { reply: gone, rule: "key/unknown", holds: "depends" }).await;

    // Whether nothing that was denied is without an answer is looked at when a stack ends. What is allowed has no id.
    for record in stack.envoy.access_log.records() {
        if record["decision"] != "deny" {
            assert_eq!(record["decision_id"], Value::Null, "{record}");
        }
    }
}
