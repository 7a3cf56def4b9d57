//! Does nothing. Where an example is built, Cargo resolves the features of libraries as it does for tests, so that targets and
//! tests have them in common; `run.sh` names it for that.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|_data: &[u8]| {});
