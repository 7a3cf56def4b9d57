//! Servers that want more than the member has allowed (403 `insufficient_scope`).

use portcullis_tests::mcp::{Agent, Era, Reply};
use portcullis_tests::person::Person;
use portcullis_tests::provider::shape::Shape;
use portcullis_tests::upstream::protected::desk::{EXPORT, EXPORT_SCOPE};
use serde_json::json;

use super::{ADA, ADA_THERE, Setting, account_of, link_of, oauth, sign_in, whoami};

async fn export(agent: &Agent) -> Reply {
    agent.call_tool(EXPORT, json!({})).await
}

fn is_exported(reply: &Reply) -> bool {
    let result = &reply.answer()["result"];
    result["content"].is_array() && result["isError"] != true
}

/// The scopes of the last consent.
fn granted(setting: &Setting) -> Vec<String> {
    let last = setting.provider.ledger.authorizations().pop().expect("a consent");
    last.scope.split(' ').map(str::to_owned).collect()
}

#[tokio::test]
async fn a_tool_that_wants_more_scope_gets_it_by_a_new_consent() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    setting.connected(&agent, ADA, ADA_THERE).await;
    let before = granted(&setting);
    assert!(!before.contains(&EXPORT_SCOPE.to_owned()), "{before:?}");
    let told = export(&agent).await;
    assert!(told.body.contains("permission"), "{told:?}");
    // What needs no more goes on meanwhile.
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);

    let link = link_of(&told);
    let consent = sign_in(&Person::new(), &link, ADA).await;
    let wanted: Vec<String> = before.iter().cloned().chain([EXPORT_SCOPE.to_owned()]).collect();
    assert!(wanted.iter().all(|scope| consent.text().contains(scope)), "{}", consent.text());
    setting.connect(&link, ADA, ADA_THERE).await;
    let after = granted(&setting);
    assert!(wanted.iter().all(|scope| after.contains(scope)), "{before:?} → {after:?}");
    let exported = export(&agent).await;
    assert!(is_exported(&exported), "{exported:?}");
}

#[tokio::test]
async fn asking_again_before_the_consent_is_the_same_question() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    setting.connected(&agent, ADA, ADA_THERE).await;
    let link = link_of(&export(&agent).await);
    for _ in 0..5 {
        assert_eq!(link_of(&export(&agent).await), link);
    }
    setting.connect(&link, ADA, ADA_THERE).await;
    let exported = export(&agent).await;
    assert!(is_exported(&exported), "{exported:?}");
}

#[tokio::test]
async fn a_server_that_always_wants_more_is_asked_for_three_times_an_hour() {
    const EVER_MORE: [&str; 4] = ["one", "two", "three", "four"];
    let scopes = ["read"].into_iter().chain(EVER_MORE).collect();
    let setting = Setting::with(Shape { scopes, ..Shape::linear() }, oauth()).await;
    let agent = setting.agent(Era::Modern);
    setting.connected(&agent, ADA, ADA_THERE).await;
    for demanded in EVER_MORE.into_iter().take(3) {
        setting.protected.demand(Some(demanded));
        let link = link_of(&whoami(&agent).await);
        setting.connect(&link, ADA, ADA_THERE).await;
        assert_eq!(account_of(&whoami(&agent).await), ADA_THERE, "{demanded}");
    }
    assert_eq!(granted(&setting), ["one", "read", "three", "two"]);

    // Once more is too often: no link, and no consent that would be asked for it.
    setting.protected.demand(Some("four"));
    setting.protected.clear();
    for _ in 0..3 {
        let refused = whoami(&agent).await;
        assert_eq!(refused.status, 403, "{refused:?}");
        assert!(
            refused.answer()["error"]["message"].as_str().is_some_and(|text| text.contains("several times"))
        );
        assert!(!refused.body.contains("/connect/"), "{refused:?}");
    }
    assert!(setting.protected.subjects_of("tools/call").is_empty());
    assert_eq!(setting.provider.ledger.authorizations().len(), 4);
    // It keeps nobody from what needs no more.
    setting.protected.demand(None);
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
}
