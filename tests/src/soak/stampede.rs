//! Many calls in the same moment.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::ensure;
use tokio::task::JoinSet;

use super::Soak;
use super::consent::{Start, plain};

/// Makes `count` calls at once; what came of them, in the order in which they ended.
///
/// # Panics
/// If a call does.
pub async fn at_once<C: Future<Output: Send + 'static> + Send + 'static>(
    count: usize,
    call: impl Fn() -> C,
) -> Vec<C::Output> {
    let calls: JoinSet<C::Output> = (0..count).map(|_| call()).collect();
    calls.join_all().await
}

impl Soak {
    /// `count` calls at once on a connection whose token has just expired. Returns how many token requests that made.
    pub async fn calls_at_expiry(self: &Arc<Self>, count: usize) -> anyhow::Result<usize> {
        const SEAT: usize = 0;
        const SERVER: usize = 0;
        let place = &self.world.seats[SEAT];
        let _changing = place.changing.lock().await;
        let provider = self.provider(SERVER)?;
        let account = place.another_account(self.world.endpoints[SERVER].slug, provider);
        self.connect((SEAT, SERVER), Arc::clone(&account), Start::Connections).await?;
        self.call(plain(SEAT, SERVER)).await;
        account.was_refused.store(true, Ordering::SeqCst);
        let before = provider.ledger.requests_of("refresh_token").len();
        provider.expire_access_tokens_of(&account.subject);
        let outcomes = at_once(count, || {
            let soak = Arc::clone(self);
            async move { soak.call(plain(SEAT, SERVER)).await.name() }
        });
        let served = outcomes.await.into_iter().filter(|outcome| *outcome == "served").count();
        ensure!(served == count, "{served} of {count} calls were served");
        Ok(provider.ledger.requests_of("refresh_token").len() - before)
    }
}
