//! The section that says how often what servers have is learnt.

use std::time::Duration;

use super::reader::Fields;

const DEFAULT_EVERY: Duration = Duration::from_mins(15);
const LEAST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_hours(24);

/// The section `catalogue`; `Some(None)` for `every: never`.
#[expect(clippy::option_option, reason = "the outer one is for a problem that was reported")]
pub(super) fn read(sections: &Fields<'_>) -> Option<Option<Duration>> {
    let Some(at) = sections.get("catalogue") else { return Some(Some(DEFAULT_EVERY)) };
    let fields = at.fields(&["every"])?;
    match fields.get("every") {
        None => Some(Some(DEFAULT_EVERY)),
        Some(at) if at.text()? == "never" => Some(None),
        Some(at) => at.duration(LEAST, MOST).map(Some),
    }
}
