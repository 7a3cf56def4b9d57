//! An upstream that answers before it has the body. Only headers that go before their body can bring it about.

use portcullis_tests::envoy::streams_bodies;
use portcullis_tests::stack::Stack;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

const SLUG: &str = "hasty";
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"hasty"}]}}"#;

/// A server that answers as soon as it has a head.
struct Hasty(TcpListener);

impl Hasty {
    /// Takes a request's head and answers; gives the rest of what comes, up to the end of the connection or to `end`.
    async fn answer(&self, status: &str, end: &str) -> String {
        let (mut connection, _) = self.0.accept().await.expect("a connection");
        read_until(&mut connection, "\r\n\r\n").await;
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
        let answer = format!("{head}content-length: {}\r\n\r\n{ANSWER}", ANSWER.len());
        connection.write_all(answer.as_bytes()).await.expect("sends");
        read_until(&mut connection, end).await
    }
}

/// What comes up to and with `end`, or all if the other side closes before.
async fn read_until(connection: &mut (impl tokio::io::AsyncRead + Unpin), end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        match connection.read_u8().await {
            Ok(byte) => text.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(text).expect("text")
}

/// A legacy call of `tool` whose body has come in half.
async fn half_a_call(stack: &Stack, tool: &str) -> (OwnedReadHalf, OwnedWriteHalf, String) {
    let body =
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool, "arguments": {}}})
            .to_string();
    let head = format!(
        "POST /{SLUG}/mcp HTTP/1.1\r\nhost: {}\r\nx-portcullis-api-key: {}\r\nmcp-protocol-version: 2025-11-25\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        stack.gateway,
        stack.seeded.key.text,
        body.len()
    );
    let connection = TcpStream::connect(stack.gateway).await.expect("connects");
    let (reading, mut writing) = connection.into_split();
    let (first, last) = body.split_at(body.len() / 2);
    writing.write_all(format!("{head}{first}").as_bytes()).await.expect("sends");
    (reading, writing, last.to_owned())
}

async fn stack() -> (Stack, Hasty) {
    let stack = Stack::start().await;
    let hasty = Hasty(TcpListener::bind("127.0.0.1:0").await.expect("a port"));
    let server = json!({
        "slug": SLUG,
        "url": format!("http://{}/mcp", hasty.0.local_addr().expect("an address")),
        "allow_http": true,
        "auth": {"type": "none"},
        "workspaces": "all",
    });
    stack.admin().post("/v1/servers?wait=applied", server).await.expect("registers");
    (stack, hasty)
}

#[tokio::test]
async fn an_answer_to_headers_alone_is_not_passed_on() {
    if !streams_bodies() {
        return;
    }
    let (stack, hasty) = stack().await;
    for status in ["200 OK", "401 Unauthorized"] {
        let (mut reading, writing, _) = half_a_call(&stack, "allowed").await;
        let (answer, body) = tokio::join!(read_until(&mut reading, "}}}"), hasty.answer(status, "}}"));
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("answered_early"), "{answer}");
        assert_eq!(body, "", "nothing of a body that is not judged reaches the server");
        drop(writing);
    }
    assert!(stack.filter_never_trapped().await);
}
