//! What is known of a server's tools, for policies that judge by it.

use portcullis_wire::policy::{KnownTools, LevelRules, NewTools, Policy};

use super::ServerFacts;

/// What the filter needs to judge by `levels`, and no more: leases are kept in every worker.
pub(super) fn to_judge_by(levels: &[LevelRules], facts: &ServerFacts) -> KnownTools {
    let reading = levels.iter().any(|level| level.read_only || level.new_tools == NewTools::AllowIfReadOnly);
    let approved = levels.iter().any(|level| !level.new_tools.is_allow());
    let if_needed = |needed: bool, tools: &[String]| {
        let mut tools = if needed { tools.to_vec() } else { Vec::new() };
        tools.sort_unstable();
        tools
    };
    KnownTools {
        reading: if_needed(reading, &facts.reading_tools),
        approved: if_needed(approved, &facts.approved_tools),
    }
}

/// Whether it matters to this policy what is known of the server's tools.
pub fn judges_by_catalogue(policy: &Policy) -> bool {
    policy.levels.iter().any(|level| level.read_only || !level.new_tools.is_allow())
}
