//! Times in words, for pages.

use crate::clock::Timestamp;

/// Such as `25 November 2026, 18:55 UTC`.
pub(super) fn date(time: Timestamp) -> String {
    zoned(time).strftime("%-d %B %Y, %H:%M UTC").to_string()
}

/// For the `datetime` attribute, to the second.
pub(super) fn machine(time: Timestamp) -> String {
    zoned(time).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Such as `2 minutes ago`.
pub(super) fn ago(now: Timestamp, then: Timestamp) -> String {
    let minutes = then.until(now).as_secs() / 60;
    match minutes {
        0 => "less than a minute ago".to_owned(),
        1 => "a minute ago".to_owned(),
        2..60 => format!("{minutes} minutes ago"),
        60..120 => "an hour ago".to_owned(),
        120..2880 => format!("{} hours ago", minutes / 60),
        _ => format!("{} days ago", minutes / (24 * 60)),
    }
}

fn zoned(time: Timestamp) -> jiff::civil::DateTime {
    let milliseconds = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let instant = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or(jiff::Timestamp::MAX);
    jiff::tz::TimeZone::UTC.to_datetime(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_words() {
        let time = Timestamp(1_795_428_000_250);
        assert_eq!(date(time), "23 November 2026, 10:00 UTC");
        assert_eq!(machine(time), "2026-11-23T10:00:00Z");
        for (seconds, words) in [
            (0, "less than a minute ago"),
            (61, "a minute ago"),
            (125, "2 minutes ago"),
            (3600, "an hour ago"),
            (7200, "2 hours ago"),
            (200_000, "2 days ago"),
        ] {
            assert_eq!(ago(Timestamp(time.0 + seconds * 1000), time), words);
        }
        assert_eq!(ago(Timestamp(0), time), "less than a minute ago");
        assert!(date(Timestamp(u64::MAX)).contains("9999"));
    }
}
