//! What a provider may answer to a renewal (O19, O26, O27 of the catalogue), and what becomes of the connection.

use axum::http::StatusCode;
use portcullis_token_service::broker::NoCredential;
use portcullis_token_service::domain::connection::ConnectionState;
use serde_json::{Value, json};

use crate::authorization_server::{Answer, Reuse};
use crate::stage::{Stage, reconnect};

/// What a caller hears, and how often the provider was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The answer left open what became of the request: asked once more, which brings a token.
    OnceMore,
    /// Certainly not done: nobody asks again at once, and the connection is as it was.
    Later,
    /// An administrator has to act; the connection is as it was.
    Administrator,
    /// The member has to connect again, for this reason.
    Reconnect(&'static str),
}

fn json_of(status: u16, body: &Value) -> Answer {
    Answer::Status(StatusCode::from_u16(status).expect("a status"), body.clone())
}

fn text(status: u16, retry_after: Option<&'static str>, body: &str) -> Answer {
    Answer::Text { status, retry_after, body: body.to_owned() }
}

/// O26: errors.
fn errors() -> Vec<(Answer, Outcome)> {
    use Outcome::{Administrator, Later, OnceMore, Reconnect};
    let error = |status, code: Value| {
        json_of(status, &json!({"error": code, "error_description": "refresh-2 and access-1 are unknown"}))
    };
    let mut rows = Vec::new();
    for status in [200, 400, 401, 403] {
        for (code, outcome) in [
            (json!("invalid_grant"), Reconnect("revoked")),
            (json!("invalid_client"), Administrator),
            (json!("unauthorized_client"), Administrator),
            (json!("unsupported_grant_type"), Administrator),
            (json!("invalid_scope"), Administrator),
            (json!("refresh-2 is no good"), Administrator),
            (json!("INVALID_GRANT"), Administrator),
            (json!("temporarily_unavailable"), Later),
            (json!("slow_down"), Later),
            (json!("server_error"), OnceMore),
            (json!(7), OnceMore),
            (Value::Null, OnceMore),
        ] {
            rows.push((error(status, code), outcome));
        }
    }
    rows.extend(others(&error));
    rows
}

/// What is no answer of a token endpoint may say what it likes.
fn others(error: &dyn Fn(u16, Value) -> Answer) -> Vec<(Answer, Outcome)> {
    use Outcome::{Later, OnceMore};
    let mut rows = Vec::new();
    for status in [201, 302, 500, 502, 504] {
        rows.push((error(status, json!("invalid_grant")), OnceMore));
        rows.push((text(status, Some("1"), ""), OnceMore));
    }
    for status in [200, 400, 401, 403, 404] {
        for body in ["", "<html>refresh-2</html>", "[]", "{", "{}"] {
            rows.push((text(status, None, body), OnceMore));
        }
    }
    for retry_after in [Some("1"), Some("soon"), Some("-1"), Some("Wed, 21 Oct 2015 07:28:00 GMT"), None] {
        rows.push((text(429, retry_after, "<html>"), Later));
    }
    rows.push((text(408, None, ""), OnceMore));
    rows.push((text(503, Some("1"), ""), Later));
    rows.push((text(503, None, ""), OnceMore));
    rows
}

/// O19: successes that cannot be used. The refresh token may be used up by now.
fn unusable() -> Vec<(Answer, Outcome)> {
    let long = "x".repeat(16 * 1024 + 1);
    let mut rows = Vec::new();
    for (member, values) in [
        ("access_token", json!(["", 7, null, "a b", "a\r\nx: y", "\u{0}", "ä", "\u{7f}", long])),
        ("refresh_token", json!([7, "a\nb", "a b", "ä", long])),
        ("token_type", json!(["mac", "DPoP", "", 7, null, ["Bearer"]])),
        ("expires_in", json!(["soon", true, [], {}])),
        ("scope", json!([7, {}, [7]])),
    ] {
        for value in values.as_array().expect("values") {
            let mut body = json!({"access_token": "at", "refresh_token": "rt", "token_type": "Bearer"});
            body[member] = value.clone();
            rows.push((json_of(200, &body), Outcome::Reconnect("lost_rotation")));
        }
    }
    let twice = r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#;
    rows.push((text(200, None, twice), Outcome::Reconnect("lost_rotation")));
    rows
}

/// O26
#[tokio::test]
async fn every_error_has_one_meaning() {
    for (answer, outcome) in errors() {
        holds(answer, outcome).await;
    }
}

/// O19
#[tokio::test]
async fn what_cannot_be_used_is_not_used() {
    for (answer, outcome) in unusable() {
        holds(answer, outcome).await;
    }
}

async fn holds(answer: Answer, outcome: Outcome) {
    let stage = Stage::new(Reuse::Strict).await;
    let broker = stage.broker();
    let (ada, _) = (stage.connected("ada", -60).await, stage.connected("grace", 1800).await);
    let grant = stage.member_grant("ada").await;
    let what = format!("{answer:.200?}");
    stage.provider.script([answer]);
    let credential = broker.credential(&grant, None).await;
    let requests = stage.provider.ledger().token_requests;
    let became = stage.present(&ada.id).await.state;
    match outcome {
        Outcome::OnceMore => {
            let owner = credential.as_ref().ok().and_then(|credential| stage.owner_of(credential));
            assert_eq!((owner.as_deref(), requests), (Some("ada"), 2), "{what}: {credential:?}");
        }
        Outcome::Later => {
            assert!(matches!(credential, Err(NoCredential::Unavailable { .. })), "{what}: {credential:?}");
            assert_eq!((requests, became), (1, ConnectionState::Active), "{what}");
        }
        Outcome::Administrator => {
            assert_eq!(credential.as_ref().err(), Some(&NoCredential::Misconfigured), "{what}");
            assert_eq!((requests, became), (1, ConnectionState::Active), "{what}");
        }
        Outcome::Reconnect(reason) => {
            assert_eq!((reconnect(&credential), requests), (Some(reason), 1), "{what}");
            // Once decided, the provider is left alone, and a consent mends it.
            assert_eq!(reconnect(&broker.credential(&grant, None).await), Some(reason), "{what}");
            assert_eq!(stage.provider.ledger().token_requests, 1, "{what}");
            stage.connect("ada", 3600).await;
            let mended = broker.credential(&grant, None).await.expect("a credential");
            assert_eq!(stage.owner_of(&mended).as_deref(), Some("ada"), "{what}");
        }
    }
    // Nobody else notices.
    let grace = broker.credential(&stage.member_grant("grace").await, None).await.expect("a credential");
    assert_eq!(stage.owner_of(&grace).as_deref(), Some("grace"), "{what}");
}

/// O27: the refresh token that is good from now on, and so is the one that the next renewal shows.
#[tokio::test]
async fn the_next_renewal_shows_the_newest_refresh_token() {
    let renewed = |refresh: Option<Value>| {
        let mut body = json!({"access_token": "access-new", "token_type": "Bearer", "expires_in": 3600});
        if let Some(refresh) = refresh {
            body["refresh_token"] = refresh;
        }
        json_of(200, &body)
    };
    for (answer, next) in [
        (renewed(None), "the old one"),
        (renewed(Some(json!(""))), "the old one"),
        (renewed(Some(Value::Null)), "the old one"),
        (renewed(Some(json!("refresh-rotated"))), "refresh-rotated"),
    ] {
        let what = format!("{answer:?}");
        let stage = Stage::new(Reuse::Strict).await;
        let broker = stage.broker();
        stage.connected("ada", -60).await;
        let grant = stage.member_grant("ada").await;
        stage.provider.script([answer]);
        assert!(broker.credential(&grant, None).await.is_ok(), "{what}");
        stage.clock.advance(std::time::Duration::from_hours(2));
        let _ = broker.credential(&grant, None).await;
        let shown = stage.provider.ledger().shown.clone();
        let old = shown.first().expect("a renewal").clone();
        let expected = if next == "the old one" { old.clone() } else { next.to_owned() };
        assert_eq!(shown, [old, expected], "{what}");
    }
}
