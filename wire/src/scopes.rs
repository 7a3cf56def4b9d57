//! The scopes of the gateway's access tokens, on whichever server a token is for.

/// To use prompts, resources, and tools that are known to read only.
pub const READ: &str = "mcp:read";

/// To use every other tool as well. Says nothing without [`READ`].
pub const WRITE: &str = "mcp:write";

/// What challenges ask for and metadata offer.
pub const ALL: [&str; 2] = [READ, WRITE];
