//! Words that people write.

/// The known word that is so near that it was probably meant.
pub(crate) fn did_you_mean<'known>(word: &str, known: &[&'known str]) -> Option<&'known str> {
    let near = |candidate: &&str| strsim::damerau_levenshtein(word, candidate);
    let best = known.iter().copied().min_by_key(near)?;
    (near(&best) <= 1 + word.len() / 4).then_some(best)
}
