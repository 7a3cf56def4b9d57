//! Renewing ahead of expiry, so that nobody waits and every doubt is settled while the old token is still good.

use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use super::schedule::LONGEST_REST;
use crate::domain::connection::{Connection, ConnectionId};
use crate::store::StoreError;

/// How many due connections are looked at in one go.
const BATCH: u32 = 256;

/// For how long after its rest is over it is remembered that a renewal has failed.
const MEMORY: Duration = Duration::from_secs(2 * LONGEST_REST.as_secs());

impl Broker {
    /// Commits what could not be committed before.
    pub async fn settle_unsaved(self: &Arc<Self>) {
        for pending in self.unsaved.all() {
            self.settle(&pending).await;
        }
    }

    /// Begins the renewals that are due, as many as their providers can bear. What is left over stays due.
    pub async fn renew_due(self: &Arc<Self>) -> Result<(), StoreError> {
        self.flights.sweep(MEMORY);
        for id in self.store.due_connections(self.clock.now(), BATCH).await? {
            self.renew_ahead(&id).await?;
        }
        Ok(())
    }

    async fn renew_ahead(self: &Arc<Self>, id: &ConnectionId) -> Result<(), StoreError> {
        if !self.flights.is_idle(id) || self.unsaved.get(id).is_some() {
            return Ok(());
        }
        let Some(connection) = self.store.connection(id).await? else { return Ok(()) };
        let Some(permit) = self.pacing.permit(&connection.binding.issuer) else { return Ok(()) };
        let Some(server) = self.store.server(&connection.server).await? else { return Ok(()) };
        let Connection { generation, .. } = connection;
        let broker = Arc::clone(self);
        let renewal = |failures| {
            let renewal = broker.renew(id.clone(), generation, server, failures);
            async move {
                let _permit = permit;
                renewal.await
            }
        };
        // It goes on by itself; whoever needs it joins it.
        self.flights.join(id, generation, renewal);
        Ok(())
    }
}
