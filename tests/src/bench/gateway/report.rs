//! The table, the same for other programs, and a chart; and whether the targets are met.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::time::Duration;

use serde::Serialize;

use super::cases::{Case, Entry};
use super::chart;
use super::contenders::{Contender, Cost};
use crate::artifacts::target_directory;
use crate::figures::Figures;

/// What one entry of a case cost.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    pub label: String,
    pub contender: Contender,
    /// Processor time of Envoy for each request, in microseconds: the median of all rounds.
    pub cpu_us: f64,
    /// What it is more than plain Envoy's of the same round: the median, and a quarter and three quarters of the way.
    pub added_us: f64,
    pub added_low_us: f64,
    pub added_high_us: f64,
    /// Of all processor time to plain Envoy's.
    pub ratio: f64,
    /// Requests a second with nothing but this to do.
    pub rate: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Table {
    pub name: &'static str,
    pub title: &'static str,
    pub rows: Vec<Measured>,
}

/// How long requests took until their answer began.
#[derive(Clone, Debug, Serialize)]
pub struct Delay {
    pub case: &'static str,
    pub contender: Contender,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// All of it.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub tables: Vec<Table>,
    pub delays: Vec<Delay>,
    /// From the start of the process until it served.
    pub ready_after: BTreeMap<Contender, Duration>,
    /// Resident memory in bytes.
    pub resident: BTreeMap<Contender, u64>,
    pub module_bytes: u64,
    /// Of the throughput without the flood.
    pub kept_beside_flood: f64,
}

impl Measured {
    pub fn of(entry: &Entry, costs: &[Cost], plain: &[Cost]) -> Self {
        let microseconds = |cost: &Cost| cost.cpu.as_secs_f64() * 1e6;
        let mut all: Vec<f64> = costs.iter().map(microseconds).collect();
        let mut added: Vec<f64> =
            costs.iter().zip(plain).map(|(cost, plain)| microseconds(cost) - microseconds(plain)).collect();
        let mut ratios: Vec<f64> = costs
            .iter()
            .zip(plain)
            .map(|(cost, plain)| microseconds(cost) / microseconds(plain).max(f64::MIN_POSITIVE))
            .collect();
        let mut rates: Vec<f64> = costs.iter().map(|cost| cost.slice.rate()).collect();
        Self {
            label: entry.label.clone(),
            contender: entry.contender,
            cpu_us: median(&mut all),
            added_us: median(&mut added),
            added_low_us: part(&added, 1, 4),
            added_high_us: part(&added, 3, 4),
            ratio: median(&mut ratios),
            rate: median(&mut rates),
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:<20} {:>8.1} µs more, {:.2} of plain Envoy",
            self.label, self.added_us, self.ratio
        )
    }
}

/// Sorts them; 0 of none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    part(values, 1, 2)
}

/// So far along the way through sorted values.
fn part(sorted: &[f64], of: usize, all: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * of / all).copied().unwrap_or_default()
}

impl Delay {
    pub fn of(case: &'static str, contender: Contender, took: &[Duration]) -> Self {
        let mut took: Vec<f64> = took.iter().map(|took| took.as_secs_f64() * 1e6).collect();
        let p50_us = median(&mut took);
        Self { case, contender, p50_us, p99_us: part(&took, 99, 100) }
    }
}

impl Report {
    pub fn add(&mut self, case: &Case, rows: Vec<Measured>) {
        self.tables.push(Table { name: case.name, title: case.title, rows });
    }

    /// Prints the tables, and writes them with a chart into `target/bench`.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        let text = self.markdown()?;
        println!("{text}");
        let directory = target_directory()?.join("bench");
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("gateway.md"), text)?;
        fs::write(directory.join("gateway.json"), serde_json::to_string_pretty(self)?)?;
        fs::write(directory.join("gateway.svg"), chart::draw(&self.tables))?;
        Ok(())
    }

    fn markdown(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        for table in &self.tables {
            writeln!(text, "\n**{}**\n", table.title)?;
            writeln!(
                text,
                "| | added CPU, µs (quartiles) | to plain Envoy | requests/s |\n|---|---:|---:|---:|"
            )?;
            for row in &table.rows {
                let title =
                    if row.label == row.contender.name() { row.contender.title() } else { &row.label };
                writeln!(
                    text,
                    "| {title} | {:.1} ({:.1} to {:.1}) | {:.2} | {:.0} |",
                    row.added_us, row.added_low_us, row.added_high_us, row.ratio, row.rate
                )?;
            }
        }
        for case in ["small", "events"] {
            let title = if case == "small" { "1,000 requests/s" } else { "50 answers/s of 1,000 events" };
            writeln!(
                text,
                "\n**Until an answer begins, at {title}**\n\n| | p50, µs | p99, µs |\n|---|---:|---:|"
            )?;
            for delay in self.delays.iter().filter(|delay| delay.case == case) {
                writeln!(
                    text,
                    "| {} | {:.0} | {:.0} |",
                    delay.contender.title(),
                    delay.p50_us,
                    delay.p99_us
                )?;
            }
        }
        Ok(text)
    }

    /// Adds a figure for each target (ratios of added processor time in one run).
    pub fn judge(&self, figures: &mut Figures) {
        for (name, case, ours, theirs, most) in [
            ("gateway_small_to_native", "small", "ours_hold", "native", 0.5),
            ("gateway_small_stream_to_native", "small", "ours_stream", "native", 0.5),
            ("gateway_legacy_to_native", "legacy", "ours_hold", "native", 0.5),
            ("gateway_large_to_native", "large", "ours_hold", "native", 0.25),
            ("gateway_list_to_rewriting", "list", "ours_hold", "rewriting", 0.5),
            ("gateway_list_events_to_rewriting", "list_events", "ours_hold", "rewriting", 0.5),
            ("gateway_cold_to_native", "cold", "ours_roomy", "native_uncached", 1.1),
            ("gateway_10000_rules_to_10", "rules", "10,000 rules", "10 rules", 1.1),
            ("gateway_10000_callers_to_1", "callers", "10,000 callers", "1 caller", 1.1),
        ] {
            let (ours, theirs) = (self.added(case, ours), self.added(case, theirs));
            figures.ratio(name, ours / theirs.max(f64::MIN_POSITIVE), most);
        }
        let first_event =
            |contender| self.delay("events", contender) - self.delay("events", Contender::Plain);
        figures.note("gateway_first_event_added", first_event(Contender::Hold).round(), "µs");
        figures.note("gateway_first_event_added_by_nothing", first_event(Contender::Nothing).round(), "µs");
        figures.add(
            "gateway_kept_beside_forged_tokens",
            (self.kept_beside_flood * 100.0).round() / 100.0,
            "ratio",
            "≥ 0.9".into(),
            self.kept_beside_flood >= 0.9,
        );
        let resident = |contender| self.resident.get(&contender).copied().unwrap_or_default();
        let memory = resident(Contender::Fresh).saturating_sub(resident(Contender::Plain)) / (1024 * 1024);
        figures.add("gateway_memory_of_a_worker", memory, "MiB", "≤ 16".into(), memory <= 16);
        let kibibytes = self.module_bytes / 1024;
        figures.add("gateway_module", kibibytes, "KiB", "≤ 1024".into(), kibibytes <= 1024);
        let ready = self.ready_after.get(&Contender::Hold).copied().unwrap_or_default();
        let milliseconds = u64::try_from(ready.as_millis()).unwrap_or(u64::MAX);
        figures.add("gateway_ready_after", milliseconds, "ms", "≤ 500".into(), milliseconds <= 500);
    }

    fn added(&self, case: &str, label: &str) -> f64 {
        let rows = self.tables.iter().filter(|table| table.name == case).flat_map(|table| &table.rows);
        rows.filter(|row| row.label == label).map(|row| row.added_us).next().unwrap_or(f64::NAN)
    }

    fn delay(&self, case: &str, contender: Contender) -> f64 {
        let mut delays = self.delays.iter().filter(|delay| delay.case == case);
        delays.find(|delay| delay.contender == contender).map_or(f64::NAN, |delay| delay.p50_us)
    }
}
