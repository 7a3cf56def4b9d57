//! The part of OTLP that is read: the attributes of log records.
//!
//! The messages are those of `opentelemetry/proto/logs/v1/logs.proto`, with two differences. Texts are bytes: Envoy puts
//! header values into them as clients sent them, and one that is not UTF-8 must not cost the records of others. And only
//! what is used is named: everything else is skipped without being built, lists and maps among the values included, so
//! that an export takes little more memory than it has bytes.

use portcullis_wire::digest::Digest;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::record_store::fields::cut;
use crate::record_store::{FIELDS, Fields, NewRecord, Uid};

/// The most bytes of one export.
pub const MOST_BYTES: usize = 256 * 1024;

/// The most records of one export; the others are rejected.
pub const MOST_RECORDS: usize = 2_000;

/// The most attributes of one record that are looked at.
const MOST_ATTRIBUTES: usize = 256;

/// Of attributes without a field of their own: how many, and the longest name and value in bytes.
const MOST_FURTHER: usize = 32;
const LONGEST_NAME: usize = 128;
const LONGEST_VALUE: usize = 1_024;
/// And of all of them together, as JSON.
const MOST_FURTHER_BYTES: usize = 8_192;

/// How far ahead the clock of a sender may be, in milliseconds.
const MOST_AHEAD_MS: u64 = 24 * 3_600 * 1_000;

/// A unique identifier of the log record, by the semantic conventions.
const UID: &str = "log.record.uid";

/// Semantic conventions that say what a field says too.
const REPEATED: [&str; 7] = [
    "error.type",
    "gen_ai.operation.name",
    "gen_ai.prompt.name",
    "gen_ai.tool.name",
    "mcp.resource.uri",
    "network.protocol.name",
    "network.transport",
];

#[derive(Clone, PartialEq, prost::Message)]
pub struct Export {
    #[prost(message, repeated, tag = "1")]
    pub resource_logs: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceLogs {
    #[prost(message, repeated, tag = "2")]
    pub scope_logs: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ScopeLogs {
    #[prost(message, repeated, tag = "2")]
    pub log_records: Vec<LogRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct LogRecord {
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    #[prost(message, repeated, tag = "6")]
    pub attributes: Vec<KeyValue>,
    #[prost(bytes = "vec", tag = "9")]
    pub trace_id: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct AnyValue {
    #[prost(oneof = "Scalar", tags = "1, 2, 3, 4")]
    pub scalar: Option<Scalar>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Scalar {
    #[prost(bytes, tag = "1")]
    Text(Vec<u8>),
    #[prost(bool, tag = "2")]
    Boolean(bool),
    #[prost(int64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Double(f64),
}

/// Why a log record is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("a record without a time; Envoy sets `time_unix_nano`")]
    NoTime,
    #[error("a record from the future; look at the clock of the sender")]
    Future,
    #[error(
        "a record with neither `log.record.uid` nor `portcullis.request_id`; see the access log in envoy.yaml"
    )]
    Nameless,
    #[error("more than {MOST_RECORDS} records in one export; send fewer at a time")]
    TooMany,
}

/// The records of an export: those that can be kept, how many cannot, and why the last of those.
pub fn read(export: Export, now: Timestamp) -> (Vec<NewRecord>, u64, Option<Rejection>) {
    let (mut records, mut rejected, mut why) = (Vec::new(), 0, None);
    let scopes = export.resource_logs.into_iter().flat_map(|logs| logs.scope_logs);
    for record in scopes.flat_map(|logs| logs.log_records) {
        let outcome =
            if records.len() < MOST_RECORDS { read_record(record, now) } else { Err(Rejection::TooMany) };
        match outcome {
            Ok(record) => records.push(record),
            Err(rejection) => {
                rejected += 1;
                why = Some(rejection);
            }
        }
    }
    (records, rejected, why)
}

fn read_record(record: LogRecord, now: Timestamp) -> Result<NewRecord, Rejection> {
    let started_us = record.time_unix_nano / 1_000;
    if started_us == 0 {
        return Err(Rejection::NoTime);
    }
    if started_us / 1_000 > now.as_millis().saturating_add(MOST_AHEAD_MS) {
        return Err(Rejection::Future);
    }
    let (mut fields, mut further, mut uid) = (Fields::default(), Map::new(), None);
    for attribute in record.attributes.into_iter().take(MOST_ATTRIBUTES) {
        let Some(value) = attribute.value.and_then(|value| value.scalar).and_then(text) else { continue };
        let name = String::from_utf8_lossy(&attribute.key);
        if name == UID {
            uid = Some(value);
        } else if FIELDS.iter().any(|field| field.attribute == name) {
            fields.set(&name, value);
        } else if further.len() < MOST_FURTHER && !REPEATED.contains(&&*name) {
            further.insert(cut(name.into_owned(), LONGEST_NAME), cut(value, LONGEST_VALUE).into());
        }
    }
    if let (None, Ok(trace)) = (&fields.trace_id, <[u8; 16]>::try_from(record.trace_id)) {
        fields.trace_id = Some(format!("{:032x}", u128::from_be_bytes(trace)));
    }
    fields.attributes = spell(further);
    let name = uid.or_else(|| fields.request_id.clone()).ok_or(Rejection::Nameless)?;
    Ok(NewRecord { started_us, uid: digest(&name, record.time_unix_nano), fields })
}

/// Without the ones that are too much.
fn spell(mut further: Map<String, Value>) -> Option<String> {
    loop {
        let name = further.keys().next_back()?.clone();
        let text = Value::Object(further.clone()).to_string();
        if text.len() <= MOST_FURTHER_BYTES {
            return Some(text);
        }
        further.remove(&name);
    }
}

/// `None` for what says nothing: Envoy writes `-` for what does not apply.
fn text(scalar: Scalar) -> Option<String> {
    let text = match scalar {
        Scalar::Text(bytes) => String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Integer(value) => value.to_string(),
        Scalar::Double(value) => value.to_string(),
    };
    (!text.is_empty() && text != "-").then_some(text)
}

fn digest(name: &str, time: u64) -> Uid {
    let digest = Digest::of("portcullis request record", &[name.as_bytes(), &time.to_be_bytes()]);
    let (uid, _) = digest.as_bytes().split_first_chunk().expect("a digest is longer than a uid");
    *uid
}

#[cfg(test)]
mod tests;
