//! All rows of bad gateway credentials: what comes in, what has to become of it, what must never happen, and the tests
//! that show it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::rows::ROWS;

/// Where the tables are, each of whose tests must be of some row.
const TABLE: &str = "filter/core/tests/identity";

/// Files there that are no tables.
const NO_TABLES: [&str; 4] = ["main.rs", "catalogue.rs", "rows.rs", "stand.rs"];

#[test]
fn every_row_is_there_once_and_says_what_it_means() {
    let ids: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
    let expected: Vec<String> = (1..=25).map(|number| format!("T{number}")).collect();
    assert_eq!(ids, expected);
    for row in &ROWS {
        for text in [row.input, row.expected, row.never] {
            assert!(!text.is_empty(), "{} leaves something open", row.id);
        }
        assert!(!row.tests.is_empty(), "{} is shown by nothing", row.id);
    }
}

#[test]
fn every_named_test_is_run() {
    let mut read = BTreeMap::new();
    for row in &ROWS {
        for test in row.tests {
            let (file, name) = test.split_once("::").expect("a file and a name");
            let tests = read.entry(file).or_insert_with(|| tests_in(&repository().join(file)));
            assert!(tests.contains(name), "{}: there is no test {test}", row.id);
        }
    }
}

#[test]
fn no_table_is_outside_of_the_catalogue() {
    let named: BTreeSet<&str> = ROWS.iter().flat_map(|row| row.tests).copied().collect();
    for file in std::fs::read_dir(repository().join(TABLE)).expect("a directory") {
        let path = file.expect("an entry").path();
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        if NO_TABLES.contains(&file.as_str()) {
            continue;
        }
        for name in tests_in(&path) {
            let test = format!("{TABLE}/{file}::{name}");
            assert!(named.contains(test.as_str()), "{test} is of no row");
        }
    }
}

#[test]
fn only_what_is_run_counts_as_a_test() {
    let text = "#[test]\nfn a() {}\n\n/// b\n#[wasm_bindgen_test(unsupported = test)]\nfn b() {}\n\nfn c() {}\n\n\
                // #[test]\n// fn d() {}\n\n#[tokio::test]\nasync fn e() {}\n\n#[test]\n#[ignore]\nfn f() {}\n";
    assert_eq!(tests_of(text), ["a", "b", "e"].map(str::to_owned).into());
}

fn repository() -> PathBuf {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    core.ancestors().nth(2).expect("the workspace").to_owned()
}

fn tests_in(file: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    tests_of(&text)
}

/// The functions that follow a test's attribute with nothing in between.
fn tests_of(text: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let named = lines.windows(2).filter_map(|pair| {
        let [attribute, function] = pair else { return None };
        let attributes = ["#[test]", "#[tokio::test", "#[wasm_bindgen_test(unsupported = test)]"];
        let is_test = attributes.iter().any(|start| attribute.starts_with(start));
        let function = function.strip_prefix("async ").unwrap_or(function).strip_prefix("fn ")?;
        let (name, _) = function.split_once('(')?;
        is_test.then(|| name.to_owned())
    });
    named.collect()
}
