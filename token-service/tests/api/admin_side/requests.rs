//! What a session's requests have to show: a browser sends its cookie with whatever another page makes it send.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::world::{Person, Role, World};
use crate::browser::GATEWAY;
use crate::reply::Reply;

#[tokio::test]
async fn a_change_comes_from_a_page_of_ours() {
    let world = World::start().await;
    let owner = world.person(Role::Owner);
    let other = Person::sign_in(&world.service, "Adam Admin").await;
    let origin = world.service.addresses.admin.clone();
    let json_type = Some("application/json");
    let (ours, token) = (Some(origin.as_str()), Some(owner.csrf.as_str()));
    let before = world.service.revision().await;
    for (name, origin, media_type, csrf, site) in [
        ("no origin", None, json_type, token, None),
        ("an opaque origin", Some("null"), json_type, token, None),
        ("another origin", Some("https://evil.example"), json_type, token, None),
        ("the origin of the pages", Some(GATEWAY), json_type, token, None),
        ("another port", Some("http://127.0.0.1:1"), json_type, token, None),
        ("JSON as a text", ours, Some("text/plain"), token, None),
        ("a form", ours, Some("application/x-www-form-urlencoded"), token, None),
        ("no type", ours, None, token, None),
        ("no token", ours, json_type, None, None),
        ("an empty token", ours, json_type, Some(""), None),
        ("somebody else's token", ours, json_type, Some(other.csrf.as_str()), None),
        ("another site", ours, json_type, token, Some("cross-site")),
        ("a neighbour", ours, json_type, token, Some("same-site")),
    ] {
        for (method, path) in [
            (Method::POST, "/v1/workspaces"),
            (Method::DELETE, "/v1/workspaces/core"),
            (Method::PUT, "/v1/servers/linear/workspaces/sales"),
            (Method::PATCH, "/v1/workspaces/core"),
        ] {
            let mut request = owner.browser.request(method.clone(), path).body(r#"{"slug":"x","name":"x"}"#);
            for (header, value) in [
                ("origin", origin),
                ("content-type", media_type),
                ("x-portcullis-csrf", csrf),
                ("sec-fetch-site", site),
                // Nobody takes one method for another.
                ("x-http-method-override", Some("GET")),
            ] {
                if let Some(value) = value {
                    request = request.header(header, value);
                }
            }
            let reply = Reply::read(request.send().await.expect("a reply")).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{name}: {method}");
            assert_eq!(reply.body["type"], "urn:portcullis:problem:forged-request", "{name}");
        }
    }
    assert_eq!(world.service.revision().await, before, "nothing was changed");
    let made = owner.ask(Method::POST, "/v1/workspaces", Some(&json!({"slug": "x"}))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
}

#[tokio::test]
async fn no_other_origin_is_let_in() {
    let world = World::start().await;
    let owner = world.person(Role::Owner);
    let preflight = owner
        .browser
        .request(Method::OPTIONS, "/v1/workspaces")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-portcullis-csrf");
    let get = owner.browser.request(Method::GET, "/v1/me").header("origin", "https://evil.example");
    for request in [preflight, get] {
        let reply = request.send().await.expect("a reply");
        assert!(reply.headers().keys().all(|name| !name.as_str().starts_with("access-control-")));
    }
}

#[tokio::test]
async fn a_session_ends_when_its_person_signs_out() {
    let world = World::start().await;
    let ada = Person::sign_in(&world.service, "Ada Lovelace").await;
    let me = ada.ask(Method::GET, "/v1/me", None).await.body;
    assert_eq!(
        (&me["kind"], &me["name"], &me["subject"]),
        (&json!("person"), &json!("Ada Lovelace"), &json!("ada"))
    );
    assert_eq!(
        (&me["memberships"][0]["slug"], &me["memberships"][0]["role"]),
        (&json!("core"), &json!("member"))
    );
    assert_eq!(ada.ask(Method::DELETE, "/v1/me/session", None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ada.ask(Method::GET, "/v1/me", None).await.status, StatusCode::UNAUTHORIZED);
    // A credential that is wrong is not made good by a cookie.
    let mia = world.person(Role::ManagerHere);
    let both = mia.browser.request(Method::GET, "/v1/me").bearer_auth("wrong").send().await;
    assert_eq!(both.expect("a reply").status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn unknown_fields_are_refused() {
    let world = World::start().await;
    let mia = world.person(Role::ManagerHere);
    let member = json!({"issuer": "https://idp.example", "subject": "x"});
    let paths = [
        (Method::POST, "/v1/workspaces/core/members".to_owned(), member),
        (Method::PATCH, format!("/v1/members/{}", world.ids["member"]), json!({"name": "x"})),
        (Method::POST, "/v1/workspaces/core/keys".to_owned(), json!({"name": "x"})),
        (Method::PATCH, format!("/v1/keys/{}", world.ids["key"]), json!({"name": "x"})),
    ];
    let before = world.service.revision().await;
    for (method, path, body) in paths {
        for (field, value) in [
            ("workspace", json!("sales")),
            ("workspace_id", json!("wsp_1")),
            ("organization_role", json!("owner")),
            ("made_by", json!(null)),
            ("origin", json!("config")),
            ("verified", json!(true)),
            ("lapsed", json!(false)),
            ("id", json!("mem_1")),
        ] {
            let mut body = body.clone();
            body[field] = value;
            let reply = mia.ask(method.clone(), &path, Some(&body)).await;
            assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{method} {path} {field}");
        }
    }
    for role in [json!("owner"), json!("admin"), json!("Manager"), json!("")] {
        let body = json!({"issuer": "https://idp.example", "subject": "x", "role": role});
        let reply = mia.ask(Method::POST, "/v1/workspaces/core/members", Some(&body)).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    assert_eq!(world.service.revision().await, before);
}
