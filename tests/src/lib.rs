//! The whole system run for real: parts to start, stop and look at.

#[expect(
    deprecated,
    reason = "the suite asks for what is left of the legacy era too: logging, sampling, roots"
)]
pub mod conformance;
