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

/// How late a connection is renewed at most that is due; nothing against the ten minutes that are left for it.
const RENEW_INTERVAL: Duration = Duration::from_secs(1);

/// How often links, sessions and flows that are over are forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);

/// How late a signing key is made or forgotten at most.
const SIGNING_KEY_INTERVAL: Duration = Duration::from_mins(1);

/// How late a replica takes up a data key of another at most, or the next step of a rotation; and how soon at least, once
/// something was met that only a new key opens.
const DATA_KEY_INTERVAL: Duration = Duration::from_secs(2);
const DATA_KEY_HASTE: Duration = Duration::from_millis(200);

/// How late a record of a request is deleted at most that may not stay.
const PRUNE_RECORDS_INTERVAL: Duration = Duration::from_secs(10);

/// How often old changes are forgotten, and how many are kept: a filter that is further behind starts over.
const PRUNE_INTERVAL: Duration = Duration::from_hours(1);
const KEPT_CHANGES: u64 = 100_000;

/// Looks for commits of other processes, so that watches learn of them.
pub(crate) async fn look_for_commits(service: &Service) {
    while pause(service, LOOK_INTERVAL).await {
        report(service.store.current_revision().await.map(drop));
    }
}

/// Writes when keys and sign-ins were used, and once more at the end.
pub(crate) async fn write_key_uses(service: &Service) {
    while pause(service, WRITE_INTERVAL).await {
        report(write_once(service).await);
    }
    report(write_once(service).await);
}

async fn write_once(service: &Service) -> Result<(), StoreError> {
    let uses = service.key_use.take();
    if !uses.is_empty()
        && let Err(error) = service.store.record_key_uses(&uses).await
    {
        service.key_use.put_back(uses);
        return Err(error);
    }
    let uses = service.session_use.take();
    if !uses.is_empty()
        && let Err(error) = service.store.record_session_uses(&uses).await
    {
        service.session_use.put_back(uses);
        return Err(error);
    }
    Ok(())
}

/// Renews connections ahead of expiry, and commits renewed tokens that could not be committed before.
pub(crate) async fn renew_connections(service: &Service) {
    while pause(service, RENEW_INTERVAL).await {
        service.broker.settle_unsaved().await;
        report(service.broker.renew_due().await);
    }
}

pub(crate) async fn sweep_browsers(service: &Service) {
    while pause(service, SWEEP_INTERVAL).await {
        report(service.store.sweep_browsers(service.clock.now()).await);
        report(service.store.sweep_authorizations(service.clock.now()).await);
    }
}

/// Makes the next signing key when it is due, and forgets old ones.
pub(crate) async fn keep_signing_keys(service: &Service) {
    while pause(service, SIGNING_KEY_INTERVAL).await {
        report(service.keep_signing_keys().await);
    }
}

/// Takes up data keys of other replicas, and whatever step of a rotation is due.
pub(crate) async fn keep_data_keys(service: &Service) {
    loop {
        let goes_on = tokio::select! {
            goes_on = pause(service, DATA_KEY_INTERVAL) => goes_on,
            () = service.vault.unknown_key_met() => pause(service, DATA_KEY_HASTE).await,
        };
        if !goes_on {
            return;
        }
        if let Err(error) = service.keep_data_keys().await {
            tracing::warn!(error = error_chain(&error), "the data keys could not be kept; it is tried again");
        }
    }
}

/// Deletes records of requests that may not stay.
pub(crate) async fn prune_records(service: &Service) {
    let Some(records) = &service.records else { return };
    while pause(service, PRUNE_RECORDS_INTERVAL).await {
        report(records.prune(service.clock.now()).await);
    }
}

pub(crate) async fn prune_changes(service: &Service) {
    while pause(service, PRUNE_INTERVAL).await {
        report(prune(service).await);
    }
}

async fn prune(service: &Service) -> Result<(), StoreError> {
    let newest = service.store.current_revision().await?;
    service.store.prune_changes(Revision(newest.0.saturating_sub(KEPT_CHANGES))).await
}

/// Waits; `false` if the service is to stop instead.
pub(crate) async fn pause(service: &Service, interval: Duration) -> bool {
    tokio::select! {
        () = service.shutdown.requested() => false,
        () = sleep(interval) => true,
    }
}

fn report(outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        tracing::warn!(error = error_chain(&error), "a job in the background failed; it is tried again");
    }
}
