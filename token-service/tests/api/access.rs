//! Who may use the admin listener, route by route, from the served description.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::harness::Service;
use crate::reply::Reply;

/// Operations that need no token.
const OPEN: [&str; 1] = ["GET /openapi.json"];

async fn operations(service: &Service) -> Vec<(Method, String)> {
    let url = format!("{}/openapi.json", service.addresses.admin);
    let document: Value = reqwest::get(url).await.expect("a reply").json().await.expect("JSON");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("an item").keys() {
            let method = method.to_uppercase().parse().expect("a method");
            operations.push((method, path.replace('{', "no-such-").replace('}', "")));
        }
    }
    operations
}

#[tokio::test]
async fn every_operation_but_the_open_ones_needs_the_token() {
    let service = Service::start("").await;
    let operations = operations(&service).await;
    assert!(operations.len() > 30, "{operations:?}");
    for (method, path) in operations {
        let url = format!("{}{path}", service.addresses.admin);
        let is_open = OPEN.contains(&format!("{method} {path}").as_str());
        let token = service.token().to_owned();
        for credential in [None, Some(String::new()), Some("wrong".to_owned()), Some(token[1..].to_owned())] {
            let mut request = service.admin.request(method.clone(), &url);
            if let Some(credential) = credential {
                request = request.bearer_auth(credential);
            }
            let reply = Reply::read(request.send().await.expect("a reply")).await;
            let expected = if is_open { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            assert_eq!(reply.status, expected, "{method} {path}");
            if !is_open {
                assert_eq!(reply.body["type"], "urn:portcullis:problem:unauthorized");
                assert!(reply.header("www-authenticate").is_some());
            }
        }
        // With the token the operation is really there: objects are unknown, bodies missing, but never the path.
        let reply = service.admin(method.clone(), &path, None).await;
        assert_ne!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_ne!(reply.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_ne!(reply.body["detail"], "no page under this path", "{method} {path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn the_description_holds_together() {
    let service = Service::start("").await;
    let document = service.get("/openapi.json").await;
    let mark = "\"$ref\":\"";
    let references: Vec<&str> =
        document.text.split(mark).skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(references.len() > 50, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a place in the document");
        assert!(document.body.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let paths = document.body["paths"].as_object().expect("paths");
    let operations = paths.values().flat_map(|item| item.as_object().expect("an item").values());
    let mut names: Vec<&str> =
        operations.map(|operation| operation["operationId"].as_str().expect("a name")).collect();
    names.sort_unstable();
    let all = names.clone();
    names.dedup();
    assert_eq!(names, all, "every operation has a name of its own");
}

/// The description is made from `routes!`; a route added in any other way would be missing from it.
#[test]
fn the_admin_listener_has_no_route_without_a_description() {
    let source = include_str!("../../src/http/mod.rs");
    let (_, after) = source.split_once("fn admin_api").expect("the admin API");
    let (routes, _) = after.split_once("\n}\n").expect("its end");
    assert!(routes.contains("routes!("));
    for other_way in [".route(", ".nest", "_service(", ".fallback"] {
        assert!(!routes.contains(other_way), "{other_way}");
    }
    let (_, admin) = source.split_once("pub fn admin(").expect("the admin listener");
    let (admin, _) = admin.split_once("\n}\n").expect("its end");
    assert!(!admin.contains(".route("));
}

#[tokio::test]
async fn listeners_do_not_serve_each_other() {
    let service = Service::start("").await;
    let get = async |base: &str, path: &str| {
        let request = service.admin.get(format!("{base}{path}")).bearer_auth(service.token());
        Reply::read(request.send().await.expect("a reply")).await
    };
    for path in ["/v1/servers", "/v1/leases", "/v1/watch", "/openapi.json"] {
        let reply = get(&service.addresses.public, path).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(reply.body["type"], "urn:portcullis:problem:not-found");
    }
    // The front page there is for people, and without a way to sign in there is none.
    let front = get(&service.addresses.public, "/").await;
    assert_eq!(front.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(&service.addresses.admin, "/v1/watch").await.status, StatusCode::NOT_FOUND);
    let request = service.filter.get("http://token-service/v1/servers").bearer_auth(service.token());
    let reply = Reply::read(request.send().await.expect("a reply")).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(reply.header("x-portcullis-service"), Some("1"));
    for path in ["/livez", "/readyz"] {
        assert_eq!(get(&service.addresses.public, path).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_browser_form_cannot_make_changes() {
    let service = Service::start("").await;
    let url = format!("{}/v1/workspaces", service.addresses.admin);
    let request = service.admin.post(url).bearer_auth(service.token());
    let reply = request.header("content-type", "text/plain").body(r#"{"slug":"x"}"#).send().await;
    assert_eq!(reply.expect("a reply").status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
