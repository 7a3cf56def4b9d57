//! What the gateway adds to a request, next to what one would run instead.
//!
//! Every contender is an Envoy of its own with one worker on one processor; whatever sends and answers has another. They take
//! turns, slice by slice, so that whatever else the machine does concerns all. The figure is processor time of the Envoy
//! process for each request, less what plain Envoy took in the same round. What the token-service takes is not in it: it is
//! another process, and warm requests do not ask it.

pub mod callers;
pub mod cases;
pub mod chart;
pub mod configuration;
pub mod contenders;
pub mod cpu;
pub mod flood;
pub mod http;
pub mod latency;
pub mod load;
pub mod report;
pub mod upstream;
pub mod world;

use anyhow::Context as _;

use self::cases::{Case, Entry};
use self::contenders::{Contender, Cost};
use self::cpu::Processors;
use self::report::{Measured, Report};
use self::world::World;
use super::Extent;
use crate::figures::Figures;

/// Adds what the gateway costs, and writes the whole table and a chart.
///
/// # Errors
/// If a contender does not answer as it should.
pub async fn measure(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let mut world = World::start(extent, Some(Processors::find()?)).await?;
    let mut report = Report::default();
    world.notes(&mut report)?;
    for case in cases::all(&world, extent).await? {
        eprintln!("  {} ...", case.title);
        let rows = run(&mut world, &case, extent).await?;
        for row in &rows {
            eprintln!("    {row}");
        }
        report.add(&case, rows);
    }
    world.memory(&mut report, extent).await?;
    eprintln!("  delays ...");
    latency::measure(&mut world, &mut report, extent).await?;
    eprintln!("  forged tokens ...");
    flood::measure(&mut world, &mut report, extent).await?;
    report.write()?;
    report.judge(figures);
    Ok(())
}

/// Whether every contender does what it is measured at; measures nothing.
///
/// # Errors
/// If one does not.
pub async fn try_out(extent: Extent) -> anyhow::Result<()> {
    let mut world = World::start(extent, None).await?;
    for case in cases::all(&world, extent).await? {
        for entry in &case.entries {
            check(&mut world, &case, entry).await?;
        }
    }
    Ok(())
}

/// All entries of a case in turn, for so many rounds.
async fn run(world: &mut World, case: &Case, extent: Extent) -> anyhow::Result<Vec<Measured>> {
    for entry in &case.entries {
        check(world, case, entry).await?;
        world.running(entry.contender)?.run(&entry.requests, entry.warm_up).await?;
    }
    let mut costs: Vec<Vec<Cost>> = case.entries.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds(extent) {
        for (entry, costs) in case.entries.iter().zip(&mut costs) {
            costs.push(world.running(entry.contender)?.run(&entry.requests, case.count).await?);
        }
    }
    let plain = costs.first().context("plain Envoy is the first")?.clone();
    Ok(case.entries.iter().zip(costs).map(|(entry, costs)| Measured::of(entry, &costs, &plain)).collect())
}

/// How often every entry of a case has its turn.
pub fn rounds(extent: Extent) -> usize {
    if extent.is_short() { 2 } else { 7 }
}

/// Whether a contender does what it is measured at.
async fn check(world: &mut World, case: &Case, entry: &Entry) -> anyhow::Result<()> {
    let answer = world.running(entry.contender)?.load.once(entry.requests.first()).await?;
    let shows_hidden = answer.contains("hidden_issues");
    let is_list = case.is_list;
    let expected = answer.starts_with("HTTP/1.1 200")
        && shows_hidden == (is_list && !entry.contender.filters_lists())
        && answer.contains("search_issues_0") == is_list;
    anyhow::ensure!(expected, "{} of {} answers {answer:.2000}", entry.label, case.name);
    Ok(())
}

impl Contender {
    fn filters_lists(self) -> bool {
        self.is_ours() || self == Self::Rewriting
    }
}
