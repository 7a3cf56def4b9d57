//! O17, O18: answers that lead elsewhere, have no end, or are something else.

use serde_json::json;

use super::site::{Place, Spoilt};
use super::stand::{Input, Outcome, Stand};

/// Each place that is asked something, and what an answer without a document there leads to. How the MCP server
/// refuses does not matter where its description is in its place.
const PLACES: [(Place, Outcome); 5] = [
    (Place::Server, Outcome::Connected),
    (Place::Resource, Outcome::NobodyLeaves),
    (Place::Metadata, Outcome::NobodyLeaves),
    (Place::Register, Outcome::NobodyLeaves),
    (Place::Token, Outcome::NothingConnected),
];

/// O17
#[tokio::test]
async fn redirects_are_not_followed() {
    let inside = "https://127.0.0.1:{canary}/x";
    let kinds = [301, 302, 303, 307, 308].map(|status| (status, inside));
    // 307 keeps the method and the body, the code and the tokens included.
    let elsewhere =
        ["http://127.0.0.1:{canary}/x", "//127.0.0.1:{canary}/x", "{origin}/other/token", "/other/token"];
    let mut inputs = Vec::new();
    for (place, outcome) in PLACES {
        for (status, location) in kinds.into_iter().chain(elsewhere.map(|location| (307, location))) {
            let redirect = Spoilt::redirect(status, location);
            inputs.push(Input::new(
                "O17",
                format!("{place:?} {status} {location}"),
                place,
                redirect,
                outcome,
            ));
        }
    }
    Stand::start().await.hold(inputs).await;
}

/// O18
#[tokio::test]
async fn answers_are_bounded_and_of_their_kind() {
    let body = |status, kind: &str, encoding: Option<&str>, body: &str| {
        let mut headers = vec![("content-type", kind.to_owned())];
        headers.extend(encoding.map(|encoding| ("content-encoding", encoding.to_owned())));
        Spoilt::Answer { status, headers, body: body.to_owned() }
    };
    let deep = format!(r#"{{"issuer":"{{issuer}}","x":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let many = vec![("x-filler", "x".to_owned()); 200];
    let page = "<html>canary-page</html>";
    let json = "application/json";
    let bad = [
        ("without an end", Spoilt::Endless),
        ("300 KiB", Spoilt::Member("padding", json!("x".repeat(300 * 1024)))),
        ("100000 arrays in each other", body(200, json, None, &deep)),
        ("a header of 20 KiB", Spoilt::Headers(vec![("x-filler", "x".repeat(20 * 1024))])),
        ("200 headers", Spoilt::Headers(many)),
        ("a page", body(200, "text/html", None, page)),
        ("a page that says it is JSON", body(200, json, None, page)),
        ("JSON that says it is a page", body(200, "text/html", None, "{}")),
        ("gzip", body(200, json, Some("gzip"), "\u{1f}\u{8}\u{0}canary")),
        ("nothing", body(200, json, None, "")),
        ("an array", body(200, json, None, "[]")),
        ("half of it", body(200, json, None, r#"{"issuer": "{issuer}", "#)),
        ("a body of 204", body(204, json, None, "")),
        ("not there", body(404, "text/plain", None, page)),
        ("broken", body(500, "text/plain", None, page)),
    ];
    let mut inputs = Vec::new();
    for (place, outcome) in PLACES.into_iter().skip(1) {
        for (name, spoilt) in &bad {
            inputs.push(Input::new("O18", format!("{place:?} {name}"), place, spoilt.clone(), outcome));
        }
    }
    Stand::start().await.hold(inputs).await;
}

/// O18: the other side of the bounds. Nothing is decompressed, so that a wrong word about it does not matter.
#[tokio::test]
async fn what_is_within_the_bounds_is_read() {
    let mut inputs = Vec::new();
    for (place, _) in PLACES.into_iter().skip(1) {
        let size = if place == Place::Metadata || place == Place::Resource { 200 } else { 40 } * 1024;
        for (name, spoilt) in [
            ("large", Spoilt::Member("padding", json!("x".repeat(size)))),
            ("said to be gzip", Spoilt::Headers(vec![("content-encoding", "gzip".into())])),
            ("without a content type", Spoilt::Headers(vec![])),
            ("of a JSON type", Spoilt::Headers(vec![("content-type", "application/x+json; a=b".into())])),
        ] {
            inputs.push(Input::new("O18", format!("{place:?} {name}"), place, spoilt, Outcome::Connected));
        }
    }
    // A stream is what MCP servers may answer with; only its head is waited for.
    inputs.push(Input::new("O18", "an endless stream", Place::Server, Spoilt::Endless, Outcome::Connected));
    Stand::start().await.hold(inputs).await;
}
