//! Figures of a span of time: how many requests, how they ended, how long they took, and who and what they were.

use std::collections::BTreeMap;

use super::Records;
use super::search::parts;
use crate::domain::access::Visibility;
use crate::record_store::{Count, Intervals, Outcome, Query, Range, RecordId, Result, Tally, latency};

/// How many records are counted of one part of what somebody may see; of more, the newest.
const MOST_RECORDS: u32 = 200_000;

/// How many of the most frequent are told.
const MOST_FREQUENT: usize = 10;

/// Figures from `range.from` on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Older records were not counted; `None` if all were.
    pub covered_from: Option<RecordId>,
    pub total: Figures,
    /// By the number of the interval.
    pub intervals: BTreeMap<u64, Figures>,
    /// Most first.
    pub tools: Vec<Count>,
    pub callers: Vec<Count>,
    pub servers: Vec<Count>,
}

/// What there is to say about some requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub outcomes: BTreeMap<Outcome, u64>,
    latencies: BTreeMap<u16, u64>,
}

impl Figures {
    fn add(&mut self, outcome: Outcome, bucket: u16, records: u64) {
        *self.outcomes.entry(outcome).or_default() += records;
        *self.latencies.entry(bucket).or_default() += records;
    }

    pub fn requests(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// In milliseconds, within an eighth.
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let counts: Vec<_> = self.latencies.iter().map(|(bucket, count)| (*bucket, *count)).collect();
        latency::percentile(&counts, percent)
    }
}

impl Records {
    pub async fn summary(
        &self,
        visibility: &Visibility,
        query: &Query,
        range: Range,
        interval_us: u64,
    ) -> Result<Summary> {
        let intervals = Intervals { origin: range.from, length_us: interval_us };
        let parts = parts(query, visibility);
        let mut covered_from = None;
        loop {
            let counted = Range { from: covered_from.unwrap_or(range.from), ..range };
            let mut tallies = Vec::new();
            for part in &parts {
                tallies.push(self.store.tally(part, counted, intervals, MOST_RECORDS).await?);
            }
            // One part that is too large leaves out older records of it; then they are left out of all.
            let reached = tallies.iter().filter_map(|tally| tally.reached).max();
            match reached.filter(|reached| parts.len() > 1 && *reached > counted.from) {
                Some(reached) => covered_from = Some(reached),
                None => return Ok(add_up(tallies, covered_from.or(reached))),
            }
        }
    }
}

fn add_up(tallies: Vec<Tally>, covered_from: Option<RecordId>) -> Summary {
    let mut summary = Summary { covered_from, ..Summary::default() };
    for tally in tallies {
        for cell in tally.cells {
            summary.total.add(cell.outcome, cell.bucket, cell.records);
            summary.intervals.entry(cell.interval).or_default().add(cell.outcome, cell.bucket, cell.records);
        }
        summary.tools.extend(tally.tools);
        summary.callers.extend(tally.callers);
        summary.servers.extend(tally.servers);
    }
    summary.tools = most_frequent(summary.tools, true);
    summary.callers = most_frequent(summary.callers, false);
    summary.servers = most_frequent(summary.servers, false);
    summary
}

/// `by_second`: what differs in the second value counts apart.
fn most_frequent(counts: Vec<Count>, by_second: bool) -> Vec<Count> {
    let mut added: BTreeMap<(String, Option<String>), Count> = BTreeMap::new();
    for count in counts {
        let key = (count.first.clone(), count.second.clone().filter(|_| by_second));
        match added.get_mut(&key) {
            Some(same) => same.records += count.records,
            None => drop(added.insert(key, count)),
        }
    }
    let mut counts: Vec<Count> = added.into_values().collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.records));
    counts.truncate(MOST_FREQUENT);
    counts
}
