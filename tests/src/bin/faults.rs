//! `make faults`: every fault that this machine can make, each judged in three conditions; `only=story` makes those of one
//! story.
//!
//! Prints a table, and writes figures to `target/faults/results.json`. Ends with an error if a condition shows something
//! else than expected, a bound is not met, or anything fails open.

use std::thread;

use anyhow::{anyhow, ensure};
use portcullis_tests::faults::report::Report;
use portcullis_tests::faults::stories::{STORIES, Story};
use portcullis_tests::faults::{Condition, How, catalogue};
use portcullis_tests::figures::Figures;

fn main() -> anyhow::Result<()> {
    catalogue::check()?;
    let only = std::env::args().nth(1);
    let wanted = |story: &&Story| only.as_ref().is_none_or(|only| *only == story.name);
    let mut report = Report::default();
    let mut failed = Vec::new();
    for story in STORIES.iter().filter(wanted) {
        println!("== {}", story.name);
        match run(*story) {
            Ok(Some(seen)) => report.add(seen),
            Ok(None) => println!("skipped"),
            Err(error) => failed.push(format!("{}: {error:#}", story.name)),
        }
    }
    table(&report);
    for fault in report.faults().iter().chain(&failed) {
        println!("✗ {fault}");
    }
    let written = figures(&report).report("faults");
    ensure!(failed.is_empty(), "stories that did not come to their end: {}", failed.len());
    written?;
    ensure!(report.wrong.is_empty(), "not as it has to be: {}", report.wrong.len());
    Ok(())
}

/// On a thread of its own, so that a panic ends this story and no other.
fn run(story: Story) -> anyhow::Result<Option<Report>> {
    let told = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(story.run())
    });
    told.join().unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(anyhow!("{}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("panicked")))
    })
}

fn table(report: &Report) {
    println!(
        "\n{:<4} {:<62} {:<17} {:<17} {:<17} after",
        "", "", "first request", "cached caller", "open stream"
    );
    for fault in catalogue::FAULTS {
        let mut lines = vec![];
        match fault.how {
            How::Driven(_) => {
                let of_fault: Vec<_> = report.cells.iter().filter(|cell| cell.fault == fault.id).collect();
                for cells in of_fault.chunks(Condition::ALL.len()) {
                    let during: Vec<String> =
                        cells.iter().map(|cell| format!("{:<17}", cell.during)).collect();
                    let healed = cells.iter().all(|cell| cell.after.holds());
                    let after = if healed { "all served" } else { "not healed" };
                    lines.push(format!("{} {after}", during.join(" ")));
                }
            }
            How::Proved { shown, by } => lines.push(format!("{shown} ({} tests)", by.len())),
        }
        if lines.is_empty() {
            lines.push("not made this time".to_owned());
        }
        for (number, line) in lines.iter().enumerate() {
            let (id, what) = if number == 0 { (fault.id, fault.what) } else { ("", "") };
            println!("{id:<4} {what:<62} {line}");
        }
    }
    println!();
}

fn figures(report: &Report) -> Figures {
    let mut figures = Figures::default();
    let wrong = report.cells.iter().filter(|cell| !cell.during.holds() || !cell.after.holds()).count();
    let met = report.bounds.iter().filter(|bound| bound.holds()).count();
    figures.note("calls", report.calls, "calls");
    figures.note("arrivals", report.arrivals, "calls");
    figures.note("cells_run", report.cells.len(), "cells");
    figures.add("cells_other_than_expected", wrong, "cells", "0".into(), wrong == 0);
    let open = report.fail_open.len();
    figures.add("cells_fail_open", open, "cells", "0".into(), open == 0);
    let bounds = report.bounds.len();
    figures.add("bounds_met", met, "bounds", format!("{bounds}"), met == bounds);
    let longest = |durations: &mut dyn Iterator<Item = std::time::Duration>| {
        durations.max().map_or(0, |longest| u64::try_from(longest.as_millis()).unwrap_or(u64::MAX))
    };
    let borne = longest(&mut report.bounds.iter().map(|bound| bound.measured));
    figures.note("longest_silence_borne", borne, "ms");
    let healed = longest(&mut report.healed.iter().map(|(_, after)| *after));
    figures.note("longest_until_healed", healed, "ms");
    figures
}
