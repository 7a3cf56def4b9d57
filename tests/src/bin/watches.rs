//! `make watches`: one token-service with as many watches as 1,000 Envoys of 15 workers hold, and how long changes take to
//! reach them all. `WATCHES` is another number of watches, `HOLD_MS` for how long each is held, `SERVERS` how many servers
//! the registry has; `SHORT=1` is for looking whether it works.
//!
//! Prints a table, and writes it to `target/watches/results.json`. Ends with an error if something does not hold.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use portcullis_tests::figures::Figures;
use portcullis_tests::soak::usage::processor_seconds;
use portcullis_tests::watches::{Change, Extent, Fleet, Measured};

/// For what a fleet of 20,000 watches asks.
const LAST_DELIVERY: Duration = Duration::from_secs(1);
const MOST_MEBIBYTES: u64 = 1_024;

const WATCHES: usize = 16_000;
const HOLD_MS: usize = 10_000;
const SERVERS: usize = 50;
const CHANGES: usize = 5;

/// How long nothing is changed, to see what that takes.
const IDLE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let extent = extent()?;
    let Extent { watches, hold, servers, changes } = extent;
    println!("{watches} watches, held for {} ms; {servers} servers", hold.as_millis());
    let mut fleet = Fleet::prepare(extent).await?;
    let mut figures = Figures::default();
    figures.note("watches", watches, "watches");
    figures.note("hold", u64::try_from(hold.as_millis())?, "ms");
    figures.note("optimized", !cfg!(debug_assertions), "");
    let before = fleet.usage()?;
    figures.note("resident_before", before.mebibytes(), "MiB");
    let connected = fleet.connect(watches).await?;
    figures.note("connected_all", millis(connected), "ms");
    println!("all are connected after {} ms", millis(connected));
    let idle = fleet.idle_load(IDLE.min(hold * 4)).await?;
    figures.note("idle_load", rounded(idle), "cores");
    for change in Change::ALL {
        let mut all = Vec::new();
        for number in 0..changes {
            all.push(fleet.change(change, number).await?);
        }
        deliveries(&mut figures, change.as_str(), &all, watches)?;
        println!("{} changes of kind {}", all.len(), change.as_str());
    }
    let mut applied = Vec::new();
    for _ in 0..changes {
        applied.extend(fleet.change_and_wait().await?);
    }
    applied.sort_unstable();
    let missed = changes - applied.len();
    figures.add("applied_not_in_time", missed, "changes", "0".into(), missed == 0);
    figures.note("applied_answered_p50", millis(quantile(&applied, 50)), "ms");
    figures.note("applied_answered_max", millis(quantile(&applied, 100)), "ms");
    let after = fleet.usage()?;
    let mebibytes = after.mebibytes();
    figures.add(
        "resident_with_all",
        mebibytes,
        "MiB",
        format!("≤ {MOST_MEBIBYTES}"),
        mebibytes <= MOST_MEBIBYTES,
    );
    let each = after.resident.saturating_sub(before.resident) / u64::try_from(watches)? / 1024;
    figures.note("resident_each", each, "KiB");
    // The two share the processors, so what the watchers take is time that deliveries wait.
    figures.note("watchers_processor", rounded(processor_seconds(std::process::id())?), "s");
    figures.note("token_service_processor", rounded(processor_seconds(fleet.service.process.id())?), "s");
    figures.add("late_answers", fleet.late(), "answers", "0".into(), fleet.late() == 0);
    let expected = changes * (Change::ALL.len() + 1);
    let incomplete = fleet.heard().filter(|told| told.len() != expected).count();
    figures.add("heard_other_than_once", incomplete, "watches", "0".into(), incomplete == 0);
    figures.report("watches")
}

fn extent() -> anyhow::Result<Extent> {
    let is_short = std::env::var("SHORT").is_ok_and(|short| short == "1");
    let of = |name: &str, usual: usize| match std::env::var(name) {
        Ok(text) => text.parse::<usize>().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(usual),
    };
    let watches = of("WATCHES", if is_short { 300 } else { WATCHES })?;
    ensure!(watches > 0, "WATCHES=0: there is nothing to measure");
    let hold_ms = of("HOLD_MS", if is_short { 1_000 } else { HOLD_MS })?;
    let hold = Duration::from_millis(u64::try_from(hold_ms)?);
    Ok(Extent {
        watches,
        hold,
        servers: of("SERVERS", SERVERS)?,
        changes: if is_short { 2 } else { CHANGES },
    })
}

/// The slowest of all changes decides.
fn deliveries(figures: &mut Figures, kind: &str, all: &[Measured], watches: usize) -> anyhow::Result<()> {
    let mut took: Vec<Duration> = all.iter().flat_map(|one| one.took.iter().copied()).collect();
    took.sort_unstable();
    let first =
        all.iter().filter_map(|one| one.took.first().copied()).min().context("nothing was changed")?;
    figures.note(&format!("{kind}_first"), millis(first), "ms");
    figures.note(&format!("{kind}_p50"), millis(quantile(&took, 50)), "ms");
    figures.note(&format!("{kind}_p99"), millis(quantile(&took, 99)), "ms");
    let last = quantile(&took, 100);
    let target = format!("≤ {}", LAST_DELIVERY.as_millis());
    figures.add(&format!("{kind}_last"), millis(last), "ms", target, last <= LAST_DELIVERY);
    let answered = all.iter().map(|one| one.answered).max().unwrap_or_default();
    figures.note(&format!("{kind}_answered_max"), millis(answered), "ms");
    let processor: f64 = all.iter().map(|one| one.processor_seconds).sum();
    let each = processor * 1e6 / f64::from(u32::try_from(all.len() * watches)?);
    figures.note(&format!("{kind}_processor_each"), each.round(), "µs");
    Ok(())
}

/// Of sorted ones.
fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// With one decimal.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
