//! All rows: what comes in, what has to become of it, what must never happen, and the tests that show it.

mod browsers;
mod connections;
mod providers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One row. Its tests are `<file below the repository>::<name>`.
struct Row {
    id: &'static str,
    input: &'static str,
    expected: &'static str,
    never: &'static str,
    tests: &'static [&'static str],
}

fn rows() -> impl Iterator<Item = &'static Row> {
    browsers::ROWS.iter().chain(&providers::ROWS).chain(&connections::ROWS)
}

/// Where the tables are, each of whose tests must be of some row.
const TABLES: [&str; 2] = ["token-service/tests/api/upstream_oauth", "tests/tests/e2e/upstream_oauth"];

#[test]
fn every_row_is_there_once_and_says_what_it_means() {
    let ids: Vec<&str> = rows().map(|row| row.id).collect();
    let expected: Vec<String> = (1..=38).map(|number| format!("O{number}")).collect();
    assert_eq!(ids, expected);
    for row in rows() {
        for text in [row.input, row.expected, row.never] {
            assert!(!text.is_empty(), "{} leaves something open", row.id);
        }
        assert!(!row.tests.is_empty(), "{} is shown by nothing", row.id);
    }
}

#[test]
fn every_named_test_is_run() {
    let mut read = BTreeMap::new();
    for row in rows() {
        for test in row.tests {
            let (file, name) = test.split_once("::").expect("a file and a name");
            let tests = read.entry(file).or_insert_with(|| tests_in(&repository().join(file)));
            assert!(tests.contains(name), "{}: there is no test {test}", row.id);
        }
    }
}

#[test]
fn no_table_is_outside_of_the_catalogue() {
    let named: BTreeSet<&str> = rows().flat_map(|row| row.tests).copied().collect();
    for directory in TABLES {
        for file in std::fs::read_dir(repository().join(directory)).expect("a directory") {
            let path = file.expect("an entry").path();
            let file = path.file_name().expect("a name").to_string_lossy().into_owned();
            // Of the tests themselves.
            if path.is_dir() || file == "stand.rs" {
                continue;
            }
            for name in tests_in(&path) {
                let test = format!("{directory}/{file}::{name}");
                assert!(named.contains(test.as_str()), "{test} is of no row");
            }
        }
    }
}

#[test]
fn only_what_is_run_counts_as_a_test() {
    let text = "#[test]\nfn a() {}\n\n/// b\n#[tokio::test(flavor = \"x\")]\nasync fn b() {}\n\nfn c() {}\n\n\
                // #[test]\n// fn d() {}\n\n#[test]\n#[ignore]\nfn e() {}\n";
    assert_eq!(tests_of(text), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn tests_in(file: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    tests_of(&text)
}

/// The functions that follow a test's attribute with nothing in between.
fn tests_of(text: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let pairs = lines
        .windows(2)
        .filter_map(|pair| if let [attribute, function] = pair { Some((attribute, function)) } else { None });
    let named = pairs.filter_map(|(attribute, function)| {
        let is_test = attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test");
        let function = function.strip_prefix("async ").unwrap_or(function).strip_prefix("fn ")?;
        let (name, _) = function.split_once('(')?;
        is_test.then(|| name.to_owned())
    });
    named.collect()
}
