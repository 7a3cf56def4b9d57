//! Every way of taking access away: open streams end with their next event, the next request is refused on every worker,
//! and what can be given back works again without anybody's consent.

use portcullis_tests::admin::Admin;
use portcullis_tests::mcp::{Agent, Era, EventStream};
use portcullis_tests::seed::{self, IssuedKey, Member};
use portcullis_tests::stack::{Builder, SCRIPTED, Stack};
use portcullis_tests::upstream::scripted::Answer;
use serde_json::{Value, json};

/// The Envoy of a story has so many workers, each with a VM of its own.
const WORKERS: u32 = 4;
/// Probes on connections of their own, so that all workers get some.
const PROBES: usize = 16;

/// A change through the admin API.
struct Change {
    method: &'static str,
    path: String,
    body: Value,
}

impl Change {
    fn new(method: &'static str, path: impl Into<String>, body: Value) -> Self {
        Self { method, path: path.into(), body }
    }

    /// Makes it, and waits until every filter has it.
    async fn apply(&self, admin: &Admin) {
        let path = format!("{}?wait=applied", self.path);
        let body = self.body.clone();
        let done = match self.method {
            "PATCH" => admin.patch(&path, body).await,
            "POST" => admin.post(&path, body).await,
            "PUT" if body.is_null() => admin.put_nothing(&path).await,
            "PUT" => admin.put(&path, body).await,
            _ => admin.delete(&path).await,
        };
        done.unwrap_or_else(|error| panic!("{} {path}: {error:#}", self.method));
    }
}

/// One row of the table.
struct Kind {
    name: &'static str,
    key: IssuedKey,
    taken: Change,
    /// How it is given back; `None` for what is gone.
    given: Option<Change>,
    /// What the next request gets: the status, and the JSON-RPC code.
    refused: (u16, i64),
}

async fn stack() -> Stack {
    let builder = Builder { concurrency: WORKERS, ..Builder::default() };
    Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"))
}

/// Somebody of their own for each row, so that no row helps another.
async fn somebody(stack: &Stack, subject: &'static str) -> (String, IssuedKey) {
    let member = Member { subject, name: subject };
    let made = seed::member(stack.admin(), &stack.seeded.workspace, member).await.expect("a member");
    (made.id, made.key)
}

/// The credential is refused from then on.
const UNAUTHENTICATED: (u16, i64) = (401, -31007);
/// As if there were no such server.
const UNKNOWN_SERVER: (u16, i64) = (404, -32601);

async fn kinds(stack: &Stack) -> Vec<Kind> {
    let mut kinds = of_callers(stack).await;
    kinds.extend(of_servers(stack).await);
    kinds
}

/// What is taken from a caller: the membership or the key.
async fn of_callers(stack: &Stack) -> Vec<Kind> {
    let disabled = |path: &str, is| Change::new("PATCH", path, json!({"disabled": is}));
    let mut kinds = Vec::new();
    for (name, subject, of_member) in
        [("member disabled", "suspended", true), ("key disabled", "switched", false)]
    {
        let (member, key) = somebody(stack, subject).await;
        let path = if of_member { format!("/v1/members/{member}") } else { format!("/v1/keys/{}", key.id) };
        let (taken, given) = (disabled(&path, true), Some(disabled(&path, false)));
        kinds.push(Kind { name, key, taken, given, refused: UNAUTHENTICATED });
    }
    for (name, subject, of_member) in
        [("membership deleted", "removed", true), ("key deleted", "deleted", false)]
    {
        let (member, key) = somebody(stack, subject).await;
        let path = if of_member { format!("/v1/members/{member}") } else { format!("/v1/keys/{}", key.id) };
        let taken = Change::new("DELETE", path, Value::Null);
        kinds.push(Kind { name, key, taken, given: None, refused: UNAUTHENTICATED });
    }
    kinds
}

/// What is taken of a server; last of all the server itself.
async fn of_servers(stack: &Stack) -> Vec<Kind> {
    let (server, workspace) = (stack.server_id(SCRIPTED), &stack.seeded.workspace);
    let (member, key) = somebody(stack, "denied").await;
    let provision = format!("/v1/servers/{server}/workspaces/{workspace}");
    let of_member = format!("/v1/policies/member:{member}/{server}");
    let of_workspace = format!("/v1/policies/workspace:{workspace}/{server}");
    let denying = |tool| Change::new("PUT", of_workspace.as_str(), json!({"tools": {"deny": [tool]}}));
    let delete = |path: &str| Change::new("DELETE", path, Value::Null);
    let row = |name, taken, given, refused| Kind { name, key: key.clone(), taken, given, refused };
    vec![
        row(
            "server denied to a member",
            Change::new("PUT", of_member.as_str(), json!({"enabled": false})),
            Some(delete(&of_member)),
            UNKNOWN_SERVER,
        ),
        row(
            "server unprovisioned",
            delete(&provision),
            Some(Change::new("PUT", provision.as_str(), Value::Null)),
            UNKNOWN_SERVER,
        ),
        row("tool denied", denying("allowed"), Some(denying("denied*")), (200, -32602)),
        row("server deleted", delete(&format!("/v1/servers/{server}")), None, UNKNOWN_SERVER),
    ]
}

/// A call whose answer has begun to stream.
async fn open(stack: &Stack, agent: &Agent) -> (EventStream, Answer) {
    let request = agent.post(&agent.message("tools/call", json!({"name": "allowed", "arguments": {}})));
    let (mut stream, answer) =
        tokio::join!(agent.stream(request), async { stack.scripted.next_request().await.events() });
    answer.event(&progress(1)).await;
    assert_eq!(stream.next_message().await, progress(1));
    (stream, answer)
}

fn progress(step: u32) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "t", "progress": step}})
}

async fn assert_ends(kind: &str, mut stream: EventStream, answer: Answer) {
    answer.event(&progress(2)).await;
    let last = stream.next_message().await;
    assert_eq!(last["id"], 1, "{kind}: {last}");
    assert_eq!(last["error"]["code"], -31001, "{kind}: {last}");
    assert_eq!(last["error"]["data"]["reason"], "revoked", "{kind}: {last}");
    // The upstream is told, too.
    answer.abandoned().await;
    assert!(stream.is_over().await, "{kind}");
}

async fn assert_refused(kind: &Kind, stack: &Stack) {
    stack.scripted.journal.clear();
    let (status, code) = kind.refused;
    for _ in 0..PROBES {
        let agent = stack.agent_of(&kind.key, SCRIPTED, Era::Modern);
        let reply = agent.call_tool("allowed", json!({})).await;
        assert_eq!(reply.status, status, "{}: {reply:?}", kind.name);
        assert_eq!(reply.answer()["error"]["code"], code, "{}: {reply:?}", kind.name);
    }
    assert!(stack.scripted.journal.entries().is_empty(), "{}", kind.name);
}

async fn assert_served(kind: &Kind, stack: &Stack) {
    let agent = stack.agent_of(&kind.key, SCRIPTED, Era::Modern);
    let result = json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": []}});
    let (reply, ()) = tokio::join!(agent.call_tool("allowed", json!({})), async {
        stack.scripted.next_request().await.json(&result).await;
    });
    assert_eq!(reply.status, 200, "{}: {reply:?}", kind.name);
}

#[tokio::test]
async fn whatever_is_taken_away_is_gone_at_once_also_from_under_open_streams() {
    let stack = stack().await;
    for kind in kinds(&stack).await {
        assert_served(&kind, &stack).await;
        let agent = stack.agent_of(&kind.key, SCRIPTED, Era::Modern);
        let (stream, answer) = open(&stack, &agent).await;
        let request = stream.request_id();
        kind.taken.apply(stack.admin()).await;
        assert_ends(kind.name, stream, answer).await;
        let record = stack.envoy.access_log.record_of(&request).await;
        assert_eq!(record["decision"], "allow", "{}: {record}", kind.name);
        assert_eq!(record["ended"], "revoked", "{}: {record}", kind.name);
        assert_refused(&kind, &stack).await;
        if let Some(given) = &kind.given {
            given.apply(stack.admin()).await;
            assert_served(&kind, &stack).await;
        }
    }
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn a_stream_of_somebody_whose_access_is_changed_and_stays_goes_on() {
    let stack = stack().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let (mut stream, answer) = open(&stack, &agent).await;
    let member = format!("/v1/members/{}", stack.seeded.member);
    for step in 2..6 {
        // Each time all leases of the member are forgotten.
        let renamed = json!({"name": format!("Ada {step}")});
        Change::new("PATCH", member.as_str(), renamed).apply(stack.admin()).await;
        for part in [10 * step, 10 * step + 1, 10 * step + 2] {
            answer.event(&progress(part)).await;
            assert_eq!(stream.next_message().await, progress(part));
        }
    }
    let result = json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": []}});
    answer.event(&result).await;
    drop(answer);
    assert_eq!(stream.next_message().await, result);
    assert_eq!(stream.next().await, None, "it ends as it should");
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn the_last_event_is_not_lost_when_it_comes_with_the_end() {
    let stack = stack().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let (mut stream, answer) = open(&stack, &agent).await;
    let member = format!("/v1/members/{}", stack.seeded.member);
    Change::new("PATCH", member, json!({"name": "Ada"})).apply(stack.admin()).await;
    let result = json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": []}});
    answer.event(&result).await;
    drop(answer);
    assert_eq!(stream.next_message().await, result);
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn an_answer_that_has_not_begun_becomes_the_refusal() {
    let stack = stack().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let key = Change::new("PATCH", format!("/v1/keys/{}", stack.seeded.key.id), json!({"disabled": true}));
    let result = json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": []}});
    let (reply, ()) = tokio::join!(agent.call_tool("allowed", json!({})), async {
        let conversation = stack.scripted.next_request().await;
        key.apply(stack.admin()).await;
        conversation.json(&result).await;
    });
    assert_eq!(reply.status, 403, "{reply:?}");
    assert_eq!(reply.answer()["error"]["data"]["reason"], "revoked", "{reply:?}");
}
