//! Every kind of gateway credential at every kind of server, with an SDK as the client.

use portcullis_tests::demo::{DESK, SHARED_DESK};
use portcullis_tests::sdk::{Action, Era, Event, Outcome, Sdk};
use portcullis_tests::stack::SAMPLE;

use super::{ADA_THERE, Setting, allow, job};
use crate::accounts::ADA;

#[tokio::test]
async fn every_credential_is_good_at_every_kind_of_server() -> anyhow::Result<()> {
    let setting = Setting::start().await;
    let token = setting.idp.sign(setting.idp.claims());
    let credentials = [
        // First, because it connects the account that the others use too.
        ("access_token", None),
        ("member_key", Some(setting.stack.seeded.key.text.clone())),
        ("jwt", Some(token)),
    ];
    for (kind, credential) in credentials {
        for slug in [SAMPLE, DESK, SHARED_DESK] {
            let attend = async |event| {
                match event {
                    Event::Authorize(url) => drop(allow(&url, ADA).await),
                    Event::Answered(_) => {}
                    Event::Open(url) => panic!("{kind} at {slug} opens {url}"),
                }
                Action::Accept
            };
            let job = job(setting.stack.url(slug), credential.clone(), Era::Modern, 1);
            let Some(report) = Sdk::TypeScriptV2.drive_attended(&job, attend).await? else { return Ok(()) };
            let Outcome::Result(result) = &report.calls[0].outcome else {
                panic!("{kind} at {slug}: {report:?}")
            };
            assert!(!result.is_error, "{kind} at {slug}: {result:?}");
            assert!(!report.tools.contains(&"delete_issue".to_owned()), "{kind} at {slug}: policy counts");
            let records = setting.stack.envoy.access_log.records();
            let last = records.iter().rev().find(|record| record["name"] == "whoami").expect("a record");
            assert_eq!((&last["credential"], &last["server"]), (&kind.into(), &slug.into()), "{last}");
        }
    }
    assert_eq!(
        setting.demo.desk.subjects_of("tools/call"),
        [ADA_THERE; 3],
        "one account, whichever credential"
    );
    Ok(())
}
