//! Exports and queries that mean harm.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;

use super::stand::{Stand, call, export, pair};
use portcullis_token_service::http::records::EXPORT_PATH;
use portcullis_token_service::records::otlp::LogRecord;

/// As a sender that makes its own bytes: the body of a gRPC message, with or without a truthful length.
async fn raw(stand: &Stand, body: Vec<u8>) -> reqwest::Response {
    let client = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let url = format!("{}{EXPORT_PATH}", stand.service.addresses.internal);
    let request = client.post(url).header("content-type", "application/grpc").header("te", "trailers");
    request.body(body).send().await.expect("an answer")
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    [&[0][..], &length, message].concat()
}

#[tokio::test]
async fn bad_exports_are_refused_and_cost_nothing_else() {
    let stand = Stand::start("").await;
    for (body, what) in [
        (Vec::new(), "nothing"),
        (framed(b""), "an empty export"),
        (framed(&[0xff; 100]), "no message"),
        (framed(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), "a length beyond the end"),
        (vec![0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3], "a frame that claims four gigabytes"),
        (vec![1, 0, 0, 0, 1, 0], "a compressed frame"),
        (framed(&[0x0a, 0x00].repeat(100_000)), "a hundred thousand empty resources"),
        (framed(&vec![0x0a; 1 << 20]), "a megabyte"),
        (framed(&[0x0b].repeat(60_000)), "groups in groups"),
    ] {
        let answer = raw(&stand, body).await;
        assert!(answer.status().is_success() || answer.status().is_client_error(), "{what}: {answer:?}");
    }
    let url = format!("{}{EXPORT_PATH}", stand.service.addresses.internal);
    let answer = stand.service.filter.get(&url).send().await.expect("an answer");
    assert_eq!(answer.status(), 405);

    let large = call(1, "x", &[("further", &"x".repeat(300_000))]);
    let refused = stand.export(export(vec![large])).await.expect_err("is too large");
    assert_eq!(refused.code(), Code::OutOfRange, "which is not sent again: {refused:?}");

    let mut timeless = call(1, "x", &[]);
    timeless.time_unix_nano = 0;
    let answer = stand.export(export(vec![timeless, call(2, "good", &[])])).await.expect("is taken");
    let partial = answer.partial_success.expect("one is rejected");
    assert_eq!(partial.rejected_log_records, 1);
    assert!(partial.error_message.contains("time_unix_nano"), "{partial:?}");
    assert_eq!(stand.names("/v1/records").await, ["good"]);
    assert_eq!(stand.service.get("/v1/status").await.body["records"]["received"]["rejected"], 1);
}

#[tokio::test]
async fn a_text_that_is_not_utf8_costs_nobody_elses_record() {
    let stand = Stand::start("").await;
    let mut odd = call(1, "odd", &[]);
    odd.attributes.push(pair("user_agent.original", b"a\xff\r\n\x1b[31mb\0"));
    stand.send(vec![odd, call(2, "other", &[])]).await;
    assert_eq!(stand.names("/v1/records").await, ["other", "odd"]);
    let shown = stand.service.get("/v1/records?name=odd").await.text;
    assert!(!shown.contains(['\r', '\n', '\u{1b}', '\0']), "{shown}");
    assert!(shown.contains("a\u{fffd}\\r\\n\\u001b[31mb\u{fffd}"), "{shown}");
}

/// Each is one line, whatever is in it.
#[tokio::test]
async fn no_value_breaks_a_line() {
    let stand = Stand::start("").await;
    let odd = ["a\r\nb", "\u{1b}[2J", "x\u{2028}y\u{2029}z", "\"},{\"forged\":\"", "\u{202e}drow"];
    let records: Vec<LogRecord> = (0..).zip(odd).map(|(number, name)| call(number, name, &[])).collect();
    stand.send(records).await;
    let text = stand.service.get("/v1/records/download?format=ndjson").await.text;
    assert_eq!(text.lines().count(), odd.len(), "{text}");
    let names: Vec<Value> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["name"].clone()).collect();
    let expected: Vec<Value> = odd.iter().rev().map(|name| json!(name)).collect();
    assert_eq!(names, expected);
    assert_eq!(stand.names("/v1/records").await.len(), odd.len());
}

/// Ten megabytes of it, which no client library would send.
async fn endless_filter(stand: &Stand) {
    let address = stand.service.addresses.admin.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connects");
    let head = format!("GET /v1/records?name={} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(10 << 20));
    // Fails where the service hangs up before it has read all.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn bad_queries_are_refused_and_find_nothing() {
    let stand = Stand::start("").await;
    stand.send(vec![call(1, "a", &[])]).await;
    let ask =
        async |query: &str| stand.service.admin(Method::GET, &format!("/v1/records?{query}"), None).await;
    for injection in
        ["'%20OR%20'1'%3D'1", "%25", "_", "a'%3B%20DROP%20TABLE%20records%3B--", "%24%7Bx%7D", "a%2A", "%5C"]
    {
        for column in ["name", "server", "rule", "request_id", "caller", "method"] {
            let reply = ask(&format!("{column}={injection}")).await;
            assert_eq!(reply.body["records"], json!([]), "{column}={injection}: {}", reply.text);
        }
    }
    for (query, status) in [
        ("name=", 422),
        ("name=a%00b", 422),
        (&format!("name={}", "x".repeat(5_000)), 422),
        ("limit=0", 422),
        ("limit=1001", 422),
        ("limit=-1", 400),
        ("limit=99999999999", 400),
        ("after=1%20OR%201%3D1", 422),
        ("after=rec_ffffffffffffffff", 422),
        ("from=yesterday", 422),
        ("status=4xx%20OR%201", 422),
        ("outcome=fine", 422),
        ("sort=name", 400),
        ("order=id%3B%20DROP%20TABLE%20records", 400),
        ("name=a&name=b", 400),
        ("uid=1", 400),
    ] {
        let reply = ask(query).await;
        assert_eq!(reply.status, status, "{query:.60}: {}", reply.text);
    }
    assert_eq!(ask(&format!("name={}", "x".repeat(60_000))).await.status, 422);
    endless_filter(&stand).await;
    for (target, status) in [
        ("download?limit=1000000", 422),
        ("download?format=xlsx", 422),
        ("tail?wait=26", 422),
        ("tail?after=x", 422),
        ("summary?interval=1", 422),
        ("summary?from=2020-01-01T00:00:00Z", 422),
        ("summary?from=2026-11-23T09:00:00Z&interval=18446744073709551615", 422),
    ] {
        let reply = stand.service.get(&format!("/v1/records/{target}")).await;
        assert_eq!(reply.status, status, "{target}: {}", reply.text);
    }
    assert_eq!(stand.names("/v1/records").await, ["a"]);
}
