//! What whoever imports has to know and do.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Notes are taken while reading, so they are behind a shared reference.
#[derive(Debug, Default)]
pub(super) struct Report {
    notes: RefCell<Vec<Note>>,
    secrets: RefCell<Vec<(String, String)>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Note {
    place: String,
    what: String,
    remedy: String,
}

impl Report {
    /// `what` and `remedy` never repeat a value that may be a secret.
    pub(super) fn note(&self, place: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let note = Note { place: shown(place), what: shown(&what.into()), remedy: shown(&remedy.into()) };
        let mut notes = self.notes.borrow_mut();
        // What holds of an integration is read once for each of its servers.
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// A file of a name of its own for a secret, of which `place` says where it comes from.
    pub(super) fn secret(&self, name: &str, place: &str) -> String {
        let mut secrets = self.secrets.borrow_mut();
        let taken: BTreeSet<&str> = secrets.iter().map(|(file, _)| file.as_str()).collect();
        let file = format!("secrets/{name}");
        let file = if taken.contains(file.as_str()) { format!("{file}-{}", secrets.len()) } else { file };
        secrets.push((file.clone(), shown(place)));
        file
    }

    pub(super) fn finish(self, servers: usize) -> String {
        let (notes, secrets) = (self.notes.into_inner(), self.secrets.into_inner());
        let mut text = String::new();
        if !secrets.is_empty() {
            text += "Put these secrets into files beside portcullis.yaml, which only the service can read:\n";
            for (file, place) in &secrets {
                let _ = writeln!(text, "  {file}: the value of {place}");
            }
        }
        if !notes.is_empty() {
            text += "Not carried over as it was:\n";
            for Note { place, what, remedy } in &notes {
                let _ = writeln!(text, "  {place}: {what}\n      {remedy}");
            }
        }
        let counted =
            |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let counts =
            [counted(servers, "server"), counted(secrets.len(), "secret"), counted(notes.len(), "note")];
        let _ = writeln!(text, "{}", counts.join(", "));
        text
    }
}

/// Names of foreign objects go to a terminal.
fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(400).collect()
}
