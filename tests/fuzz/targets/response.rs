//! Bodies of responses. The first byte chooses what was asked for and what comes, the second how it is cut: the same comes out
//! however that is, and never the credential.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use portcullis_filter_core::mcp::ListKind;
use portcullis_filter_core::payload::Views;
use portcullis_filter_core::response::headers::BodyPlan;
use portcullis_filter_core::response::list::ListContext;
use portcullis_filter_core::response::needles::Needles;
use portcullis_filter_core::response::pipeline::{Observed, ResponsePipeline, Subject};
use portcullis_filter_core::step::ResponseChunk;
use portcullis_wire::payload::{Capture, Redaction};
use portcullis_wire::policy::{CompiledPolicy, Policy};
use portcullis_wire::watch::PayloadPolicy;

const CREDENTIAL: &str = "credential-5d1f0c";

fuzz_target!(|data: &[u8]| {
    let [choice, size, body @ ..] = data else { return };
    let whole = run(*choice, &[body]);
    let size = usize::from(*size).max(1);
    let mut chunks: Vec<&[u8]> = body.chunks(size).collect();
    // The end may come by itself.
    chunks.push(&[]);
    assert_eq!(run(*choice, &chunks), whole);
    let (output, _) = whole;
    assert!(!output.windows(CREDENTIAL.len()).any(|text| text == CREDENTIAL.as_bytes()));
});

fn run(choice: u8, chunks: &[&[u8]]) -> (Vec<u8>, Observed) {
    let plan = [BodyPlan::Pass, BodyPlan::Json, BodyPlan::HeldJson, BodyPlan::Sse][usize::from(choice % 4)];
    let list = ListContext {
        kind: ListKind::Tools,
        request_id: "1".into(),
        modern: choice & 64 == 0,
        ttl_cap_ms: 5_000,
    };
    let subject = match choice / 4 % 3 {
        0 => Subject::List(list),
        1 => Subject::Stream,
        _ => Subject::Call(None),
    };
    let policies = [PayloadPolicy::Off, PayloadPolicy::Digest, PayloadPolicy::Redacted, PayloadPolicy::Full];
    let policy = policies[usize::from(choice / 16 % 4)];
    let redact = Redaction { parameters: Vec::new(), response: vec!["/a".to_owned()] };
    let view = Views::compile(&Capture { policy, limit: 256, redact }).response;
    let needles = Arc::new(Needles::of_values([CREDENTIAL]));
    let mut pipeline = ResponsePipeline::new(plan, subject, needles, view);
    let policy = CompiledPolicy::from(Policy::default());
    let mut output = Vec::new();
    for (number, chunk) in chunks.iter().enumerate() {
        match pipeline.push(&policy, chunk, number + 1 == chunks.len()) {
            ResponseChunk::Keep => output.extend_from_slice(chunk),
            ResponseChunk::Replace(bytes) => output.extend(bytes),
        }
    }
    (output, pipeline.observed().clone())
}
