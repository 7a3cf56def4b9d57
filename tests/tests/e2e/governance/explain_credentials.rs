//! Why was this denied? For what a credential is good for, and for policy and limits that judge more than a name.

use jwt_simple::prelude::{Duration, JWTClaims, NoCustomClaims};
use portcullis_tests::idp::IdentityProvider;
use portcullis_tests::mcp::{Agent, Era, Reply};
use portcullis_tests::stack::{Builder, SAMPLE, SCRIPTED, Stack};
use serde_json::{Value, json};

use super::explain::{Denial, assert_explained};
use crate::identity::Setting;

async fn whoami(agent: &Agent) -> Reply {
    agent.call_tool("whoami", json!({})).await
}

async fn stack(issuers: Value) -> Stack {
    let builder = Builder { issuers, ..Builder::default() };
    Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"))
}

async fn put(stack: &Stack, path: &str, body: Value) {
    let path = format!("{path}?wait=applied");
    stack.admin().put(&path, body).await.unwrap_or_else(|error| panic!("{error:#}"));
}

fn claims_that(idp: &IdentityProvider, spoil: impl Fn(&mut JWTClaims<NoCustomClaims>)) -> String {
    let mut claims = idp.claims();
    spoil(&mut claims);
    idp.sign(claims)
}

#[tokio::test]
async fn tokens_of_the_companys_issuer() {
    let (idp, stranger) = (IdentityProvider::default(), IdentityProvider::default());
    let stack = stack(idp.issuers()).await;
    let hour = Duration::from_hours(1);
    let with = |token: String, slug: &str| Agent::new(stack.url(slug), Some(&token), Era::Modern);
    for (token, slug, rule, holds) in [
        (
            claims_that(&idp, |claims| claims.expires_at = claims.issued_at.map(|at| at - hour)),
            SAMPLE,
            "credential_expired",
            "depends",
        ),
        (
            claims_that(&idp, |claims| claims.invalid_before = claims.issued_at.map(|at| at + hour)),
            SAMPLE,
            "token_not_yet_valid",
            "depends",
        ),
        (
            claims_that(&idp, |claims| claims.issuer = Some("https://elsewhere.example".into())),
            SAMPLE,
            "unknown_issuer",
            "depends",
        ),
        (stranger.sign(stranger.claims()), SAMPLE, "bad_token_signature", "depends"),
        (idp.sign(idp.claims().with_audience("elsewhere")), SAMPLE, "wrong_audience", "depends"),
        (idp.sign(idp.claims().with_subject("nobody")), SAMPLE, "member/unknown", "yes"),
    ] {
        let denial = Denial { reply: whoami(&with(token, slug)).await, rule, holds };
        assert_explained(&stack, &denial).await;
    }
    assert_eq!(whoami(&with(idp.sign(idp.claims()), SAMPLE)).await.status, 200);
}

#[tokio::test]
async fn tokens_that_say_something_else_than_the_rules_of_their_issuer() {
    let idp = IdentityProvider::default();
    let mut issuers = idp.issuers();
    issuers[0]["claims"] = json!([{"claim": "department", "equals": "support"}]);
    let stack = stack(issuers).await;
    let agent = Agent::new(stack.url(SAMPLE), Some(&idp.sign(idp.claims())), Era::Modern);
    let denial = Denial { reply: whoami(&agent).await, rule: "issuer/claims", holds: "depends" };
    assert_eq!(denial.reply.status, 403);
    assert_explained(&stack, &denial).await;
}

#[tokio::test]
async fn the_sign_in_of_a_client() {
    let setting = Setting::with_workers(1).await;
    let (_, reading) = setting.tokens(SAMPLE, "mcp:read").await;
    let reader = setting.agent_with(SAMPLE, &reading.access, Era::Modern);
    let refused = reader.call_tool("create_issue", json!({"title": "x"})).await;
    let denial = Denial { reply: refused, rule: "insufficient_scope", holds: "yes" };
    assert_explained(&setting.stack, &denial).await;
    // A token is for the one path that it was signed in for.
    let elsewhere = reader.at(setting.stack.url("sample-open"), Era::Modern);
    let denial = Denial { reply: whoami(&elsewhere).await, rule: "wrong_audience", holds: "depends" };
    assert_explained(&setting.stack, &denial).await;
    let sessions = format!("/v1/members/{}/sessions", setting.stack.seeded.member);
    let sessions = setting.stack.admin().get(&sessions).await.expect("a list");
    let session = sessions["sessions"][0]["id"].as_str().expect("a session");
    setting.stack.admin().delete(&format!("/v1/sessions/{session}?wait=applied")).await.expect("ended");
    let denial = Denial { reply: whoami(&reader).await, rule: "session/unknown", holds: "depends" };
    assert_explained(&setting.stack, &denial).await;
}

#[tokio::test]
async fn keys_that_have_run_out_or_are_for_less() {
    let stack = stack(json!([])).await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    let key = format!("/v1/keys/{}", stack.seeded.key.id);
    for (limits, rule) in [
        (json!({"servers": [SCRIPTED]}), "key/scope.servers"),
        (json!({"servers": null, "tools": {"allow": ["get_*"]}}), "key/tools.allow"),
    ] {
        let path = format!("{key}?wait=applied");
        stack.admin().patch(&path, json!({"limits": limits})).await.expect("narrowed");
        assert_explained(&stack, &Denial { reply: whoami(&agent).await, rule, holds: "yes" }).await;
    }
    stack.admin().post(&format!("{key}/rotate"), json!({"overlap_seconds": 0})).await.expect("a new key");
    let renamed = json!({"name": "Ada again"});
    let member = format!("/v1/members/{}?wait=applied", stack.seeded.member);
    stack.admin().patch(&member, renamed).await.expect("applied");
    assert_explained(&stack, &Denial { reply: whoami(&agent).await, rule: "key/expired", holds: "yes" })
        .await;
}

#[tokio::test]
async fn policy_that_looks_at_more_than_names() {
    let stack = stack(json!([])).await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    let server = stack.server_id(SAMPLE).to_owned();
    let policy = format!("/v1/policies/workspace:core/{server}");
    let issue = async || agent.call_tool("create_issue", json!({"title": "secret plans"})).await;
    let titles = json!({"tool": "create_issue", "argument": "/title", "is": {"prefix": "public "}});
    for (rules, rule, holds) in [
        (json!({"arguments": [titles]}), "workspace/arguments:/title", "depends"),
        (json!({"read_only": true}), "workspace/read_only", "yes"),
        (json!({"new_tools": "hold"}), "workspace/new_tools", "yes"),
    ] {
        put(&stack, &policy, rules).await;
        stack.sample.journal.clear();
        let denial = Denial { reply: issue().await, rule, holds };
        assert_explained(&stack, &denial).await;
        assert!(!stack.sample.journal.entries().iter().any(|entry| entry.contains("secret plans")), "{rule}");
    }
    put(&stack, &policy, json!({})).await;
    put(&stack, "/v1/limits/workspace:core/burst", json!({"requests": 1, "per": "hour"})).await;
    assert_eq!(whoami(&agent).await.status, 200);
    let over = Denial { reply: whoami(&agent).await, rule: "workspace/limits:burst", holds: "depends" };
    assert_eq!(over.reply.status, 429);
    assert_explained(&stack, &over).await;
}

#[tokio::test]
async fn as_many_at_once_as_a_server_may_have() {
    let stack = stack(json!([])).await;
    let path = format!("/v1/servers/{SCRIPTED}?wait=applied");
    stack.admin().patch(&path, json!({"concurrency": 1})).await.expect("limited");
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let first = async || agent.call_tool("allowed", json!({})).await;
    let second = async {
        let conversation = stack.scripted.next_request().await;
        let denial = Denial { reply: first().await, rule: "server/concurrency", holds: "depends" };
        assert_explained(&stack, &denial).await;
        conversation
            .json(&json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": []}}))
            .await;
    };
    let (served, ()) = tokio::join!(first(), second);
    assert_eq!(served.status, 200, "{served:?}");
}
