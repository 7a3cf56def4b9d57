//! O8: the `iss` of an authorization response (RFC 9207), compared as text.

use serde_json::json;

use super::site::{Place, Spoilt};
use super::stand::{Outcome, Stand};
use crate::browser::encoded;

/// What `iss` is given, where `ISSUER` is the right one; and whether it is taken where it was promised, and where not.
const ANSWERS: [(&[&str], Outcome, Outcome); 16] = [
    (&["ISSUER"], Outcome::Connected, Outcome::Connected),
    (&[], Outcome::CodeKept, Outcome::Connected),
    (&[""], Outcome::CodeKept, Outcome::CodeKept),
    (&["ISSUER/"], Outcome::CodeKept, Outcome::CodeKept),
    (&["ISSUER?"], Outcome::CodeKept, Outcome::CodeKept),
    (&["ISSUER "], Outcome::CodeKept, Outcome::CodeKept),
    (&[" ISSUER"], Outcome::CodeKept, Outcome::CodeKept),
    (&["ISSUER\0"], Outcome::CodeKept, Outcome::CodeKept),
    (&["UPPER"], Outcome::CodeKept, Outcome::CodeKept),
    (&["HTTP"], Outcome::CodeKept, Outcome::CodeKept),
    (&["ENCODED"], Outcome::CodeKept, Outcome::CodeKept),
    (&["ORIGIN"], Outcome::CodeKept, Outcome::CodeKept),
    (&["https://evil.example"], Outcome::CodeKept, Outcome::CodeKept),
    (&["ISSUER", "ISSUER"], Outcome::CodeKept, Outcome::CodeKept),
    (&["ISSUER", "https://evil.example"], Outcome::CodeKept, Outcome::CodeKept),
    (&["https://evil.example", "ISSUER"], Outcome::CodeKept, Outcome::CodeKept),
];

/// O8
#[tokio::test]
async fn an_answer_names_who_made_it() {
    let mut stand = Stand::start().await;
    for promised in [true, false] {
        for (given, where_promised, where_not) in ANSWERS {
            let server = stand.register(json!({"type": "oauth"})).await;
            let promise = Spoilt::Member("authorization_response_iss_parameter_supported", json!(promised));
            stand.site.spoil(&server, Place::Metadata, promise);
            let departure = stand.leave(&server).await.expect("a way to the provider");
            let issuer = stand.site.issuer(&server);
            let mut pairs = vec![("code", "canary-code-55e1".to_owned()), ("state", departure.state.clone())];
            pairs.extend(given.iter().map(|iss| ("iss", spelt(iss, &issuer, &stand.site.origin))));
            let id = stand.service.server_id(&server).await;
            let callback = format!("/callback/{id}?{}", encoded(&pairs));
            let expected = if promised { where_promised } else { where_not };
            assert_eq!(stand.come_back(&server, &callback).await, expected, "{given:?} promised: {promised}");
            assert_eq!(stand.connect(&server).await, Outcome::Connected, "the next one, after {given:?}");
        }
    }
    stand.no_secret_was_logged();
}

fn spelt(iss: &str, issuer: &str, origin: &str) -> String {
    match iss {
        "UPPER" => issuer.replace("localhost", "LOCALHOST"),
        "HTTP" => issuer.replace("https:", "http:"),
        "ENCODED" => issuer.replace("server", "%73erver"),
        "ORIGIN" => origin.to_owned(),
        other => other.replace("ISSUER", issuer),
    }
}
