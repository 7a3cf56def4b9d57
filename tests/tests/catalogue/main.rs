//! All rows of `tests/catalogue`, tried on the running system. `README.md` there says how to read and to add them.

mod bytes;
mod expect;
mod request;
mod row;
mod stand;
mod stories;
mod tables;
mod tally;

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_tests::proofs::Proofs;
use row::{Kind, Row};
use stand::Stand;
use tally::Tally;
use tokio::task::{LocalSet, spawn_local};

/// The files, and how many rows of each letter they have.
const FILES: [(&str, &[(char, usize)]); 10] = [
    ("headers", &[('H', 38)]),
    ("json", &[('J', 38)]),
    ("tokens", &[('T', 25)]),
    ("oauth", &[('O', 38)]),
    ("authorization_server", &[('A', 24)]),
    ("responses", &[('R', 20)]),
    ("isolation", &[('C', 14)]),
    ("admin", &[('M', 18)]),
    ("logs", &[('L', 12)]),
    ("runtime", &[('W', 10)]),
];

macro_rules! files {
    ($($name:ident)*) => {$(
        #[tokio::test]
        async fn $name() {
            LocalSet::new().run_until(Box::pin(run(stringify!($name)))).await;
        }
    )*};
}

files! { headers json tokens oauth authorization_server responses isolation admin logs runtime }

#[test]
fn every_row_is_there_once_and_says_what_it_means() {
    let mut faults = Vec::new();
    for (file, letters) in FILES {
        let rows = row::read(file);
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let expected: Vec<String> = letters
            .iter()
            .flat_map(|(letter, last)| (1..=*last).map(move |number| format!("{letter}{number}")))
            .collect();
        assert_eq!(ids, expected, "{file}");
        faults.extend(rows.iter().filter_map(unclear));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn unclear(row: &Row) -> Option<String> {
    let fault = |what: &str| Some(format!("{}: {what}", row.id));
    match row.kind() {
        None => fault("is shown by nothing"),
        Some(Kind::DoesNotApply) if row.does_not_apply.as_deref().is_none_or(str::is_empty) => {
            fault("does not say why it does not apply")
        }
        Some(Kind::DoesNotApply) => None,
        Some(_) if row.does_not_apply.is_some() => fault("applies and does not"),
        Some(Kind::Story | Kind::ProvedBy) if row.expected.is_none() => fault("says not what is expected"),
        Some(_) if row.what.is_empty() || row.never.as_deref() == Some("") => fault("leaves something open"),
        Some(_) => None,
    }
}

/// Every story is of some row.
#[test]
fn no_story_is_forgotten() {
    let named: BTreeSet<String> =
        FILES.iter().flat_map(|(file, _)| row::read(file)).flat_map(|row| row.stories).collect();
    for (name, _) in stories::ALL {
        assert!(named.contains(*name), "{name} is of no row");
    }
}

/// Tries all rows of a file; faults are gathered, so that one does not hide the next.
async fn run(file: &str) {
    Tally::forget(file);
    let rows = row::read(file);
    let needs_stand = rows.iter().any(|row| matches!(row.kind(), Some(Kind::Data | Kind::Story)));
    let stand = if needs_stand { Some(Arc::new(Box::pin(Stand::start()).await)) } else { None };
    let (mut tally, mut proofs, mut faults) = (Tally::default(), Proofs::default(), Vec::new());
    for row in rows {
        let Some(kind) = row.kind() else { continue };
        let mut found = try_row(&row, stand.as_ref(), &mut tally).await;
        for test in &row.proved_by {
            tally.proofs += 1;
            found.extend(proofs.find(test).err());
        }
        tally.count(kind, found.is_empty());
        let never = row.never.as_deref().unwrap_or("-");
        faults
            .extend(found.iter().map(|fault| format!("{} ({}; never: {never}): {fault}", row.id, row.what)));
    }
    if let Some(stand) = &stand {
        faults.extend(stand.end().await);
    }
    tally.write(file);
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

async fn try_row(row: &Row, stand: Option<&Arc<Stand>>, tally: &mut Tally) -> Vec<String> {
    let Some(stand) = stand else { return Vec::new() };
    let mut faults = Vec::new();
    for input in &row.inputs {
        let spellings = input.each.as_ref().map_or(1, Vec::len);
        tally.inputs += spellings * input.eras.len();
        let (stand, input) = (Arc::clone(stand), input.clone());
        // A panic in one must not hide what becomes of the others.
        match spawn_local(async move { Box::pin(stand.run(&input)).await }).await {
            Ok(found) => faults.extend(found),
            Err(error) => faults.push(error.to_string()),
        }
    }
    for name in &row.stories {
        tally.stories += 1;
        let Some((_, story)) = stories::ALL.iter().find(|(known, _)| known == name) else {
            faults.push(format!("there is no story {name}"));
            continue;
        };
        if let Err(error) = spawn_local(story(Arc::clone(stand))).await {
            faults.push(format!("{name}: {error}"));
        }
    }
    if !row.inputs.is_empty() || !row.stories.is_empty() {
        faults.extend(stand.standing().await);
    }
    faults
}
