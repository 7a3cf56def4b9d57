//! A server that moves to another origin: nobody's account goes along before an administrator has decided.

use portcullis_tests::mcp::Era;
use portcullis_tests::patience::within;
use portcullis_tests::provider::ledger::Event;
use portcullis_tests::provider::shape::{Resource, Shape};
use portcullis_tests::upstream::protected::Protected;
use serde_json::{Value, json};

use super::{ADA, ADA_THERE, GRACE_NAME, GRACE_THERE, LINEAR, Setting, account_of, link_of, oauth, whoami};

/// Two members who are connected, and the address that the server has moved to.
struct Moved {
    setting: Setting,
    new: Protected,
}

impl Moved {
    /// The provider's tokens are good at both places, as tokens are that are bound to none.
    async fn start() -> Self {
        Self::with(Resource::Ignored).await
    }

    async fn with(resource: Resource) -> Self {
        let shape = Shape { resource, ..Shape::linear() };
        let setting = Setting::with(shape, oauth()).await;
        let new = Protected::behind(&setting.provider).await.expect("another server");
        let (ada, grace) = (setting.agent(Era::Modern), setting.graces_agent(Era::Modern));
        setting.connected(&ada, ADA, ADA_THERE).await;
        setting.connected(&grace, GRACE_NAME, GRACE_THERE).await;
        assert_eq!(account_of(&whoami(&ada).await), ADA_THERE);
        let moved = json!({"url": new.url(), "allow_http": true});
        setting.admin("PATCH", "", moved).await;
        setting.protected.clear();
        Self { setting, new }
    }

    /// Whether anything that belongs to a member got to the new place. The gateway itself looks who asks there for
    /// tokens, and shows none.
    fn is_untouched(&self) -> bool {
        let calls = self.new.calls();
        let shown =
            |entry: &portcullis_tests::upstream::journal::Entry| !entry.header("authorization").is_empty();
        calls.iter().all(|call| call.subject.is_none() && call.method != "tools/call")
            && !self.new.journal.entries().iter().any(shown)
    }

    /// Every call is answered with a link, and nothing goes to where the server is now or was before.
    async fn is_on_hold(&self) {
        for agent in [self.setting.agent(Era::Modern), self.setting.graces_agent(Era::Modern)] {
            let told = whoami(&agent).await;
            assert_eq!((told.status, &told.answer()["result"]["isError"]), (200, &json!(true)), "{told:?}");
            link_of(&told);
        }
        assert!(self.is_untouched(), "{:?}", self.new.journal.entries());
        assert!(self.setting.protected.calls().is_empty(), "{:?}", self.setting.protected.calls());
        assert_eq!(self.states().await, ["quarantined", "quarantined"]);
    }

    async fn states(&self) -> Vec<Value> {
        self.setting.connections().await.into_iter().map(|connection| connection["state"].clone()).collect()
    }
}

impl Setting {
    /// Asks the admin API for something about the server, and waits until every filter knows.
    async fn admin(&self, method: &str, path: &str, body: Value) -> Value {
        let path = format!("/v1/servers/{LINEAR}{path}?wait=applied");
        let admin = self.stack.admin();
        let reply =
            if method == "PATCH" { admin.patch(&path, body).await } else { admin.post(&path, body).await };
        reply.unwrap_or_else(|error| panic!("{error:#}"))
    }
}

#[tokio::test]
async fn released_connections_go_on_with_the_old_accounts() {
    let moved = Moved::start().await;
    moved.is_on_hold().await;
    let outcome = moved.setting.admin("POST", "/quarantine", json!({"decision": "release"})).await;
    assert_eq!(outcome, json!({"decided": 2}));
    let before = moved.setting.provider.ledger.authorizations().len();
    assert_eq!(account_of(&whoami(&moved.setting.agent(Era::Modern)).await), ADA_THERE);
    assert_eq!(account_of(&whoami(&moved.setting.graces_agent(Era::Modern)).await), GRACE_THERE);
    assert_eq!(moved.new.subjects_of("tools/call"), [ADA_THERE, GRACE_THERE]);
    assert_eq!(moved.setting.provider.ledger.authorizations().len(), before, "nobody was asked again");
    // And from there they are renewed as ever.
    moved.setting.provider.expire_access_tokens();
    assert_eq!(account_of(&whoami(&moved.setting.agent(Era::Modern)).await), ADA_THERE);
    assert!(moved.setting.protected.calls().is_empty());
}

#[tokio::test]
async fn discarded_connections_end_at_the_provider_too() {
    let moved = Moved::start().await;
    moved.is_on_hold().await;
    let outcome = moved.setting.admin("POST", "/quarantine", json!({"decision": "discard"})).await;
    assert_eq!(outcome, json!({"decided": 2}));
    for account in [ADA_THERE, GRACE_THERE] {
        let revoked =
            |event: &Event| matches!(event, Event::Revoked { subject: Some(who), .. } if who == account);
        within("the revocation at the provider", moved.setting.provider.ledger.wait_for(revoked)).await;
    }
    assert_eq!(moved.states().await, ["disconnected", "disconnected"]);
    let agent = moved.setting.agent(Era::Modern);
    let link = link_of(&whoami(&agent).await);
    assert!(moved.is_untouched(), "{:?}", moved.new.journal.entries());
    moved.setting.connect(&link, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    assert_eq!(moved.new.subjects_of("tools/call"), [ADA_THERE]);
    link_of(&whoami(&moved.setting.graces_agent(Era::Modern)).await);
}

/// A consent of the member is a decision about the new origin, too.
#[tokio::test]
async fn whoever_connects_anew_waits_for_no_decision() {
    let moved = Moved::start().await;
    let agent = moved.setting.agent(Era::Modern);
    moved.setting.connected(&agent, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    assert_eq!(moved.new.subjects_of("tools/call"), [ADA_THERE]);
    let outcome = moved.setting.admin("POST", "/quarantine", json!({"decision": "discard"})).await;
    assert_eq!(outcome, json!({"decided": 1}), "Grace's");
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
}

/// Tokens that are bound to the old address cannot be released, whatever the administrator says.
#[tokio::test]
async fn released_tokens_of_no_use_at_the_new_address_end_in_a_link() {
    let moved = Moved::with(Resource::Required).await;
    moved.setting.admin("POST", "/quarantine", json!({"decision": "release"})).await;
    let agent = moved.setting.agent(Era::Modern);
    let link = link_of(&whoami(&agent).await);
    assert!(moved.new.subjects_of("tools/call").is_empty());
    moved.setting.connect(&link, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    assert_eq!(moved.new.subjects_of("tools/call"), [ADA_THERE]);
}
