//! Tests that a catalogue names as proofs: that they are there and are run, so that a reference cannot rot unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::artifacts::repository;

/// Knows the tests of each file that was asked for.
#[derive(Debug, Default)]
pub struct Proofs(BTreeMap<String, Result<BTreeSet<String>, String>>);

impl Proofs {
    /// `test` is `<file below the repository>::<name>`.
    ///
    /// # Errors
    /// If there is no such test.
    pub fn find(&mut self, test: &str) -> Result<(), String> {
        let (file, name) = test.split_once("::").ok_or_else(|| format!("{test} names no test of a file"))?;
        let tests = self.0.entry(file.to_owned()).or_insert_with(|| tests_in(&repository().join(file)));
        match tests {
            Ok(tests) if tests.contains(name) => Ok(()),
            Ok(_) => Err(format!("there is no test {test}")),
            Err(error) => Err(error.clone()),
        }
    }
}

/// Where the promises of a store are, each of which a macro makes a test of for every database.
const PROMISES: &str = "token-service/src/store/conformance/mod.rs";

/// The names of the tests in a file.
///
/// # Errors
/// If it cannot be read.
pub fn tests_in(file: &Path) -> Result<BTreeSet<String>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(if file.ends_with(PROMISES) { promises_of(&text) } else { tests_of(&text) })
}

/// What the macro lists.
fn promises_of(text: &str) -> BTreeSet<String> {
    let (_, listed) = text.split_once("conformance_tests!($database;").unwrap_or_default();
    let (listed, _) = listed.split_once(");").unwrap_or_default();
    listed.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// The functions that follow a test's attribute with nothing in between.
fn tests_of(text: &str) -> BTreeSet<String> {
    const ATTRIBUTES: [&str; 3] = ["#[test]", "#[tokio::test", "#[wasm_bindgen_test(unsupported = test)]"];
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let named = lines.windows(2).filter_map(|pair| {
        let [attribute, function] = pair else { return None };
        let is_test = ATTRIBUTES.iter().any(|start| attribute.starts_with(start));
        let function = function.strip_prefix("async ").unwrap_or(function).strip_prefix("fn ")?;
        let (name, _) = function.split_once('(')?;
        is_test.then(|| name.to_owned())
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_run_counts_as_a_test() {
        let text = "#[test]\nfn a() {}\n\n/// b\n#[wasm_bindgen_test(unsupported = test)]\nfn b() {}\n\nfn c() {}\n\n\
                    // #[test]\n// fn d() {}\n\n#[tokio::test(flavor = \"x\")]\nasync fn e() {}\n\n#[test]\n#[ignore]\nfn f() {}\n";
        assert_eq!(tests_of(text), ["a", "b", "e"].map(str::to_owned).into());
    }

    #[test]
    fn what_is_not_there_is_said() {
        let mut proofs = Proofs::default();
        assert_eq!(proofs.find(&format!("{PROMISES}::the_last_owner_stays")), Ok(()));
        proofs.find(&format!("{PROMISES}::end_leases")).expect_err("no promise");
        let here = "tests/src/proofs.rs";
        assert_eq!(proofs.find(&format!("{here}::what_is_not_there_is_said")), Ok(()));
        for wrong in [format!("{here}::tests_of"), format!("{here}x::a"), here.to_owned()] {
            proofs.find(&wrong).expect_err(&wrong);
        }
    }
}
