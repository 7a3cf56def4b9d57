//! What somebody may see of the records: everything, or the records of workspaces that they manage and their own.
//!
//! Nobody's answer is worked out by leaving things out of everybody's, which would take as long as there is much to leave
//! out. Each part of what they may see is searched by its own index, and the parts are put together.

use std::time::Duration;

use tokio::time::Instant;

use super::Records;
use crate::domain::access::{Part, Visibility};
use crate::record_store::{
    Arrival, Bounds, Column, Query, Range, Record, RecordId, RecordStore, Result, Slice,
};
use crate::shutdown::Shutdown;

/// How many rows one step of a search looks at, and how many steps there are: what is rarer takes a further request.
const ROWS: u32 = 10_000;
const STEPS: usize = 10;

/// How long a follower waits at most for records of other processes.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Records, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub records: Vec<Record>,
    /// Older records have yet to be looked at, from before here.
    pub next: Option<RecordId>,
}

/// What has arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    pub records: Vec<Record>,
    pub next: Arrival,
}

/// `query` for each part of what is visible; the parts have no record in common.
pub fn parts(query: &Query, visibility: &Visibility) -> Vec<Query> {
    match visibility {
        Visibility::Everything => vec![query.clone()],
        Visibility::Of(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Workspace(id) => query.clone().with(Column::WorkspaceId, id.as_str()),
                Part::Member(id) => query.clone().with(Column::Caller, id.as_str()),
            })
            .collect(),
    }
}

fn is_visible(record: &Record, visibility: &Visibility) -> bool {
    match visibility {
        Visibility::Everything => true,
        Visibility::Of(parts) => parts.iter().any(|part| match part {
            Part::Workspace(id) => record.fields.workspace_id.as_deref() == Some(id.as_str()),
            Part::Member(id) => record.fields.caller.as_deref() == Some(id.as_str()),
        }),
    }
}

impl Records {
    /// The newest records in `range`, at most `limit` of them.
    pub async fn page(
        &self,
        visibility: &Visibility,
        query: &Query,
        range: Range,
        limit: u32,
        payloads: bool,
    ) -> Result<Page> {
        let mut slices = Vec::new();
        for query in parts(query, visibility) {
            slices.push(search(&*self.store, &query, range, limit, payloads).await?);
        }
        Ok(together(slices, limit as usize))
    }

    /// One record with its payloads.
    pub async fn visible(&self, visibility: &Visibility, id: RecordId) -> Result<Option<Record>> {
        Ok(self.store.record(id).await?.filter(|record| is_visible(record, visibility)))
    }

    /// Waits up to `wait` for records that arrive after `after`, or from now on.
    pub async fn news(
        &self,
        visibility: &Visibility,
        query: &Query,
        after: Option<Arrival>,
        bounds: Bounds,
        (wait, shutdown): (Duration, &Shutdown),
    ) -> Result<News> {
        let mut arrivals = self.store.arrivals();
        let mut after = match after {
            Some(after) => after,
            None => self.store.newest().await?,
        };
        let end = Instant::now() + wait;
        loop {
            arrivals.mark_unchanged();
            let arrived = self.store.since(query, after, bounds).await?;
            let is_behind = arrived.through > after;
            after = arrived.through;
            let mut records = arrived.records;
            records.retain(|record| is_visible(record, visibility));
            if !records.is_empty() || Instant::now() >= end || shutdown.is_requested() {
                return Ok(News { records, next: after });
            }
            if !is_behind {
                tokio::select! {
                    _ = arrivals.changed() => {}
                    () = tokio::time::sleep_until(end.min(Instant::now() + LOOK_INTERVAL)) => {}
                    () = shutdown.requested() => {}
                }
            }
        }
    }
}

/// Goes on until there is enough, or nothing more, or too much was looked at.
async fn search(
    store: &dyn RecordStore,
    query: &Query,
    mut range: Range,
    limit: u32,
    payloads: bool,
) -> Result<Slice> {
    let mut found = Slice::default();
    for _ in 0..STEPS {
        let missing = limit.saturating_sub(u32::try_from(found.records.len()).unwrap_or(u32::MAX));
        let slice = store.slice(query, range, Bounds { records: missing, rows: ROWS, payloads }).await?;
        found.records.extend(slice.records);
        found.reached = slice.reached;
        match slice.reached {
            Some(reached) if found.records.len() < limit as usize => range.until = reached,
            _ => break,
        }
    }
    Ok(found)
}

/// The newest of all parts, as far as all of them have got.
fn together(slices: Vec<Slice>, limit: usize) -> Page {
    let reached = slices.iter().filter_map(|slice| slice.reached).max();
    let mut records: Vec<Record> = slices.into_iter().flat_map(|slice| slice.records).collect();
    records.retain(|record| reached.is_none_or(|reached| record.id >= reached));
    records.sort_by_key(|record| std::cmp::Reverse(record.id));
    let is_cut = records.len() > limit;
    records.truncate(limit);
    let next = if is_cut { records.last().map(|last| last.id) } else { reached };
    Page { records, next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record_store::{Fields, Outcome};

    fn record(id: u64) -> Record {
        Record { id: RecordId(id), outcome: Outcome::Ok, fields: Fields::default() }
    }

    fn slice(ids: &[u64], reached: Option<u64>) -> Slice {
        Slice { records: ids.iter().copied().map(record).collect(), reached: reached.map(RecordId) }
    }

    fn page(slices: Vec<Slice>, limit: usize) -> (Vec<u64>, Option<u64>) {
        let page = together(slices, limit);
        (page.records.iter().map(|record| record.id.0).collect(), page.next.map(|id| id.0))
    }

    #[test]
    fn parts_are_put_together_as_far_as_all_have_got() {
        assert_eq!(page(vec![], 3), (vec![], None));
        assert_eq!(page(vec![slice(&[9, 5], None), slice(&[7], None)], 3), (vec![9, 7, 5], None));
        assert_eq!(page(vec![slice(&[9, 5], None), slice(&[7], None)], 2), (vec![9, 7], Some(7)));
        // Between 8 and 5 the second part may have more.
        assert_eq!(page(vec![slice(&[9, 5], None), slice(&[8], Some(8))], 3), (vec![9, 8], Some(8)));
        assert_eq!(page(vec![slice(&[], Some(4)), slice(&[6], Some(3))], 3), (vec![6], Some(4)));
    }
}
