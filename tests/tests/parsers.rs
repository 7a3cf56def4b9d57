//! What the filter accepts means the same to every parser that servers use.

use fastrand::Rng;
use portcullis_tests::parsers::{Agreement, Ours, Parsers, Reading, ambiguous, documents};
use portcullis_tests::soak::seed;

const DOCUMENTS: usize = 20_000;

#[test]
fn what_is_read_in_several_ways_is_refused() {
    let all = ambiguous::all();
    assert!(all.len() >= 60, "{}", all.len());
    for (what, document) in &all {
        assert_eq!(Ours::of(document), None, "{what}");
    }
    let Some(mut parsers) = Parsers::start().expect("parsers") else { return };
    let texts: Vec<Vec<u8>> = all.iter().map(|(_, document)| document.clone()).collect();
    let answers = parsers.ask(&texts).expect("answers");
    let mut alike = Vec::new();
    for (number, (what, _)) in all.iter().enumerate() {
        let mut readings: Vec<_> =
            answers.iter().map(|(_, answers)| answers[number].as_ref().map(Reading::request)).collect();
        readings.sort_unstable();
        readings.dedup();
        if let [reading] = readings[..] {
            alike.push(format!("{what}: {reading:?}"));
        }
    }
    assert!(alike.is_empty(), "all parsers read alike:\n{}", alike.join("\n"));
}

#[test]
fn what_is_accepted_means_the_same_to_all() {
    let Some(mut parsers) = Parsers::start().expect("parsers") else { return };
    let seed = seed();
    println!("PORTCULLIS_SEED={seed}");
    let mut agreement = Agreement::default();
    let documents = documents::documents(&mut Rng::with_seed(seed), DOCUMENTS);
    parsers.compare(&documents, &mut agreement).expect("answers");
    let shown: Vec<&str> = agreement.differing.iter().take(5).map(String::as_str).collect();
    assert!(shown.is_empty(), "{}", shown.join("\n\n"));
    // A comparison of nothing would always hold.
    let least = DOCUMENTS as u64 / 4;
    assert!(agreement.accepted >= least, "{agreement:?}");
    for (parser, count) in &agreement.accepted_too {
        assert!(*count >= least, "{parser}: {agreement:?}");
    }
}
