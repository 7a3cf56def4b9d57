//! What a policy has to be told of the server's tools.

use portcullis_wire::policy::{KnownTools, LevelRules, Policy};

use super::ServerFacts;

/// What `levels` judge by, and nothing else: catalogues can be long.
pub(super) fn known_tools(levels: &[LevelRules], facts: &ServerFacts) -> KnownTools {
    let needs_reading = levels.iter().any(LevelRules::needs_reading);
    let reading = if needs_reading { facts.reading_tools.clone() } else { Vec::new() };
    let needs_approved = levels.iter().any(LevelRules::needs_approved);
    let approved = if needs_approved { facts.approved_tools.clone() } else { Vec::new() };
    KnownTools { reading, approved }
}

/// Whether it matters to a policy what is known of the server's tools.
pub fn judges_by_catalogue(policy: &Policy) -> bool {
    policy.levels.iter().any(|level| level.needs_reading() || level.needs_approved())
}
