//! What was built or fetched before the tests run, and where.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The programs and files that a stack is made of.
#[derive(Clone, Debug)]
pub struct Artifacts {
    pub envoy: PathBuf,
    /// The filter.
    pub wasm: PathBuf,
    /// The token-service.
    pub portcullis: PathBuf,
}

impl Artifacts {
    /// Finds them where `make` puts them, or where `ENVOY`, `PORTCULLIS_WASM` and `PORTCULLIS_BIN` say.
    pub fn find() -> anyhow::Result<Self> {
        let target = target_directory()?;
        let built = profile_directory()?;
        Ok(Self {
            envoy: existing("ENVOY", &target.join("tools/bin/envoy"), "make test-tools")?,
            wasm: filter()?,
            portcullis: existing("PORTCULLIS_BIN", &built.join("portcullis"), "cargo build --workspace")?,
        })
    }
}

/// The filter as it is shipped.
pub fn filter() -> anyhow::Result<PathBuf> {
    let usual = target_directory()?.join("wasm32-wasip1/release/portcullis_filter.wasm");
    existing("PORTCULLIS_WASM", &usual, "make wasm")
}

/// The directory of the whole repository.
pub fn repository() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// Cargo's `target`, found from where this program is.
pub fn target_directory() -> anyhow::Result<PathBuf> {
    let built = profile_directory()?;
    let target = built.parent().context("this program is not in a Cargo target directory")?;
    Ok(target.to_owned())
}

/// `target/debug` or another profile's directory, found from where this program is: test programs are in its `deps`.
pub fn profile_directory() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let directory = program.parent().context("this program is nowhere")?;
    Ok(if directory.ends_with("deps") { directory.parent().unwrap_or(directory) } else { directory }
        .to_owned())
}

fn existing(variable: &str, usual: &Path, remedy: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os(variable).map_or_else(|| usual.to_owned(), PathBuf::from);
    if !path.exists() {
        bail!("{} does not exist: run `{remedy}`, or set {variable}", path.display());
    }
    Ok(path)
}
