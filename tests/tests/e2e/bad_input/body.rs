//! Bodies in pieces, and as long as they may be.

use portcullis_tests::mcp::LATEST_LEGACY;
use portcullis_tests::parsers::ambiguous;

use super::*;

/// `params` of a call.
fn params(stack: &Stack, params: &str) -> Request {
    Request::good(stack).body(call(params))
}

/// Puts a byte that no UTF-8 text has into a string.
fn spoil_utf8(text: &str) -> Vec<u8> {
    let (before, after) = text.split_once("PC-1").expect("the argument");
    [before.as_bytes(), b"\xff", after.as_bytes()].concat()
}

/// The same request with its body in two pieces.
fn in_two(request: &Request, at: usize) -> [Vec<u8>; 2] {
    let (first, second) = request.body.split_at(at);
    let chunk = |bytes: &[u8]| match bytes {
        [] => Vec::new(),
        bytes => [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat(),
    };
    let mut head = request.clone().set("transfer-encoding", "chunked");
    head.declared = false;
    head.body = chunk(first);
    [head.bytes(), [&chunk(second)[..], b"0\r\n\r\n"].concat()]
}

#[tokio::test]
async fn a_body_means_the_same_wherever_it_is_cut() {
    let stack = Stack::start().await;
    let with =
        |arguments: &str| params(&stack, &format!(r#""name":"get_issue","arguments":{arguments},{META}"#));
    let good = Request::good(&stack);
    for (what, request, status) in [
        (
            "letters of two and four bytes, an escape of twelve",
            with(r#"{"id":"PC-1","é":"😀\ud83d\ude00"}"#),
            200,
        ),
        ("a key twice, once by an escape", with(r#"{"id":"PC-1","\u0069d":"PC-2"}"#), 400),
        (
            "no UTF-8",
            good.clone().body(spoil_utf8(&String::from_utf8(good.body.clone()).expect("text"))),
            400,
        ),
        ("the end is missing", good.clone().body(&good.body[..good.body.len() - 1]), 400),
        (
            "another tool than the header says",
            params(&stack, &format!(r#""name":"delete_issue",{META}"#)),
            400,
        ),
    ] {
        let mut connection = RawConnection::open(stack.gateway).await;
        connection.send(&request.bytes()).await;
        let whole = connection.response().await.expect("an answer");
        assert_eq!(whole.status, status, "{what}: {}", whole.text());
        for at in 0..=request.body.len() {
            let mut connection = RawConnection::open(stack.gateway).await;
            for piece in in_two(&request, at) {
                connection.send(&piece).await;
            }
            let answer = connection.response().await.expect("an answer");
            assert_eq!((answer.status, answer.text()), (whole.status, whole.text()), "{what}, cut at {at}");
        }
    }
}

/// Through Envoy, and in a version in which no header repeats what the body says.
#[tokio::test]
async fn what_parsers_read_in_several_ways_never_gets_through() {
    let stack = Stack::start().await;
    let send = async |document: &[u8]| {
        let request = Request::good(&stack).without("mcp-method").without("mcp-name");
        let request = request.set("mcp-protocol-version", LATEST_LEGACY).body(document);
        let mut connection = RawConnection::open(stack.gateway).await;
        connection.send(&request.bytes()).await;
        connection.response().await.expect("an answer")
    };
    // There is nothing else about them that would be refused.
    let plain = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","arguments":{}}}"#;
    send(plain.as_bytes()).await;
    assert_eq!(stack.sample.journal.entries().len(), 1, "it goes through when it is not ambiguous");
    stack.sample.journal.clear();
    let mut faults = String::new();
    for (what, document) in ambiguous::all() {
        let response = send(&document).await;
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let code = body["error"]["code"].as_i64();
        // It is ambiguous, or no request with these parameters.
        let is_refused = response.status == 400 && matches!(code, Some(-31004 | -32700 | -32600 | -32602));
        let reached = stack.sample.journal.entries().len();
        if !is_refused || reached > 0 {
            writeln!(faults, "{what}: reached the upstream {reached} times: {}", response.text())
                .expect("writes");
        }
        stack.sample.journal.clear();
    }
    assert!(faults.is_empty(), "{faults}");
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn sizes() {
    const LIMIT: usize = 4 * 1024 * 1024;
    let stack = Stack::start().await;
    let long = |size: usize| {
        let empty = call(&format!(r#""name":"get_issue","arguments":{{"id":""}},{META}"#));
        let filler = "a".repeat(size - empty.len());
        Request::good(&stack)
            .body(call(&format!(r#""name":"get_issue","arguments":{{"id":"{filler}"}},{META}"#)))
    };
    let mut chunked = long(LIMIT + 1).set("transfer-encoding", "chunked");
    chunked.declared = false;
    chunked.body =
        [format!("{:x}\r\n", chunked.body.len()).as_bytes(), &chunked.body, b"\r\n0\r\n\r\n"].concat();
    run(
        &stack,
        vec![
            case("one byte too many", long(LIMIT + 1), 413, INVALID_REQUEST),
            case("one byte too many, undeclared", chunked, 413, INVALID_REQUEST),
        ],
    )
    .await;
    // The longest body that is not too long.
    let mut connection = RawConnection::open(stack.gateway).await;
    connection.send(&long(LIMIT).bytes()).await;
    assert_eq!(connection.response().await.map(|response| response.status), Some(200));
}
