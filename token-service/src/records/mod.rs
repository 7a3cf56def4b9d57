//! Records of requests: from Envoy's OpenTelemetry access log to whoever asks the admin API.
//!
//! - [`otlp`]: what Envoy sends, read as foreign bytes.
//! - [`intake`]: the way into the store, one writer behind a bounded number of exports.
//! - [`search`]: what somebody may see of what is there.
//! - [`summary`]: figures of a span of time.
//! - [`retention`]: what may stay.

pub mod intake;
pub mod otlp;
pub mod retention;
pub mod search;
pub mod summary;

use std::sync::Arc;

use tokio::sync::Semaphore;

use self::intake::Intake;
use self::retention::Keep;
use crate::record_store::RecordStore;

/// How many downloads run at a time, and how many followers wait.
const MOST_DOWNLOADS: usize = 4;
const MOST_FOLLOWERS: usize = 64;

/// What a running service has of records.
pub struct Records {
    pub store: Arc<dyn RecordStore>,
    pub intake: Intake,
    pub keep: Keep,
    pub downloads: Arc<Semaphore>,
    pub followers: Arc<Semaphore>,
}

impl Records {
    /// Begins to write what is taken in.
    pub fn new(store: Arc<dyn RecordStore>, keep: Keep) -> Self {
        Self {
            intake: Intake::new(Arc::clone(&store)),
            store,
            keep,
            downloads: Arc::new(Semaphore::new(MOST_DOWNLOADS)),
            followers: Arc::new(Semaphore::new(MOST_FOLLOWERS)),
        }
    }
}
