//! How many fetches one host has to bear at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const PER_HOST: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Limits {
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Limits {
    /// Waits for a place among the fetches of `host`; the place is free again when the permit is dropped.
    pub(super) async fn enter(&self, host: &str) -> Option<OwnedSemaphorePermit> {
        let places = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            // Permits and waiters hold their semaphore; one that only the map holds is in nobody's use.
            hosts.retain(|_, places| Arc::strong_count(places) > 1);
            Arc::clone(hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(PER_HOST))))
        };
        // None only if the semaphore were closed, which nobody does.
        places.acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn a_ninth_waits_and_idle_hosts_are_forgotten() {
        let limits = Limits::default();
        let mut held = Vec::new();
        for _ in 0..PER_HOST {
            held.push(limits.enter("a.example").await.expect("a place"));
        }
        let mut ninth = pin!(limits.enter("a.example"));
        let mut context = Context::from_waker(Waker::noop());
        assert!(ninth.as_mut().poll(&mut context).is_pending());
        assert!(limits.enter("b.example").await.is_some(), "another host has its own places");
        held.pop();
        assert!(ninth.await.is_some());
        held.clear();
        let _one = limits.enter("c.example").await;
        assert_eq!(limits.hosts.lock().expect("not poisoned").len(), 1);
    }
}
