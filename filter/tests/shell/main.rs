//! The shell and the real core, natively, under a fake host.

mod configuration;
mod fake_host;
mod faults;
mod gateway;
mod limits;
mod metrics;
mod parting;
mod renewal;
mod requests;
mod responses;
mod signatures;
mod standing;
