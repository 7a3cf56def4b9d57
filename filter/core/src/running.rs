//! How many requests to a server are under way through one Envoy.
//!
//! Each worker keeps its own number among those of the others, with the time when it last said so, and whoever lets
//! a request go adds up those that are fresh. So the requests of a worker whose VM has failed, which cannot say that
//! they are over, count for a while and no longer.

use std::collections::HashMap;
use std::rc::Rc;

use portcullis_wire::digest::Digest;

use crate::shared::{self, Fault, SharedData};

/// How long a number counts that is not renewed.
pub const FRESH_MS: u64 = 10_000;

/// How often a worker renews its own.
pub const RENEW_EVERY_MS: u64 = 1_000;

/// Why a request may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    TooMany,
    /// It cannot be counted, so it does not begin.
    Uncounted,
}

/// The requests under way in this worker, as far as somebody limits them.
#[derive(Debug)]
pub struct Running {
    worker: u64,
    streams: HashMap<u32, Rc<str>>,
    servers: HashMap<Rc<str>, Own>,
}

#[derive(Debug, Default)]
struct Own {
    count: u64,
    said_ms: u64,
    /// The others do not know the number as it is.
    is_unsaid: bool,
}

impl Running {
    /// `filter_id` tells this worker's VM apart from all others.
    pub fn new(filter_id: &str) -> Self {
        let digest = Digest::of("worker", &[filter_id.as_bytes()]);
        let worker = digest.as_bytes().first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default();
        Self { worker, streams: HashMap::new(), servers: HashMap::new() }
    }

    /// A request of `stream` begins, if fewer than `most` are under way.
    pub fn begin(
        &mut self,
        stream: u32,
        server: &str,
        most: u32,
        shared: &dyn SharedData,
        now_ms: u64,
    ) -> Result<(), Refused> {
        if self.streams.contains_key(&stream) {
            return Ok(());
        }
        let worker = self.worker;
        let count = self.servers.get(server).map_or(0, |own| own.count).saturating_add(1);
        let begun = shared::update(shared, &key(server), |value| {
            let others: Vec<[u64; 3]> = of_others(value, worker, now_ms).collect();
            let all = others.iter().fold(count, |sum, [_, count, _]| sum.saturating_add(*count));
            if all > u64::from(most) {
                return (None, false);
            }
            (Some(shared::bytes(others.into_iter().chain([[worker, count, now_ms]]))), true)
        });
        match begun {
            Ok(true) => {}
            Ok(false) | Err(Fault::Contended) => return Err(Refused::TooMany),
            Err(Fault::Unavailable) => return Err(Refused::Uncounted),
        }
        let server: Rc<str> = server.into();
        self.streams.insert(stream, Rc::clone(&server));
        self.servers.insert(server, Own { count, said_ms: now_ms, is_unsaid: false });
        Ok(())
    }

    /// A request is over. What the others cannot be told now, the next tick tells them.
    pub fn end(&mut self, stream: u32, shared: &dyn SharedData) {
        let Some(server) = self.streams.remove(&stream) else { return };
        let Some(own) = self.servers.get_mut(&server) else { return };
        own.count = own.count.saturating_sub(1);
        // The time stays: it is no older than a tick.
        own.say(&server, self.worker, own.said_ms, shared);
        self.drop_idle();
    }

    /// Says again what is fresh no longer, and what could not be said.
    pub fn on_tick(&mut self, shared: &dyn SharedData, now_ms: u64) {
        for (server, own) in &mut self.servers {
            if own.is_unsaid || now_ms.saturating_sub(own.said_ms) >= RENEW_EVERY_MS {
                own.say(server, self.worker, now_ms, shared);
            }
        }
        self.drop_idle();
    }

    fn drop_idle(&mut self) {
        self.servers.retain(|_, own| own.count > 0 || own.is_unsaid);
    }
}

impl Own {
    fn say(&mut self, server: &str, worker: u64, said_ms: u64, shared: &dyn SharedData) {
        let own = (self.count > 0).then_some([worker, self.count, said_ms]);
        let said = shared::update(shared, &key(server), |value| {
            (Some(shared::bytes(of_others(value, worker, said_ms).chain(own))), ())
        });
        self.said_ms = said_ms;
        self.is_unsaid = said.is_err();
    }
}

fn key(server: &str) -> String {
    format!("portcullis.running.{server}")
}

/// Worker, count and time of the others that are fresh.
fn of_others(value: &[u8], worker: u64, now_ms: u64) -> impl Iterator<Item = [u64; 3]> {
    let is_fresh = move |said_ms: u64| said_ms.saturating_add(FRESH_MS) > now_ms;
    shared::records(value).filter(move |[other, _, said_ms]| *other != worker && is_fresh(*said_ms))
}

#[cfg(test)]
mod tests;
