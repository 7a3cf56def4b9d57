//! Waiting for something that has to happen, and saying so when it does not.

use std::future::Future;
use std::time::Duration;

/// How long anything may take on a busy machine. Nothing is ever asserted to be this fast.
pub const PATIENCE: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(10);

/// Waits for `event`.
///
/// # Panics
/// If it does not happen within [`PATIENCE`], naming `what`.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, event).await;
    outcome.unwrap_or_else(|_elapsed| panic!("waited {} s for {what}", PATIENCE.as_secs()))
}

/// Asks `probe` again and again until it has an answer, for things outside this process that cannot tell us.
/// `None` if that takes longer than [`PATIENCE`].
pub async fn poll<T>(probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    poll_for(PATIENCE, probe).await
}

/// [`poll`] with another patience.
pub async fn poll_for<T>(patience: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let asking = async {
        loop {
            if let Some(value) = probe().await {
                return value;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(patience, asking).await.ok()
}
