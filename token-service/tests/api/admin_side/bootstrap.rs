//! The admin token is for the beginning, and the last owner stays.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::world::{Person, Role, World};
use crate::browser::Browser;
use crate::company::login::Login;
use crate::company::signed_in;
use crate::harness::{Directory, Service};

const OVER: &str = "urn:portcullis:problem:admin-token-over";

#[tokio::test]
async fn the_token_ends_with_the_first_owner_who_can_sign_in() {
    let login = Login::start().await;
    let service = Service::start(&login.configuration("{group: owners, organization_role: owner}")).await;
    assert_eq!(service.get("/v1/servers").await.status, StatusCode::OK);
    // An owner whom the company's provider does not know cannot sign in, and would lock everybody out.
    let elsewhere = json!({"issuer": "https://other.example", "subject": "x", "role": "owner"});
    assert_eq!(service.post("/v1/administrators", elsewhere).await.status, StatusCode::CREATED);
    let admin = json!({"issuer": login.issuer(), "subject": "x", "role": "admin"});
    assert_eq!(service.post("/v1/administrators", admin).await.status, StatusCode::CREATED);
    assert_eq!(service.get("/v1/servers").await.status, StatusCode::OK);

    let mut olga = Browser::of_admin(&service);
    signed_in(&mut olga, &login, json!({"sub": "olga", "groups": ["owners"]})).await;
    let refused = service.get("/v1/servers").await;
    assert_eq!((refused.status, &refused.body["type"]), (StatusCode::FORBIDDEN, &json!(OVER)));
    let detail = refused.body["detail"].as_str().expect("a text");
    let sign_in = format!("{}/sign-in", service.addresses.admin);
    assert!(detail.contains(&sign_in) && detail.contains("admin_token: always"), "{detail}");
    let me = olga.get("/v1/me").await.body;
    assert_eq!(me["organization_role"], "owner");

    // The group is gone: so is the owner, and the token helps again.
    signed_in(&mut Browser::of_admin(&service), &login, json!({"sub": "x", "groups": []})).await;
    let mut again = Browser::of_admin(&service);
    let departure = crate::company::depart(&mut again, "/sign-in").await;
    let query = login.agree(&departure, json!({"sub": "olga", "groups": []}));
    assert_eq!(crate::company::come_back(&mut again, &query).await.status, StatusCode::FORBIDDEN);
    assert_eq!(olga.get("/v1/servers").await.body["servers"], json!([]), "roles are read each time");
    assert_eq!(olga.get("/v1/status").await.status, StatusCode::FORBIDDEN);
    assert_eq!(service.get("/v1/servers").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_declared_owner_ends_it_too_unless_programs_need_it() {
    let login = Login::start().await;
    let declared = format!("{}administrators: [{{subject: olga, role: owner}}]\n", login.configuration(""));
    let directory = Directory::new();
    let service = Service::start_in(directory.clone(), &declared).await.expect("starts");
    assert_eq!(service.get("/v1/status").await.body["type"], OVER);
    service.stop().await;
    let always = format!("{declared}admin_token: always\n");
    let service = Service::start_in(directory, &always).await.expect("starts");
    assert_eq!(service.get("/v1/status").await.status, StatusCode::OK);
}

#[tokio::test]
async fn owners_appoint_and_the_last_one_stays() {
    let world = World::start().await;
    let (olga, second) = (world.person(Role::Owner), world.ids["administrator"].clone());
    let path = format!("/v1/administrators/{second}");
    // Declared ones are the file's.
    let all = olga.ask(Method::GET, "/v1/administrators", None).await.body;
    let mut all = all["administrators"].as_array().expect("a list").iter();
    let declared = all.find(|it| it["subject"] == "adam").expect("declared")["id"].as_str().expect("an id");
    let reply = olga.ask(Method::DELETE, &format!("/v1/administrators/{declared}"), None).await;
    assert_eq!(reply.body["type"], "urn:portcullis:problem:owned-by-configuration");
    assert_eq!(olga.ask(Method::DELETE, &path, None).await.status, StatusCode::NO_CONTENT);

    // Without a declared one, the last stays whoever asks.
    let service = Service::start("sign_in: {development: true}\n").await;
    let body = json!({"issuer": "https://idp.example", "subject": "only", "name": "Only", "role": "owner"});
    let id = service.post("/v1/administrators", body.clone()).await.id();
    let only = Person::sign_in(&service, "Only").await;
    let path = format!("/v1/administrators/{id}");
    for (method, body) in [(Method::DELETE, None), (Method::PATCH, Some(json!({"role": "admin"})))] {
        for reply in [
            only.ask(method.clone(), &path, body.as_ref()).await,
            service.admin(method.clone(), &path, body.clone()).await,
        ] {
            assert_eq!(reply.status, StatusCode::CONFLICT, "{}", reply.text);
            assert!(reply.text.contains("make somebody else an owner first"), "{}", reply.text);
        }
    }
    let twice = service.post("/v1/administrators", body).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn each_change_names_the_person() {
    let world = World::start().await;
    let made = world.ask(Role::Admin, Method::POST, "/v1/workspaces", Some(&json!({"slug": "new"}))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let newest = world.service.get("/v1/audit?limit=1").await.body["entries"][0].clone();
    assert_eq!(newest["who"], "person");
    assert_eq!(newest["person"], json!({"issuer": "https://idp.example", "subject": "adam"}));
    assert_eq!(newest["action"], "workspace.create");
}
