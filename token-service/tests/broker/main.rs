//! The broker against a real store and an authorization server that keeps the truth.
//!
//! `crashes`, `cluster`, `paused` and `herd` run replicas: this test binary, started again as another process on the same database.

mod answers;
mod authorization_server;
mod cluster;
mod connections;
mod crashes;
mod herd;
mod paused;
mod process;
mod replica;
mod shared;
mod stage;
