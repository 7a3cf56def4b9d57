//! Stories of requests, told through the front door: headers and body in, steps out. Natively and on wasm32.

mod browsers;
mod challenges;
mod decisions;
mod judging;
mod limits;
mod opaque;
mod renewing;
mod rules;
mod sessions;
mod story;
mod unconnected;
