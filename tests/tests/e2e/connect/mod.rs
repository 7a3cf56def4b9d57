//! Members who have yet to connect an account, and credentials that an upstream refuses.

mod networks;
mod pages;
mod renewal;
mod stand;
mod unconnected;
