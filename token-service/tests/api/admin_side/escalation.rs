//! Nobody gets more than they have, and nobody keeps what they no longer have.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::world::{Person, Role, World};
use crate::harness::Service;

/// A service key that Mia has made while she managed `core`: the key and its id.
async fn key_of_mia(world: &World) -> (String, String) {
    let made = world
        .ask(Role::ManagerHere, Method::POST, "/v1/workspaces/core/keys", Some(&json!({"name": "ci"})))
        .await;
    assert_eq!(
        made.body["key"]["made_by"],
        json!({"issuer": "https://idp.example", "subject": "mia"}),
        "{}",
        made.text
    );
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&made.body["api_key"]), text(&made.body["key"]["id"]))
}

async fn outcome(service: &Service, key: &str) -> String {
    let lease = service.lease_with_key("linear", key).await.body;
    lease["reason"].as_str().or(lease["result"].as_str()).expect("an outcome").to_owned()
}

#[tokio::test]
async fn a_service_key_lasts_as_long_as_its_makers_right_to_make_it() {
    let world = World::start().await;
    let (key, id) = key_of_mia(&world).await;
    let service = &world.service;
    let mia = format!("/v1/members/{}", service.member_id("core", "mia").await);
    assert_eq!(outcome(service, &key).await, "granted");
    for (away, back) in [
        (json!({"role": "member"}), json!({"role": "manager"})),
        (json!({"disabled": true}), json!({"disabled": false})),
    ] {
        let before = service.revision().await;
        service.patch(&mia, away.clone()).await;
        assert_eq!(outcome(service, &key).await, "disabled_credential", "{away}");
        let told = service.watch("a-filter", before).await;
        assert!(told.text.contains(&id), "filters forget the key: {}", told.text);
        service.patch(&mia, back).await;
        assert_eq!(outcome(service, &key).await, "granted");
    }
    // An administrator may make service keys without being a manager.
    let admin = json!({"issuer": "https://idp.example", "subject": "mia", "role": "admin"});
    let admin = service.post("/v1/administrators", admin).await.id();
    service.delete(&mia).await;
    assert_eq!(outcome(service, &key).await, "granted");
    service.delete(&format!("/v1/administrators/{admin}")).await;
    assert_eq!(outcome(service, &key).await, "disabled_credential");
}

#[tokio::test]
async fn a_service_key_gets_no_more_than_its_maker() {
    let world = World::start().await;
    let (key, _) = key_of_mia(&world).await;
    let service = &world.service;
    let target = format!("/v1/policies/member:{}/linear", service.member_id("core", "mia").await);
    service.put(&target, json!({"tools": {"deny": ["delete_*"]}})).await;
    let lease = service.lease_with_key("linear", &key).await.body;
    let levels = lease["policy"]["levels"].as_array().expect("levels");
    assert!(levels.iter().any(|level| level["level"] == "member"), "{lease}");
    service.put(&target, json!({"enabled": false})).await;
    assert_eq!(outcome(service, &key).await, "unknown_server");
}

#[tokio::test]
async fn a_role_that_is_taken_away_is_gone_with_the_next_request() {
    let world = World::start().await;
    let mia = world.person(Role::ManagerHere);
    let path = "/v1/workspaces/core/members";
    assert_eq!(mia.ask(Method::GET, path, None).await.status, StatusCode::OK);
    let member = format!("/v1/members/{}", world.service.member_id("core", "mia").await);
    world.service.patch(&member, json!({"role": "member"})).await;
    assert_eq!(mia.ask(Method::GET, path, None).await.status, StatusCode::FORBIDDEN);
    world.service.patch(&member, json!({"disabled": true})).await;
    assert_eq!(mia.ask(Method::GET, path, None).await.status, StatusCode::NOT_FOUND);
    let me = mia.ask(Method::GET, "/v1/me", None).await.body;
    assert_eq!(me["memberships"], json!([]));
}

#[tokio::test]
async fn members_act_for_nobody_but_themselves() {
    let world = World::start().await;
    let service = &world.service;
    let (ada, grace) = (world.ids["member"].clone(), service.member_id("core", "grace").await);
    let keys = "/v1/workspaces/core/keys";
    let for_grace =
        world.ask(Role::Oneself, Method::POST, keys, Some(&json!({"name": "x", "member": grace}))).await;
    let for_nobody =
        world.ask(Role::Oneself, Method::POST, keys, Some(&json!({"name": "x", "member": "mem_none"}))).await;
    assert_eq!((for_grace.status, &for_grace.text), (StatusCode::UNPROCESSABLE_ENTITY, &for_nobody.text));
    // Not a manager by her own hand, nor by way of another workspace.
    let own = format!("/v1/members/{ada}");
    let promotion = json!({"role": "manager"});
    assert_eq!(
        world.ask(Role::Oneself, Method::PATCH, &own, Some(&promotion)).await.status,
        StatusCode::FORBIDDEN
    );
    let twin = json!({"issuer": "https://idp.example", "subject": "max", "role": "manager"});
    for (role, expected) in
        [(Role::ManagerElsewhere, StatusCode::NOT_FOUND), (Role::Fellow, StatusCode::FORBIDDEN)]
    {
        let reply = world.ask(role, Method::POST, "/v1/workspaces/core/members", Some(&twin)).await;
        assert_eq!(reply.status, expected, "{role:?}");
    }
    // A key that she makes for herself is hers, whoever she is later.
    let made = world.ask(Role::Oneself, Method::POST, keys, Some(&json!({"name": "x", "member": ada}))).await;
    let key = made.body["api_key"].as_str().expect("a key").to_owned();
    assert_eq!(outcome(service, &key).await, "granted");
    service.patch(&own, json!({"disabled": true})).await;
    assert_eq!(outcome(service, &key).await, "disabled_credential");
}

#[tokio::test]
async fn a_manager_of_two_workspaces_is_one_in_each() {
    let world = World::start().await;
    let service = &world.service;
    let body =
        json!({"issuer": "https://idp.example", "subject": "mia", "name": "Mia Manager", "role": "member"});
    service.post("/v1/workspaces/sales/members", body).await;
    let mia = Person::sign_in(service, "Mia Manager").await;
    assert_eq!(mia.ask(Method::GET, "/v1/workspaces/core/members", None).await.status, StatusCode::OK);
    assert_eq!(
        mia.ask(Method::GET, "/v1/workspaces/sales/members", None).await.status,
        StatusCode::FORBIDDEN
    );
    let eve = format!("/v1/members/{}", service.member_id("sales", "eve").await);
    assert_eq!(mia.ask(Method::GET, &eve, None).await.status, StatusCode::NOT_FOUND);
    let connections = "/v1/connections?workspace=sales";
    assert_eq!(mia.ask(Method::GET, connections, None).await.status, StatusCode::FORBIDDEN);
    // A member of one workspace named together with another gives nothing of either.
    let crossed = format!("/v1/connections?workspace=sales&member={}", world.ids["member"]);
    let reply = mia.ask(Method::GET, &crossed, None).await;
    assert_eq!(reply.body["connections"], json!([]), "{}", reply.text);
}
