//! `make differential`: whether what the filter accepts means the same to every parser that servers use, on a million
//! documents that nobody thought of. `SHORT=1` asks about a tenth, `DOCUMENTS` about another number; `PORTCULLIS_SEED`
//! repeats them.
//!
//! Prints a table, and writes it to `target/differential/results.json`. Ends with an error if one differs.

use anyhow::Context as _;
use fastrand::Rng;
use portcullis_tests::figures::Figures;
use portcullis_tests::parsers::{Agreement, Parsers, documents};
use portcullis_tests::soak::seed;

const DOCUMENTS: u64 = 1_000_000;
const SHORT_DOCUMENTS: u64 = 100_000;
const AT_ONCE: usize = 10_000;
/// Of documents that differ the first are shown.
const SHOWN: usize = 5;

fn main() -> anyhow::Result<()> {
    let wanted = wanted()?;
    let seed = seed();
    println!("{wanted} documents, PORTCULLIS_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let mut parsers = Parsers::start()?.context("some parsers are missing")?;
    let mut agreement = Agreement::default();
    while agreement.documents < wanted {
        parsers.compare(&documents::documents(&mut rng, AT_ONCE), &mut agreement)?;
        if agreement.documents.is_multiple_of(10 * AT_ONCE as u64) {
            eprintln!("{:>9} of {wanted}; {} differ", agreement.documents, agreement.differing.len());
        }
    }
    for differing in agreement.differing.iter().take(SHOWN) {
        println!("{differing}\n");
    }
    let mut figures = Figures::default();
    figures.note("documents", agreement.documents, "documents");
    figures.note("accepted_by_the_filter", agreement.accepted, "documents");
    for (parser, count) in &agreement.accepted_too {
        figures.note(&format!("accepted_too: {parser}"), *count, "documents");
    }
    let differing = agreement.differing.len();
    figures.add("read_otherwise", differing, "documents", "0".into(), differing == 0);
    figures.report("differential")
}

fn wanted() -> anyhow::Result<u64> {
    match std::env::var("DOCUMENTS") {
        Ok(text) => text.parse().with_context(|| format!("DOCUMENTS={text}")),
        Err(_) if std::env::var("SHORT").is_ok_and(|short| short == "1") => Ok(SHORT_DOCUMENTS),
        Err(_) => Ok(DOCUMENTS),
    }
}
