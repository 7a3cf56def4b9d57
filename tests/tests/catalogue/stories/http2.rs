//! HTTP/2 frame by frame, for what no library would send.

use std::sync::Arc;

use portcullis_tests::patience::within;
use portcullis_tests::stack::SAMPLE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stand::Stand;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers as literals without an index, none of them longer than 126 bytes.
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text");
        [&[length], text.as_bytes()].concat()
    };
    headers.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// A denied call, with `change` made to its headers.
fn request(stand: &Stand, stream: u32, change: impl FnOnce(&mut Vec<(&str, &str)>)) -> Vec<u8> {
    let (host, path) = (stand.stack.gateway.to_string(), format!("/{SAMPLE}/mcp"));
    let key = format!("Bearer {}", stand.stack.seeded.key.text);
    let mut headers = vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", host.as_str()),
        (":path", path.as_str()),
        ("authorization", key.as_str()),
        ("content-type", "application/json"),
    ];
    change(&mut headers);
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_issue"}}"#;
    [frame(HEADERS, END_HEADERS, stream, &block(&headers)), frame(DATA, END_STREAM, stream, body)].concat()
}

/// The frames that come back until `done`, or until the gateway hangs up.
async fn answers(stream: &mut TcpStream, done: impl Fn(&[(u8, Vec<u8>)]) -> bool) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    within("the gateway's frames", async {
        while !done(&frames) {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).expect("a length")];
            if stream.read_exact(&mut payload).await.is_err() {
                return;
            }
            frames.push((head[3], payload));
        }
    })
    .await;
    frames
}

async fn send(stand: &Stand, frames: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(stand.stack.gateway).await.expect("the gateway listens");
    let start = [PREFACE, &frame(SETTINGS, 0, 0, &[]), frames].concat();
    // The gateway may hang up in the middle, which is an answer too.
    let _ = within("the frames to be taken", stream.write_all(&start)).await;
    stream
}

fn has(frames: &[(u8, Vec<u8>)], kind: u8) -> bool {
    frames.iter().any(|(found, _)| *found == kind)
}

pub(crate) async fn http2_out_of_order_costs_its_own_stream_only(stand: Arc<Stand>) {
    stand.stack.sample.journal.clear();
    // As it should be: the gateway's own answer.
    let mut stream = send(&stand, &request(&stand, 1, |_| {})).await;
    let good = answers(&mut stream, |frames| has(frames, DATA)).await;
    assert!(has(&good, HEADERS) && has(&good, DATA), "{good:?}");
    let body = good.iter().find(|(kind, _)| *kind == DATA).expect("a body");
    assert!(String::from_utf8_lossy(&body.1).contains("-32602"), "{good:?}");

    let bad = |change: fn(&mut Vec<(&str, &str)>)| request(&stand, 1, change);
    for (what, frames) in [
        ("a name in capitals", bad(|headers| headers.push(("X-Odd", "a")))),
        ("a header of one connection", bad(|headers| headers.push(("connection", "close")))),
        ("a space in the path", bad(|headers| headers[3].1 = "/a b/mcp")),
        ("no path", bad(|headers| headers.retain(|(name, _)| *name != ":path"))),
        ("two paths", bad(|headers| headers.insert(4, (":path", "/sample-open/mcp")))),
        ("two methods", bad(|headers| headers.insert(1, (":method", "GET")))),
        ("a pseudo-header behind a header", bad(|headers| headers.push((":path", "/a/mcp")))),
        ("a pseudo-header that there is none", bad(|headers| headers.insert(0, (":upstream", "plain")))),
        ("another length than the body's", bad(|headers| headers.push(("content-length", "5")))),
        ("a line end in a value", bad(|headers| headers.push(("x-odd", "a\r\nb: c")))),
        ("a stream of the gateway's", request(&stand, 2, |_| {})),
        ("a frame of no stream", frame(HEADERS, END_HEADERS, 0, &[])),
        ("headers that are none", frame(HEADERS, END_HEADERS, 1, &[0xff; 20])),
        (
            "continuations without end",
            [
                frame(HEADERS, 0, 1, &block(&[("x-odd", "a")])),
                frame(CONTINUATION, 0, 1, &block(&[("x-odd", "a")]).repeat(1000)).repeat(200),
            ]
            .concat(),
        ),
        (
            "empty continuations without end",
            [frame(HEADERS, 0, 1, &block(&[("x-odd", "a")])), frame(CONTINUATION, 0, 1, &[]).repeat(20_000)]
                .concat(),
        ),
    ] {
        let mut stream = send(&stand, &frames).await;
        let refused =
            |frames: &[(u8, Vec<u8>)]| has(frames, RST_STREAM) || has(frames, GOAWAY) || has(frames, HEADERS);
        let frames = answers(&mut stream, refused).await;
        let served = frames.iter().any(|(_, payload)| String::from_utf8_lossy(payload).contains("-32602"));
        assert!(!served, "{what}: {frames:?}");
    }
    // Requests that are taken back as soon as they are made.
    let reset = |number: u32| {
        let stream = 2 * number + 1;
        [request(&stand, stream, |_| {}), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    let many: Vec<u8> = (0..2000).flat_map(reset).collect();
    drop(send(&stand, &many).await);
    assert!(stand.stack.sample.journal.entries().is_empty());
}
