//! MCP answers for members who have yet to connect an account, and what comes right after.
//!
//! Upstreams with OAuth answer 401 to everything, the handshake included; a client that saw that would give up. So the
//! filter sends the requests of an unconnected member here, with a [`Handle`] from the lease, and what is known of the
//! server answers in its place, until a call needs the account. That call is answered with a link.
//!
//! 1. [`message`] reads the client's message, [`profile`] what is known of the server, and [`answer`] decides what is
//!    said, by era, method and capability. All of that is pure.
//! 2. [`asking`] does it: finds out whether the member has connected in the meantime, gets the link, and holds a call
//!    whose client says that the person is on the way.
//! 3. Clients carry two [`tokens`] of ours: a `requestState` until the call is made again, and a session id until the
//!    client shakes hands anew. [`opening`] turns both into the upstream's own, for the filter.
//! 4. [`learning`] has the catalogue learnt by [`learn`]: right after a member connects, when the [`schedule`] says so, and
//!    when the server says that its lists changed.
//!
//! [`upstream`] speaks to upstreams, [`words`] to people and models, and [`work`] is what is in memory.

mod answer;
mod asking;
mod handle;
mod learn;
mod learning;
mod message;
mod opening;
mod profile;
mod repeats;
mod reply;
mod schedule;
pub(crate) mod sealed;
#[cfg(test)]
mod testing;
mod tokens;
mod upstream;
mod words;
mod work;

pub use self::handle::Handle;
pub(crate) use self::reply::Answer;
pub use self::work::Work;
