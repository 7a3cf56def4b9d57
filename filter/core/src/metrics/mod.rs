//! What is counted and measured, until the shell hands it to the host.
//!
//! A request costs no call of the host for it: what it adds is kept here and handed over at the next tick. The labels are
//! part of a series' name, in the encoding that Istio takes apart and a plain Envoy is told to
//! (`mcp_server=.=linear;.;portcullis_requests_total`).
//!
//! The host never frees a series. So values are words that are written in this crate or names that the registry, a lease
//! or a policy has, never what a client sent, and there are at most [`MAX_SERIES`] of them; beyond that, names become
//! [`OTHER`].

mod names;
mod pulse;

use std::collections::HashMap;

pub use self::names::{Kind, Metric, Tag};
pub use self::pulse::{Condition, Pulse};

/// Series of one worker before names are folded. Workers of one Envoy share series of the same name.
pub const MAX_SERIES: usize = 5_000;

/// The value in place of a name that is not known, not fit to be a label, or one too many.
pub const OTHER: &str = "other";

/// The value where there is nothing to say.
pub const NONE: &str = "none";

/// The longest name that is a label, in bytes; that of MCP for tools.
const LONGEST_VALUE: usize = 128;

/// So many measurements do not wait for the next slow tick.
const PRESSING: usize = 1_000;

/// More than that are not kept, should there be no tick at all.
const MAX_MEASUREMENTS: usize = 20_000;

/// One value for the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample<'a> {
    /// Numbers the series of this worker from 0, without gaps.
    pub series: usize,
    pub kind: Kind,
    /// With the labels.
    pub name: &'a str,
    pub value: u64,
}

/// The series of one worker.
#[derive(Debug, Default)]
pub struct Metrics {
    by_name: HashMap<Box<str>, usize>,
    series: Vec<Series>,
    /// Counters and gauges with something to hand over.
    touched: Vec<usize>,
    /// Of histograms.
    measured: Vec<(usize, u64)>,
    /// Spares the next name an allocation.
    name: String,
}

#[derive(Debug)]
struct Series {
    name: Box<str>,
    kind: Kind,
    pending: Option<u64>,
}

impl Metrics {
    /// With the count of folded names, which nobody ever sees otherwise until there is one.
    pub fn new() -> Self {
        let mut metrics = Self::default();
        metrics.add(Metric::Folded, &[], 0);
        metrics
    }

    /// Adds to a counter.
    pub fn add(&mut self, metric: Metric, labels: &[(Tag, &str)], by: u64) {
        let at = self.find(metric, labels);
        self.change(at, |pending| pending.unwrap_or(0).saturating_add(by));
    }

    /// Counts one more.
    pub fn count(&mut self, metric: Metric, labels: &[(Tag, &str)]) {
        self.add(metric, labels, 1);
    }

    /// Sets a gauge.
    pub fn set(&mut self, metric: Metric, value: u64) {
        let at = self.find(metric, &[]);
        self.change(at, |_| value);
    }

    /// Adds a measurement to a histogram.
    pub fn measure(&mut self, metric: Metric, labels: &[(Tag, &str)], value: u64) {
        let at = self.find(metric, labels);
        if self.measured.len() < MAX_MEASUREMENTS {
            self.measured.push((at, value));
        }
    }

    /// Whether there is so much to hand over that it should be soon.
    pub fn is_pressing(&self) -> bool {
        self.measured.len() >= PRESSING
    }

    /// Hands over everything since the last time.
    pub fn hand_over(&mut self, mut take: impl FnMut(Sample<'_>)) {
        for at in self.touched.drain(..) {
            let Some(series) = self.series.get_mut(at) else { continue };
            if let Some(value) = series.pending.take() {
                take(Sample { series: at, kind: series.kind, name: &series.name, value });
            }
        }
        for (at, value) in self.measured.drain(..) {
            let Some(series) = self.series.get(at) else { continue };
            take(Sample { series: at, kind: series.kind, name: &series.name, value });
        }
    }

    fn change(&mut self, at: usize, next: impl FnOnce(Option<u64>) -> u64) {
        let Some(series) = self.series.get_mut(at) else { return };
        if series.pending.is_none() {
            self.touched.push(at);
        }
        series.pending = Some(next(series.pending));
    }

    fn find(&mut self, metric: Metric, labels: &[(Tag, &str)]) -> usize {
        let mut name = std::mem::take(&mut self.name);
        spell(&mut name, metric, labels, false);
        let known = self.by_name.get(name.as_str()).copied();
        let at = known.unwrap_or_else(|| self.add_series(&mut name, metric, labels));
        self.name = name;
        at
    }

    fn add_series(&mut self, name: &mut String, metric: Metric, labels: &[(Tag, &str)]) -> usize {
        if self.series.len() >= MAX_SERIES && labels.iter().any(|(tag, _)| tag.is_open()) {
            self.count(Metric::Folded, &[]);
            // Of these there are only as many as there are words in this crate.
            spell(name, metric, labels, true);
            if let Some(known) = self.by_name.get(name.as_str()) {
                return *known;
            }
        }
        let at = self.series.len();
        self.series.push(Series { name: name.as_str().into(), kind: metric.kind(), pending: None });
        self.by_name.insert(name.as_str().into(), at);
        at
    }
}

/// The name of a series, labels first. With `folded`, [`OTHER`] takes the place of names.
fn spell(name: &mut String, metric: Metric, labels: &[(Tag, &str)], folded: bool) {
    name.clear();
    for (tag, value) in labels {
        name.push_str(tag.name());
        name.push_str("=.=");
        name.push_str(if folded && tag.is_open() { OTHER } else { fit(value) });
        name.push_str(";.;");
    }
    name.push_str(metric.name());
}

/// `value`, if nothing of it can be taken for the encoding or changed by the host.
fn fit(value: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    let is_fit = (1..=LONGEST_VALUE).contains(&value.len()) && value.bytes().all(is_plain);
    if is_fit { value } else { OTHER }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn handed_over(metrics: &mut Metrics) -> Vec<(String, Kind, u64)> {
        let mut all = Vec::new();
        metrics.hand_over(|sample| all.push((sample.name.to_owned(), sample.kind, sample.value)));
        all
    }

    #[test]
    fn counts_add_up_and_are_handed_over_once() {
        let mut metrics = Metrics::default();
        let linear = [(Tag::Server, "linear"), (Tag::Tool, "create.issue")];
        metrics.count(Metric::ToolCalls, &linear);
        metrics.add(Metric::ToolCalls, &linear, 2);
        metrics.set(Metric::Vms, 3);
        metrics.set(Metric::Vms, 2);
        metrics.measure(Metric::CallTime, &[(Tag::Call, "lease")], 7);
        let name = "mcp_server=.=linear;.;mcp_tool=.=create.issue;.;portcullis_tool_calls_total";
        assert_eq!(
            handed_over(&mut metrics),
            [
                (name.to_owned(), Kind::Counter, 3),
                ("portcullis_vms".to_owned(), Kind::Gauge, 2),
                ("mcp_call=.=lease;.;portcullis_call_milliseconds".to_owned(), Kind::Histogram, 7),
            ]
        );
        assert_eq!(handed_over(&mut metrics), []);
        metrics.count(Metric::ToolCalls, &linear);
        assert_eq!(handed_over(&mut metrics), [(name.to_owned(), Kind::Counter, 1)]);
    }

    #[test]
    fn there_are_so_many_series_and_no_more() {
        let mut metrics = Metrics::default();
        for number in 0..MAX_SERIES + 500 {
            metrics.count(Metric::Denials, &[(Tag::Server, &number.to_string()), (Tag::Rule, "x")]);
        }
        let all = handed_over(&mut metrics);
        assert_eq!(all.len(), MAX_SERIES + 2, "the folded one, and the count of what was folded");
        let folded = "mcp_server=.=other;.;mcp_rule=.=other;.;portcullis_denials_total";
        assert!(all.contains(&(folded.to_owned(), Kind::Counter, 500)));
        assert!(all.contains(&("portcullis_folded_total".to_owned(), Kind::Counter, 500)));
    }

    #[test]
    fn measurements_press_and_do_not_pile_up() {
        let mut metrics = Metrics::default();
        for value in 0..30_000 {
            assert_eq!(metrics.is_pressing(), value >= 1_000);
            metrics.measure(Metric::RequestTime, &[], value);
        }
        assert_eq!(handed_over(&mut metrics).len(), MAX_MEASUREMENTS);
    }

    proptest! {
        #[test]
        fn no_value_breaks_out_of_its_label(value in ".{0,200}") {
            let mut name = String::new();
            spell(&mut name, Metric::Denials, &[(Tag::Server, &value)], false);
            let inner = name.strip_prefix("mcp_server=.=").and_then(|rest| rest.strip_suffix(";.;portcullis_denials_total"));
            let inner = inner.expect("label and name");
            prop_assert!(inner == value || inner == OTHER);
            prop_assert!(!inner.contains([';', '=']) && inner.is_ascii() && !inner.is_empty());
        }
    }
}
