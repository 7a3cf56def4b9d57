//! Tokens that end: renewed without anybody noticing, or the member is asked again. Never a loop.

use portcullis_tests::mcp::Era;
use portcullis_tests::soak::stampede::at_once;
use portcullis_tests::upstream::protected::Verdict;

use super::{ADA, ADA_THERE, Setting, account_of, link_of, whoami};

/// What became of the calls; what the gateway learns about the server in between is another matter.
fn verdicts(setting: &Setting) -> Vec<Verdict> {
    let calls = setting.protected.calls().into_iter();
    calls.filter(|call| call.name.as_deref() == Some("whoami")).map(|call| call.verdict).collect()
}

#[tokio::test]
async fn a_call_whose_token_is_refused_is_sent_again_with_a_new_one() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    setting.connected(&agent, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    setting.provider.expire_access_tokens();
    setting.protected.clear();
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    assert_eq!(verdicts(&setting), [Verdict::Unauthorized, Verdict::Served]);
    assert_eq!(setting.provider.ledger.requests_of("refresh_token").len(), 1);
    assert_eq!(setting.provider.ledger.reuses(), 0);
    // The next one has the new token from the start.
    setting.protected.clear();
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    assert_eq!(verdicts(&setting), [Verdict::Served]);
    assert!(setting.stack.filter_never_trapped().await);
}

#[tokio::test]
async fn a_thousand_calls_at_once_renew_once() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    setting.connected(&agent, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    setting.provider.expire_access_tokens();
    let replies = at_once(1000, || {
        let agent = agent.clone();
        async move { whoami(&agent).await }
    });
    let replies = replies.await;
    assert!(replies.iter().all(|reply| account_of(reply) == ADA_THERE));
    let renewals = setting.provider.ledger.requests_of("refresh_token").len();
    println!("{} calls at once on one expired connection: {renewals} token request(s)", replies.len());
    assert_eq!((replies.len(), renewals), (1000, 1));
}

#[tokio::test]
async fn an_account_that_was_withdrawn_has_to_be_connected_again() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    setting.connected(&agent, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    setting.provider.withdraw(ADA_THERE);
    setting.protected.clear();
    let told = whoami(&agent).await;
    let link = link_of(&told);
    for _ in 0..5 {
        link_of(&whoami(&agent).await);
    }
    assert_eq!(verdicts(&setting), [Verdict::Unauthorized], "the server is asked once, then no more");
    assert_eq!(setting.provider.ledger.requests_of("refresh_token").len(), 1);
    setting.connect(&link, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
}

#[tokio::test]
async fn a_server_that_refuses_every_token_ends_in_a_link_and_no_loop() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    setting.connected(&agent, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    setting.protected.refuse_everything(true);
    setting.protected.clear();
    link_of(&whoami(&agent).await);
    assert_eq!(verdicts(&setting), [Verdict::Unauthorized; 2], "the call and its one repetition");
    assert_eq!(setting.provider.ledger.requests_of("refresh_token").len(), 1);
}

#[tokio::test]
async fn a_restart_asks_nobody_anything() {
    let mut setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    setting.connected(&agent, ADA, ADA_THERE).await;
    let consents = setting.provider.ledger.authorizations().len();
    setting.stack.service.kill().expect("a process to end");
    setting.stack.service.restart().await.expect("a start");
    let reply = portcullis_tests::patience::poll(async || {
        let reply = whoami(&agent).await;
        (reply.status == 200).then_some(reply)
    });
    assert_eq!(account_of(&reply.await.expect("an answer")), ADA_THERE);
    assert_eq!(setting.provider.ledger.authorizations().len(), consents);
}
