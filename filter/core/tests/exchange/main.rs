//! Stories of requests, told through the front door: headers and body in, steps out. Natively and on wasm32.

mod browsers;
mod challenges;
mod decisions;
mod endings;
mod guessing;
mod judging;
mod limits;
mod list_news;
mod opaque;
mod parting;
mod rates;
mod renewing;
mod rules;
mod sessions;
mod standing;
mod story;
mod traces;
mod unconnected;
mod versions;
