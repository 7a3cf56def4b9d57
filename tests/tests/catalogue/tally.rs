//! What has come of the rows, put together over the files, each of which is a test and may be a process of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;

use portcullis_tests::artifacts::target_directory;
use portcullis_tests::figures::Figures;
use serde::{Deserialize, Serialize};

use super::FILES;
use super::row::Kind;

/// Counts of one file.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) rows: usize,
    pub(crate) as_expected: usize,
    data: usize,
    story: usize,
    proved_by: usize,
    does_not_apply: usize,
    /// Requests that were sent.
    pub(crate) inputs: usize,
    pub(crate) stories: usize,
    /// Tests that rows name.
    pub(crate) proofs: usize,
}

impl Tally {
    pub(crate) fn count(&mut self, kind: Kind, as_expected: bool) {
        self.rows += 1;
        self.as_expected += usize::from(as_expected);
        *match kind {
            Kind::Data => &mut self.data,
            Kind::Story => &mut self.story,
            Kind::ProvedBy => &mut self.proved_by,
            Kind::DoesNotApply => &mut self.does_not_apply,
        } += 1;
    }

    /// Leaves this file's counts where the others find them, and writes the table of all that are there: whoever comes last
    /// writes the whole.
    ///
    /// # Panics
    /// If it cannot be written.
    pub(crate) fn write(&self, file: &str) {
        let directory = directory();
        let lock = File::create(directory.join("lock")).expect("a lock");
        lock.lock().expect("the lock");
        let text = serde_json::to_string(self).expect("counts");
        fs::write(directory.join(format!("{file}.part")), text).expect("counts can be written");
        let parts: BTreeMap<&str, Self> =
            FILES.iter().filter_map(|(file, _)| Some((*file, Self::read(file)?))).collect();
        // What does not hold fails the test of its file, which says why.
        if let Err(error) = table(&parts).report("catalogue") {
            eprintln!("{error:#}");
        }
    }

    /// What an earlier run has left must not pass for this one's.
    pub(crate) fn forget(file: &str) {
        let path = directory().join(format!("{file}.part"));
        assert!(fs::remove_file(&path).is_ok() || !path.exists(), "{} stays", path.display());
    }

    fn read(file: &str) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory().join(format!("{file}.part"))).ok()?).ok()
    }
}

fn directory() -> PathBuf {
    let directory = target_directory().expect("the target directory").join("catalogue");
    fs::create_dir_all(&directory).expect("a directory");
    directory
}

fn table(parts: &BTreeMap<&str, Tally>) -> Figures {
    let sum = |of: fn(&Tally) -> usize| parts.values().map(of).sum::<usize>();
    let total: usize =
        FILES.iter().map(|(_, ranges)| ranges.iter().map(|(_, last)| last).sum::<usize>()).sum();
    let mut figures = Figures::default();
    let (rows, good) = (sum(|part| part.rows), sum(|part| part.as_expected));
    figures.add("rows_run", rows, "rows", total.to_string(), rows == total);
    figures.add("rows_as_expected", good, "rows", total.to_string(), good == total);
    figures.note("rows_of_requests", sum(|part| part.data), "rows");
    figures.note("rows_of_stories", sum(|part| part.story), "rows");
    figures.note("rows_proved_by_other_tests", sum(|part| part.proved_by), "rows");
    figures.note("rows_that_do_not_apply", sum(|part| part.does_not_apply), "rows");
    figures.note("requests_sent", sum(|part| part.inputs), "requests");
    figures.note("stories_told", sum(|part| part.stories), "stories");
    figures.note("tests_named", sum(|part| part.proofs), "tests");
    for (file, part) in parts {
        let name = format!("rows_as_expected: {file}");
        figures.add(&name, part.as_expected, "rows", part.rows.to_string(), part.as_expected == part.rows);
    }
    figures
}
