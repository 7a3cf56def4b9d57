//! What must not get in: each gets its answer, nothing of it reaches the upstream, and the next request is served.

use std::fmt::Write as _;

use portcullis_tests::mcp::{Era, MODERN};
use portcullis_tests::raw::{RawConnection, RawResponse};
use portcullis_tests::stack::{SAMPLE, Stack};
use portcullis_wire::api_key::ApiKey;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// A request that would be served, to be spoilt in one place.
#[derive(Clone)]
struct Request {
    line: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    /// Whether the body's length is declared.
    declared: bool,
}

impl Request {
    fn good(stack: &Stack) -> Self {
        let headers = [
            ("host", stack.gateway.to_string()),
            ("authorization", format!("Bearer {}", stack.seeded.key.text)),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
            ("mcp-protocol-version", MODERN.to_owned()),
            ("mcp-method", "tools/call".to_owned()),
            ("mcp-name", "get_issue".to_owned()),
        ];
        Self {
            line: format!("POST /{SAMPLE}/mcp HTTP/1.1"),
            headers: headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).into(),
            body: call(&format!(r#""name":"get_issue","arguments":{{"id":"PC-1"}},{META}"#)).into_bytes(),
            declared: true,
        }
    }

    fn line(mut self, line: &str) -> Self {
        self.line = line.to_owned();
        self
    }

    /// Replaces a header.
    fn set(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let mut without = self.without(name);
        without.headers.push((name.to_owned(), value.as_ref().to_vec()));
        without
    }

    /// Adds a header, whatever is there.
    fn add(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(key, _)| key != name);
        self
    }

    fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// As a legacy client sends it.
    fn legacy(self, version: &str) -> Self {
        let body = call(r#""name":"get_issue","arguments":{"id":"PC-1"}"#);
        self.set("mcp-protocol-version", version).without("mcp-method").without("mcp-name").body(body)
    }

    /// Calls another tool.
    fn tool(self, name: &str) -> Self {
        self.set("mcp-name", name).body(call(&format!(r#""name":"{name}","arguments":{{}},{META}"#)))
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\r\n", self.line).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if self.declared {
            bytes.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn call(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params}}}}}"#)
}

/// What has to come back.
struct Case {
    name: &'static str,
    request: Request,
    status: u16,
    /// The JSON-RPC error code; `None` where Envoy itself answers.
    code: Option<i64>,
}

fn case(name: &'static str, request: Request, status: u16, code: impl Into<Option<i64>>) -> Case {
    Case { name, request, status, code: code.into() }
}

/// Runs each case on a connection of its own, and a good request after it. Faults are gathered, so that one does not
/// hide the next.
async fn run(stack: &Stack, cases: Vec<Case>) {
    let mut faults = String::new();
    for case in &cases {
        stack.sample.journal.clear();
        let mut connection = RawConnection::open(stack.gateway).await;
        connection.send(&case.request.bytes()).await;
        let response = connection.response().await;
        if let Err(fault) = judge(case, response.as_ref()) {
            writeln!(faults, "{}: {fault}: {:?}", case.name, response.map(|response| response.text()))
                .expect("writes");
        }
        let reached = stack.sample.journal.entries();
        if !reached.is_empty() {
            writeln!(faults, "{}: reached the upstream: {reached:?}", case.name).expect("writes");
        }
        let mut next = RawConnection::open(stack.gateway).await;
        next.send(&Request::good(stack).bytes()).await;
        let status = next.response().await.map(|response| response.status);
        if status != Some(200) {
            writeln!(faults, "{}: the next request got {status:?}", case.name).expect("writes");
        }
    }
    assert!(faults.is_empty(), "{} cases\n{faults}", cases.len());
    assert!(stack.filter_never_trapped().await);
}

fn judge(case: &Case, response: Option<&RawResponse>) -> Result<(), String> {
    let Some(response) = response else { return Err("no answer".to_owned()) };
    if response.status != case.status {
        return Err(format!("status {} instead of {}", response.status, case.status));
    }
    let Some(code) = case.code else { return Ok(()) };
    let body: serde_json::Value =
        serde_json::from_slice(&response.body).map_err(|error| format!("the body is not JSON: {error}"))?;
    if body["jsonrpc"] != "2.0" || body["error"]["code"] != code {
        return Err(format!("not the error {code}"));
    }
    if response.header("content-type") != Some("application/json") {
        return Err("the answer's media type".to_owned());
    }
    let challenge = response.header("www-authenticate");
    if case.status == 401 && !challenge.is_some_and(|challenge| challenge.starts_with("Bearer ")) {
        return Err("no challenge".to_owned());
    }
    Ok(())
}

const UNAUTHORIZED: i64 = -31000;
const POLICY: i64 = -31001;
const AMBIGUOUS: i64 = -31004;
const INVALID_REQUEST: i64 = -32600;
const INVALID_PARAMS: i64 = -32602;
const METHOD_NOT_FOUND: i64 = -32601;
const PARSE: i64 = -32700;
const MISMATCH: i64 = -32020;
const VERSION: i64 = -32022;

#[tokio::test]
async fn credentials() {
    let stack = Stack::start().await;
    let good = || Request::good(&stack);
    let key = &stack.seeded.key.text;
    let bearer = |value: &str| good().set("authorization", value);
    let entropy: Vec<u8> = (0..=127).collect();
    let (unheard_of, _) = ApiKey::spell("live", &entropy).expect("enough entropy");
    let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJzdWIiOiJhZGEifQ.";
    run(
        &stack,
        vec![
            case("none", good().without("authorization"), 401, UNAUTHORIZED),
            case("empty", bearer(""), 401, UNAUTHORIZED),
            case("another scheme", bearer("Basic YWRhOmFkYQ=="), 401, UNAUTHORIZED),
            case("no credential after the scheme", bearer("Bearer"), 401, UNAUTHORIZED),
            case("two spaces", bearer(&format!("Bearer  {key}")), 401, UNAUTHORIZED),
            case(
                "a key that nobody has",
                bearer(&format!("Bearer {}", unheard_of.expose())),
                401,
                UNAUTHORIZED,
            ),
            case("a key cut off", bearer(&format!("Bearer {}", &key[..key.len() - 1])), 401, UNAUTHORIZED),
            case("a token without a signature", bearer(&format!("Bearer {unsigned}")), 401, UNAUTHORIZED),
            case("no token at all", bearer("Bearer x.y.z"), 401, UNAUTHORIZED),
            case("too long", bearer(&format!("Bearer {}", "a".repeat(9000))), 401, UNAUTHORIZED),
            case(
                "longer than all headers may be",
                bearer(&format!("Bearer {}", "a".repeat(65536))),
                431,
                None,
            ),
            case("two", good().add("authorization", format!("Bearer {key}")), 400, UNAUTHORIZED),
            case("two kinds", good().add("x-portcullis-api-key", key), 400, UNAUTHORIZED),
            case("bytes above 0x7f", good().set("authorization", b"Bearer \xff\xfe"), 401, UNAUTHORIZED),
            case(
                "in the query",
                good()
                    .without("authorization")
                    .line(&format!("POST /{SAMPLE}/mcp?access_token={key} HTTP/1.1")),
                401,
                UNAUTHORIZED,
            ),
            case(
                "in a cookie",
                good().without("authorization").add("cookie", format!("access_token={key}")),
                401,
                UNAUTHORIZED,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn places() {
    let stack = Stack::start().await;
    let good = || Request::good(&stack);
    let to = |path: &str| good().line(&format!("POST {path} HTTP/1.1"));
    let mut cases = vec![
        case("a slug that nobody has", to("/unheard-of/mcp"), 404, POLICY),
        case("another host", good().set("host", "evil.example"), 421, INVALID_REQUEST),
        case("two hosts", good().add("host", "evil.example"), 421, INVALID_REQUEST),
        case("another origin", good().add("origin", "https://evil.example"), 403, INVALID_REQUEST),
        case("no origin at all", good().add("origin", "null"), 403, INVALID_REQUEST),
        case("an escaped slash", to(&format!("/{SAMPLE}%2fmcp")), 400, None),
        case("an old protocol", good().line(&format!("POST /{SAMPLE}/mcp HTTP/1.0")), 426, None),
        case("an upgrade", good().add("connection", "upgrade").add("upgrade", "websocket"), 403, None),
    ];
    for path in [
        "/",
        "/mcp",
        "/sample",
        "/sample/mcp/",
        "/SAMPLE/mcp",
        "/sample/mcp;x=1",
        "/a/b/sample/mcp",
        "/connect/mcp",
    ] {
        cases.push(case("not a server's path", to(path), 404, None));
    }
    for method in ["PUT", "PATCH", "OPTIONS", "TRACE"] {
        cases.push(case(
            "a method without meaning here",
            good().line(&format!("{method} /{SAMPLE}/mcp HTTP/1.1")),
            405,
            None,
        ));
    }
    run(&stack, cases).await;
}

#[tokio::test]
async fn headers() {
    let stack = Stack::start().await;
    let good = || Request::good(&stack);
    let many = (0..120).fold(good(), |request, number| request.add(&format!("x-{number}"), "1"));
    run(
        &stack,
        vec![
            case("no media type", good().without("content-type"), 415, INVALID_REQUEST),
            case("another media type", good().set("content-type", "text/plain"), 415, INVALID_REQUEST),
            case(
                "nearly the media type",
                good().set("content-type", "application/jsonx"),
                415,
                INVALID_REQUEST,
            ),
            case("two media types", good().add("content-type", "text/plain"), 415, INVALID_REQUEST),
            case(
                "another charset",
                good().set("content-type", "application/json; charset=utf-16"),
                415,
                INVALID_REQUEST,
            ),
            case("a coding", good().add("content-encoding", "gzip"), 415, INVALID_REQUEST),
            case("an unknown version", good().set("mcp-protocol-version", "2027-01-01"), 400, VERSION),
            case("no version", good().without("mcp-protocol-version"), 400, MISMATCH),
            case(
                "another version than the body's",
                good().set("mcp-protocol-version", "2025-11-25"),
                400,
                MISMATCH,
            ),
            case("an unknown legacy version", good().legacy("2024-01-01"), 400, VERSION),
            case("no method", good().without("mcp-method"), 400, MISMATCH),
            case("another method", good().set("mcp-method", "tools/list"), 400, MISMATCH),
            case("a method in capitals", good().set("mcp-method", "TOOLS/CALL"), 400, MISMATCH),
            case("two methods", good().add("mcp-method", "tools/list"), 400, MISMATCH),
            case("no name", good().without("mcp-name"), 400, MISMATCH),
            case("another name", good().set("mcp-name", "search_issues"), 400, MISMATCH),
            case("two names", good().add("mcp-name", "search_issues"), 400, MISMATCH),
            case("a joined name", good().set("mcp-name", "get_issue,search_issues"), 400, MISMATCH),
            case(
                "a name in broken Base64",
                good().set("mcp-name", "=?base64?Z2V0X2lzc3Vl=?="),
                400,
                MISMATCH,
            ),
            case("a name with bytes above 0x7f", good().set("mcp-name", b"get_issu\xe9"), 400, MISMATCH),
            case(
                "a version with bytes above 0x7f",
                good().set("mcp-protocol-version", b"2026-07-28\xff"),
                400,
                None,
            ),
            case("an underscore for a hyphen", good().add("mcp_method", "tools/list"), 400, None),
            case("too many", many, 431, None),
            case("too much", good().add("x-long", "a".repeat(70_000)), 431, None),
            case("a body of two lengths", good().add("content-length", "5"), 400, None),
            case("a length and chunks", good().add("transfer-encoding", "chunked"), 400, None),
            case("a NUL", good().add("x-nul", b"a\0b"), 400, None),
        ],
    )
    .await;
}

#[tokio::test]
async fn json() {
    let stack = Stack::start().await;
    let with = |body: &[u8]| Request::good(&stack).body(body);
    let params = |params: &str| with(call(params).as_bytes());
    let arguments =
        |arguments: &str| params(&format!(r#""name":"get_issue","arguments":{arguments},{META}"#));
    let root = |fields: &str| {
        with(format!(r#"{{{fields},"params":{{"name":"get_issue","arguments":{{}},{META}}}}}"#).as_bytes())
    };
    let good = String::from_utf8(Request::good(&stack).body).expect("text");
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let keys: Vec<String> = (0..2000).map(|number| format!(r#""k{number}":1"#)).collect();
    run(
        &stack,
        vec![
            case("nothing", with(b""), 400, PARSE),
            case("not JSON", with(b"{"), 400, PARSE),
            case("trailing data", with(format!("{good}{good}").as_bytes()), 400, PARSE),
            case("a trailing comma", arguments(r#"{"id":"PC-1",}"#), 400, PARSE),
            case("a comment", arguments(r#"{"id":/**/"PC-1"}"#), 400, PARSE),
            case("not a number", arguments(r#"{"id":NaN}"#), 400, PARSE),
            case("an unfinished string", arguments("{\"id\":\"PC\n1\"}"), 400, PARSE),
            case("a byte order mark", with(format!("\u{feff}{good}").as_bytes()), 400, PARSE),
            case("UTF-16", with(&utf16), 400, PARSE),
            case("invalid UTF-8", with(&[call("").as_bytes(), b"\xff"].concat()), 400, PARSE),
            case("a batch", with(format!("[{good}]").as_bytes()), 400, INVALID_REQUEST),
            case("an empty batch", with(b"[]"), 400, INVALID_REQUEST),
            case("a positional message", with(br#"["tools/call",["get_issue"],1]"#), 400, INVALID_REQUEST),
            case("a string", with(br#""tools/call""#), 400, INVALID_REQUEST),
            case("null", with(b"null"), 400, INVALID_REQUEST),
            case("an empty object", with(b"{}"), 400, INVALID_REQUEST),
            case(
                "a method twice",
                root(r#""jsonrpc":"2.0","id":1,"method":"tools/call","method":"tools/list""#),
                400,
                AMBIGUOUS,
            ),
            case(
                "a name twice",
                params(&format!(r#""name":"get_issue","name":"delete_issue",{META}"#)),
                400,
                AMBIGUOUS,
            ),
            case(
                "a name twice by an escape",
                params(&format!(r#""name":"get_issue","n\u0061me":"delete_issue",{META}"#)),
                400,
                AMBIGUOUS,
            ),
            case("an argument twice", arguments(r#"{"id":"PC-1","a":{"b":1,"b":2}}"#), 400, AMBIGUOUS),
            case(
                "a name in two cases",
                params(&format!(r#""name":"get_issue","Name":"delete_issue",{META}"#)),
                400,
                AMBIGUOUS,
            ),
            case(
                "a method in two cases",
                root(r#""jsonrpc":"2.0","id":1,"method":"tools/call","METHOD":"tools/list""#),
                400,
                AMBIGUOUS,
            ),
            case(
                "a letter that folds",
                params(&format!(r#""name":"get_issue","argument\u017f":{{}},{META}"#)),
                400,
                AMBIGUOUS,
            ),
            case("half a surrogate", arguments(r#"{"id":"\ud800"}"#), 400, AMBIGUOUS),
            case("too deep", arguments(&format!(r#"{{"id":{}}}"#, deep(200))), 400, INVALID_REQUEST),
            case("far too deep", arguments(&format!(r#"{{"id":{}}}"#, deep(100_000))), 400, INVALID_REQUEST),
            case("too many keys", arguments(&format!("{{{}}}", keys.join(","))), 400, INVALID_REQUEST),
            case(
                "a number of many digits",
                arguments(&format!(r#"{{"id":{}}}"#, "9".repeat(1000))),
                400,
                INVALID_REQUEST,
            ),
            case("no version of JSON-RPC", root(r#""id":1,"method":"tools/call""#), 400, INVALID_REQUEST),
            case(
                "another version of JSON-RPC",
                root(r#""jsonrpc":"1.0","id":1,"method":"tools/call""#),
                400,
                INVALID_REQUEST,
            ),
            case(
                "an id of null",
                root(r#""jsonrpc":"2.0","id":null,"method":"tools/call""#),
                400,
                INVALID_REQUEST,
            ),
            case(
                "an id that is a fraction",
                root(r#""jsonrpc":"2.0","id":1.5,"method":"tools/call""#),
                400,
                INVALID_REQUEST,
            ),
            case(
                "a request without an id",
                root(r#""jsonrpc":"2.0","method":"tools/call""#),
                400,
                INVALID_REQUEST,
            ),
            case(
                "a name that is a list",
                params(&format!(r#""name":["get_issue"],{META}"#)),
                400,
                INVALID_PARAMS,
            ),
            case("no name", params(META), 400, INVALID_PARAMS),
            case("an answer to nothing", with(br#"{"jsonrpc":"2.0","id":1,"result":{}}"#), 400, None),
        ],
    )
    .await;
}

#[tokio::test]
async fn names() {
    let stack = Stack::start().await;
    let good = || Request::good(&stack);
    let method = |method: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{META}}}}}"#);
        good().set("mcp-method", method).without("mcp-name").body(body)
    };
    run(
        &stack,
        vec![
            case("a denied tool", good().tool("delete_issue"), 200, INVALID_PARAMS),
            case("an unknown method", method("tools/destroy"), 404, METHOD_NOT_FOUND),
            case("a method in capitals", method("Tools/List"), 404, METHOD_NOT_FOUND),
            case("a method of the other era", method("resources/subscribe"), 404, METHOD_NOT_FOUND),
            case("a method for clients", method("sampling/createMessage"), 404, METHOD_NOT_FOUND),
        ],
    )
    .await;
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

#[tokio::test]
async fn a_request_that_never_ends_goes_nowhere() {
    let stack = Stack::start().await;
    let bytes = Request::good(&stack).bytes();
    let mut connection = RawConnection::open(stack.gateway).await;
    connection.send(&bytes[..bytes.len() - 1]).await;
    drop(connection);
    // The broken request is recorded, so it is over.
    let over = stack.envoy.access_log.wait_for(|record| record["status"] == 0).await;
    assert!(over.is_some(), "{}", stack.envoy.access_log.text());
    assert!(stack.sample.journal.entries().is_empty());
    assert_eq!(stack.agent(SAMPLE, Era::Modern).call("tools/list", serde_json::json!({})).await.status, 200);
}

#[tokio::test]
async fn requests_on_one_connection_are_judged_one_by_one() {
    let stack = Stack::start().await;
    let good = Request::good(&stack);
    let poison = good.clone().add("x-poison", b"\xff\xfe").tool("delete_issue");
    let mut connection = RawConnection::open(stack.gateway).await;
    connection.send(&[good.bytes(), poison.bytes(), good.bytes()].concat()).await;
    let mut texts = Vec::new();
    for _ in 0..3 {
        let response = connection.response().await.expect("an answer each");
        assert_eq!(response.status, 200);
        texts.push(response.text());
    }
    assert!(texts[0].contains("PC-1"), "{texts:?}");
    assert!(texts[1].contains("Unknown tool"), "{texts:?}");
    assert!(texts[2].contains("PC-1"), "{texts:?}");
    assert_eq!(stack.sample.journal.entries().len(), 2);
    assert!(stack.filter_never_trapped().await);
}
