//! Leases for the bearers of tokens: whose member, in which workspace.

use serde_json::{Value, json};

use crate::harness::{Service, token_proof};

const KEYS: &str =
    "jwks: {keys: [{kty: OKP, crv: Ed25519, kid: one, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}]}";

fn registry() -> String {
    format!(
        "
workspaces:
  - slug: core
    members:
      - {{issuer: 'https://membership.example', subject: ada, name: Ada}}
      - {{issuer: 'https://membership.example', subject: bob, name: Bob}}
  - slug: other
    members:
      - {{issuer: 'https://membership.example', subject: bob, name: Bob}}
servers:
  - slug: docs
    url: https://docs.example/mcp
    auth: {{type: none}}
    workspaces: [core, other]
issuers:
  - {{issuer: 'https://membership.example', audiences: [gateway], {KEYS}}}
  - {{issuer: 'https://fixed.example', audiences: [gateway], workspace: core, auto_provision_members: true, {KEYS}}}
  - {{issuer: 'https://claim.example', audiences: [gateway], workspace_claim: team, {KEYS}}}
"
    )
}

fn ask(workspace: Option<&str>, proof: &Value) -> Value {
    match workspace {
        Some(workspace) => json!({"server": "docs", "workspace": workspace, "proof": proof}),
        None => json!({"server": "docs", "proof": proof}),
    }
}

#[tokio::test]
async fn a_member_of_one_workspace_or_of_the_one_that_the_path_names() {
    let service = Service::start(&registry()).await;
    let issuer = "https://membership.example";
    let (ada, bob) = (token_proof(issuer, "ada", None, 600), token_proof(issuer, "bob", None, 600));
    for (workspace, proof, expected) in [
        (None, &ada, "granted"),
        (Some("core"), &ada, "granted"),
        (Some("other"), &ada, "wrong_workspace"),
        (None, &bob, "wrong_workspace"),
        (Some("other"), &bob, "granted"),
    ] {
        let body = service.lease(&ask(workspace, proof)).await.body;
        let outcome = body["reason"].as_str().or(body["result"].as_str()).expect("an outcome");
        assert_eq!(outcome, expected, "{workspace:?} {proof}");
    }
    let granted = service.lease(&ask(None, &ada)).await.body;
    assert_eq!(granted["caller"]["name"], "Ada");
    assert_eq!(granted["caller"]["credential"], "jwt");
}

#[tokio::test]
async fn strangers_and_old_tokens_are_refused() {
    let service = Service::start(&registry()).await;
    for (proof, expected) in [
        (token_proof("https://membership.example", "eve", None, 600), "unknown_credential"),
        (token_proof("https://unknown.example", "ada", None, 600), "unknown_credential"),
        (token_proof("https://membership.example", "ada", None, -30), "expired_credential"),
        (token_proof("https://claim.example", "ada", Some("core"), 600), "unknown_credential"),
        (token_proof("https://claim.example", "ada", None, 600), "unknown_credential"),
    ] {
        assert_eq!(service.lease(&ask(None, &proof)).await.body["reason"], expected, "{proof}");
    }
}

#[tokio::test]
async fn a_claim_names_the_workspace() {
    let service = Service::start(&registry()).await;
    let member = json!({"issuer": "https://claim.example", "subject": "ada"});
    assert_eq!(service.post("/v1/workspaces/other/members", member).await.status, 201);
    let proof = token_proof("https://claim.example", "ada", Some("other"), 600);
    assert_eq!(service.lease(&ask(None, &proof)).await.body["workspace"]["slug"], "other");
    assert_eq!(service.lease(&ask(Some("core"), &proof)).await.body["reason"], "wrong_workspace");
}

#[tokio::test]
async fn the_first_use_of_a_token_makes_a_member() {
    let service = Service::start(&registry()).await;
    let proof = token_proof("https://fixed.example", "carol", None, 5);
    let first = service.lease(&ask(None, &proof)).await.body;
    assert_eq!(first["result"], "granted");
    assert_eq!(first["ttl_ms"], 35_000, "it ends with the token, by a clock that may be off");
    let again = service.lease(&ask(None, &proof)).await.body;
    assert_eq!(first["caller"], again["caller"]);

    let id = first["caller"]["id"].as_str().expect("an id");
    let member = service.get(&format!("/v1/members/{id}")).await.body;
    assert_eq!((&member["subject"], &member["origin"]), (&json!("carol"), &json!("api")));
    let newest = &service.get("/v1/audit?limit=1").await.body["entries"][0];
    assert_eq!((&newest["who"], &newest["action"]), (&json!("sign_in"), &json!("member.create")));

    service.patch(&format!("/v1/members/{id}"), json!({"disabled": true})).await;
    assert_eq!(service.lease(&ask(None, &proof)).await.body["reason"], "disabled_credential");
}
