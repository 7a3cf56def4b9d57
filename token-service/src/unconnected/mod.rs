//! MCP answers for members who have yet to connect an account.

mod handle;
mod sealed;

pub use self::handle::Handle;
