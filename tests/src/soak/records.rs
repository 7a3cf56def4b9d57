//! Whether each request has left its record, however often the token-service that keeps them was restarted.

use anyhow::Context as _;

use super::Soak;
use crate::patience::poll;

/// Of the same requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How many were sent.
    pub requests: u64,
    /// How many records there are.
    pub records: u64,
}

impl Soak {
    /// Counts both once the last records have arrived. Envoy sends them in batches, so they come a little after the answers.
    pub async fn count_records(&self) -> anyhow::Result<Counted> {
        let requests = self.line.sent() + self.world.stack.lock().await.probes;
        let arrived = poll(async || (self.records().await.ok()? >= requests).then_some(())).await;
        let records = self.records().await?;
        if arrived.is_none() {
            println!("after a while there are {records} records of {requests} requests");
        }
        Ok(Counted { requests, records })
    }

    async fn records(&self) -> anyhow::Result<u64> {
        let status = self.world.admin.get("/v1/status").await?;
        status["records"]["records"].as_u64().with_context(|| format!("no count of records in {status}"))
    }
}
