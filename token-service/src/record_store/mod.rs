//! The contract of what keeps request records. Every backend passes the whole of its conformance suite.
//!
//! **Apart from the registry.** Records are many and leases must not wait for them, so they have a file of their own, and in
//! PostgreSQL tables and connections of their own.
//!
//! **Ordered twice.** A [`RecordId`] begins with the time at which the request came, so that records of a span of time are
//! neighbours and every search goes from the newest to the oldest. An [`Arrival`] counts in the order of commits, so that
//! whoever follows misses nothing, however long a request took.
//!
//! **Once.** A record has a [`Uid`] that its sender gave it. One that is appended again is a duplicate and changes nothing.
//!
//! **Bounded.** No call reads more rows than it is told to. A search that comes to that bound says how far it got, and the
//! next call goes on there.
//!
//! **Not audited, not sealed.** Senders put no secret into a record.

#[cfg(test)]
pub(crate) mod conformance;
pub mod fields;
pub mod latency;
pub mod query;
mod sql;

use std::fmt;

use async_trait::async_trait;
use tokio::sync::watch;

pub use self::fields::{FIELDS, Field, Fields, Kind};
pub use self::query::{Column, Query, StatusFilter};
pub use self::sql::{SqlRecordStore, migrate};
pub use crate::store::{Result, StoreError};

/// What a sender calls a record, to tell whether it was received before: the first 16 bytes of a digest.
pub type Uid = [u8; 16];

/// Names a record, and says when its request came: microseconds since the Unix epoch times 1024, and a slot in which
/// records of the same microsecond differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub u64);

/// How many records may have come in the same microsecond.
const SLOTS: u64 = 1024;

impl RecordId {
    /// After every record that there can be. As large as fits a signed number of 64 bits.
    pub const END: Self = Self(i64::MAX as u64);

    /// The first that a request at this time can have; `END` for a time that no clock says.
    pub fn first_at(started_us: u64) -> Self {
        Self(started_us.saturating_mul(SLOTS).min(Self::END.0))
    }

    /// Where a record of this time and uid is looked for first.
    pub fn of(started_us: u64, uid: &Uid) -> Self {
        let slot = u64::from(u16::from_be_bytes([uid[0], uid[1]])) % SLOTS;
        Self(Self::first_at(started_us).0.saturating_add(slot))
    }

    /// The next slot of the same microsecond.
    #[must_use]
    pub fn next_slot(self) -> Self {
        let base = self.0 - self.0 % SLOTS;
        Self(base + (self.0 + 1) % SLOTS)
    }

    /// When the request came, in microseconds since the Unix epoch.
    pub fn started_us(self) -> u64 {
        self.0 / SLOTS
    }

    /// Of the form `rec_` and 16 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("rec_").filter(|digits| digits.len() == 16)?;
        let is_ours = digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let number = u64::from_str_radix(digits, 16).ok().filter(|_| is_ours)?;
        (number <= Self::END.0).then_some(Self(number))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "rec_{:016x}", self.0)
    }
}

/// The place of a record in the order of commits. Counts up; numbers may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival(pub u64);

/// How a request ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Ok,
    Denied,
    ConnectRequired,
    Error,
}

impl Outcome {
    pub const ALL: [Self; 4] = [Self::Ok, Self::Denied, Self::ConnectRequired, Self::Error];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::ConnectRequired => "connect_required",
            Self::Error => "error",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }

    /// What the fields of a record come down to.
    pub fn of(fields: &Fields) -> Self {
        match fields.decision.as_deref() {
            Some("deny") => Self::Denied,
            Some("connect_required") => Self::ConnectRequired,
            Some("error") => Self::Error,
            _ => {
                let failed = fields.status.is_none_or(|status| !(100..400).contains(&status));
                // That the client left is no fault of anybody's.
                let went_well = ["complete", "cancelled"];
                let broke = fields.ended.as_deref().is_some_and(|ended| !went_well.contains(&ended));
                let erred = fields.error_code.is_some() || fields.tool_error.is_some();
                if failed || broke || erred { Self::Error } else { Self::Ok }
            }
        }
    }
}

/// A record that is yet to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// When the request came, in microseconds since the Unix epoch.
    pub started_us: u64,
    pub uid: Uid,
    pub fields: Fields,
}

/// A record that is kept. Payloads are read only where they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub id: RecordId,
    pub outcome: Outcome,
    pub fields: Fields,
}

/// What became of records that were to be appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    pub kept: u64,
    /// Were there before.
    pub duplicates: u64,
    /// Of a microsecond in which there is no place any more; no sender that tells the time has so many.
    pub lost: u64,
}

/// Records from `from` up to but without `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub from: RecordId,
    pub until: RecordId,
}

impl Range {
    pub const ALL: Self = Self { from: RecordId(0), until: RecordId::END };
}

/// How much a search may read and answer.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Records in the answer.
    pub records: u32,
    /// Rows that are looked at.
    pub rows: u32,
    pub payloads: bool,
}

/// Part of what a search finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Newest first.
    pub records: Vec<Record>,
    /// Everything from here on was looked at, older records were not; `None` if there are none.
    pub reached: Option<RecordId>,
}

/// What has arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// In the order of their arrival.
    pub records: Vec<Record>,
    /// All up to here were looked at.
    pub through: Arrival,
}

/// How many records there are of each kind in a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub cells: Vec<Cell>,
    pub tools: Vec<Count>,
    pub callers: Vec<Count>,
    pub servers: Vec<Count>,
    /// As in [`Slice`].
    pub reached: Option<RecordId>,
}

/// How a range is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// Where the first begins; not after the range.
    pub origin: RecordId,
    /// In microseconds.
    pub length_us: u64,
}

/// Records of one interval, outcome and latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Counts from 0.
    pub interval: u64,
    pub outcome: Outcome,
    /// See [`latency`].
    pub bucket: u16,
    pub records: u64,
}

/// How many records have these two values: server and tool, the caller's id and name, server and nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    pub first: String,
    pub second: Option<String>,
    pub records: u64,
}

/// What there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub records: u64,
    /// What they take in the database, indexes included.
    pub bytes: u64,
    pub oldest: Option<RecordId>,
}

/// What may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Older ones go.
    pub from: RecordId,
    pub most_records: u64,
    pub most_bytes: u64,
}

/// Whatever keeps request records.
#[async_trait]
pub trait RecordStore: Send + Sync + 'static {
    /// Keeps all of them or, if it fails, none. Durable once it has answered.
    async fn append(&self, records: &[NewRecord]) -> Result<Appended>;

    /// Records in `range` of which `query` holds, newest first.
    async fn slice(&self, query: &Query, range: Range, bounds: Bounds) -> Result<Slice>;

    /// One record with its payloads.
    async fn record(&self, id: RecordId) -> Result<Option<Record>>;

    /// Records of which `query` holds that have arrived after `after`.
    async fn since(&self, query: &Query, after: Arrival, bounds: Bounds) -> Result<Arrived>;

    /// The newest arrival.
    async fn newest(&self) -> Result<Arrival>;

    /// Announces each append made through this handle as soon as it is durable. A hint for waiting: those of other handles
    /// are not announced.
    fn arrivals(&self) -> watch::Receiver<Arrival>;

    /// Counts, of the newest `rows` records in `range` that an index finds, those of which `query` holds.
    async fn tally(&self, query: &Query, range: Range, intervals: Intervals, rows: u32) -> Result<Tally>;

    async fn usage(&self) -> Result<Usage>;

    /// Deletes the oldest records that may not stay, at most `most` of them, and says how many it has deleted.
    async fn prune(&self, retention: &Retention, most: u32) -> Result<u32>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_spelt_and_read() {
        let id = RecordId::of(1_795_428_000_000_123, &[0x12; 16]);
        assert_eq!(id.started_us(), 1_795_428_000_000_123);
        assert_eq!(RecordId::parse(&id.to_string()), Some(id));
        for bad in
            ["", "rec_", "rec_123", "rec_ffffffffffffffff", "rec_+000000000000001", "REC_0000000000000001"]
        {
            assert_eq!(RecordId::parse(bad), None, "{bad}");
        }
        assert_eq!(RecordId::first_at(u64::MAX), RecordId::END);
    }

    #[test]
    fn slots_stay_in_their_microsecond() {
        let mut id = RecordId::first_at(7);
        for _ in 0..SLOTS {
            id = id.next_slot();
            assert_eq!(id.started_us(), 7);
        }
        assert_eq!(id, RecordId::first_at(7));
    }

    #[test]
    fn outcomes() {
        let fields = |decision: Option<&str>, status: Option<u64>| Fields {
            decision: decision.map(str::to_owned),
            status,
            ..Fields::default()
        };
        assert_eq!(Outcome::of(&fields(Some("allow"), Some(200))), Outcome::Ok);
        assert_eq!(Outcome::of(&fields(Some("deny"), Some(200))), Outcome::Denied);
        assert_eq!(Outcome::of(&fields(Some("allow"), Some(502))), Outcome::Error);
        // The client went away before there was a response.
        assert_eq!(Outcome::of(&fields(Some("allow"), Some(0))), Outcome::Error);
        assert_eq!(Outcome::of(&fields(None, None)), Outcome::Error);
        let refused = Fields { error_code: Some("-32602".into()), ..fields(Some("allow"), Some(200)) };
        assert_eq!(Outcome::of(&refused), Outcome::Error);
    }
}
