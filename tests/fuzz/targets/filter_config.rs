//! The filter's own configuration. A bad one is a list of problems.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_filter_core::config::Config;

fuzz_target!(|data: &[u8]| {
    if let Err(problems) = Config::read(data) {
        assert!(!problems.0.is_empty());
        assert!(!problems.to_string().is_empty());
    }
});
