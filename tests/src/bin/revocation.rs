//! `make revocation`: 1,000 changes of mixed kinds under load, with a probe on every worker of three Envoys; then a
//! token-service that stands still. `SHORT=1` makes 40 changes, `CHANGES` another number.
//!
//! Prints a table, and writes it to `target/revocation/results.json`. Ends with an error if anything is served that may not be.

use std::time::Duration;

use anyhow::Context as _;
use portcullis_tests::figures::Figures;
use portcullis_tests::revocation::{Bench, Measured};

const CHANGES: usize = 1_000;
const SHORT_CHANGES: usize = 40;
const PROGRESS_EVERY: usize = 20;
/// A filter goes unverified after one hold and its grace.
const UNVERIFIED_MS: u64 = 3_000;
/// What a probe and the machine take.
const NOISE_MS: u64 = 250;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let changes = changes()?;
    let mut bench = Bench::start().await?;
    println!("{changes} changes, a probe on each of {} workers", bench.workers());
    let mut figures = Figures::default();
    figures.add("workers", bench.workers(), "workers", "none".into(), true);
    let load = bench.load();
    let mut all = Vec::new();
    for number in 0..changes {
        all.push(bench.revoke(number).await?);
        if (number + 1) % PROGRESS_EVERY == 0 {
            let misses: usize = all.iter().map(|one| one.misses).sum();
            println!(
                "{:>6} of {changes} changes, {misses} misses, {} other calls",
                number + 1,
                bench.calls()
            );
        }
    }
    drop(load);
    delays(&mut figures, &all);
    figures.add("other_calls", bench.calls(), "calls", "none".into(), true);
    for (staleness, granted_ms) in [("strict", 0), ("2s", 2_000)] {
        let longest = bench.partition(staleness).await?;
        let bound = UNVERIFIED_MS + granted_ms;
        let name = format!("partition_served_for ({staleness})");
        let holds = longest <= Duration::from_millis(bound + NOISE_MS);
        let target = format!("≤ {bound} + {NOISE_MS} for the probe");
        figures.add(&name, millis(longest), "ms", target, holds);
    }
    figures.report("revocation")
}

fn changes() -> anyhow::Result<usize> {
    match std::env::var("CHANGES") {
        Ok(text) => text.parse().with_context(|| format!("CHANGES={text}")),
        Err(_) if std::env::var("SHORT").is_ok_and(|short| short == "1") => Ok(SHORT_CHANGES),
        Err(_) => Ok(CHANGES),
    }
}

fn delays(figures: &mut Figures, all: &[Measured]) {
    figures.add("changes", all.len(), "changes", "none".into(), true);
    let misses: usize = all.iter().map(|one| one.misses).sum();
    figures.add("served_after_applied", misses, "probes", "0".into(), misses == 0);
    let served: Vec<Duration> = all.iter().map(|one| one.served_until).collect();
    let refused: Vec<Duration> = all.iter().map(|one| one.until_all_refuse).collect();
    let applied: Vec<Duration> = all.iter().map(|one| one.until_applied).collect();
    quantiles(figures, "served_until", served, ["none", "aim 100", "aim 250"]);
    quantiles(figures, "refused_everywhere", refused, ["none", "aim 100", "aim 250"]);
    quantiles(figures, "applied_answered", applied, ["none"; 3]);
    for kind in ["member", "key", "provision", "tool"] {
        let of_kind = all.iter().filter(|one| one.kind == kind);
        let slowest = of_kind.map(|one| one.until_all_refuse).max().unwrap_or_default();
        let name = format!("refused_everywhere_max ({kind})");
        figures.add(&name, millis(slowest), "ms", "none".into(), true);
    }
}

fn quantiles(figures: &mut Figures, name: &str, mut all: Vec<Duration>, targets: [&str; 3]) {
    all.sort_unstable();
    for ((percent, what), target) in [(50, "p50"), (99, "p99"), (100, "max")].into_iter().zip(targets) {
        let rank = (all.len() * percent).div_ceil(100).max(1);
        let value = all.get(rank - 1).copied().unwrap_or_default();
        figures.add(&format!("{name}_{what}"), millis(value), "ms", target.into(), true);
    }
}

/// With one decimal.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
