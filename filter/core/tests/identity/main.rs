//! Judging tokens, of the company's identity provider and of the gateway itself. Natively and on wasm32.

mod access_tokens;
#[cfg(not(target_family = "wasm"))]
mod catalogue;
mod issuers;
mod life;
mod opaque;
mod proofs;
#[cfg(not(target_family = "wasm"))]
mod rows;
mod stand;
mod tokens;
