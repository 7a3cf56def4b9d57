//! Processor time of a process, and the processors that it may use.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Where Envoy runs, and where everything else does.
#[derive(Clone, Copy, Debug)]
pub struct Processors {
    pub envoy: usize,
    pub others: usize,
}

impl Processors {
    /// The first two that this process may use.
    ///
    /// # Errors
    /// If there is only one.
    pub fn find() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut allowed = (0..CpuSet::count()).filter(|number| allowed.is_set(*number).unwrap_or(false));
        let (Some(envoy), Some(others)) = (allowed.next(), allowed.next()) else {
            anyhow::bail!("it takes two processors: one for Envoy, one for whatever sends and answers");
        };
        Ok(Self { envoy, others })
    }
}

/// All threads of `process`, and those that they will start, run on `processor` alone.
pub fn pin(process: u32, processor: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    for thread in threads(process)? {
        sched_setaffinity(Pid::from_raw(thread), &set).with_context(|| format!("cannot pin {process}"))?;
    }
    Ok(())
}

/// What all threads of `process` have used so far; exact to the nanosecond, where `/proc/<pid>/stat` counts in hundredths of a
/// second.
///
/// # Errors
/// If the kernel does not say (`CONFIG_SCHED_INFO`).
pub fn used(process: u32) -> anyhow::Result<Duration> {
    let mut nanoseconds = 0_u64;
    for thread in threads(process)? {
        let path = format!("/proc/{process}/task/{thread}/schedstat");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let running = text.split_whitespace().next().context("an empty schedstat")?;
        nanoseconds += running.parse::<u64>()?;
    }
    ensure!(nanoseconds > 0, "the kernel does not count processor time by thread");
    Ok(Duration::from_nanos(nanoseconds))
}

fn threads(process: u32) -> anyhow::Result<Vec<i32>> {
    let directory = format!("/proc/{process}/task");
    let entries = fs::read_dir(&directory).with_context(|| format!("cannot read {directory}"))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().parse()?)).collect()
}
