//! The official SDKs with nothing but the URL: they find out where to sign in, register, sign their person in, call, and
//! renew what is over.

use portcullis_tests::patience::poll;
use portcullis_tests::sdk::{Action, Era, Event, Outcome, Sdk};
use portcullis_tests::stack::SAMPLE;
use serde_json::Value;

use super::{Setting, allow, job};
use crate::accounts::ADA;

/// Those that sign in by themselves.
const CLIENTS: [(Sdk, Era); 5] = [
    (Sdk::TypeScriptV1, Era::Legacy),
    (Sdk::TypeScriptV2, Era::Legacy),
    (Sdk::TypeScriptV2, Era::Modern),
    (Sdk::Python, Era::Legacy),
    (Sdk::Python, Era::Modern),
];

#[tokio::test]
async fn a_client_with_nothing_but_the_url_signs_its_person_in_and_renews_its_token() -> anyhow::Result<()> {
    let (setting, mut served) = (Setting::start().await, 0);
    for (sdk, era) in CLIENTS {
        let (mut signed_in, mut answered) = (0, 0);
        let attend = async |event| match event {
            Event::Authorize(url) => {
                signed_in += 1;
                allow(&url, ADA).await;
                Action::Accept
            }
            Event::Answered(_) => {
                answered += 1;
                if answered == 1 { Action::Expire } else { Action::Accept }
            }
            Event::Open(url) => panic!("{sdk:?} opens {url}"),
        };
        let job = job(setting.stack.url(SAMPLE), None, era, 3);
        let Some(report) = sdk.drive_attended(&job, attend).await? else { continue };
        assert_eq!((signed_in, answered), (1, 3), "{sdk:?}, {era:?}: one sign-in is enough");
        for call in &report.calls {
            assert!(
                matches!(&call.outcome, Outcome::Result(result) if !result.is_error),
                "{sdk:?}: {call:?}"
            );
        }
        assert!(report.tools.contains(&"whoami".to_owned()), "{report:?}");
        assert_eq!(report.protocol_version, era.protocol_version());
        served += 3;
        check_records(&setting, served).await;
    }
    assert!(setting.stack.filter_never_trapped().await);
    Ok(())
}

/// So many calls are in the access log, and each names the sign-in and the client.
async fn check_records(setting: &Setting, served: usize) {
    let log = &setting.stack.envoy.access_log;
    let is_call = |record: &Value| record["name"] == "whoami" && record["decision"] == "allow";
    let found = poll(async || {
        let calls: Vec<Value> = log.records().into_iter().filter(is_call).collect();
        (calls.len() >= served).then_some(calls)
    });
    let calls = found.await.unwrap_or_else(|| panic!("not {served} calls: {}", log.text()));
    assert_eq!(calls.len(), served, "{}", log.text());
    for call in &calls {
        assert_eq!(
            (&call["credential"], &call["caller_name"]),
            (&"access_token".into(), &ADA.into()),
            "{call}"
        );
        for field in ["session_id", "client_id"] {
            assert!(call[field].as_str().is_some_and(|id| !id.is_empty()), "{field}: {call}");
        }
    }
}
