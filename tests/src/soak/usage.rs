//! What processes use of the machine, as Linux tells it.

use std::fs;

use anyhow::Context as _;

/// Of one process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub resident: u64,
    /// Open file descriptors.
    pub descriptors: u64,
}

impl Usage {
    pub fn of(process: u32) -> anyhow::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmRSS")?;
        let descriptors = fs::read_dir(format!("/proc/{process}/fd"))?.count();
        Ok(Self {
            resident: kibibytes.trim().parse::<u64>()? * 1024,
            descriptors: u64::try_from(descriptors)?,
        })
    }

    /// Resident memory in MiB, for people.
    pub fn mebibytes(self) -> u64 {
        self.resident / (1024 * 1024)
    }
}

/// Seconds of all cores that a process has used, in hundredths.
pub fn processor_seconds(process: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program, in parentheses, may hold spaces.
    let (_, rest) = stat.rsplit_once(')').context("a name")?;
    let ticks: Result<Vec<f64>, _> = rest.split_whitespace().skip(11).take(2).map(str::parse).collect();
    Ok(ticks?.iter().sum::<f64>() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::of(std::process::id()).expect("a process that runs");
        assert!(usage.mebibytes() > 0 && usage.descriptors > 2, "{usage:?}");
    }
}
