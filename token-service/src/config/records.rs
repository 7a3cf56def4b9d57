//! The section that says which records of requests are kept.

use std::time::Duration;

use super::reader::{At, Fields};
use crate::records::retention::Keep;

const DEFAULT: Keep =
    Keep { age: Duration::from_hours(30 * 24), records: 10_000_000, bytes: 20 * 1024 * 1024 * 1024 };
const LEAST_AGE: Duration = Duration::from_hours(1);
const MOST_AGE: Duration = Duration::from_hours(3_650 * 24);

/// The section `records`; `Some(None)` for `enabled: false`.
#[expect(clippy::option_option, reason = "the outer one is for a problem that was reported")]
pub(super) fn read(sections: &Fields<'_>) -> Option<Option<Keep>> {
    let Some(at) = sections.get("records") else { return Some(Some(DEFAULT)) };
    let fields = at.fields(&["enabled", "keep", "max_records", "max_size"])?;
    let age = match fields.get("keep") {
        Some(at) => at.duration(LEAST_AGE, MOST_AGE),
        None => Some(DEFAULT.age),
    };
    let records = match fields.get("max_records") {
        Some(at) => at.number(1_000, u32::MAX).map(u64::from),
        None => Some(DEFAULT.records),
    };
    let bytes = match fields.get("max_size") {
        Some(at) => size(at),
        None => Some(DEFAULT.bytes),
    };
    let enabled = match fields.get("enabled") {
        Some(at) => at.boolean()?,
        None => true,
    };
    let keep = Keep { age: age?, records: records?, bytes: bytes? };
    Some(enabled.then_some(keep))
}

/// Such as `500MiB` or `20GiB`.
fn size(at: &At<'_>) -> Option<u64> {
    at.parsed("write it as 500MiB, 20GiB or 1TiB, at least 10MiB", |text| {
        let units = [("MiB", 20), ("GiB", 30), ("TiB", 40)];
        let parsed = units.into_iter().find_map(|(unit, shift)| {
            let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(1 << shift)
        });
        parsed.filter(|bytes| *bytes >= 10 << 20).ok_or("not a size in these bounds")
    })
}
