//! Whole responses, from head to log; natively and on wasm32.

use std::sync::Arc;

use portcullis_filter_core::mcp::{ListKind, Target};
use portcullis_filter_core::memory::{Budget, Share};
use portcullis_filter_core::payload::Excerpt;
use portcullis_filter_core::reply::LocalReply;
use portcullis_filter_core::response::headers::BodyPlan;
use portcullis_filter_core::response::list::ListContext;
use portcullis_filter_core::response::needles::Needles;
use portcullis_filter_core::response::pipeline::{Bounds, Observed, ResponsePipeline, Subject};
use portcullis_filter_core::response::unknown::Asked;
use portcullis_filter_core::step::ResponseChunk;
use portcullis_wire::policy::{CompiledPolicy, Kind, Level, LevelRules, NameRules, Pattern, Policy};
use portcullis_wire::watch::PayloadPolicy;
use wasm_bindgen_test::wasm_bindgen_test;

const TOKEN: &str = "Bearer canary-token/1";

fn text(excerpt: &Excerpt) -> &str {
    &excerpt.text
}

fn policy() -> CompiledPolicy {
    let rules = || NameRules { allow: None, deny: vec![Pattern("secret*".to_owned())] };
    let level = LevelRules {
        level: Level::Workspace,
        tools: rules(),
        prompts: rules(),
        resources: rules(),
        ..LevelRules::default()
    };
    Policy { levels: vec![level], ..Policy::default() }.into()
}

fn tools() -> Subject {
    let request_id = "\"r\"".into();
    Subject::List(ListContext { kind: ListKind::Tools, request_id, modern: false, ttl_cap_ms: 0 })
}

fn pipeline(plan: BodyPlan, subject: Subject) -> ResponsePipeline {
    ResponsePipeline::new(
        plan,
        subject,
        Arc::new(Needles::of_values([TOKEN])),
        PayloadPolicy::Redacted.into(),
    )
}

/// Pushes all of `body` in chunks of `size` bytes and collects what comes out.
fn run(pipeline: &mut ResponsePipeline, body: &str, size: usize) -> String {
    let mut output = Vec::new();
    let mut chunks = body.as_bytes().chunks(size).peekable();
    while let Some(chunk) = chunks.next() {
        match pipeline.push(&policy(), chunk, chunks.peek().is_none()) {
            ResponseChunk::Keep => output.extend_from_slice(chunk),
            ResponseChunk::Replace(bytes) => output.extend(bytes),
        }
    }
    String::from_utf8(output).expect("UTF-8")
}

/// Runs a new pipeline for each size of chunk; all must say the same.
fn run_all(plan: BodyPlan, subject: &Subject, body: &str) -> (String, ResponsePipeline) {
    let mut whole = pipeline(plan, subject.clone());
    let output = run(&mut whole, body, body.len().max(1));
    for size in 1..body.len() {
        let mut cut = pipeline(plan, subject.clone());
        assert_eq!(run(&mut cut, body, size), output, "chunks of {size}");
        assert_eq!(cut.observed(), whole.observed(), "chunks of {size}");
    }
    (output, whole)
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":"r","result":{"tools":[{"name":"a"},{"name":"secret"}]}}"#;
const FILTERED: &str = r#"{"jsonrpc":"2.0","id":"r","result":{"tools":[{"name":"a"}]}}"#;

#[wasm_bindgen_test(unsupported = test)]
fn json_lists_are_filtered_and_logged_as_delivered() {
    let (output, pipeline) = run_all(BodyPlan::Json, &tools(), LIST);
    assert_eq!(output, FILTERED);
    assert_eq!(pipeline.observed().excerpt.as_ref().map(text), Some(FILTERED));
    assert_eq!(pipeline.observed().error_code, None);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_list_that_needs_no_change_in_one_chunk_is_not_copied() {
    let answer = pipeline(BodyPlan::Json, tools()).push(&policy(), FILTERED.as_bytes(), true);
    assert_eq!(answer, ResponseChunk::Keep);
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_in_event_streams_are_filtered_where_they_stand() {
    let progress = "data: {\"method\":\"notifications/progress\",\"params\":{}}\n\n";
    let body = format!("id: 1\ndata:\n\n: ping\n\n{progress}id: 2\ndata: {LIST}\n\n");
    let (output, pipeline) = run_all(BodyPlan::Sse, &tools(), &body);
    assert_eq!(output, format!("id: 1\ndata:\n\n: ping\n\n{progress}id: 2\ndata: {FILTERED}\n\n"));
    assert_eq!(pipeline.observed().excerpt.as_ref().map(text), Some(FILTERED));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_list_cut_short_is_never_delivered() {
    let mut json = pipeline(BodyPlan::Json, tools());
    assert_eq!(json.push(&policy(), &LIST.as_bytes()[..60], false), ResponseChunk::Replace(Vec::new()));
    // Ended too early by the upstream's own account.
    let mut short = pipeline(BodyPlan::Json, tools());
    let output = run(&mut short, &LIST[..60], 7);
    assert!(output.starts_with(r#"{"jsonrpc":"2.0","id":"r","error":{"code":-31005,"#), "{output}");
    let mut events = pipeline(BodyPlan::Sse, tools());
    assert_eq!(run(&mut events, &format!("data: {LIST}\n"), 9), "");
    assert_eq!(events.observed().excerpt, None);
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_that_cannot_be_read_become_errors() {
    let twice = r#"{"id":"r","result":{"tools":[],"tools":[{"name":"secret"}]}}"#;
    for body in [twice, "<html>", "[]", r#"{"result":{}}"#] {
        let (output, pipeline) = run_all(BodyPlan::Json, &tools(), body);
        assert!(output.starts_with(r#"{"jsonrpc":"2.0","id":"r","error":{"code":-31005,"#), "{output}");
        assert_eq!(pipeline.observed().error_code, Some(-31005));
        assert!(pipeline.observed().excerpt.as_ref().map(text).is_some_and(|text| text.contains("-31005")));
    }
    let (output, _) = run_all(BodyPlan::Sse, &tools(), &format!("data: pong\n\nid: 4\ndata: {twice}\n\n"));
    assert!(output.starts_with("\nid: 4\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"r\",\"error\":"), "{output}");
    assert!(output.ends_with("}}\n\n"));
}

#[wasm_bindgen_test(unsupported = test)]
fn errors_and_empty_bodies_pass() {
    let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"version"}}"#;
    let (output, pipeline) = run_all(BodyPlan::Json, &tools(), error);
    assert_eq!((output.as_str(), pipeline.observed().error_code), (error, Some(-32022)));
    let mut empty = self::pipeline(BodyPlan::Json, tools());
    assert_eq!(empty.push(&policy(), b"", true), ResponseChunk::Keep);
}

/// A share of a budget that nobody else uses and that does not end.
fn alone() -> Share {
    Budget::new(usize::MAX).share()
}

#[wasm_bindgen_test(unsupported = test)]
fn who_comes_when_the_worker_is_full_is_refused_and_it_empties_again() {
    let budget = Budget::new(LIST.len() + 10);
    let bounds = Bounds::default();
    let open = |plan, subject| {
        ResponsePipeline::with_bounds(
            plan,
            subject,
            Arc::default(),
            PayloadPolicy::Full.into(),
            bounds,
            budget.share(),
        )
    };
    let mut first = open(BodyPlan::Json, tools());
    assert_eq!(first.push(&policy(), LIST.as_bytes(), false), ResponseChunk::Replace(Vec::new()));
    for plan in [BodyPlan::Json, BodyPlan::Sse] {
        let mut refused = open(plan, tools());
        let output = run(&mut refused, &format!("data: {LIST}\n\n"), 16);
        assert!(output.contains("-31005") && !output.contains("secret"), "{output}");
    }
    let mut call = open(BodyPlan::Json, Subject::Call(None));
    assert_eq!(
        run(&mut call, LIST, 16),
        LIST,
        "a call's result passes, though the log cannot show all of it"
    );
    drop((first, call));
    assert_eq!(budget.left(), LIST.len() + 10);
    assert!(!run(&mut open(BodyPlan::Json, tools()), LIST, 16).contains("-31005"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_list_too_long_to_hold_becomes_an_error() {
    let bounds = Bounds { json: 70, ..Bounds::default() };
    let mut pipeline = ResponsePipeline::with_bounds(
        BodyPlan::Json,
        tools(),
        Arc::default(),
        PayloadPolicy::Off.into(),
        bounds,
        alone(),
    );
    let output = run(&mut pipeline, LIST, 10);
    assert!(output.contains("-31005") && !output.contains("secret"), "{output}");
    assert_eq!(output.matches("jsonrpc").count(), 1);
    assert_eq!((pipeline.observed().error_code, &pipeline.observed().excerpt), (Some(-31005), &None));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_event_too_long_to_judge_ends_a_list_but_not_a_call() {
    let bounds = Bounds { event: 50, ..Bounds::default() };
    let body = format!(": hello\ndata: {LIST}\n\ndata: {LIST}\n\n");
    let run = |subject| {
        let mut pipeline = ResponsePipeline::with_bounds(
            BodyPlan::Sse,
            subject,
            Arc::default(),
            PayloadPolicy::Full.into(),
            bounds,
            alone(),
        );
        let output = run(&mut pipeline, &body, 11);
        (output, pipeline.observed().ended)
    };
    let (output, ended) = run(tools());
    assert!(output.starts_with(": hello\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"r\",\"error\""), "{output}");
    assert!(ended && output.ends_with("}}\n\n") && !output.contains("secret"));
    assert_eq!(run(Subject::Call(None)), (body.clone(), false));
}

#[wasm_bindgen_test(unsupported = test)]
fn tool_results_pass_and_are_observed() {
    for (body, code, tool_error) in [
        (r#"{"id":1,"result":{"isError":true,"content":[]}}"#, None, true),
        (r#"{"id":1,"result":{"isError":false}}"#, None, false),
        (r#"{"id":1,"error":{"code":-32602,"message":"no"}}"#, Some(-32602), false),
    ] {
        let (output, json) = run_all(BodyPlan::Json, &Subject::Call(None), body);
        assert_eq!(output, body);
        let stream = format!("data: {{\"method\":\"x\"}}\n\ndata: {body}\n\n: bye\n\n");
        let (output, events) = run_all(BodyPlan::Sse, &Subject::Call(None), &stream);
        assert_eq!(output, stream);
        for observed in [json.observed(), events.observed()] {
            assert_eq!((observed.error_code, observed.tool_error), (code, tool_error));
            assert_eq!(observed.excerpt.as_ref().map(text), Some(body));
        }
    }
    // Strange, but nothing that the gateway has a say in.
    let strange = r#"{"result":{"a":1,"a":2}}"#;
    assert_eq!(run_all(BodyPlan::Json, &Subject::Call(None), strange).0, strange);
    let strange = format!("data: {strange}\n\ndata: [DONE]\n\n");
    assert_eq!(run_all(BodyPlan::Sse, &Subject::Call(None), &strange).0, strange);
}

#[wasm_bindgen_test(unsupported = test)]
fn updates_of_denied_resources_do_not_show() {
    let update = |uri| {
        format!(
            "id: 3\ndata: {{\"method\":\"notifications/resources/updated\",\"params\":{{\"uri\":\"{uri}\"}}}}\n\n"
        )
    };
    let body = format!("{}{}", update("secret://x"), update("open://x"));
    for subject in [Subject::Stream, Subject::Call(None)] {
        assert_eq!(run_all(BodyPlan::Sse, &subject, &body).0, format!("id: 3\n\n{}", update("open://x")));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_resumed_stream_is_filtered_by_shape() {
    let body = format!("data: {LIST}\n\ndata: {{\"result\":{{}},\"result\":{{}}}}\n\n");
    assert_eq!(run_all(BodyPlan::Sse, &Subject::Stream, &body).0, format!("data: {FILTERED}\n\n"));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_echoed_credential_shows_neither_to_the_client_nor_in_the_log() {
    let echo =
        r#"{"id":1,"result":{"content":[{"text":"you sent Bearer canary-token/1, or canary-token\/1"}]}}"#;
    let masked =
        r#"{"id":1,"result":{"content":[{"text":"you sent *********************, or ***************"}]}}"#;
    let (output, pipeline) = run_all(BodyPlan::Json, &Subject::Call(None), echo);
    assert_eq!(output, masked);
    assert_eq!(pipeline.observed().excerpt.as_ref().map(text), Some(masked));
    assert!(pipeline.observed().credential_echoed);
    let (output, _) = run_all(BodyPlan::Sse, &Subject::Call(None), &format!("data: {echo}\n\n"));
    assert_eq!(output, format!("data: {masked}\n\n"));
    let (output, _) = run_all(BodyPlan::Pass, &Subject::Call(None), "<b>canary-token/1</b>");
    assert_eq!(output, "<b>**************</b>");
    let list = r#"{"result":{"tools":[{"name":"a","description":"canary-token/1"}]}}"#;
    assert!(!run_all(BodyPlan::Json, &tools(), list).0.contains("canary"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_credential_is_found_as_json_writes_it() {
    let value = r#"canary "a"\b/c"#;
    let needles = Needles::of_values([value]);
    let once = serde_json::json!({ "text": value }).to_string();
    let twice = serde_json::json!({ "text": once }).to_string();
    let slashes = |text: &str| text.replace('/', "\\/");
    let in_between = serde_json::json!({ "text": slashes(&once) }).to_string();
    for written in [value, &once, &twice, &slashes(&once), &slashes(&twice), &in_between] {
        let mut body = format!("before {written} after").into_bytes();
        let length = body.len();
        assert!(needles.mask(&mut body), "{written}");
        let masked = String::from_utf8(body).expect("a text");
        assert!(!masked.contains("canary") && masked.len() == length, "{masked}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn short_and_public_header_values_are_no_needles() {
    for value in ["v1", "Bearer x", "Basic 1234567", "2022-06-28", "application/json"] {
        let needles = Needles::of_values([value]);
        let body = b"v1 x 1234567 2022-06-28 application/json";
        assert!(!needles.occur_in(body), "{value}");
    }
    assert!(Needles::of_values(["bearer 12345678"]).occur_in(b"12345678"));
    assert_eq!(format!("{:?}", Needles::of_values([TOKEN])).find("canary"), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn other_bodies_are_logged_as_what_they_are() {
    let mut html = pipeline(BodyPlan::Pass, Subject::Call(None));
    assert_eq!(run(&mut html, "<html>", 2), "<html>");
    let digest = html.observed().excerpt.clone().expect("a digest").text;
    assert!(digest.starts_with("sha256:") && digest.ends_with(" 6"), "{digest}");
}

fn asking(tool: &str) -> Subject {
    let target = Target { kind: Kind::Tool, name: tool.to_owned() };
    let denial = LocalReply::with_body(200, -32602, b"{\"denied\":1}".to_vec(), "policy_denied");
    Subject::Call(Some(Box::new(Asked { target, denial })))
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_that_a_name_is_unknown_is_replaced() {
    let unknown = r#"{"jsonrpc":"2.0","id":"r","result":{"content":[{"type":"text","text":"Tool x not found"}],"isError":true}}"#;
    let observed = Observed {
        excerpt: Some(Excerpt { text: "{\"denied\":1}".to_owned(), size: 12, is_cut: false }),
        error_code: Some(-32602),
        ..Observed::default()
    };
    let (output, json) = run_all(BodyPlan::HeldJson, &asking("x"), unknown);
    assert_eq!((output.as_str(), json.observed()), ("{\"denied\":1}", &observed));
    let progress = "data: {\"method\":\"notifications/progress\",\"params\":{}}\n\n";
    let (output, events) =
        run_all(BodyPlan::Sse, &asking("x"), &format!("{progress}id: 2\ndata: {unknown}\n\n"));
    assert_eq!(
        (output, events.observed()),
        (
            format!("{progress}id: 2\ndata: {{\"denied\":1}}\n\n"),
            &Observed { events: Some(2), ..observed.clone() }
        )
    );
    assert!(json.reworded().is_some() && events.reworded().is_some());
    let (output, other) = run_all(BodyPlan::HeldJson, &asking("y"), unknown);
    assert_eq!((output.as_str(), other.reworded()), (unknown, None));
    // What has passed in part cannot be replaced any more.
    let (output, json) = run_all(BodyPlan::Json, &asking("x"), unknown);
    assert_eq!((output.as_str(), json.observed().tool_error), (unknown, true));
}
