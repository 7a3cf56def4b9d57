//! What lasts, and what there is much of.

use std::sync::Arc;
use std::time::Duration;

use portcullis_tests::raw::RawConnection;
use portcullis_tests::soak::usage::Usage;
use portcullis_tests::stack::SAMPLE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stand::Stand;

/// Longer than Envoy waits for a whole request.
const PATIENCE: Duration = Duration::from_mins(1);

const LONG_BODIES: usize = 64;

/// What Envoy may take before it sheds load, by the shipped configuration.
const MOST_MEMORY: u64 = 1_610_612_736;

const WARM_UP: usize = 2_000;
const CALLS: usize = 10_000;
/// What the two measurements of a program that takes no more may differ by.
const SLACK: u64 = 16 * 1024 * 1024;

/// The head of a call and its body, of a tool that is denied.
fn denied(stand: &Stand, arguments: &str) -> (String, String) {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"delete_issue","arguments":{arguments}}}}}"#
    );
    let head = format!(
        "POST /{SAMPLE}/mcp HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n",
        stand.stack.gateway,
        stand.stack.seeded.key.text,
        body.len()
    );
    (head, body)
}

pub(crate) async fn a_body_that_stalls_is_given_up(stand: Arc<Stand>) {
    stand.stack.sample.journal.clear();
    let (head, body) = denied(&stand, "{}");
    let mut stream = TcpStream::connect(stand.stack.gateway).await.expect("the gateway listens");
    let half = body.get(..body.len() / 2).expect("half a body");
    stream.write_all(format!("{head}{half}").as_bytes()).await.expect("is taken");
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer));
    reading.await.expect("Envoy gives it up").expect("an answer");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains(r#""jsonrpc":"2.0""#), "{answer}");
    assert!(stand.stack.sample.journal.entries().is_empty());
}

/// All are held at once, up to their last byte; then they are answered, or told to come back.
pub(crate) async fn long_bodies_at_once_are_bounded(stand: Arc<Stand>) {
    stand.stack.sample.journal.clear();
    let (head, body) = denied(&stand, &format!(r#"{{"id":"{}"}}"#, "a".repeat(4_194_000)));
    let (most, last) = body.split_at(body.len() - 1);
    let mut connections = Vec::new();
    for _ in 0..LONG_BODIES {
        let mut connection = RawConnection::open(stand.stack.gateway).await;
        connection.send(head.as_bytes()).await;
        connection.send(most.as_bytes()).await;
        connections.push(connection);
    }
    let mut statuses = Vec::new();
    for mut connection in connections {
        connection.send(last.as_bytes()).await;
        let response = connection.response().await.expect("an answer each");
        statuses.push(response.status);
    }
    assert!(statuses.iter().all(|status| [200, 413, 429, 503].contains(status)), "{statuses:?}");
    let usage = Usage::of(stand.stack.envoy.process.id()).expect("a running Envoy");
    assert!(usage.resident < MOST_MEMORY, "{} MiB", usage.mebibytes());
    assert!(stand.stack.sample.journal.entries().is_empty());
}

pub(crate) async fn ten_thousand_requests_cost_no_memory(stand: Arc<Stand>) {
    let (head, body) = denied(&stand, r#"{"id":"PC-1"}"#);
    let request = format!("{head}{body}");
    let mut connection = RawConnection::open(stand.stack.gateway).await;
    let mut call = async |count: usize| {
        for number in 0..count {
            // Now and then somebody whom nobody knows, and who is told so before the body comes.
            if number % 20 == 0 {
                let stranger = request.replace("Bearer pcl_", &format!("Bearer pcl_{number}_"));
                let mut stranger_connection = RawConnection::open(stand.stack.gateway).await;
                stranger_connection.send(stranger.as_bytes()).await;
                let status = stranger_connection.response().await.map(|response| response.status);
                assert!(matches!(status, Some(401 | 429)), "{status:?}");
            }
            connection.send(request.as_bytes()).await;
            assert_eq!(
                connection.response().await.map(|response| response.status),
                Some(200),
                "call {number}"
            );
        }
    };
    call(WARM_UP).await;
    let process = stand.stack.envoy.process.id();
    let before = Usage::of(process).expect("a running Envoy").resident;
    call(CALLS).await;
    let after = Usage::of(process).expect("a running Envoy").resident;
    assert!(after <= before + before / 20 + SLACK, "{before} bytes before, {after} after");
}
