//! What the core has counted, in the host's metrics.

use portcullis_filter_core::metrics::{Kind, Sample};

use crate::host::{self, HostResult};

/// The host's numbers for the series of this VM. It numbers them for each VM, so a configuration update changes none.
#[derive(Default)]
pub(crate) struct HostMetrics {
    /// By the core's number; `None` for what the host does not take.
    numbers: Vec<Option<u32>>,
}

impl HostMetrics {
    /// Hands one value over. A host that refuses it costs the value and nothing else.
    pub(crate) fn take(&mut self, sample: Sample<'_>) {
        while self.numbers.len() <= sample.series {
            // Handed over for the first time, in any order; what was passed over is defined when its turn comes.
            self.numbers.push(None);
        }
        let Some(place) = self.numbers.get_mut(sample.series) else { return };
        let number = match *place {
            Some(number) => number,
            None => match host::define_metric(sample.kind, sample.name) {
                Ok(number) => *place.insert(number),
                Err(status) => return log::debug!("the host does not take a metric: {status:?}"),
            },
        };
        if let Err(status) = write(sample.kind, number, sample.value) {
            log::debug!("the host does not take a value: {status:?}");
        }
    }
}

fn write(kind: Kind, number: u32, value: u64) -> HostResult<()> {
    match kind {
        Kind::Counter => host::increment_metric(number, value),
        Kind::Gauge | Kind::Histogram => host::record_metric(number, value),
    }
}
