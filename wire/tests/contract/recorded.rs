//! What released versions have said, as it is recorded: a directory for each version, in it a file for each message, in
//! it each of its forms by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The forms of one message, by name.
pub(crate) type Forms = BTreeMap<String, Value>;

/// The directory of all versions.
pub(crate) fn directory() -> PathBuf {
    // Whichever crate asks: they lie side by side.
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let above = own.ancestors().find(|directory| directory.join("wire/contract").is_dir());
    above.expect("the repository").join("wire/contract")
}

/// Every version's messages: version, name of the message, its forms.
pub(crate) fn messages() -> Vec<(String, String, Forms)> {
    let mut messages = Vec::new();
    for version in sorted(&directory()) {
        for file in sorted(&version) {
            let text = std::fs::read_to_string(&file).expect("a readable file");
            let forms =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            messages.push((name(&version), name(&file), forms));
        }
    }
    assert!(!messages.is_empty(), "nothing is recorded");
    messages
}

fn sorted(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// `0.1.0` or `lease_reply`.
fn name(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    name.strip_suffix(".json").unwrap_or(name).to_owned()
}
