//! A filter that traps when a request has trailers: the shipped module, with one function replaced. Nothing is known that
//! makes the filter itself trap, and what Envoy makes of a trap matters all the same.

use std::ops::Range;

use anyhow::{Context as _, ensure};
use tokio::net::TcpStream;
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

use super::scene::Scene;

/// What Envoy calls when a request has trailers.
const EXPORT: &str = "proxy_on_request_trailers";
const UNREACHABLE: u8 = 0x00;
const NOP: u8 = 0x01;

/// The module `filter` with the trap in it.
pub fn with_trap(filter: &[u8]) -> anyhow::Result<Vec<u8>> {
    let place = body(filter, EXPORT)?.with_context(|| format!("the filter exports no {EXPORT}"))?;
    let mut module = filter.to_vec();
    let code = module.get_mut(place).context("the function lies outside of the module")?;
    let (end, code) = code.split_last_mut().context("the function has no code")?;
    ensure!(*end == 0x0b, "the function ends with {end:#x}");
    code.fill(NOP);
    *code.first_mut().context("the function does nothing")? = UNREACHABLE;
    Ok(module)
}

/// Where the instructions of an exported function are.
fn body(module: &[u8], export: &str) -> anyhow::Result<Option<Range<usize>>> {
    let (mut imported, mut wanted, mut defined) = (0, None, 0);
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::ExportSection(section) => {
                for found in section {
                    let found = found?;
                    if found.name == export && found.kind == ExternalKind::Func {
                        wanted = Some(found.index);
                    }
                }
            }
            Payload::CodeSectionEntry(code) => {
                if wanted == Some(imported + defined) {
                    let begin = code.get_operators_reader()?.original_position();
                    return Ok(Some(usize::try_from(begin)?..usize::try_from(code.range().end)?));
                }
                defined += 1;
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Sends a request that makes such a filter trap.
pub async fn spring(scene: &Scene) -> anyhow::Result<()> {
    let connection = TcpStream::connect(scene.stack.gateway).await?;
    let (mut streams, connection) = h2::client::handshake(connection).await?;
    tokio::spawn(connection);
    let request = axum::http::Request::post(scene.stack.url(crate::stack::SCRIPTED))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("authorization", format!("Bearer {}", scene.stack.seeded.key.text))
        .body(())?;
    let (answer, mut body) = streams.send_request(request, false)?;
    let mut trailers = axum::http::HeaderMap::new();
    trailers.insert("x-trap", axum::http::HeaderValue::from_static("sprung"));
    body.send_trailers(trailers)?;
    // Whatever the answer is, or none.
    let _ = answer.await;
    Ok(())
}
