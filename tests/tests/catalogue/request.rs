//! The request of an input, as bytes.

use portcullis_tests::mcp::{LATEST_LEGACY, MODERN};
use serde_json::Value;

use super::bytes::{Bytes, Variables};
use super::row::{EraName, Input};

/// A request that would be served, to be spoilt.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    line: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
}

type Made<T> = Result<T, String>;

/// The members of `_meta` that a modern request has.
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// Adds what is the same for every request of an era.
pub(crate) fn era_variables(variables: &mut Variables, era: EraName) {
    let (version, meta) = match era {
        EraName::Modern => (MODERN, META),
        EraName::Legacy => (LATEST_LEGACY, r#""_meta":{}"#),
    };
    variables.set("version", version);
    variables.set("meta", meta);
    variables
        .set("good", call(&[br#""name":"get_issue","arguments":{"id":"PC-1"},"#, meta.as_bytes()].concat()));
}

fn call(params: &[u8]) -> Vec<u8> {
    [br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"#, params, b"}}"].concat()
}

impl Request {
    /// A call of a tool that reads.
    pub(crate) fn good(variables: &Variables, era: EraName) -> Made<Self> {
        let mut names = vec![
            ("host", "${host}"),
            ("authorization", "Bearer ${key}"),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "${version}"),
        ];
        match era {
            EraName::Modern => names.extend([("mcp-method", "tools/call"), ("mcp-name", "get_issue")]),
            EraName::Legacy => names.push(("mcp-session-id", "${session}")),
        }
        let text = |text: &str| Bytes::Text(text.to_owned()).make(variables);
        let headers = names
            .into_iter()
            .map(|(name, value)| Ok((name.as_bytes().to_vec(), text(value)?)))
            .collect::<Made<Vec<_>>>()?;
        // Of a server without sessions.
        let headers = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        Ok(Self { line: text("POST ${path} HTTP/1.1")?, headers, body: text("${good}")? })
    }

    fn set(&mut self, name: &str, value: Vec<u8>) {
        self.remove(name);
        self.headers.push((name.as_bytes().to_vec(), value));
    }

    fn remove(&mut self, name: &str) {
        self.headers.retain(|(key, _)| key != name.as_bytes());
    }

    /// With its length, or in chunks of `chunks` bytes with `trailers` behind them.
    pub(crate) fn bytes(&self, chunks: Option<usize>, trailers: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = [&self.line[..], b"\r\n"].concat();
        let write = |bytes: &mut Vec<u8>, name: &[u8], value: &[u8]| {
            bytes.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
        };
        for (name, value) in &self.headers {
            write(&mut bytes, name, value);
        }
        match chunks {
            None => {
                // Nobody says how long no body is.
                if !self.body.is_empty() || self.line.starts_with(b"POST") {
                    write(&mut bytes, b"content-length", self.body.len().to_string().as_bytes());
                }
                bytes.extend_from_slice(b"\r\n");
                bytes.extend_from_slice(&self.body);
            }
            Some(size) => {
                bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                for chunk in self.body.chunks(size.max(1)) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n");
                for (name, value) in trailers {
                    write(&mut bytes, name, value);
                }
                bytes.extend_from_slice(b"\r\n");
            }
        }
        bytes
    }
}

impl Input {
    /// Everything that is sent.
    ///
    /// # Errors
    /// If the input is not sound.
    pub(crate) fn request(&self, variables: &Variables, era: EraName) -> Made<Vec<u8>> {
        if let Some(raw) = &self.raw {
            return raw.make(variables);
        }
        let mut request = Request::good(variables, era)?;
        self.spoil_message(&mut request, variables, era)?;
        if let Some(line) = &self.line {
            request.line = line.make(variables)?;
        }
        for name in &self.without {
            request.remove(name);
        }
        for (name, value) in &self.set {
            request.set(name, value.make(variables)?);
        }
        for (name, value) in &self.add {
            request.headers.push((name.make(variables)?, value.make(variables)?));
        }
        let trailers: Made<Vec<_>> = self
            .trailers
            .iter()
            .map(|(name, value)| Ok((name.make(variables)?, value.make(variables)?)))
            .collect();
        Ok(self.end_lines(request.bytes(self.chunks, &trailers?)))
    }

    /// Ends the lines of the head, and of the chunks, as the input wants.
    fn end_lines(&self, bytes: Vec<u8>) -> Vec<u8> {
        let Some(end) = &self.line_ends else { return bytes };
        // No body that is sent like this has such a line end in it.
        String::from_utf8_lossy(&bytes).replace("\r\n", end).into_bytes()
    }

    fn spoil_message(&self, request: &mut Request, variables: &Variables, era: EraName) -> Made<()> {
        let modern = era == EraName::Modern;
        let make = |bytes: &Bytes| bytes.make(variables);
        let meta = make(&Bytes::Text("${meta}".to_owned()))?;
        if let Some(method) = &self.method {
            let method = method.text(variables)?;
            let params = self.params.as_ref().map_or_else(|| Ok(meta.clone()), make)?;
            let method_json = Value::from(method.as_str()).to_string();
            let start = format!(r#"{{"jsonrpc":"2.0","id":1,"method":{method_json},"params":{{"#);
            request.body = [start.as_bytes(), &params, b"}}"].concat();
            request.remove("mcp-name");
            if modern {
                request.set("mcp-method", method.into_bytes());
            }
            return Ok(());
        }
        if let Some(tool) = &self.tool {
            let tool = tool.text(variables)?;
            let name = Value::from(tool.as_str()).to_string();
            request.body = call(&[br#""name":"#, name.as_bytes(), br#","arguments":{},"#, &meta].concat());
            if modern {
                request.set("mcp-name", header(&tool));
            }
        }
        if let Some(params) = &self.params {
            request.body = call(&make(params)?);
        }
        if let Some(arguments) = &self.arguments {
            let arguments = make(arguments)?;
            request.body =
                call(&[br#""name":"get_issue","arguments":"#, &arguments[..], b",", &meta].concat());
        }
        if let Some(envelope) = &self.envelope {
            let params = br#","params":{"name":"get_issue","arguments":{"id":"PC-1"},"#;
            request.body = [b"{", &make(envelope)?[..], params, &meta, b"}}"].concat();
        }
        if let Some(body) = &self.body {
            request.body = make(body)?;
        }
        Ok(())
    }
}

/// A name as the `Mcp-Name` header carries it.
fn header(name: &str) -> Vec<u8> {
    use base64::Engine as _;
    let is_plain = !name.is_empty()
        && name.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
        && name.trim() == name
        && !name.starts_with("=?");
    if is_plain {
        return name.as_bytes().to_vec();
    }
    format!("=?base64?{}?=", base64::engine::general_purpose::STANDARD.encode(name)).into_bytes()
}
