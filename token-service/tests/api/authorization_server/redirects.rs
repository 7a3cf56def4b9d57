//! How browsers are sent on.

use std::path::{Path, PathBuf};

/// Whatever sends a browser on after a form answers with 303, which makes the next request a `GET` without the form.
#[test]
fn no_redirect_repeats_a_form() {
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a text");
                for status in ["Redirect::", "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT", "StatusCode::FOUND"]
                {
                    assert!(!text.contains(status), "{} has {status}", path.display());
                }
                read += 1;
            }
        }
    }
    assert!(read > 100, "{read}");
}
