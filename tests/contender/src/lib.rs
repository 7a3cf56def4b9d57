//! What the gateway's filter is measured beside, all in one module; its configuration says which.
//!
//! - `nothing` lets everything pass: what Envoy takes for a filter of the SDK that is there at all.
//! - `reading` copies both bodies: what no filter that judges bodies can do without.
//! - `rewriting` is the plain way to filter a list: the response as a tree of `serde_json`, the entries taken out, written
//!   again.
//!
//! None of them is part of the product.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use serde_json::Value;

/// Tools whose names begin so are taken out.
const HIDDEN: &str = "hidden_";

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Root { way: Way::Nothing }));
}}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Nothing,
    Reading,
    Rewriting,
}

struct Root {
    way: Way,
}

struct Stream {
    way: Way,
    is_events: bool,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.way = match self.get_plugin_configuration().as_deref() {
            Some(b"nothing") => Way::Nothing,
            Some(b"reading") => Way::Reading,
            Some(b"rewriting") => Way::Rewriting,
            _ => return false,
        };
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { way: self.way, is_events: false }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if self.way != Way::Nothing && end_of_stream {
            let _ = self.get_http_request_body(0, size);
        }
        if self.way == Way::Nothing || end_of_stream { Action::Continue } else { Action::Pause }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.way == Way::Rewriting {
            let kind = self.get_http_response_header("content-type").unwrap_or_default();
            self.is_events = kind.starts_with("text/event-stream");
            self.set_http_response_header("content-length", None);
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if self.way == Way::Nothing {
            return Action::Continue;
        }
        if !end_of_stream {
            return Action::Pause;
        }
        let Some(body) = self.get_http_response_body(0, size) else { return Action::Continue };
        if self.way == Way::Rewriting {
            let body = if self.is_events { rewrite_events(&body) } else { rewrite(&body) };
            if let Some(body) = body {
                self.set_http_response_body(0, size, &body);
            }
        }
        Action::Continue
    }
}

fn rewrite(body: &[u8]) -> Option<Vec<u8>> {
    let mut message: Value = serde_json::from_slice(body).ok()?;
    let tools = message.pointer_mut("/result/tools")?.as_array_mut()?;
    tools.retain(|tool| tool["name"].as_str().is_none_or(|name| !name.starts_with(HIDDEN)));
    serde_json::to_vec(&message).ok()
}

/// One event with one line of data, as most servers write it.
fn rewrite_events(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    let (before, data) = text.split_once("data: ")?;
    let message = rewrite(data.trim_end().as_bytes())?;
    Some([before.as_bytes(), b"data: ", &message, b"\n\n"].concat())
}
