//! Times as the admin API spells them: RFC 3339 in UTC.

use crate::clock::Timestamp;

/// `2026-11-23T10:00:00Z`. A time that RFC 3339 cannot spell, beyond the year 9999, becomes the last that it can.
pub fn spell(time: Timestamp) -> String {
    let milliseconds = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(milliseconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// Reads RFC 3339 with any offset; `None` for anything else and for times before 1970.
pub fn read(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let time = Timestamp(1_795_428_000_250);
        assert_eq!(spell(time), "2026-11-23T10:00:00.25Z");
        assert_eq!(read(&spell(time)), Some(time));
        assert_eq!(read("2026-11-23T12:00:00.25+02:00"), Some(time));
        assert_eq!(spell(Timestamp(u64::MAX)).len(), "9999-12-30T22:00:00.999999999Z".len());
        for bad in ["", "tomorrow", "1795428000", "2026-11-23", "1969-12-31T23:59:59Z"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
