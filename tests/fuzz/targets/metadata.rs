//! Metadata of protected resources (RFC 9728) and of authorization servers (RFC 8414).
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_token_service::oauth::discovery::fuzzing::documents;

fuzz_target!(|data: &[u8]| documents(data));
