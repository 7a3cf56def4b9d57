//! Bodies: what is not JSON, what means two things, what is too much.

use super::*;

/// `params` of a call.
fn params(stack: &Stack, params: &str) -> Request {
    Request::good(stack).body(call(params))
}

/// A call with these arguments.
fn arguments(stack: &Stack, arguments: &str) -> Request {
    params(stack, &format!(r#""name":"get_issue","arguments":{arguments},{META}"#))
}

/// A call whose envelope has these fields.
fn root(stack: &Stack, fields: &str) -> Request {
    let body = format!(r#"{{{fields},"params":{{"name":"get_issue","arguments":{{}},{META}}}}}"#);
    Request::good(stack).body(body)
}

#[tokio::test]
async fn what_is_not_json() {
    let stack = &Stack::start().await;
    let with = |body: &[u8]| Request::good(stack).body(body);
    let good = String::from_utf8(Request::good(stack).body).expect("text");
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    run(
        stack,
        vec![
            case("nothing", with(b""), 400, PARSE),
            case("half an object", with(b"{"), 400, PARSE),
            case("trailing data", with(format!("{good}{good}").as_bytes()), 400, PARSE),
            case("a trailing comma", arguments(stack, r#"{"id":"PC-1",}"#), 400, PARSE),
            case("a comment", arguments(stack, r#"{"id":/**/"PC-1"}"#), 400, PARSE),
            case("not a number", arguments(stack, r#"{"id":NaN}"#), 400, PARSE),
            case("a line end in a string", arguments(stack, "{\"id\":\"PC\n1\"}"), 400, PARSE),
            case("UTF-16", with(&utf16), 400, PARSE),
            case("a control character", arguments(stack, "{\"id\":\"\u{1}\"}"), 400, PARSE),
        ],
    )
    .await;
}

/// Puts a byte that no UTF-8 text has into a string.
fn spoil_utf8(text: &str) -> Vec<u8> {
    let (before, after) = text.split_once("PC-1").expect("the argument");
    [before.as_bytes(), b"\xff", after.as_bytes()].concat()
}

#[tokio::test]
async fn what_parsers_may_read_differently() {
    let stack = &Stack::start().await;
    let twice = r#""jsonrpc":"2.0","id":1,"method":"tools/call","method":"tools/list""#;
    let twins = r#""jsonrpc":"2.0","id":1,"method":"tools/call","METHOD":"tools/list""#;
    let good = String::from_utf8(Request::good(stack).body).expect("text");
    let with = |body: &[u8]| Request::good(stack).body(body);
    let named = |other: &str| params(stack, &format!(r#""name":"get_issue",{other},{META}"#));
    run(
        stack,
        vec![
            case("a byte order mark", with(format!("\u{feff}{good}").as_bytes()), 400, AMBIGUOUS),
            case("invalid UTF-8", with(&spoil_utf8(&good)), 400, AMBIGUOUS),
            case("a method twice", root(stack, twice), 400, AMBIGUOUS),
            case("a method in two cases", root(stack, twins), 400, AMBIGUOUS),
            case("a name twice", named(r#""name":"delete_issue""#), 400, AMBIGUOUS),
            case("a name twice by an escape", named(r#""n\u0061me":"delete_issue""#), 400, AMBIGUOUS),
            case("a name in two cases", named(r#""Name":"delete_issue""#), 400, AMBIGUOUS),
            case("a letter that folds", named(r#""argument\u017f":{}"#), 400, AMBIGUOUS),
            case("an argument twice", arguments(stack, r#"{"id":"PC-1","a":{"b":1,"b":2}}"#), 400, AMBIGUOUS),
            case("half a surrogate", arguments(stack, r#"{"id":"\ud800"}"#), 400, AMBIGUOUS),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_no_request() {
    let stack = &Stack::start().await;
    let with = |body: &str| Request::good(stack).body(body);
    let good = String::from_utf8(Request::good(stack).body).expect("text");
    let envelope = |fields: &str| root(stack, fields);
    run(
        stack,
        vec![
            case("a batch", with(&format!("[{good}]")), 400, INVALID_REQUEST),
            case("an empty batch", with("[]"), 400, INVALID_REQUEST),
            case("a positional message", with(r#"["tools/call",["get_issue"],1]"#), 400, INVALID_REQUEST),
            case("a string", with(r#""tools/call""#), 400, INVALID_REQUEST),
            case("null", with("null"), 400, INVALID_REQUEST),
            case("an empty object", with("{}"), 400, INVALID_REQUEST),
            case("no JSON-RPC version", envelope(r#""id":1,"method":"tools/call""#), 400, INVALID_REQUEST),
            case(
                "another JSON-RPC version",
                envelope(r#""jsonrpc":"1.0","id":1,"method":"tools/call""#),
                400,
                INVALID_REQUEST,
            ),
            case(
                "an id of null",
                envelope(r#""jsonrpc":"2.0","id":null,"method":"tools/call""#),
                400,
                INVALID_REQUEST,
            ),
            case(
                "an id that is a fraction",
                envelope(r#""jsonrpc":"2.0","id":1.5,"method":"tools/call""#),
                400,
                INVALID_REQUEST,
            ),
            case("no id", envelope(r#""jsonrpc":"2.0","method":"tools/call""#), 400, INVALID_REQUEST),
            case(
                "a name that is a list",
                params(stack, &format!(r#""name":["a"],{META}"#)),
                400,
                INVALID_PARAMS,
            ),
            case("no name", params(stack, META), 400, INVALID_PARAMS),
            case("an answer to nothing", with(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), 400, None),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_beyond_the_bounds() {
    let stack = &Stack::start().await;
    let deep = |depth: usize| format!(r#"{{"id":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let keys: Vec<String> = (0..2000).map(|number| format!(r#""k{number}":1"#)).collect();
    let keys = format!("{{{}}}", keys.join(","));
    let digits = format!(r#"{{"id":{}}}"#, "9".repeat(1000));
    run(
        stack,
        vec![
            case("too deep", arguments(stack, &deep(200)), 400, INVALID_REQUEST),
            case("far too deep", arguments(stack, &deep(100_000)), 400, INVALID_REQUEST),
            case("too many keys", arguments(stack, &keys), 400, INVALID_REQUEST),
            case("a number of many digits", arguments(stack, &digits), 400, INVALID_REQUEST),
        ],
    )
    .await;
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
