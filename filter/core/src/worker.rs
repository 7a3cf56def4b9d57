//! What one VM remembers between requests: registry, leases, verified tokens, the watch, calls in flight.

use crate::step::{CallOutcome, Effect};

/// All state that outlives a request. One per VM, kept in a static by the shell, because a configuration update
/// replaces the root context but not the VM.
#[derive(Debug)]
pub struct Worker {}

impl Worker {
    /// Reads the plugin configuration (JSON) strictly; the error names every problem. `filter_id` tells this VM apart
    /// from all others.
    pub fn configure(configuration: &[u8], filter_id: String) -> Result<Self, String> {
        let _ = (configuration, filter_id);
        Ok(Self {})
    }

    /// Applies a new configuration and keeps the caches.
    pub fn reconfigure(&mut self, configuration: &[u8]) -> Result<(), String> {
        let _ = configuration;
        Ok(())
    }

    /// Whether a stream has queued work for the root context, so that the shell ticks soon.
    pub fn has_work(&self) -> bool {
        false
    }

    /// Sends what is due: queued lease calls, the watch after its backoff, deadlines of waiting streams.
    pub fn on_tick(&mut self, now_ms: u64) -> Vec<Effect> {
        let _ = now_ms;
        Vec::new()
    }

    /// Takes the outcome of a call.
    pub fn on_call(&mut self, id: u64, outcome: CallOutcome, now_ms: u64) -> Vec<Effect> {
        let _ = (id, outcome, now_ms);
        Vec::new()
    }

    /// The cluster that calls go to.
    pub fn token_service_cluster(&self) -> &str {
        ""
    }
}
