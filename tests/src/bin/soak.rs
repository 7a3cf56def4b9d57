//! `make soak`: a million calls amid changes and restarts of three token-services on one PostgreSQL, every answer judged; a
//! thousand at once on a token that has just expired; every key replaced under 500 calls a second; every sealed value
//! tampered with; and a million calls of a hundred thousand callers, for memory. Without PostgreSQL there is one
//! token-service. `SHORT=1` makes it a few minutes, `CALLS` another number; `PORTCULLIS_SEED` repeats an order of steps. `only=crowd`
//! or `only=mixing` runs a part.
//!
//! Prints a table, and writes it to `target/soak/results.json`. Ends with an error if something does not hold.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use portcullis_tests::artifacts::target_directory;
use portcullis_tests::figures::Figures;
use portcullis_tests::postgres::Database;
use portcullis_tests::rotation::Calls;
use portcullis_tests::soak::crowd::{self, Seen};
use portcullis_tests::soak::records::Counted;
use portcullis_tests::soak::tally::Counts;
use portcullis_tests::soak::tamper::Tampering;
use portcullis_tests::soak::usage::Usage;
use portcullis_tests::soak::{Settings, Soak, seed};
use serde_json::json;
use tokio::time::{Instant, interval};

/// What can be run by itself: `soak crowd`.
const PARTS: [&str; 2] = [MIXING, CROWD];
const MIXING: &str = "mixing";
const CROWD: &str = "crowd";

const CALLS: u64 = 1_000_000;
const SHORT_CALLS: u64 = 50_000;
const TASKS: u64 = 48;
/// How many parts of the run end with a restart of the token-service.
const RESTARTS: u64 = 5;
const PROGRESS: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 1_000;
/// Calls a second while keys are replaced.
const ROTATION_RATE: u32 = 500;
/// Amid changes and restarts, memory and descriptors of the second half may be more than those of the first by this much, in
/// percent: what grows with the number of calls is far beyond.
const GROWTH: u64 = 20;
/// Of a crowd: how many calls each makes, how many callers are there at the same time, and by how much memory may differ between two spans of the run, in percent.
const CALLS_EACH: u64 = 10;
const PRESENT: u64 = 48;
const FLAT: u64 = 5;
/// The caches of the filter and of the token-service are full long before the first of these spans, in percent of all calls,
/// if it is a million.
const SPANS: [(u64, u64); 2] = [(40, 60), (80, 100)];

/// What the processes used, and after how many calls.
type Samples = Vec<(u64, [Usage; 2])>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let parts: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        bail!("there is no part {unknown}: name {} of them, or none for all", PARTS.join(" or "));
    }
    let is_wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let calls = calls()?;
    let mut figures = Figures::default();
    if is_wanted(MIXING) {
        mixing(&mut figures, calls).await?;
    }
    if is_wanted(CROWD) {
        crowding(&mut figures, calls).await;
    }
    figures.report("soak")
}

/// Whether anything mixes, amid changes; then what becomes of keys and of what is sealed.
async fn mixing(figures: &mut Figures, calls: u64) -> anyhow::Result<()> {
    let settings = Settings { seed: seed(), calls, tasks: TASKS, restart_every: Some(calls / RESTARTS) };
    println!("{calls} calls, PORTCULLIS_SEED={}", settings.seed);
    let soak = Soak::start(Database::make().await).await?;
    let begun = Instant::now();
    let (counts, samples) = run(&soak, settings).await;
    let seconds = begun.elapsed().as_secs().max(1);
    let token_requests = soak.calls_at_expiry(AT_ONCE).await;
    let counted = soak.count_records().await;
    let made = soak.tally.calls();
    let rotated = soak.replace_keys(ROTATION_RATE).await;
    let tampered = soak.tamper().await;
    println!("\n{counts}");
    let violations = soak.tally.counts().violations;
    for violation in &violations {
        println!("VIOLATION {violation}\n");
    }
    if !violations.is_empty() {
        keep_logs(&soak).await?;
    }
    answers(figures, &soak.tally.counts(), made.min(calls), calls);
    figures.add("calls_per_second", calls / seconds, "1/s", "none".into(), true);
    let (value, holds) = match token_requests {
        Ok(count) => (json!(count), count == 1),
        Err(error) => (json!(format!("{error:#}")), false),
    };
    figures.add("token_requests_for_1000_calls_at_expiry", value, "requests", "1".into(), holds);
    records(figures, counted);
    rotation(figures, rotated);
    tampering(figures, tampered);
    processes(figures, &samples);
    Ok(())
}

/// Whether memory grows with the number of callers.
async fn crowding(figures: &mut Figures, calls: u64) {
    let seen = come_and_go(calls).await;
    crowded(figures, seen, calls);
}

/// What the programs wrote, for whoever looks for the reason.
async fn keep_logs(soak: &Soak) -> anyhow::Result<()> {
    let directory = target_directory()?.join("soak");
    fs::create_dir_all(&directory)?;
    for (name, log) in soak.logs().await {
        let file = directory.join(format!("{name}.log"));
        fs::write(&file, log)?;
        println!("its log is in {}", file.display());
    }
    Ok(())
}

fn calls() -> anyhow::Result<u64> {
    match std::env::var("CALLS") {
        Ok(text) => text.parse().with_context(|| format!("CALLS={text}")),
        Err(_) if std::env::var("SHORT").is_ok_and(|short| short == "1") => Ok(SHORT_CALLS),
        Err(_) => Ok(CALLS),
    }
}

/// Runs, says how far it has come, and looks at the processes and upstreams meanwhile.
async fn run(soak: &Arc<Soak>, settings: Settings) -> (Counts, Samples) {
    let mut samples = Samples::new();
    let mut tick = interval(PROGRESS);
    let running = soak.run(settings);
    tokio::pin!(running);
    loop {
        tokio::select! {
            counts = &mut running => {
                samples.extend(soak.usage().map(|usage| (soak.tally.calls(), usage)));
                return (counts, samples);
            }
            _ = tick.tick() => {
                soak.look_at_upstreams();
                let Some(usage) = soak.usage() else { continue };
                let calls = soak.tally.calls();
                samples.push((calls, usage));
                let [envoy, service] = usage;
                println!(
                    "{calls:>9} of {} calls; Envoy {} MiB, {} fds; token-service {} MiB, {} fds; {} × 5xx, {} violations",
                    settings.calls, envoy.mebibytes(), envoy.descriptors, service.mebibytes(), service.descriptors,
                    soak.tally.counts().of("unavailable"), soak.tally.counts().violations.len(),
                );
            }
        }
    }
}

fn answers(figures: &mut Figures, counts: &Counts, made: u64, wanted: u64) {
    figures.add("calls", made, "calls", format!("≥ {wanted}"), made >= wanted);
    let violations = counts.violations.len();
    figures.add("answers_that_may_not_be", violations, "answers", "0".into(), violations == 0);
    let served: u64 = counts.served.values().sum();
    figures.add("calls_served", served, "calls", "most".into(), served * 2 > made);
    let most = made / 1_000;
    figures.add(
        "unavailable_without_reason",
        counts.slow,
        "answers",
        format!("≤ {most}"),
        counts.slow <= most,
    );
    for (reason, count) in &counts.unavailable {
        figures.add(&format!("unavailable: {reason}"), *count, "answers", "none".into(), true);
    }
    for (name, count) in &counts.changes {
        figures.add(&format!("change: {name}"), *count, "times", "≥ 1".into(), *count >= 1);
    }
}

/// Nothing fails while keys are replaced.
fn rotation(figures: &mut Figures, rotated: anyhow::Result<Calls>) {
    match rotated {
        Ok(calls) => {
            // What the machine could make of the rate: beside a soak it may be less.
            figures.note("rotation: calls_per_second", calls.made / calls.seconds, "1/s");
            figures.note("rotation: calls", calls.made, "calls");
            let failed = calls.failed.len();
            figures.add("rotation: failed_calls", failed, "calls", "0".into(), failed == 0);
            for failed in calls.failed {
                println!("FAILED while keys were replaced: {failed}");
            }
        }
        Err(error) => figures.add("rotation: failed_calls", format!("{error:#}"), "calls", "0".into(), false),
    }
}

fn tampering(figures: &mut Figures, tampered: anyhow::Result<Tampering>) {
    match tampered {
        Ok(Tampering { rows, changed_bytes, moved, unnoticed }) => {
            figures.note("tamper: sealed_values", rows, "values");
            figures.note("tamper: changed_bytes", changed_bytes, "times");
            figures.note("tamper: moved_values", moved, "times");
            figures.add("tamper: unnoticed", unnoticed, "times", "0".into(), unnoticed == 0 && rows > 0);
        }
        Err(error) => figures.add("tamper: unnoticed", format!("{error:#}"), "times", "0".into(), false),
    }
}

async fn come_and_go(calls: u64) -> anyhow::Result<Seen> {
    let settings = crowd::Settings { callers: calls / CALLS_EACH, calls_each: CALLS_EACH, present: PRESENT };
    println!("{} callers, {CALLS_EACH} calls each", settings.callers);
    let mut looks = 0_u64;
    crowd::run(settings, |sample| {
        looks += 1;
        if looks.is_multiple_of(10) {
            let [envoy, service] = sample.usage.map(Usage::mebibytes);
            println!("{:>9} of {calls} calls; Envoy {envoy} MiB; token-service {service} MiB", sample.calls);
        }
    })
    .await
}

/// Everybody was served; and memory does not grow with the number of callers, if there were enough calls to tell.
fn crowded(figures: &mut Figures, seen: anyhow::Result<Seen>, calls: u64) {
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => {
            return figures.add("crowd: failed_calls", format!("{error:#}"), "calls", "0".into(), false);
        }
    };
    figures.note("crowd: callers", calls / CALLS_EACH, "callers");
    figures.note("crowd: calls", seen.calls, "calls");
    let failed = seen.failed.len();
    figures.add("crowd: failed_calls", failed, "calls", "0".into(), failed == 0);
    for failed in &seen.failed {
        println!("FAILED in the crowd: {failed}");
    }
    let most = seen.calls / 1_000;
    figures.add(
        "crowd: unavailable",
        seen.unavailable,
        "answers",
        format!("≤ {most}"),
        seen.unavailable <= most,
    );
    let [middle, end] = SPANS.map(|(from, to)| seen.memory_between(from, to));
    for (index, process) in ["envoy", "token_service"].into_iter().enumerate() {
        let (before, after) = (middle[index], end[index]);
        figures.note(&format!("crowd: {process}_memory_middle"), before / (1024 * 1024), "MiB");
        let most = before + before * FLAT / 100;
        let (target, holds) = if calls >= CALLS {
            // Without samples there is no mean.
            (format!("≤ {}", most / (1024 * 1024)), after > 0 && after <= most)
        } else {
            ("none".into(), true)
        };
        figures.add(&format!("crowd: {process}_memory_end"), after / (1024 * 1024), "MiB", target, holds);
    }
}

/// Every request leaves one record, restarts or not.
fn records(figures: &mut Figures, counted: anyhow::Result<Counted>) {
    let (value, target, holds) = match counted {
        Ok(Counted { requests, records }) => (json!(records), requests.to_string(), records == requests),
        Err(error) => (json!(format!("{error:#}")), "as many as requests".into(), false),
    };
    figures.add("records_of_requests", value, "records", target, holds);
}

/// Start, middle and end; and that the second half took no more than the first.
fn processes(figures: &mut Figures, samples: &Samples) {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return };
    let middle = samples.iter().find(|(calls, _)| *calls * 2 >= last.0).unwrap_or(last);
    for (index, process) in ["envoy", "token_service"].into_iter().enumerate() {
        for (what, unit) in [("memory", "MiB"), ("fds", "descriptors")] {
            let [start, half, end] = [first, middle, last].map(|(_, usage)| match what {
                "memory" => usage[index].mebibytes(),
                _ => usage[index].descriptors,
            });
            figures.add(&format!("{process}_{what}_start"), start, unit, "none".into(), true);
            figures.add(&format!("{process}_{what}_middle"), half, unit, "none".into(), true);
            let most = half + half * GROWTH / 100 + 8;
            figures.add(&format!("{process}_{what}_end"), end, unit, format!("≤ {most}"), end <= most);
        }
    }
}
