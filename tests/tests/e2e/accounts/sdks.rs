//! The official SDKs before and after the consent: what each shows its user, and that the client that was refused goes
//! on by itself, without a new connection.

use anyhow::Context as _;
use portcullis_tests::mcp;
use portcullis_tests::patience::poll;
use portcullis_tests::sdk::{Action, CLIENTS, CallReport, Era, Event, Job, Outcome, Report, Sdk, ToolCall};
use serde_json::Value;

use super::{ADA, ADA_THERE, GRACE_NAME, GRACE_THERE, LINEAR, Setting, link_in};

/// A server that Grace has connected before, so that what it offers is known, and Ada has not.
async fn known_server() -> Setting {
    let setting = Setting::start().await;
    let grace = setting.graces_agent(mcp::Era::Modern);
    setting.connected(&grace, GRACE_NAME, GRACE_THERE).await;
    let known = poll(async || {
        let reply = setting.agent(mcp::Era::Modern).call("tools/list", serde_json::json!({})).await;
        reply.answer()["result"]["tools"].is_array().then_some(())
    });
    known.await.expect("a catalogue");
    setting
}

/// Ada's client calls twice.
fn job(setting: &Setting, era: Era, elicit: bool) -> Job {
    let call = ToolCall { tool: "whoami".to_owned(), arguments: serde_json::Map::new() };
    Job {
        url: setting.stack.url(LINEAR),
        key: Some(setting.stack.seeded.key.text.clone()),
        era,
        calls: vec![call.clone(), call],
        prompts: Vec::new(),
        resources: Vec::new(),
        elicit,
        attended: true,
        sign_in: false,
    }
}

/// The text of a call's result, and whether it is called an error.
fn shown(call: &CallReport) -> (bool, &str) {
    match &call.outcome {
        Outcome::Result(result) => (result.is_error, result.text.first().map_or("", String::as_str)),
        Outcome::Error { code } => panic!("an error without words: {code}"),
    }
}

impl Setting {
    /// Ada is as before she connected, so that the next client can begin.
    async fn disconnect_ada(&self) {
        let path = format!("/v1/members/{}/connections", self.stack.seeded.member);
        let found = self.stack.admin().get(&path).await.expect("a list");
        let id = found["connections"][0]["id"].as_str().expect("a connection");
        self.stack.admin().delete(&format!("/v1/connections/{id}?wait=applied")).await.expect("an end");
    }
}

/// Whether each of Ada's clients has shaken hands once if ever, and none got an HTTP error.
async fn check_conversations(setting: &Setting, eras: &[Era], served: usize) {
    let log = &setting.stack.envoy.access_log;
    let ours = || {
        let records = log.records().into_iter();
        records
            .filter(|record| record["caller_name"] == ADA && record["http_method"] == "POST")
            .collect::<Vec<_>>()
    };
    let is_served = |record: &&Value| record["name"] == "whoami" && record["decision"] == "allow";
    let all =
        poll(async || Some(ours()).filter(|ours| ours.iter().filter(is_served).count() >= served)).await;
    let all = all.unwrap_or_else(|| panic!("not {served} calls: {}", log.text()));
    let handshakes = all.iter().filter(|record| record["method"] == "initialize").count();
    assert_eq!(handshakes, eras.iter().filter(|era| **era == Era::Legacy).count(), "{}", log.text());
    for record in all {
        assert!(matches!(record["status"].as_u64(), Some(200 | 202)), "{record}");
    }
}

fn lists_the_tools(report: &Report) -> bool {
    report.tools.contains(&"whoami".to_owned()) && !report.tools.contains(&"delete_issue".to_owned())
}

/// The client says that it can open addresses: it does, and its call is answered in the end.
#[tokio::test]
async fn clients_that_open_addresses_are_connected_within_the_call() -> anyhow::Result<()> {
    let (setting, mut eras) = (known_server().await, Vec::new());
    for (sdk, era) in CLIENTS {
        let mut opened = 0;
        let attend = async |event| {
            if let Event::Open(link) = event {
                opened += 1;
                setting.connect(&link_in(&link), ADA, ADA_THERE).await;
            }
            Action::Accept
        };
        let Some(report) = sdk.drive_attended(&job(&setting, era, true), attend).await? else { continue };
        assert_eq!(opened, 1, "{sdk:?}, {era:?}: once is enough");
        let calls: Vec<_> = report.calls.iter().map(shown).collect();
        assert_eq!(calls, [(false, ADA_THERE); 2], "{sdk:?}, {era:?}");
        assert!(lists_the_tools(&report), "{sdk:?}, {era:?}: {report:?}");
        assert_eq!(report.protocol_version, era.protocol_version());
        setting.disconnect_ada().await;
        eras.push(era);
    }
    check_conversations(&setting, &eras, 2 * eras.len()).await;
    assert!(setting.stack.filter_never_trapped().await);
    Ok(())
}

/// The client says nothing of addresses: its user reads the link, and calls again.
#[tokio::test]
async fn clients_that_open_nothing_show_the_link_and_go_on() -> anyhow::Result<()> {
    let (setting, mut eras) = (known_server().await, Vec::new());
    for (sdk, era) in CLIENTS {
        let attend = async |event| {
            match event {
                Event::Open(link) | Event::Authorize(link) => panic!("{sdk:?} opens {link}"),
                Event::Answered(call) => {
                    let (is_error, text) = shown(&call);
                    if is_error {
                        assert!(text.contains("not connected to your account yet"), "{text}");
                        setting.connect(&link_in(text), ADA, ADA_THERE).await;
                    }
                }
            }
            Action::Accept
        };
        let Some(report) = sdk.drive_attended(&job(&setting, era, false), attend).await? else { continue };
        let calls: Vec<_> = report.calls.iter().map(shown).collect();
        assert!(calls[0].0, "{sdk:?}, {era:?}: {calls:?}");
        assert_eq!(calls[1], (false, ADA_THERE), "{sdk:?}, {era:?}");
        assert!(lists_the_tools(&report), "{sdk:?}, {era:?}: {report:?}");
        setting.disconnect_ada().await;
        eras.push(era);
    }
    check_conversations(&setting, &eras, eras.len()).await;
    Ok(())
}

/// A user who does not want to: the call ends, and the next one asks again.
#[tokio::test]
async fn a_user_who_declines_is_told_so() -> anyhow::Result<()> {
    let setting = known_server().await;
    for (sdk, era) in CLIENTS {
        let mut asked = 0;
        let decline = async |event| {
            asked += usize::from(matches!(event, Event::Open(_)));
            Action::Decline
        };
        let Some(report) = sdk.drive_attended(&job(&setting, era, true), decline).await? else { continue };
        assert_eq!(asked, 2, "{sdk:?}, {era:?}: once for each call");
        for call in &report.calls {
            match (era, &call.outcome) {
                (Era::Modern, Outcome::Result(result)) => {
                    assert!(
                        result.is_error && result.text[0].contains("you declined"),
                        "{sdk:?}: {result:?}"
                    );
                }
                (Era::Legacy, Outcome::Error { code: -32042 }) => {}
                other => panic!("{sdk:?}, {era:?}: {other:?}"),
            }
        }
        assert_eq!(setting.protected.subjects_of("tools/call"), [""; 0]);
    }
    Ok(())
}

/// A server that nobody has connected before has no lists yet, and the error in their place holds the link.
#[tokio::test]
async fn the_first_member_of_all_is_told_by_the_list() -> anyhow::Result<()> {
    for (sdk, era) in CLIENTS {
        let setting = Setting::start().await;
        let Some(refusal) = list(sdk, &job(&setting, era, false)).await else { continue };
        let link = link_in(&refusal);
        setting.connect(&link, ADA, ADA_THERE).await;
        let report = sdk.drive(&job(&setting, era, false)).await?.context("the SDK was here a moment ago")?;
        assert!(lists_the_tools(&report), "{sdk:?}, {era:?}: {report:?}");
        assert_eq!(shown(&report.calls[0]), (false, ADA_THERE), "{sdk:?}, {era:?}");
    }
    Ok(())
}

/// What the SDK says when it cannot list; `None` where it is not on this machine.
async fn list(sdk: Sdk, job: &Job) -> Option<String> {
    match sdk.drive(job).await {
        Ok(None) => None,
        Ok(Some(report)) => panic!("{sdk:?} lists what nobody knows: {report:?}"),
        Err(error) => Some(format!("{error:#}")),
    }
}
