//! What a policy has to be told of the server's tools.

use portcullis_wire::policy::{KnownTools, LevelRules};

use super::ServerFacts;

/// What `levels` judge by, and nothing else: catalogues can be long.
pub(super) fn known_tools(levels: &[LevelRules], facts: &ServerFacts) -> KnownTools {
    let needs_reading = levels.iter().any(LevelRules::needs_reading);
    let reading = if needs_reading { facts.reading_tools.clone() } else { Vec::new() };
    KnownTools { reading, approved: Vec::new() }
}
