//! Every way in which a request can end leaves one record, which says how.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_tests::envoy::streams_bodies;
use portcullis_tests::mcp::{Agent, Era, LATEST_LEGACY};
use portcullis_tests::port::Reserved;
use portcullis_tests::stack::{Builder, SAMPLE, SCRIPTED, Stack};
use portcullis_tests::upstream::scripted::Conversation;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{called, count, record};

/// A request, and what its record has to say.
struct Row {
    name: &'static str,
    request: RequestBuilder,
    expected: Value,
}

fn row(name: &'static str, request: RequestBuilder, expected: Value) -> Row {
    Row { name, request: called(name, request), expected }
}

fn tool_call(agent: &Agent, tool: &str) -> RequestBuilder {
    agent.post(&agent.message("tools/call", json!({"name": tool, "arguments": {"id": "PC-1"}})))
}

/// Sends what the gateway or a real upstream answers, and looks at the records: each is there, and there once.
async fn judge(stack: &Stack, agent: &Agent, rows: Vec<Row>) {
    let mut names = Vec::new();
    for Row { name, request, expected } in rows {
        let reply = agent.send(request).await;
        let record = record(stack, name, &expected).await;
        assert_eq!(record["status"], reply.status, "{name}: {record}");
        names.push(name);
    }
    for name in names {
        assert_eq!(count(stack, name), 1, "{name}");
    }
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn what_the_gateway_answers() {
    let stack = Stack::start().await;
    let (agent, stranger) =
        (stack.agent(SAMPLE, Era::Modern), stack.agent(SAMPLE, Era::Modern).with_credential(None));
    let oauth = json!({"slug": "desk", "url": stack.sample.url(), "allow_http": true, "auth": {"type": "oauth"},
        "workspaces": "all"});
    stack.admin().post("/v1/servers?wait=applied", oauth).await.expect("registers");
    let too_long = "x".repeat(4 * 1024 * 1024 + 1);
    let refused = |rule: &str, code: &str| {
        let mut expected = json!({"ended": "refused", "decision": "deny", "rule": rule, "error_code": code,
            "server": SAMPLE, "tool_error": null, "events": null});
        if !streams_bodies() {
            expected["upstream_host"] = json!(null);
        }
        expected
    };
    let preflight = agent
        .builder(Method::OPTIONS)
        .header("origin", stack.public_url())
        .header("access-control-request-method", "POST");
    let desk = stack.agent("desk", Era::Modern);
    let escaped = agent.at(format!("{}/a%2fb/mcp", stack.public_url()), Era::Modern);
    let rows = vec![
        row("a denied tool", tool_call(&agent, "delete_issue"), {
            let mut expected = refused("workspace/tools.deny:delete_issue", "-32602");
            expected["rpc_id"] = json!("1");
            expected["client_name"] = json!("portcullis-tests");
            expected["client_version"] = json!("0");
            expected["name"] = json!("delete_issue");
            expected
        }),
        row("no credential", tool_call(&stranger, "get_issue"), refused("no_credential", "-31007")),
        row("no JSON", agent.post(&json!({})).body("{"), refused("invalid_json", "-32700")),
        row(
            "a batch",
            agent.post(&json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}])),
            refused("batch", "-32600"),
        ),
        row("too long", agent.post(&json!({})).body(too_long), refused("request_too_large", "-32600")),
        row("another method", agent.builder(Method::PUT), {
            json!({"ended": "refused", "decision": "deny", "rule": "method_not_allowed", "http_method": "PUT"})
        }),
        row(
            "a preflight",
            preflight,
            json!({"ended": "complete", "decision": "allow", "rule": "preflight", "status": 204}),
        ),
        row("an account to connect", tool_call(&desk, "get_issue"), {
            json!({"ended": "complete", "decision": "connect_required", "server": "desk", "rpc_id": "1"})
        }),
    ];
    judge(&stack, &agent, rows).await;
    // Envoy answers a path with two readings before the filter has seen a header, so nobody notes the user agent.
    agent.send(tool_call(&escaped, "get_issue")).await;
    let undecided = stack.envoy.access_log.wait_for(|record| record["decision"].is_null()).await;
    let record = undecided.expect("a record");
    assert_eq!((&record["ended"], &record["status"]), (&json!("refused"), &json!(400)), "{record}");
    assert_eq!(record["server"], Value::Null, "{record}");
}

#[tokio::test]
async fn what_a_real_upstream_answers() {
    let stack = Stack::start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    let legacy = stack.legacy_agent(SAMPLE).await;
    let complete = |more: &[(&str, Value)]| {
        let mut expected = json!({"ended": "complete", "decision": "allow", "rule": null, "server": SAMPLE});
        for (field, value) in more {
            expected[*field] = value.clone();
        }
        expected
    };
    let in_legacy = ("version", json!(LATEST_LEGACY));
    let of_nothing = legacy.post(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": "r-7", "reason": "no reason"}}));
    let rows = vec![
        row(
            "a call",
            tool_call(&agent, "get_issue"),
            complete(&[
                ("rpc_id", json!("1")),
                ("method", json!("tools/call")),
                ("client_name", json!("portcullis-tests")),
                ("error_code", Value::Null),
                ("tool_error", Value::Null),
                ("truncated", Value::Null),
            ]),
        ),
        row(
            "a legacy call",
            tool_call(&legacy, "get_issue"),
            complete(&[in_legacy.clone(), ("client_name", Value::Null)]),
        ),
        row(
            "a list",
            agent.post(&agent.message("tools/list", json!({}))),
            complete(&[("kind", Value::Null)]),
        ),
        row("an unknown tool", tool_call(&agent, "derail"), complete(&[("error_code", json!("-32602"))])),
        row(
            "a notification",
            of_nothing,
            complete(&[
                in_legacy.clone(),
                ("rpc_id", Value::Null),
                ("cancels", json!("r-7")),
                ("method", json!("notifications/cancelled")),
            ]),
        ),
        row(
            "the end of a session",
            legacy.builder(Method::DELETE),
            complete(&[in_legacy, ("http_method", json!("DELETE")), ("method", Value::Null)]),
        ),
    ];
    judge(&stack, &agent, rows).await;
    let record = record(&stack, "a call", &json!({})).await;
    for field in ["parameters_bytes", "response_bytes"] {
        assert!(
            record[field].as_str().is_some_and(|text| text.parse().is_ok_and(|bytes: u32| bytes > 20)),
            "{record}"
        );
    }
}

#[tokio::test]
async fn the_same_request_twice_leaves_two_records() {
    let stack = Stack::start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let reply = agent.send(called("twice", tool_call(&agent, "get_issue"))).await;
        ids.push(stack.envoy.access_log.record_of(reply.request_id()).await["request_id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
    assert_eq!(count(&stack, "twice"), 2);
}

/// What the scripted upstream does with a request.
async fn answered(stack: &Stack, row: Row, answer: impl AsyncFnOnce(Conversation)) {
    let Row { name, request, expected } = row;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let conversation = async { answer(stack.scripted.next_request().await).await };
    tokio::join!(agent.send(request), conversation);
    record(stack, name, &expected).await;
    assert_eq!(count(stack, name), 1, "{name}");
}

#[tokio::test]
async fn what_an_odd_upstream_answers() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let message = |more: Value| {
        let mut message = json!({"jsonrpc": "2.0", "id": 1});
        message.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
        message
    };
    let allowed = || tool_call(&agent, "allowed");
    let error = message(json!({"error": {"code": -32050, "message": "out of paper"}}));
    let expected = json!({"ended": "complete", "decision": "allow", "error_code": "-32050", "tool_error": null, "status": 200});
    answered(&stack, row("an error", allowed(), expected), async |request| request.json(&error).await).await;

    let failed = message(
        json!({"result": {"isError": true, "content": [{"type": "text", "text": "no such printer"}]}}),
    );
    let expected = json!({"ended": "complete", "error_code": null, "tool_error": "true", "events": null,
        "response": failed.to_string(), "response_bytes": failed.to_string().len().to_string()});
    answered(&stack, row("a tool's error", allowed(), expected), async |request| request.json(&failed).await)
        .await;

    let expected = json!({"ended": "rejected", "decision": "allow", "error_code": "-31003", "status": 500, "details": "portcullis_upstream_failed"});
    answered(&stack, row("an error page", allowed(), expected), async |request| {
        request.answer(500, &[], "<h1>no</h1>").await;
    })
    .await;

    let expected = json!({"ended": "rejected", "error_code": "-31005", "status": 502});
    let elsewhere = [("location", "https://elsewhere.example/")];
    answered(&stack, row("a redirect", allowed(), expected), async |request| {
        request.answer(307, &elsewhere, "").await;
    })
    .await;

    let expected = json!({"ended": "complete", "status": 503, "error_code": "-32000", "flags": "-"});
    let busy = message(json!({"error": {"code": -32000, "message": "busy"}})).to_string();
    let json_type = [("content-type", "application/json")];
    answered(&stack, row("an error in the protocol", allowed(), expected), async |request| {
        request.answer(503, &json_type, &busy).await;
    })
    .await;

    let result = message(json!({"result": {"content": []}}));
    let expected =
        json!({"ended": "complete", "events": "51", "response": result.to_string(), "error_code": null});
    answered(&stack, row("many events", allowed(), expected), async |request| {
        let answer = request.events();
        for step in 0..50 {
            answer.send(": still here\n\n").await;
            answer
                .event(&json!({"jsonrpc": "2.0", "method": "notifications/progress",
                "params": {"progressToken": "t", "progress": step}}))
                .await;
        }
        answer.event(&result).await;
    })
    .await;
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn who_leaves_has_cancelled() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let cancelled = json!({"ended": "cancelled", "decision": "allow", "method": "tools/call", "rpc_id": "1"});

    let waiting = tokio::spawn(called("before the answer", tool_call(&agent, "allowed")).send());
    let mut conversation = stack.scripted.next_request().await;
    waiting.abort();
    conversation.abandoned().await;
    record(&stack, "before the answer", &cancelled).await;

    let request = called("in the answer", tool_call(&agent, "allowed"));
    let (mut stream, answer) =
        tokio::join!(agent.stream(request), async { stack.scripted.next_request().await.events() });
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}});
    answer.event(&progress).await;
    assert_eq!(stream.next_message().await, progress);
    drop(stream);
    answer.abandoned().await;
    let mut expected = cancelled.clone();
    expected["events"] = json!("1");
    record(&stack, "in the answer", &expected).await;

    let legacy = stack.agent(SCRIPTED, Era::Legacy(LATEST_LEGACY)).in_session(Some("pretended"));
    let request = called("a GET stream", legacy.builder(Method::GET).header("accept", "text/event-stream"));
    let refused = legacy.send(request).await;
    assert_eq!(refused.status, 404, "nobody opened this session: {refused:?}");
    record(
        &stack,
        "a GET stream",
        &json!({"ended": "refused", "rule": "unknown_session", "version": LATEST_LEGACY}),
    )
    .await;
    for name in ["before the answer", "in the answer", "a GET stream"] {
        assert_eq!(count(&stack, name), 1, "{name}");
    }
}

#[tokio::test]
async fn a_get_stream_is_cancelled_by_its_client() {
    let stack = Stack::start().await;
    let legacy = stack.legacy_agent(SAMPLE).await;
    let request = called("a GET stream", legacy.builder(Method::GET).header("accept", "text/event-stream"));
    let stream = legacy.stream(request).await;
    assert_eq!(stream.response.status(), 200);
    drop(stream);
    let expected = json!({"ended": "cancelled", "http_method": "GET", "decision": "allow", "version": LATEST_LEGACY,
        "method": null, "rpc_id": null});
    record(&stack, "a GET stream", &expected).await;
    assert_eq!(count(&stack, "a GET stream"), 1);
}

/// An upstream that reads a request, says `answer`, and hangs up.
async fn hanging_up(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 64 * 1024];
            if stream.read(&mut request).await.is_ok() && stream.write_all(answer.as_bytes()).await.is_ok() {
                // Dropped with the answer unfinished.
                drop(stream);
            }
        }
    });
    address
}

#[tokio::test]
async fn an_upstream_that_is_not_there_or_breaks_off() {
    let stack = Stack::start().await;
    let nobody = Reserved::take(None).expect("a port").address().expect("an address");
    let before = hanging_up("").await;
    let within = hanging_up(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 1000\r\n\r\ndata: {}\n\n",
    )
    .await;
    for (slug, address) in [("gone", nobody), ("before", before), ("within", within)] {
        let server = json!({"slug": slug, "url": format!("http://{address}/mcp"), "allow_http": true,
            "auth": {"type": "none"}, "workspaces": "all"});
        stack.admin().post("/v1/servers?wait=applied", server).await.expect("registers");
    }
    for (slug, expected) in [
        ("gone", json!({"ended": "upstream_unreachable", "flags": "UF", "status": 503, "decision": "allow"})),
        ("before", json!({"ended": "upstream_reset", "flags": "UC", "status": 503, "decision": "allow"})),
        (
            "within",
            json!({"ended": "upstream_reset", "flags": "UPE", "status": 200, "events": "1", "decision": "allow"}),
        ),
    ] {
        let agent = stack.agent(slug, Era::Modern);
        let mut stream = agent.stream(called(slug, tool_call(&agent, "any"))).await;
        while !stream.is_over().await {}
        record(&stack, slug, &expected).await;
        assert_eq!(count(&stack, slug), 1, "{slug}");
    }
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn a_time_limit_is_no_cancellation() {
    let builder = Builder { longest_response: Some(Duration::from_secs(1)), ..Builder::default() };
    let stack = Stack::build(builder).await.expect("a stack");
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let request = called("before the answer", tool_call(&agent, "allowed"));
    let (_, conversation) = tokio::join!(agent.send(request), stack.scripted.next_request());
    record(&stack, "before the answer", &json!({"ended": "timeout", "decision": "allow"})).await;
    drop(conversation);
    let request = called("in the answer", tool_call(&agent, "allowed"));
    let (mut stream, answer) =
        tokio::join!(agent.stream(request), async { stack.scripted.next_request().await.events() });
    answer
        .event(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}))
        .await;
    while !stream.is_over().await {}
    record(&stack, "in the answer", &json!({"ended": "timeout", "decision": "allow", "status": 200})).await;
    for name in ["before the answer", "in the answer"] {
        assert_eq!(count(&stack, name), 1, "{name}");
    }
}
