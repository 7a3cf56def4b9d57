//! A record as it is shown.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::record_store::{Fields, Record};

/// One request. Fields that do not apply are absent; parameters, response and attributes are there where they were asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordView {
    pub id: String,
    /// When the request came: RFC 3339, to the microsecond.
    pub at: String,
    /// `ok`, `denied`, `connect_required` or `error`.
    pub outcome: &'static str,
    #[serde(flatten)]
    pub fields: Fields,
    /// What else Envoy's access log is configured to send, by attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub further: Option<Map<String, Value>>,
}

impl From<Record> for RecordView {
    fn from(mut record: Record) -> Self {
        let further = record.fields.attributes.take();
        Self {
            at: spell(record.id.started_us()),
            id: record.id.to_string(),
            outcome: record.outcome.as_str(),
            fields: record.fields,
            further: further.and_then(|text| serde_json::from_str(&text).ok()),
        }
    }
}

/// RFC 3339 of microseconds since the Unix epoch.
pub(super) fn spell(microseconds: u64) -> String {
    let microseconds = i64::try_from(microseconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_microsecond(microseconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}
