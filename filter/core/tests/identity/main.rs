//! Judging tokens, of the company's identity provider and of the gateway itself. Natively and on wasm32.
//!
//! Every test here is of some row of `tests/catalogue/tokens.yaml`.

mod access_tokens;
mod issuers;
mod life;
mod opaque;
mod proofs;
mod stand;
mod tokens;
