//! Headers of requests, a line each; the first line is the path. Names that are Base64 (`=?base64?…?=`) among them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_filter_core::identity::bearer;
use portcullis_filter_core::json::Limits;
use portcullis_filter_core::mcp::{McpHeaders, check_media_type, read_request};
use portcullis_filter_core::origin::AllowedHost;
use portcullis_filter_core::{networks, path, trace};

const BODY: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|byte| *byte == b'\n');
    if let Some(route) = lines.next().and_then(path::parse) {
        let _url = path::resource_url("https://gateway.example", &route);
    }
    let headers: Vec<(Vec<u8>, Vec<u8>)> = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((line[..colon].to_ascii_lowercase(), line[colon + 1..].to_vec()))
        })
        .collect();
    let _credential = bearer::find(&headers);
    let _media_type = check_media_type(&headers);
    if let Ok(gathered) = McpHeaders::gather(&headers) {
        let _request = read_request(BODY, &gathered, &Limits::default());
    }
    for (_, value) in &headers {
        if let Ok(text) = std::str::from_utf8(value) {
            if let Some(trace) = trace::traceparent(text) {
                trace::trace_id(trace).expect("what is well formed has an id");
            }
            let _host = AllowedHost::parse(text);
            let _admitted = networks::admit(&[text.to_owned()], "192.0.2.1");
        }
    }
});
