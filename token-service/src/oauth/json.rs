//! JSON of strangers, read strictly: one object, in which no key is given twice.

use std::fmt;

use axum::http::{HeaderMap, header};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::egress::EgressReply;

/// The largest document that is read, in bytes.
pub(super) const MAX_DOCUMENT: usize = 256 * 1024;

/// Why a body is not what it should be. What it holds is never repeated: it may be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("the content type is not JSON")]
    ContentType,
    #[error("the body is not a JSON object")]
    Malformed,
    #[error("the JSON has a key twice")]
    DuplicateKey,
}

pub(crate) type Object = Map<String, Value>;

/// The object that a reply holds. A reply that names no content type is judged by its body alone.
pub(crate) fn object(reply: &EgressReply) -> Result<Object, JsonError> {
    object_of(&reply.headers, &reply.body)
}

/// The same of a request.
pub(crate) fn object_of(headers: &HeaderMap, body: &[u8]) -> Result<Object, JsonError> {
    if !may_be_json(headers) {
        return Err(JsonError::ContentType);
    }
    match serde_json::from_slice(body) {
        Ok(Strict(Value::Object(object))) => Ok(object),
        Err(error) if error.to_string().starts_with(DUPLICATE) => Err(JsonError::DuplicateKey),
        Ok(_) | Err(_) => Err(JsonError::Malformed),
    }
}

fn may_be_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let subtype = essence.to_ascii_lowercase();
    subtype == "application/json" || (subtype.starts_with("application/") && subtype.ends_with("+json"))
}

const DUPLICATE: &str = "a key is given twice";

/// A value without duplicate keys at any depth; `serde_json` bounds the depth.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, _>()? {
            if object.insert(key, value).is_some() {
                return Err(de::Error::custom(DUPLICATE));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    fn read(content_type: Option<&'static str>, body: &str) -> Result<Object, JsonError> {
        let mut headers = HeaderMap::new();
        if let Some(value) = content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
        }
        object(&EgressReply { status: 200, headers, body: body.to_owned().into() })
    }

    #[test]
    fn content_types() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/jrd+json"] {
            assert!(read(Some(good), "{}").is_ok(), "{good}");
        }
        for bad in ["text/html", "text/json", "application/jsonp", "application/x-www-form-urlencoded", ""] {
            assert_eq!(read(Some(bad), "{}"), Err(JsonError::ContentType), "{bad}");
        }
        assert!(read(None, "{}").is_ok());
    }

    #[test]
    fn one_object_without_duplicates() {
        for bad in ["", "[]", "\"x\"", "null", "{", "{} {}", "<html>", "{\"a\":1,}", "{\"a\":\"\u{0}\"}"] {
            assert_eq!(read(None, bad), Err(JsonError::Malformed), "{bad}");
        }
        for twice in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, r#"{"x":[{"a":1,"\u0061":2}]}"#] {
            assert_eq!(read(None, twice), Err(JsonError::DuplicateKey), "{twice}");
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        assert_eq!(read(None, &deep), Err(JsonError::Malformed));
    }

    proptest! {
        #[test]
        fn what_has_no_duplicates_reads_as_ever(keys in proptest::collection::vec("[a-c]{1,2}", 0..6)) {
            let entries: Vec<_> = keys.iter().map(|key| format!("\"{key}\":[1,-2,0.5,\"x\",true,null]")).collect();
            let text = format!("{{{}}}", entries.join(","));
            let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
            match read(None, &text) {
                Ok(object) => prop_assert_eq!(Some(Value::Object(object)), serde_json::from_str(&text).ok()),
                Err(error) => {
                    prop_assert_eq!(error, JsonError::DuplicateKey);
                    prop_assert!(distinct.len() < keys.len());
                }
            }
        }
    }
}
