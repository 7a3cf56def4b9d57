//! What all workers of one Envoy share: small values by key, replaced only by who has seen them.
//!
//! It lives as long as Envoy does, and nothing of it is ever freed. So keys are made only by callers whom the
//! token-service knows, and values are bounded. No key or value holds a secret.

/// The host's memory that is common to its VMs; the shell has it, tests have a map.
pub trait SharedData {
    /// What is kept under `key`; `None` if nothing ever was.
    fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable>;

    /// Puts `value` in place of the one of `version`, or where there was none. `false` if somebody else was faster.
    fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable>;
}

/// A value, and what tells it from those before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    pub value: Vec<u8>,
    pub version: u32,
}

/// The host does not share anything, or not now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Unavailable,
    /// Others were faster, again and again.
    Contended,
}

/// Each lost race is somebody else's success, so only very many workers at once get here.
const ATTEMPTS: u32 = 64;

/// Reads a value (empty if there is none), has `change` work out the next and an outcome, and writes it, until nobody
/// came in between. Without a next value nothing is written.
pub fn update<T>(
    shared: &dyn SharedData,
    key: &str,
    mut change: impl FnMut(&[u8]) -> (Option<Vec<u8>>, T),
) -> Result<T, Fault> {
    for _ in 0..ATTEMPTS {
        let present = shared.get(key).map_err(|Unavailable| Fault::Unavailable)?;
        let (value, version) = match &present {
            Some(versioned) => (versioned.value.as_slice(), Some(versioned.version)),
            None => (&[][..], None),
        };
        let (next, outcome) = change(value);
        let Some(next) = next else { return Ok(outcome) };
        if shared.replace(key, &next, version).map_err(|Unavailable| Fault::Unavailable)? {
            return Ok(outcome);
        }
    }
    Err(Fault::Contended)
}

/// Reads a value as records of so many numbers each; what does not fill a record does not count.
pub(crate) fn records<const NUMBERS: usize>(value: &[u8]) -> impl Iterator<Item = [u64; NUMBERS]> {
    let (numbers, _) = value.as_chunks::<8>();
    let (records, _) = numbers.as_chunks::<NUMBERS>();
    records.iter().map(|record| record.map(u64::from_le_bytes))
}

/// The opposite of [`records`].
pub(crate) fn bytes<const NUMBERS: usize>(records: impl IntoIterator<Item = [u64; NUMBERS]>) -> Vec<u8> {
    records.into_iter().flatten().flat_map(u64::to_le_bytes).collect()
}
