//! Stories of requests, told through the front door: headers and body in, steps out. Natively and on wasm32.

mod judging;
mod renewing;
mod sessions;
mod story;
mod unconnected;
