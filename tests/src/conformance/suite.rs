//! Runs the conformance suite of npm `@modelcontextprotocol/conformance` and compares two runs check by check.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::fetched;

/// The frozen sets of scenarios that a revision of the protocol requires, each run at that revision's wire.
pub const REQUIREMENT_SETS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// `server-<scenario>-<time>`: the length of the time and its hyphen.
const TIME_SUFFIX: usize = "-2026-11-23T14-55-14-519Z".len();

/// One check of one scenario; a scenario can make the same check several times.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct CheckName {
    pub requirements: String,
    pub scenario: String,
    pub check: String,
}

/// What became of every check of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcomes(BTreeMap<CheckName, Vec<Status>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    Success,
    Failure,
    Warning,
    Skipped,
    /// Says something, judges nothing.
    Info,
}

/// A check that is known to come out differently through the gateway, and why that is right.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedDifference {
    #[serde(flatten)]
    pub name: CheckName,
    pub through_the_gateway: Vec<Status>,
    pub because: String,
}

#[derive(Debug, Deserialize)]
struct Check {
    id: String,
    status: Status,
}

/// Runs one requirement set against `url`. `None` if the suite is not on this machine, which has then been reported.
pub async fn run(requirements: &str, url: &str) -> anyhow::Result<Option<Outcomes>> {
    let Some(node) = fetched::node_with_packages() else { return Ok(None) };
    let results = tempfile::tempdir()?;
    let output = tokio::process::Command::new(node)
        .arg(fetched::npm_packages().join("@modelcontextprotocol/conformance/dist/index.js"))
        .args(["server", "--url", url, "--requirements", requirements, "-o"])
        .arg(results.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    // The exit code tells whether a scored check failed, which is for the comparison to judge.
    let outcomes = read(requirements, results.path())?;
    if outcomes.0.is_empty() {
        bail!("the suite has left no results: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(Some(outcomes))
}

fn read(requirements: &str, directory: &Path) -> anyhow::Result<Outcomes> {
    let mut outcomes = Outcomes::default();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let scenario = name
            .strip_prefix("server-")
            .and_then(|name| name.get(..name.len().checked_sub(TIME_SUFFIX)?))
            .with_context(|| format!("{name} is not a result of a server scenario"))?;
        let checks: Vec<Check> = serde_json::from_slice(&std::fs::read(entry.path().join("checks.json"))?)?;
        for check in checks.into_iter().filter(|check| check.status != Status::Info) {
            let name = CheckName {
                requirements: requirements.to_owned(),
                scenario: scenario.to_owned(),
                check: check.id,
            };
            outcomes.0.entry(name).or_default().push(check.status);
        }
    }
    outcomes.0.values_mut().for_each(|statuses| statuses.sort());
    Ok(outcomes)
}

impl Outcomes {
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Scenarios with a failed check.
    pub fn failing_scenarios(&self) -> BTreeSet<&str> {
        let failed = self.0.iter().filter(|(_, statuses)| statuses.contains(&Status::Failure));
        failed.map(|(name, _)| name.scenario.as_str()).collect()
    }

    fn get(&self, name: &CheckName) -> &[Status] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Every way in which the gateway's run is not what it should be, in words.
pub fn compare(directly: &Outcomes, through: &Outcomes, expected: &[ExpectedDifference]) -> Vec<String> {
    let names: BTreeSet<&CheckName> = directly.0.keys().chain(through.0.keys()).collect();
    let mut complaints = Vec::new();
    for name in &names {
        let (direct, gateway) = (directly.get(name), through.get(name));
        let known = expected.iter().find(|difference| difference.name == **name);
        let label = format!("{} {} {}", name.requirements, name.scenario, name.check);
        match known {
            None if direct != gateway => {
                complaints.push(format!("{label}: {direct:?} directly, {gateway:?} through the gateway"));
            }
            Some(_) if direct == gateway => {
                complaints
                    .push(format!("{label}: no longer different; remove it from the expected differences"));
            }
            Some(known) if known.through_the_gateway != gateway => {
                complaints.push(format!(
                    "{label}: {gateway:?} through the gateway, {:?} expected",
                    known.through_the_gateway
                ));
            }
            _ => {}
        }
    }
    let stale = expected.iter().filter(|difference| !names.contains(&difference.name));
    complaints.extend(
        stale.map(|stale| format!("{:?} is expected to differ, but there is no such check", stale.name)),
    );
    complaints
}

/// One line for each scenario: passed and failed checks, directly and through the gateway.
pub fn table(directly: &Outcomes, through: &Outcomes) -> String {
    let scenarios: BTreeSet<(&str, &str)> = directly
        .0
        .keys()
        .chain(through.0.keys())
        .map(|name| (name.requirements.as_str(), name.scenario.as_str()))
        .collect();
    let mut table = format!("{:<12} {:<48} {:>14} {:>14}\n", "revision", "scenario", "directly", "gateway");
    for scenario in scenarios {
        let (direct, gateway) = (tally(directly, scenario), tally(through, scenario));
        let mark = if direct == gateway { "" } else { "  differs" };
        let line = writeln!(table, "{:<12} {:<48} {direct:>14} {gateway:>14}{mark}", scenario.0, scenario.1);
        debug_assert!(line.is_ok(), "a String takes everything");
    }
    table
}

fn tally(outcomes: &Outcomes, (requirements, scenario): (&str, &str)) -> String {
    let checks = outcomes
        .0
        .iter()
        .filter(|(name, _)| name.requirements == requirements && name.scenario == scenario)
        .flat_map(|(_, statuses)| statuses);
    let (mut passed, mut failed) = (0, 0);
    for status in checks {
        match status {
            Status::Success => passed += 1,
            Status::Failure => failed += 1,
            Status::Warning | Status::Skipped | Status::Info => {}
        }
    }
    format!("{passed} ok, {failed} no")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(check: &str) -> CheckName {
        CheckName { requirements: "2026-07-28".into(), scenario: "caching".into(), check: check.into() }
    }

    fn outcomes(checks: &[(&str, Status)]) -> Outcomes {
        Outcomes(checks.iter().map(|(check, status)| (name(check), vec![*status])).collect())
    }

    fn expected(check: &str, status: Status) -> ExpectedDifference {
        ExpectedDifference {
            name: name(check),
            through_the_gateway: vec![status],
            because: "of a reason".into(),
        }
    }

    #[test]
    fn a_difference_is_a_complaint_unless_it_is_expected() {
        let (direct, gateway) = (outcomes(&[("a", Status::Success)]), outcomes(&[("a", Status::Failure)]));
        assert_eq!(compare(&direct, &direct, &[]), Vec::<String>::new());
        assert_eq!(compare(&direct, &gateway, &[]).len(), 1);
        assert_eq!(compare(&direct, &gateway, &[expected("a", Status::Failure)]), Vec::<String>::new());
        assert_eq!(compare(&direct, &gateway, &[expected("a", Status::Skipped)]).len(), 1);
    }

    #[test]
    fn a_check_that_is_gone_is_a_difference() {
        assert_eq!(compare(&outcomes(&[("a", Status::Success)]), &outcomes(&[]), &[]).len(), 1);
    }

    #[test]
    fn a_stale_expectation_is_a_complaint() {
        let same = outcomes(&[("a", Status::Success)]);
        assert_eq!(compare(&same, &same, &[expected("a", Status::Failure)]).len(), 1);
        assert_eq!(compare(&same, &same, &[expected("b", Status::Failure)]).len(), 1);
    }
}
