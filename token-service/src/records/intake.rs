//! The way into the store. One task writes, so that exports at the same time share a commit; an export is answered once its
//! records are durable, because its sender forgets them then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use utoipa::ToSchema;

use crate::http::error::error_chain;
use crate::record_store::{Appended, NewRecord, RecordStore};

/// How many exports are read, or wait for the writer, at a time. With [`super::otlp::MOST_BYTES`] it bounds the memory.
pub const MOST_EXPORTS: usize = 64;

/// How many records are written in one transaction, about.
const MOST_TOGETHER: usize = 2_000;

/// Takes records in.
#[derive(Debug)]
pub struct Intake {
    places: Arc<Semaphore>,
    batches: mpsc::Sender<Batch>,
    counts: Arc<Counts>,
}

/// A place in the queue, until it is dropped.
#[derive(Debug)]
pub struct Place {
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Batch {
    records: Vec<NewRecord>,
    written: oneshot::Sender<bool>,
}

/// Why records were not taken; the sender shall try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{MOST_EXPORTS} exports are under way; try again later")]
    Full,
    #[error("the records cannot be written now; try again later")]
    Unwritten,
}

/// What has become of records since the service has started.
#[derive(Debug, Default)]
struct Counts {
    kept: AtomicU64,
    duplicates: AtomicU64,
    rejected: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

/// [`Counts`], as shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Received {
    /// Records that were kept.
    pub kept: u64,
    /// Records that were received before, and sent again because the first answer was lost.
    pub duplicates: u64,
    /// Records that could not be read. They are lost.
    pub rejected: u64,
    /// Exports that were refused because too many were under way. Envoy sends them again; what it gives up is in its counter
    /// `access_logs.open_telemetry_access_log.records.logs_dropped`.
    pub refused: u64,
    /// Exports that could not be written. Envoy sends them again.
    pub failed: u64,
}

impl Intake {
    pub fn new(store: Arc<dyn RecordStore>) -> Self {
        let (batches, receiver) = mpsc::channel(MOST_EXPORTS);
        let counts = Arc::new(Counts::default());
        // Ends with the last sender.
        tokio::spawn(write(store, receiver, Arc::clone(&counts)));
        Self { places: Arc::new(Semaphore::new(MOST_EXPORTS)), batches, counts }
    }

    /// A place for an export that is yet to be read.
    pub fn place(&self) -> Result<Place, Refused> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Refused::Full);
        };
        Ok(Place { _place: place })
    }

    /// Returns once they are durable.
    pub async fn keep(&self, records: Vec<NewRecord>, _place: &Place) -> Result<(), Refused> {
        if records.is_empty() {
            return Ok(());
        }
        let (written, outcome) = oneshot::channel();
        // There is room: each batch has a place.
        let sent = self.batches.send(Batch { records, written }).await.is_ok();
        if sent && outcome.await.unwrap_or(false) {
            Ok(())
        } else {
            self.counts.failed.fetch_add(1, Ordering::Relaxed);
            Err(Refused::Unwritten)
        }
    }

    /// These could not be read.
    pub fn note_rejected(&self, records: u64) {
        self.counts.rejected.fetch_add(records, Ordering::Relaxed);
    }

    pub fn received(&self) -> Received {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Received {
            kept: of(&self.counts.kept),
            duplicates: of(&self.counts.duplicates),
            rejected: of(&self.counts.rejected),
            refused: of(&self.counts.refused),
            failed: of(&self.counts.failed),
        }
    }
}

async fn write(store: Arc<dyn RecordStore>, mut batches: mpsc::Receiver<Batch>, counts: Arc<Counts>) {
    while let Some(batch) = batches.recv().await {
        let (mut records, mut waiting) = (batch.records, vec![batch.written]);
        while records.len() < MOST_TOGETHER
            && let Ok(next) = batches.try_recv()
        {
            records.extend(next.records);
            waiting.push(next.written);
        }
        let outcome = store.append(&records).await;
        match &outcome {
            Ok(Appended { kept, duplicates, lost }) => {
                counts.kept.fetch_add(*kept, Ordering::Relaxed);
                counts.duplicates.fetch_add(*duplicates, Ordering::Relaxed);
                counts.rejected.fetch_add(*lost, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::warn!(error = error_chain(error), "request records cannot be written");
            }
        }
        for written in waiting {
            // Fails when the sender has gone; it will send again, and they will be duplicates.
            let _ = written.send(outcome.is_ok());
        }
    }
}
