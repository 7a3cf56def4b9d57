//! A client's sign-in in a real browser, from the address that it opens to its own page at the end.

use portcullis_tests::artifacts::repository;
use portcullis_tests::browser::Browser;
use portcullis_tests::demo::DESK;
use portcullis_tests::sdk::{Action, Era, Event, Outcome, Sdk};

use super::{ADA_THERE, Setting, job};

#[tokio::test]
async fn a_person_allows_a_client_and_connects_the_account_it_needs_on_the_way() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let setting = Setting::start().await;
    let person = browser.person("ada").await;
    let pictures = repository().join("target/pages");
    std::fs::create_dir_all(&pictures)?;
    let attend = async |event| {
        match event {
            Event::Authorize(url) => {
                assert_eq!(person.goto(&url).await, 200);
                person.screenshot(&pictures.join("client-sign-in.png")).await;
                person.click("button", "Ada Lovelace Core").await;
                person.screenshot(&pictures.join("client-consent.png")).await;
                assert_eq!(person.overflow().await, 0);
                person.click("button", "Allow").await;
                person.screenshot(&pictures.join("client-chain.png")).await;
                person.click("button", "Continue to 127.0.0.1").await;
                person.wait_for_url("/callback").await;
            }
            Event::Answered(_) => {}
            Event::Open(url) => panic!("opens {url}"),
        }
        Action::Accept
    };
    let job = job(setting.stack.url(DESK), None, Era::Modern, 1);
    let Some(report) = Sdk::TypeScriptV2.drive_attended(&job, attend).await? else { return Ok(()) };
    let Outcome::Result(result) = &report.calls[0].outcome else { panic!("{report:?}") };
    assert!(!result.is_error, "{result:?}");
    assert_eq!(setting.demo.desk.subjects_of("tools/call"), [ADA_THERE]);
    Ok(())
}
