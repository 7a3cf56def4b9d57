//! For how long a workspace may be served while filters hear nothing from the service.

use std::fmt;

/// The longest that can be chosen, in seconds.
const LONGEST: u16 = 300;

/// Seconds from when a filter no longer knows that nothing has changed. None of them is `strict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staleness(u16);

/// What is not a staleness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is neither strict nor a number of seconds from 0s to 300s")]
pub struct NoStaleness;

impl Staleness {
    pub const REMEDY: &str = "write strict, or seconds such as 30s, at most 300s";

    pub fn from_seconds(seconds: u16) -> Result<Self, NoStaleness> {
        if seconds <= LONGEST { Ok(Self(seconds)) } else { Err(NoStaleness) }
    }

    /// Reads `strict` or `30s`.
    pub fn parse(text: &str) -> Result<Self, NoStaleness> {
        if text == "strict" {
            return Ok(Self(0));
        }
        let digits = text.strip_suffix('s').ok_or(NoStaleness)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = digits.parse().ok().filter(|_| plain);
        seconds.map_or(Err(NoStaleness), Self::from_seconds)
    }

    pub fn seconds(self) -> u16 {
        self.0
    }

    pub fn as_millis(self) -> u64 {
        u64::from(self.0) * 1_000
    }
}

impl fmt::Display for Staleness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => formatter.write_str("strict"),
            seconds => write!(formatter, "{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (text, seconds, shown) in
            [("strict", 0, "strict"), ("0s", 0, "strict"), ("30s", 30, "30s"), ("300s", 300, "300s")]
        {
            let staleness = Staleness::parse(text).expect(text);
            assert_eq!((staleness.seconds(), staleness.to_string().as_str()), (seconds, shown));
        }
        for bad in ["", "s", "30", "301s", "5m", "-1s", "+1s", "Strict", "99999999s"] {
            assert_eq!(Staleness::parse(bad), Err(NoStaleness), "{bad}");
        }
    }
}
