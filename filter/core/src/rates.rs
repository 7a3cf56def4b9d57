//! So many requests in so much time, counted by all workers of an Envoy together.
//!
//! Each counter is one number, the time by which everything that was admitted is paid for (the generic cell rate
//! algorithm): it may be a window ahead of now and no further. So a whole window's worth may come at once, and after
//! that one request for each step of the window. What is refused costs nothing.

use portcullis_wire::digest::Digest;
use portcullis_wire::lease::Rate;

use crate::shared::{self, Fault, SharedData};

/// Tools that one counter counts apart at a time. Beyond them, those that it does not know are refused until one is
/// paid for: whoever shares the counter has called very many names.
const MAX_TOOLS: usize = 1_024;

const NANOSECONDS: u64 = 1_000_000;

/// Why a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused<'a> {
    Over {
        rate: &'a Rate,
        /// When the same request would be admitted, if nothing else comes.
        retry_after_ms: u64,
    },
    /// It cannot be counted, so it is not admitted.
    Uncounted,
}

/// A rate as two lengths of time, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// What one request costs.
    step: u64,
    /// How far ahead of now the paid time may be.
    span: u64,
}

impl Pace {
    pub fn of(requests: u32, window_ms: u64) -> Self {
        let window = window_ms.saturating_mul(NANOSECONDS);
        let step = window.checked_div(requests.into()).unwrap_or(window).max(1);
        Self { step, span: step.saturating_mul(requests.into()) }
    }

    /// The paid time after one request more; `Err` with how long to wait until there is room, in milliseconds. A time
    /// further ahead than this pace allows is of a clock that went back, or of a slower pace before.
    pub fn take(self, paid: u64, now_ms: u64) -> Result<u64, u64> {
        let now = now_ms.saturating_mul(NANOSECONDS);
        let end = now.saturating_add(self.span);
        let next = paid.clamp(now, end).saturating_add(self.step);
        match next.saturating_sub(end) {
            0 => Ok(next),
            wait => Err(wait.div_ceil(NANOSECONDS)),
        }
    }
}

/// Whether the paid time says nothing any more.
pub fn is_over(paid: u64, now_ms: u64) -> bool {
    paid <= now_ms.saturating_mul(NANOSECONDS)
}

/// Counts a request against every rate that concerns it. `tool` is the one that it calls. If one refuses it, the others
/// get back what they have counted.
pub fn admit<'a>(
    rates: &'a [Rate],
    tool: Option<&str>,
    shared: &dyn SharedData,
    now_ms: u64,
) -> Result<(), Refused<'a>> {
    let mut counted: Vec<&Rate> = Vec::new();
    for rate in rates.iter().filter(|rate| concerns(rate, tool)) {
        if let Err(refused) = count(rate, tool, shared, now_ms) {
            for rate in counted {
                give_back(rate, tool, shared);
            }
            return Err(refused);
        }
        counted.push(rate);
    }
    Ok(())
}

fn concerns(rate: &Rate, tool: Option<&str>) -> bool {
    match tool {
        Some(tool) => rate.tools.is_empty() || rate.tools.iter().any(|pattern| pattern.matches(tool)),
        None => rate.tools.is_empty() && !rate.by_tool,
    }
}

fn count<'a>(
    rate: &'a Rate,
    tool: Option<&str>,
    shared: &dyn SharedData,
    now_ms: u64,
) -> Result<(), Refused<'a>> {
    let pace = Pace::of(rate.requests, rate.window_ms);
    let mark = mark(rate, tool);
    let counted = shared::update(shared, &key(rate), |value| {
        // What is paid for is forgotten, so that a counter by tool holds only those that are in use.
        let others: Vec<[u64; 2]> = shared::records(value)
            .filter(|[other, paid]| *other != mark && !is_over(*paid, now_ms))
            .collect();
        if others.len() >= MAX_TOOLS {
            let soonest = others.iter().map(|[_, paid]| *paid).min().unwrap_or_default();
            let wait = soonest.div_ceil(NANOSECONDS).saturating_sub(now_ms).max(1);
            return (None, Err(wait));
        }
        let paid = shared::records(value).find_map(|[other, paid]| (other == mark).then_some(paid));
        match pace.take(paid.unwrap_or_default(), now_ms) {
            Ok(paid) => (Some(shared::bytes(others.into_iter().chain([[mark, paid]]))), Ok(())),
            Err(wait) => (None, Err(wait)),
        }
    });
    match counted {
        Ok(Ok(())) => Ok(()),
        Ok(Err(retry_after_ms)) => Err(Refused::Over { rate, retry_after_ms }),
        // A counter that so many want at once is as good as full.
        Err(Fault::Contended) => Err(Refused::Over { rate, retry_after_ms: 1 }),
        Err(Fault::Unavailable) => Err(Refused::Uncounted),
    }
}

fn give_back(rate: &Rate, tool: Option<&str>, shared: &dyn SharedData) {
    let pace = Pace::of(rate.requests, rate.window_ms);
    let mark = mark(rate, tool);
    // If that fails, the limit is a little stricter for a while.
    let _ = shared::update(shared, &key(rate), |value| {
        let back = shared::records(value).map(|[other, paid]| {
            let paid = if other == mark { paid.saturating_sub(pace.step) } else { paid };
            [other, paid]
        });
        (Some(shared::bytes(back)), ())
    });
}

fn key(rate: &Rate) -> String {
    format!("portcullis.rate.{}", rate.counter)
}

/// What is counted apart under one counter.
fn mark(rate: &Rate, tool: Option<&str>) -> u64 {
    let Some(tool) = tool.filter(|_| rate.by_tool) else { return 0 };
    let digest = Digest::of("tool", &[tool.as_bytes()]);
    digest.as_bytes().first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests;
