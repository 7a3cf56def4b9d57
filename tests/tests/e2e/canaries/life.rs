//! Everything that happens to an account and to the gateway's own credentials, by members, agents and servers that
//! repeat whatever they are told.

use portcullis_tests::mcp::{Agent, Era, LATEST_LEGACY, Reply};
use portcullis_tests::patience::{poll, within};
use portcullis_tests::person::{Page, Person};
use portcullis_tests::provider::Provider;
use portcullis_tests::provider::faults::{Endpoint, Fault};
use portcullis_tests::provider::ledger::Event;
use serde_json::{Value, json};

use super::kept::Kept;
use super::parrot::{ASK, BREAK, FAIL, MORE, SAY, STATE, STREAM};
use super::world::{FIXED, LINEAR, MACHINE, PARROT, SIGNED, World};
use crate::accounts::{ADA, ADA_THERE, link_of};

pub(crate) struct Life<'a> {
    world: &'a World,
    kept: &'a mut Kept,
    ada: Person,
}

impl<'a> Life<'a> {
    pub(crate) fn new(world: &'a World, kept: &'a mut Kept) -> Self {
        Self { world, kept, ada: Person::new() }
    }

    pub(crate) async fn live(&mut self) {
        self.connect_and_call().await;
        self.renew_and_step_up().await;
        self.lose_and_reconnect().await;
        self.others().await;
        self.go_astray().await;
        self.disconnect().await;
    }

    async fn connect_and_call(&mut self) {
        let asked = self.call(PARROT, SAY, json!({})).await;
        let state = asked.answer()["result"]["requestState"].clone();
        self.connect(&self.world.desk, &link_of(&asked)).await;
        let answer = json!({
            "requestState": state, "inputResponses": {"portcullis_connect": {"action": "accept"}},
        });
        self.echoes(PARROT, SAY, answer).await;
        self.all_echoes(PARROT).await;
        // What the server says of itself repeats the token, and is not kept for others.
        let log = &self.world.stack.service.process;
        let learnt = poll(async || log.log().contains("repeats the credential").then_some(()));
        learnt.await.expect("the catalogue is looked at");
        let grace = self.world.stack.agent_of(&self.world.stack.seeded.others[0].key, PARROT, Era::Modern);
        let listed = grace.call("tools/list", json!({})).await;
        self.kept.reply("a list", listed);
    }

    async fn renew_and_step_up(&mut self) {
        self.world.parrot.expire();
        self.echoes(PARROT, SAY, json!({})).await;
        assert_eq!(self.world.desk.ledger.requests_of("refresh_token").len(), 1);
        let asked = self.call(PARROT, MORE, json!({})).await;
        self.connect(&self.world.desk, &link_of(&asked)).await;
        let scope = self.world.desk.ledger.authorizations().pop().expect("a consent").scope;
        assert!(scope.contains("export"), "{scope}");
        self.echoes(PARROT, SAY, json!({})).await;
    }

    /// The account is gone, and the provider repeats the refresh token when it says so, and then a code.
    async fn lose_and_reconnect(&mut self) {
        let desk = &self.world.desk;
        let asked = self.call(PARROT, ASK, json!({})).await;
        assert_eq!(asked.answer()["result"]["requestState"], STATE, "{asked:?}");
        self.kept.secret("the server's state", STATE);
        let answered =
            json!({"requestState": STATE, "inputResponses": {"q": {"action": "accept", "content": {}}}});
        self.world.parrot.expire();
        desk.fail(Endpoint::Token, [Fault::Echo(400, "invalid_grant"), Fault::Echo(400, "invalid_grant")]);
        let ours = self.call(PARROT, ASK, answered.clone()).await;
        let page = self.agree(desk, &link_of(&ours)).await;
        assert_eq!(page.status, 400, "{}", page.text());
        let again = self.call(PARROT, ASK, answered).await;
        self.connect(desk, &link_of(&again)).await;
        let state = again.answer()["result"]["requestState"].clone();
        let answer = json!({
            "requestState": state, "inputResponses": {"portcullis_connect": {"action": "accept"}},
        });
        self.echoes(PARROT, ASK, answer).await;
    }

    /// A client registered by the gateway itself, and credentials of the gateway's own.
    async fn others(&mut self) {
        let asked = self.call(LINEAR, "whoami", json!({})).await;
        self.connect(&self.world.linear, &link_of(&asked)).await;
        for _ in 0..2 {
            let told = self.call(LINEAR, "whoami", json!({})).await;
            assert!(told.body.contains(ADA_THERE), "{told:?}");
            self.world.linear.expire_access_tokens();
        }
        for slug in [FIXED, SIGNED, MACHINE] {
            self.all_echoes(slug).await;
        }
        self.world.machine.expire();
        self.world.machines.fail(Endpoint::Token, [Fault::Echo(401, "invalid_client")]);
        let failed = self.call(MACHINE, SAY, json!({})).await;
        assert!(failed.answer()["error"].is_object(), "{failed:?}");
        let stack = &self.world.stack;
        let mut grace = stack.agent_of(&stack.seeded.others[0].key, PARROT, Era::Legacy(LATEST_LEGACY));
        let shaken = grace.initialize_with(json!({"elicitation": {"form": {}, "url": {}}})).await;
        self.kept.reply("initialize", shaken);
        let asked = grace.call_tool(SAY, json!({})).await;
        link_of(&self.kept.reply("a legacy call", asked));
    }

    /// Secrets in places where they do not belong.
    async fn go_astray(&mut self) {
        for (name, secret) in [
            ("wrong key", "pcl_local_canaryWrongKey5d1f0c_000000"),
            ("wrong code", "canary-wrong-code-5d1f0c"),
            ("wrong state", "canary-wrong-state-5d1f0c"),
            ("wrong ticket", "canary-wrong-ticket-5d1f0c-aaaaaaaaaaaaaaaa"),
        ] {
            self.kept.secret(name, secret);
        }
        let stack = &self.world.stack;
        let stranger =
            stack.agent(PARROT, Era::Modern).with_credential(Some("pcl_local_canaryWrongKey5d1f0c_000000"));
        let refused = stranger.call_tool(SAY, json!({})).await;
        assert_eq!(self.kept.reply("a stranger", refused).status, 401);
        let callback = format!(
            "{}?code=canary-wrong-code-5d1f0c&state=canary-wrong-state-5d1f0c",
            stack.callback_url(PARROT)
        );
        let link = format!("{}/connect/canary-wrong-ticket-5d1f0c-aaaaaaaaaaaaaaaa", stack.public_url());
        for url in [callback, link] {
            let page = self.kept.open(&self.ada, &url).await;
            assert!((400..500).contains(&page.status), "{}", page.text());
        }
    }

    async fn disconnect(&mut self) {
        let desk = &self.world.desk;
        desk.fail(Endpoint::Revoke, [Fault::Echo(400, "invalid_request"), Fault::Echo(503, "server_error")]);
        let page = self.kept.open(&self.ada, &format!("{}/connections", self.world.stack.public_url())).await;
        // The first that is connected; and the other.
        let page = self.kept.press(&self.ada, &page, "Disconnect").await;
        self.kept.press(&self.ada, &page, "Disconnect").await;
        let told =
            desk.ledger.wait_for(|event| matches!(event, Event::Fault { endpoint: Endpoint::Revoke, .. }));
        within("the revocation at one provider", told).await;
        let told = self.world.linear.ledger.wait_for(|event| matches!(event, Event::Revoked { .. }));
        within("the revocation at the other provider", told).await;
        let last = self.call(PARROT, SAY, json!({})).await;
        self.world.stack.envoy.access_log.record_of(last.request_id()).await;
    }

    async fn all_echoes(&mut self, slug: &str) {
        for tool in [SAY, FAIL, STREAM] {
            self.echoes(slug, tool, json!({})).await;
        }
        // What a failing server says is not passed on at all.
        assert_eq!(self.call(slug, BREAK, json!({})).await.status, 500);
        let listed = self.agent(slug).call("tools/list", json!({})).await;
        assert!(listed.body.contains("****"), "{listed:?}");
        self.kept.reply("a list", listed);
    }

    /// The server repeats its credential, and the client sees that it was masked.
    async fn echoes(&mut self, slug: &str, tool: &str, extra: Value) {
        let reply = self.call(slug, tool, extra).await;
        assert!(reply.body.contains("****"), "{slug} {tool}: {reply:?}");
    }

    async fn call(&mut self, slug: &str, tool: &str, extra: Value) -> Reply {
        let mut params = json!({
            "name": tool, "arguments": {},
            "_meta": {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}, "url": {}}}},
        });
        params.as_object_mut().expect("parameters").extend(extra.as_object().expect("more").clone());
        let reply = self.agent(slug).call("tools/call", params).await;
        self.kept.reply(&format!("{tool} of {slug}"), reply)
    }

    fn agent(&self, slug: &str) -> Agent {
        self.world.stack.agent(slug, Era::Modern)
    }

    async fn connect(&mut self, provider: &Provider, link: &str) {
        let page = self.agree(provider, link).await;
        assert!(page.text().contains("Connected"), "{} {}", page.status, page.text());
    }

    /// Ada opens a link, signs in if she has to, and agrees.
    async fn agree(&mut self, provider: &Provider, link: &str) -> Page {
        provider.approve_as(Some(ADA_THERE));
        let mut page = self.kept.open(&self.ada, link).await;
        if page.url.path() == "/sign-in" {
            page = self.kept.press(&self.ada, &page, ADA).await;
        }
        self.kept.press(&self.ada, &page, "Continue to").await
    }
}
