//! Between rows and values.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::record_store::fields::{NUMBERS, PAYLOADS, TEXTS};
use crate::record_store::{Arrival, Fields, Outcome, Record, RecordId, Result};
use crate::store::{StoreError, from_database};

pub(super) fn record_id(number: i64) -> RecordId {
    RecordId(from_database(number))
}

/// The columns that [`read`] reads, of `r` and, if there are payloads to be read, of `p`.
pub(super) fn columns(payloads: bool) -> String {
    let mut columns = "r.id, r.arrival, r.outcome".to_owned();
    for name in TEXTS.iter().chain(NUMBERS) {
        columns.push_str(", r.");
        columns.push_str(name);
    }
    for name in PAYLOADS.iter().filter(|_| payloads) {
        columns.push_str(", p.");
        columns.push_str(name);
    }
    columns
}

pub(super) fn read(row: &AnyRow, payloads: bool) -> Result<(Record, Arrival)> {
    let id = record_id(row.try_get(0)?);
    let arrival = Arrival(from_database(row.try_get(1)?));
    let outcome: &str = row.try_get(2)?;
    let outcome = Outcome::parse(outcome).ok_or_else(|| StoreError::Corrupt {
        table: "records",
        row: id.to_string(),
        problem: "the outcome is unknown".to_owned(),
    })?;
    let mut fields = Fields::default();
    let mut column = 3;
    for text in fields.texts_mut() {
        *text = row.try_get(column)?;
        column += 1;
    }
    for number in fields.numbers_mut() {
        *number = row.try_get::<Option<i64>, _>(column)?.map(from_database);
        column += 1;
    }
    if payloads {
        for payload in fields.payloads_mut() {
            *payload = row.try_get(column)?;
            column += 1;
        }
    }
    Ok((Record { id, outcome, fields }, arrival))
}
