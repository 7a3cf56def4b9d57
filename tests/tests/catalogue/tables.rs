//! Directories of tests that are there for the catalogue's sake.

use std::collections::BTreeSet;

use portcullis_tests::artifacts::repository;
use portcullis_tests::proofs::tests_in;

use super::{FILES, row};

/// Each test in these has to be of some row.
const TABLES: [&str; 3] = [
    "filter/core/tests/identity",
    "token-service/tests/api/upstream_oauth",
    "tests/tests/e2e/upstream_oauth",
];

/// The doubles that the tests there use, and tests of the doubles.
const DOUBLES: &str = "stand.rs";

#[test]
fn no_table_is_outside_of_the_catalogue() {
    let rows = FILES.iter().flat_map(|(file, _)| row::read(file));
    let named: BTreeSet<String> = rows.flat_map(|row| row.proved_by).collect();
    let mut found = 0;
    for directory in TABLES {
        for entry in std::fs::read_dir(repository().join(directory)).expect("a directory") {
            let path = entry.expect("an entry").path();
            let file = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() || file == DOUBLES {
                continue;
            }
            for name in tests_in(&path).expect("a file of tests") {
                let test = format!("{directory}/{file}::{name}");
                assert!(named.contains(&test), "{test} is of no row");
                found += 1;
            }
        }
    }
    assert!(found > 60, "{found}");
}
