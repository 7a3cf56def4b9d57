//! What must not get in: each gets its answer, nothing of it reaches the upstream, and the next request is served.
//!
//! Most of it is data, in `tests/catalogue`; here is what takes a program: pieces of every length, tokens, several requests on a
//! connection.

mod body;
mod connection;
mod credentials;

use std::fmt::Write as _;

use portcullis_tests::mcp::MODERN;
use portcullis_tests::raw::{RawConnection, RawResponse};
use portcullis_tests::stack::{SAMPLE, Stack};

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
        line.clone_into(&mut self.line);
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

const UNAUTHORIZED: i64 = -31007;
const INVALID_REQUEST: i64 = -32600;
