//! What a running service does by itself, until it is told to stop.

mod follow;

use std::time::Duration;

use tokio::time::sleep;

pub(crate) use self::follow::Follower;
use crate::domain::Revision;
use crate::http::error::error_chain;
use crate::key_use::WRITE_INTERVAL;
use crate::state::Service;
use crate::store::StoreError;

/// How late a commit of another process on the same database is noticed at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How often old changes are forgotten, and how many are kept: a filter that is further behind starts over.
const PRUNE_INTERVAL: Duration = Duration::from_hours(1);
const KEPT_CHANGES: u64 = 100_000;

/// Looks for commits of other processes, so that watches learn of them.
pub(crate) async fn look_for_commits(service: &Service) {
    every(service, LOOK_INTERVAL, async || service.store.current_revision().await.map(drop)).await;
}

/// Writes when keys were used, and once more at the end.
pub(crate) async fn write_key_uses(service: &Service) {
    let write = async || service.store.record_key_uses(&service.key_use.take()).await;
    every(service, WRITE_INTERVAL, write).await;
    report(write().await);
}

pub(crate) async fn prune_changes(service: &Service) {
    every(service, PRUNE_INTERVAL, async || {
        let newest = service.store.current_revision().await?;
        service.store.prune_changes(Revision(newest.0.saturating_sub(KEPT_CHANGES))).await
    })
    .await;
}

/// Does the work again and again, with a pause before each time, until the service stops.
async fn every(service: &Service, pause: Duration, work: impl AsyncFn() -> Result<(), StoreError>) {
    loop {
        tokio::select! {
            () = service.shutdown.requested() => return,
            () = sleep(pause) => report(work().await),
        }
    }
}

fn report(outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        tracing::warn!(error = error_chain(&error), "a job in the background failed; it is tried again");
    }
}
