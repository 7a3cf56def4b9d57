//! `WWW-Authenticate`, its values on a line each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_token_service::oauth::challenge::bearer;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let values: Vec<&str> = text.split('\n').collect();
    if let Some(challenge) = bearer(&values) {
        let parts = [&challenge.resource_metadata, &challenge.scope, &challenge.error];
        assert!(parts.into_iter().flatten().all(|part| part.len() <= text.len()));
    }
});
