//! What the company's groups give, and take away again.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::login::Login;
use super::{SESSION, sign_in, signed_in};
use crate::browser::Browser;
use crate::harness::{Service, key_of};

const RULES: &str = "{group: engineers, workspace: core}, {group: leads, workspace: core, role: manager}, \
                     {group: sales, workspace: sales}, {group: it, organization_role: admin}";

/// With a server that every workspace has, and a member who is declared.
async fn started(login: &Login) -> Service {
    let issuer = login.issuer();
    let declared = format!(
        "admin_token: always
workspaces:
  - {{slug: core, members: [{{issuer: '{issuer}', subject: declared, name: Declared}}]}}
  - {{slug: sales}}
servers: [{{slug: open, url: 'https://mcp.example/mcp', auth: {{type: none}}, workspaces: all}}]
"
    );
    Service::start(&format!("{}{declared}", login.configuration(RULES))).await
}

fn with(groups: &[&str]) -> Value {
    json!({"sub": "ada", "name": "Ada", "groups": groups})
}

#[tokio::test]
async fn memberships_come_lapse_and_come_back_with_the_groups() {
    let login = Login::start().await;
    let service = started(&login).await;
    let mut browser = Browser::new(&service);
    signed_in(&mut browser, &login, with(&["engineers", "sales", "other"])).await;
    let id = service.member_id("core", "ada").await;
    let shown = service.get(&format!("/v1/members/{id}")).await.body;
    assert_eq!(
        (&shown["name"], &shown["role"], &shown["origin"]),
        (&json!("Ada"), &json!("member"), &json!("sign_in"))
    );
    let key = key_of(&service, "ada").await;
    let lease = async || service.lease_with_key("open", &key).await.body["result"].clone();
    assert_eq!(lease().await, "granted", "{}", service.lease_with_key("open", &key).await.text);

    // No longer an engineer: refused at once, and told to filters.
    let before = service.revision().await;
    signed_in(&mut browser, &login, with(&["sales"])).await;
    assert_eq!(service.lease_with_key("open", &key).await.body["reason"], "disabled_credential");
    let watch = service.watch("a-filter", before).await;
    assert!(watch.text.contains(&id), "{}", watch.text);
    assert_eq!(service.get(&format!("/v1/members/{id}")).await.body["lapsed"], true);

    signed_in(&mut browser, &login, with(&["leads"])).await;
    let shown = service.get(&format!("/v1/members/{id}")).await.body;
    assert_eq!((&shown["lapsed"], &shown["role"]), (&json!(false), &json!("manager")));
    assert_eq!(lease().await, "granted", "the key was kept");

    // Nothing is left: the sign-in is refused, and the membership gone.
    let reply = sign_in(&mut Browser::new(&service), &login, with(&[])).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert!(reply.text.contains("Ask whoever looks after this gateway"), "{}", reply.text);
    assert_eq!(service.lease_with_key("open", &key).await.body["reason"], "disabled_credential");
    let who = service.get("/v1/audit?limit=1").await.body["entries"][0]["who"].clone();
    assert_eq!(who, "sign_in");
}

#[tokio::test]
async fn groups_that_cannot_be_read_let_nobody_in_and_change_nothing() {
    let login = Login::start().await;
    let service = started(&login).await;
    signed_in(&mut Browser::new(&service), &login, with(&["engineers"])).await;
    let before = service.revision().await;
    for claims in [
        json!({"sub": "ada", "groups": "engineers"}),
        json!({"sub": "ada", "groups": ["engineers", 7]}),
        json!({"sub": "ada", "groups": null}),
        json!({"sub": "ada", "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x"}}}),
    ] {
        let mut browser = Browser::new(&service);
        let reply = sign_in(&mut browser, &login, claims.clone()).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{claims}");
        assert!(!browser.cookies.contains_key(SESSION), "{claims}");
    }
    assert_eq!(service.revision().await, before, "nobody has lapsed by it");
    // Case makes another group, and ten thousand are no trouble.
    let mut many: Vec<String> = (0..10_000).map(|number| format!("group-{number}")).collect();
    let nobody = json!({"sub": "grace", "groups": ["Engineers", "ENGINEERS"]});
    assert_eq!(sign_in(&mut Browser::new(&service), &login, nobody).await.status, StatusCode::FORBIDDEN);
    many.push("engineers".into());
    signed_in(&mut Browser::new(&service), &login, json!({"sub": "grace", "groups": many})).await;
}

#[tokio::test]
async fn an_address_makes_nobody_somebody_else() {
    let login = Login::start().await;
    let service = started(&login).await;
    let claims = |sub: &str, email: &str, verified: bool| json!({"sub": sub, "name": sub, "email": email, "email_verified": verified, "groups": ["engineers"]});
    signed_in(&mut Browser::new(&service), &login, claims("ada", "ada@example.com", true)).await;
    let ada = service.member_id("core", "ada").await;
    // The same address, verified or not, of somebody else; and another address of the same person.
    for verified in [true, false] {
        let mut mallory = Browser::new(&service);
        signed_in(&mut mallory, &login, claims("mallory", "ada@example.com", verified)).await;
        assert_ne!(service.member_id("core", "mallory").await, ada);
        assert!(mallory.get("/connections").await.text.contains("mallory"));
    }
    signed_in(&mut Browser::new(&service), &login, claims("ada", "new@example.com", false)).await;
    assert_eq!(service.member_id("core", "ada").await, ada);
}

#[tokio::test]
async fn what_others_have_made_is_theirs() {
    let login = Login::start().await;
    let service = started(&login).await;
    let declared = service.member_id("core", "declared").await;
    let body = json!({"issuer": login.issuer(), "subject": "made", "role": "manager"});
    let made = service.post("/v1/workspaces/core/members", body).await.id();
    for subject in ["declared", "made"] {
        let claims = json!({"sub": subject, "name": "x", "groups": []});
        signed_in(&mut Browser::new(&service), &login, claims).await;
    }
    for (id, role) in [(declared, "member"), (made, "manager")] {
        let shown = service.get(&format!("/v1/members/{id}")).await.body;
        assert_eq!((&shown["lapsed"], &shown["role"]), (&json!(false), &json!(role)));
    }
    // Whoever is somebody by the groups is changed there.
    signed_in(&mut Browser::new(&service), &login, with(&["engineers", "it"])).await;
    let ada = service.member_id("core", "ada").await;
    let reply = service.patch(&format!("/v1/members/{ada}"), json!({"role": "manager"})).await;
    assert_eq!(reply.status, StatusCode::CONFLICT, "{}", reply.text);
    let all = service.get("/v1/administrators").await.body;
    let admin = &all["administrators"][0];
    assert_eq!(
        (&admin["subject"], &admin["role"], &admin["origin"]),
        (&json!("ada"), &json!("admin"), &json!("sign_in"))
    );
    let path = format!("/v1/administrators/{}", admin["id"].as_str().expect("an id"));
    assert_eq!(service.patch(&path, json!({"role": "owner"})).await.status, StatusCode::CONFLICT);
    let reply = service.patch(&format!("/v1/members/{ada}"), json!({"disabled": true})).await;
    assert_eq!(reply.status, StatusCode::OK);
    signed_in(&mut Browser::new(&service), &login, with(&["engineers", "it"])).await;
    assert_eq!(service.get(&format!("/v1/members/{ada}")).await.body["disabled"], true, "it stays so");
    signed_in(&mut Browser::new(&service), &login, with(&["sales"])).await;
    assert_eq!(service.get("/v1/administrators").await.body["administrators"], json!([]));
}
