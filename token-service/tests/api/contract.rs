//! What filters of any released version have asked is taken, and what a later one may ask besides is skipped, or refused
//! where it could be a reason to refuse.

use reqwest::StatusCode;
use serde_json::Value;

use crate::additions::with_unknown_fields;
use crate::harness::Service;
use crate::recorded;

const REGISTRY: &str = "
workspaces:
  - slug: core
servers:
  - slug: linear
    url: https://linear.example/mcp
    auth: {type: none}
    workspaces: all
";

/// Asks as a filter does; `None` for what is no question.
async fn ask(service: &Service, name: &str, message: &Value) -> Option<(StatusCode, String)> {
    let at = |path: &str| format!("http://token-service{path}");
    let request = match name {
        "lease_request" => service.filter.post(at("/v1/leases")).json(message),
        "open_state" => service.filter.post(at("/v1/states")).json(message),
        "session_request" => service.filter.post(at("/v1/sessions")).json(message),
        "lists_changed" => service.filter.post(at("/v1/lists-changed")).json(message),
        "watch_query" => {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let parameters = message.as_object().expect("parameters");
            let parameters = parameters.iter().map(|(name, value)| format!("{name}={}", text(value)));
            // The revision is 1: cursor 0 is answered at once, and 1 after the hold.
            let query = parameters.collect::<Vec<_>>().join("&").replace(['{', '}', '"', '[', ']'], "");
            service.filter.get(at(&format!("/v1/watch?{query}")))
        }
        _ => return None,
    };
    let reply = request.send().await.expect("a reply");
    Some((reply.status(), reply.text().await.expect("a text")))
}

#[tokio::test]
async fn questions_of_any_version_are_taken() {
    let service = Service::start(&format!("watch_hold: 100ms\n{REGISTRY}")).await;
    let mut asked = 0;
    for (version, name, forms) in recorded::messages() {
        for (form, message) in forms {
            if let Some((status, text)) = ask(&service, &name, &message).await {
                assert_eq!(status, StatusCode::OK, "{version} {name} {form}: {text}");
                asked += 1;
            }
        }
    }
    assert!(asked > 10, "{asked}");
}

#[tokio::test]
async fn what_a_later_filter_asks_besides_is_skipped_unless_it_is_of_the_proof() {
    let service = Service::start(&format!("watch_hold: 100ms\n{REGISTRY}")).await;
    let (mut skipped, mut refused) = (0, 0);
    for (version, name, forms) in recorded::messages() {
        for (form, message) in forms {
            for (place, added) in with_unknown_fields(&message) {
                let Some((status, text)) = ask(&service, &name, &added).await else { continue };
                let at = format!("{version} {name} {form} with a new field in {place:?}: {text}");
                if place == "/proof" {
                    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{at}");
                    assert!(text.contains("added_later"), "{at}");
                    refused += 1;
                } else {
                    assert_eq!(status, StatusCode::OK, "{at}");
                    skipped += 1;
                }
            }
        }
    }
    assert!(skipped > 10 && refused > 5, "{skipped} were skipped, {refused} refused");
}

#[tokio::test]
async fn a_proof_of_a_kind_that_is_not_known_is_refused() {
    let service = Service::start(REGISTRY).await;
    let request =
        serde_json::json!({"server": "linear", "proof": {"kind": "client_certificate", "subject": "ada"}});
    let reply = service.lease(&request).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", reply.text);
}
