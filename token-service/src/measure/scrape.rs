//! What is looked up when somebody asks for the measurements, and not counted as it happens.

use std::collections::BTreeMap;

use metrics::gauge;

use super::{CATALOGUE, CONNECTIONS, FILTERS, Measurements, RENEWALS, REVISION};
use crate::domain::connection::ConnectionState;
use crate::http::error::error_chain;
use crate::state::Service;
use crate::store::StoreError;

/// The media type of what [`Measurements::show`] gives.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Measurements {
    /// All metrics in Prometheus' text format. What the database does not say now keeps its last value.
    pub async fn show(&self, service: &Service) -> String {
        self.process.collect();
        service.measure_filters();
        if let Err(error) = service.measure_store().await {
            tracing::warn!(error = error_chain(&error), "the store says nothing for the metrics");
        }
        self.prometheus
            .as_ref()
            .map(metrics_exporter_prometheus::PrometheusHandle::render)
            .unwrap_or_default()
    }
}

impl Service {
    fn measure_filters(&self) {
        let status = self.watch_hub.status(self.clock.now());
        let connected = status.iter().filter(|filter| filter.connected).count();
        gauge!(FILTERS, "state" => "connected").set(number(connected));
        gauge!(FILTERS, "state" => "silent").set(number(status.len().saturating_sub(connected)));
        let (running, resting) = self.broker.renewals();
        gauge!(RENEWALS, "state" => "running").set(number(running));
        gauge!(RENEWALS, "state" => "resting").set(number(resting));
    }

    async fn measure_store(&self) -> Result<(), StoreError> {
        gauge!(REVISION).set(precise(self.store.current_revision().await?.0));
        let counts: BTreeMap<_, _> = self.store.connection_counts().await?.into_iter().collect();
        for state in ConnectionState::WORDS {
            let count = counts.get(state).copied().unwrap_or_default();
            gauge!(CONNECTIONS, "state" => state).set(precise(count));
        }
        let slugs: BTreeMap<_, _> =
            self.store.servers().await?.into_iter().map(|server| (server.id, server.slug)).collect();
        for (id, learnt_at) in self.store.catalogue_ages().await? {
            let (Some(slug), Some(at)) = (slugs.get(&id), learnt_at) else { continue };
            gauge!(CATALOGUE, "server" => slug.to_string()).set(precise(at.as_millis()) / 1_000.0);
        }
        Ok(())
    }
}

fn number(count: usize) -> f64 {
    precise(u64::try_from(count).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers; exact up to 2^53")]
fn precise(value: u64) -> f64 {
    value as f64
}
