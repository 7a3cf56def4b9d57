//! `portcullis.yaml`. A bad one is a list of problems.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use portcullis_token_service::config::Config;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Files that it names are not looked for: what a path leads to is no matter of this reader's.
    if text.contains("file") {
        return;
    }
    if let Err(problems) = Config::parse(Path::new("portcullis.yaml"), text, &|_| None) {
        assert!(!problems.to_string().is_empty());
    }
});
