//! `make contract`: records what this version says in `contract/<version>/`, in place of what was recorded of it. Other
//! versions' directories are never touched.

#[path = "../tests/contract/samples.rs"]
mod samples;

use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract").join(env!("CARGO_PKG_VERSION"));
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    for (name, forms) in samples::all() {
        fs::write(directory.join(format!("{name}.json")), serde_json::to_string_pretty(&forms)? + "\n")?;
    }
    println!("recorded in {}", directory.display());
    Ok(())
}
