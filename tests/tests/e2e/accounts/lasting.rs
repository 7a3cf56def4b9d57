//! Members connect once: what they agreed to outlives programs, and clients of theirs and of ours.

use portcullis_tests::mcp::Era;

use super::{ADA, ADA_THERE, Setting, account_of, link_of, whoami};

#[tokio::test]
async fn nobody_consents_twice() {
    let mut setting = Setting::start().await;
    setting.connected(&setting.agent(Era::Modern), ADA, ADA_THERE).await;
    // Another client, of another version.
    let mut other = setting.agent(Era::Legacy("2025-06-18"));
    other.initialize().await;
    assert_eq!(account_of(&whoami(&other).await), ADA_THERE);

    setting.stack.service.kill().expect("it ends");
    setting.stack.service.restart().await.expect("it starts");
    setting.stack.restart_envoy().await.expect("it starts");
    assert_eq!(account_of(&whoami(&setting.agent(Era::Modern)).await), ADA_THERE);

    // The token ends while nobody is there to renew it.
    setting.stack.service.kill().expect("it ends");
    setting.provider.expire_access_tokens();
    setting.stack.service.restart().await.expect("it starts");
    setting.stack.restart_envoy().await.expect("it starts");
    assert_eq!(account_of(&whoami(&setting.agent(Era::Modern)).await), ADA_THERE);
    assert_eq!(setting.provider.ledger.authorizations().len(), 1);
    assert_eq!(setting.provider.ledger.requests_of("refresh_token").len(), 1);
}

#[tokio::test]
async fn a_client_that_the_provider_forgot_is_registered_again() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    setting.connected(&agent, ADA, ADA_THERE).await;
    let client = || setting.provider.ledger.authorizations().pop().expect("an authorization").client_id;
    let forgotten = client();
    setting.provider.forget_client(&forgotten);
    // What was given stays good for as long as it is.
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);

    setting.provider.expire_access_tokens();
    let link = link_of(&whoami(&agent).await);
    setting.connect(&link, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    assert_ne!(client(), forgotten);
    assert_eq!(setting.provider.ledger.reuses(), 0);
}
