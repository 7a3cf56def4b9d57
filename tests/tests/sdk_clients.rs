//! Every official SDK, in every era it speaks, sees the same through the gateway as directly: less what policy denies.

use anyhow::Context as _;
use portcullis_tests::everything::Everything;
use portcullis_tests::sdk::{
    CLIENTS, CallReport, Era, Job, Outcome, PromptReport, PromptRequest, Report, ResourceReport, Sdk,
    ToolCall,
};
use portcullis_tests::seed::{self, Server};
use portcullis_tests::stack::{SAMPLE, SAMPLE_KEY, Stack};
use serde_json::{Value, json};

/// "Invalid params": how the protocol reports an unknown tool, prompt or, since 2026-07-28, resource.
const INVALID_PARAMS: i32 = -32602;
const RESOURCE_NOT_FOUND: i32 = -32002;

/// What the policy of a story denies, by exact name.
struct Denied {
    tool: &'static str,
    prompt: &'static str,
    resource: &'static str,
    resource_template: Option<&'static str>,
}

#[tokio::test]
async fn every_sdk_uses_an_rmcp_server_through_the_gateway() -> anyhow::Result<()> {
    let stack = Stack::start().await;
    let denied = Denied {
        tool: "delete_issue",
        prompt: "delete_stale_issues",
        resource: "secret://minutes",
        resource_template: Some("secret://{name}"),
    };
    let direct_url = stack.sample.url();
    let job = |url: &str, key: &str, era| Job {
        url: url.to_owned(),
        key: Some(key.to_owned()),
        era,
        calls: vec![
            call("search_issues", json!({"query": "gate"})),
            call("count_slowly", json!({"steps": 3, "pause_ms": 5})),
            call(denied.tool, json!({"id": "PC-1"})),
        ],
        prompts: vec![
            prompt("summarize_issues", json!({"topic": "gates"})),
            prompt(denied.prompt, json!({})),
        ],
        resources: vec!["issue://PC-1".to_owned(), denied.resource.to_owned()],
        elicit: false,
        attended: false,
        sign_in: false,
    };
    for (sdk, era) in CLIENTS {
        let Some(directly) = sdk.drive(&job(&direct_url, SAMPLE_KEY, era)).await? else { continue };
        check_direct(sdk, &directly, era);

        stack.sample.journal.clear();
        let key = &stack.seeded.key.text;
        let through =
            sdk.drive(&job(&stack.url(SAMPLE), key, era)).await?.context("the SDK was here a moment ago")?;
        assert_eq!(through, governed(directly, &denied, sdk, era), "{sdk:?}, {era:?}");

        let received = stack.sample.journal.entries();
        assert!(!received.is_empty(), "{sdk:?}, {era:?}: nothing reached the server");
        for request in received {
            assert_eq!(request.header("authorization"), [format!("Bearer {SAMPLE_KEY}")], "{sdk:?}, {era:?}");
            assert!(!request.contains(key), "{sdk:?}, {era:?}: the client's credential went on");
            let denied_names = [denied.tool, denied.prompt, denied.resource];
            assert!(!denied_names.iter().any(|name| request.contains(name)), "{sdk:?}, {era:?}: {request:?}");
        }
    }
    assert!(stack.filter_never_trapped().await, "the filter has trapped");
    Ok(())
}

#[tokio::test]
async fn every_sdk_uses_server_everything_through_the_gateway() -> anyhow::Result<()> {
    let Some(everything) = Everything::start().await? else { return Ok(()) };
    let stack = Stack::start().await;
    let denied = Denied {
        tool: "get-env",
        prompt: "args-prompt",
        resource: "demo://resource/static/document/startup.md",
        resource_template: None,
    };
    let server = Server {
        slug: "everything",
        url: everything.url(),
        auth: seed::no_credential(),
        allowed_tool: "echo",
        denied_tool: denied.tool,
        denied_prompts: vec![denied.prompt],
        denied_resources: vec![denied.resource],
        payload: "redacted",
    };
    seed::register(stack.admin(), &stack.seeded.workspace, &server).await?;
    let job = |url: String, key: Option<&str>, era| Job {
        url,
        key: key.map(str::to_owned),
        era,
        calls: vec![
            call("echo", json!({"message": "hello"})),
            call("trigger-long-running-operation", json!({"duration": 0.1, "steps": 3})),
            call(denied.tool, json!({})),
        ],
        prompts: vec![prompt("simple-prompt", json!({})), prompt(denied.prompt, json!({"city": "Ghent"}))],
        resources: vec!["demo://resource/static/document/features.md".to_owned(), denied.resource.to_owned()],
        elicit: false,
        attended: false,
        sign_in: false,
    };
    // This server is built on the SDK's first line and knows only the legacy era.
    for (sdk, era) in CLIENTS.into_iter().filter(|(_, era)| *era == Era::Legacy) {
        let Some(directly) = sdk.drive(&job(everything.url(), None, era)).await? else { continue };
        check_direct(sdk, &directly, era);
        let key = Some(stack.seeded.key.text.as_str());
        let through = sdk
            .drive(&job(stack.url(server.slug), key, era))
            .await?
            .context("the SDK was here a moment ago")?;
        assert_eq!(through, governed(directly, &denied, sdk, era), "{sdk:?}, {era:?}");
    }
    assert!(stack.filter_never_trapped().await, "the filter has trapped");
    Ok(())
}

/// The direct run is what the other is measured by, so it must show that every job worked.
fn check_direct(sdk: Sdk, report: &Report, era: Era) {
    assert_eq!(report.protocol_version, era.protocol_version(), "{sdk:?}, {era:?}");
    let failed = report.calls.iter().any(|call| matches!(call.outcome, Outcome::Error { .. }))
        || report.prompt_results.iter().any(|prompt| matches!(prompt.outcome, Outcome::Error { .. }))
        || report.resource_results.iter().any(|resource| matches!(resource.outcome, Outcome::Error { .. }));
    assert!(!failed, "{sdk:?}, {era:?}: {report:?}");
    let progress = report
        .calls
        .iter()
        .any(|call| matches!(&call.outcome, Outcome::Result(result) if result.progress == [1.0, 2.0, 3.0]));
    assert!(progress, "{sdk:?}, {era:?} tells of no progress: {report:?}");
}

/// What the gateway must make of a report: denied names are not listed, and unknown when they are asked for.
fn governed(mut report: Report, denied: &Denied, sdk: Sdk, era: Era) -> Report {
    let resource_code = match (sdk, era) {
        // This SDK translates the old code into the new one before its caller sees it.
        (Sdk::TypeScriptV2, Era::Legacy) | (_, Era::Modern) => INVALID_PARAMS,
        (_, Era::Legacy) => RESOURCE_NOT_FOUND,
    };
    without(&mut report.tools, Some(denied.tool));
    without(&mut report.prompts, Some(denied.prompt));
    without(&mut report.resources, Some(denied.resource));
    without(&mut report.resource_templates, denied.resource_template);
    for CallReport { outcome, .. } in report.calls.iter_mut().filter(|call| call.tool == denied.tool) {
        *outcome = Outcome::Error { code: INVALID_PARAMS };
    }
    for PromptReport { outcome, .. } in
        report.prompt_results.iter_mut().filter(|entry| entry.name == denied.prompt)
    {
        *outcome = Outcome::Error { code: INVALID_PARAMS };
    }
    for ResourceReport { outcome, .. } in
        report.resource_results.iter_mut().filter(|entry| entry.uri == denied.resource)
    {
        *outcome = Outcome::Error { code: resource_code };
    }
    report
}

/// # Panics
/// If the name was not there: a policy that takes nothing away proves nothing.
fn without(names: &mut Vec<String>, denied: Option<&str>) {
    let Some(denied) = denied else { return };
    let position = names.iter().position(|name| name == denied).expect("the server lists what is denied");
    names.remove(position);
}

fn call(tool: &str, arguments: Value) -> ToolCall {
    ToolCall { tool: tool.to_owned(), arguments: object(arguments) }
}

fn prompt(name: &str, arguments: Value) -> PromptRequest {
    PromptRequest { name: name.to_owned(), arguments: object(arguments) }
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is not an object"),
    }
}
