//! The admin side: who may use it, and for what.

mod bootstrap;
mod console_forms;
mod console_routes;
mod escalation;
mod matrix;
mod public_routes;
mod requests;
pub(crate) mod world;
