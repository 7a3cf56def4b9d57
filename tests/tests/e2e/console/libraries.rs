//! What of others is in the program is what the registry has, to the byte.

use portcullis_tests::artifacts::repository;
use portcullis_tests::fetched;

#[test]
fn the_libraries_of_the_console_are_those_of_the_registry() {
    if fetched::node_with_packages().is_none() {
        return;
    }
    let vendor = repository().join("token-service/assets/vendor");
    let packages = repository().join("tests/node_modules");
    let mut known = Vec::new();
    for (file, package) in [
        ("htmx.min.js", "htmx.org/dist/htmx.min.js"),
        ("uPlot.iife.min.js", "uplot/dist/uPlot.iife.min.js"),
        ("uPlot.min.css", "uplot/dist/uPlot.min.css"),
        ("uPlot.LICENSE", "uplot/LICENSE"),
    ] {
        let read = |path: std::path::PathBuf| {
            std::fs::read(&path).unwrap_or_else(|error| panic!("{error}: {path:?}"))
        };
        assert!(read(vendor.join(file)) == read(packages.join(package)), "{file} is not that of {package}");
        known.push(file.to_owned());
    }
    let there = std::fs::read_dir(&vendor).expect("a directory");
    let mut there: Vec<_> =
        there.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    there.retain(|name| name != "README.md");
    there.sort();
    known.sort();
    assert_eq!(there, known, "every file is compared");
}
