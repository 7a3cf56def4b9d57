//! Records of requests as OTLP. Each is kept or counted as rejected.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_token_service::clock::Timestamp;
use portcullis_token_service::records::otlp::{Export, read};
use prost::Message as _;

fuzz_target!(|data: &[u8]| {
    let Ok(export) = Export::decode(data) else { return };
    let scopes = export.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    let sent: usize = scopes.map(|scope| scope.log_records.len()).sum();
    let (kept, rejected, _) = read(export, Timestamp(1_800_000_000_000));
    assert_eq!(kept.len() as u64 + rejected, sent as u64);
});
