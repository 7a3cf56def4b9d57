//! Between rows and values.

use portcullis_wire::digest::Digest;
use portcullis_wire::names::Slug;
use serde::de::DeserializeOwned;

use sqlx::any::{Any, AnyTypeInfo, AnyValueRef};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::{Database, Decode, Encode, Type, ValueRef as _};

use super::{postgres, sqlite};
use crate::clock::Timestamp;
use crate::domain::resource::ResourcePath;
use crate::domain::{Origin, Revision};
use crate::measure;
use crate::store::StoreError;

/// The integers of databases are signed. Nothing here counts that far; a time beyond it is as good as never.
pub(crate) fn to_database(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn from_database(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn timestamp(number: i64) -> Timestamp {
    Timestamp(from_database(number))
}

pub(super) fn revision(number: i64) -> Revision {
    Revision(from_database(number))
}

/// A yes or no, kept as 1 or 0. The databases have no type for it in common, and what a comparison answers is a number in
/// SQLite and a boolean in PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flag(pub(super) bool);

impl Type<Any> for Flag {
    fn type_info() -> AnyTypeInfo {
        <i64 as Type<Any>>::type_info()
    }

    fn compatible(of: &AnyTypeInfo) -> bool {
        <i64 as Type<Any>>::compatible(of) || <bool as Type<Any>>::compatible(of)
    }
}

impl Encode<'_, Any> for Flag {
    fn encode_by_ref(&self, buffer: &mut <Any as Database>::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<Any>>::encode_by_ref(&i64::from(self.0), buffer)
    }
}

impl<'r> Decode<'r, Any> for Flag {
    fn decode(value: AnyValueRef<'r>) -> Result<Self, BoxDynError> {
        if <bool as Type<Any>>::compatible(&value.type_info()) {
            <bool as Decode<Any>>::decode(value).map(Self)
        } else {
            Ok(Self(<i64 as Decode<Any>>::decode(value)? != 0))
        }
    }
}

/// Names the row in errors about what it holds.
#[derive(Clone, Copy)]
pub(super) struct RowName<'a> {
    pub(super) table: &'static str,
    pub(super) row: &'a str,
}

impl RowName<'_> {
    pub(super) fn corrupt(self, problem: impl std::fmt::Display) -> StoreError {
        StoreError::Corrupt { table: self.table, row: self.row.to_owned(), problem: problem.to_string() }
    }

    pub(super) fn slug(self, text: &str) -> Result<Slug, StoreError> {
        Slug::parse(text).map_err(|error| self.corrupt(error))
    }

    pub(super) fn digest(self, text: &str) -> Result<Digest, StoreError> {
        Digest::parse(text).ok_or_else(|| self.corrupt("the digest is malformed"))
    }

    pub(super) fn origin(self, text: &str) -> Result<Origin, StoreError> {
        match text {
            "config" => Ok(Origin::Config),
            "api" => Ok(Origin::Api),
            "sign_in" => Ok(Origin::SignIn),
            _ => Err(self.corrupt("the origin is unknown")),
        }
    }

    pub(super) fn resource(self, text: &str) -> Result<ResourcePath, StoreError> {
        ResourcePath::parse(text).ok_or_else(|| self.corrupt("the resource is no path of a server"))
    }

    pub(super) fn json<T: DeserializeOwned>(self, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| self.corrupt(error))
    }
}

/// JSON of a value whose type cannot fail to be written.
pub(super) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain structures with text keys are always written")
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let database = error.as_database_error();
        let is_busy = matches!(error, sqlx::Error::PoolTimedOut)
            || database.is_some_and(|error| sqlite::is_busy(error) || postgres::is_busy(error));
        measure::store_failure(if is_busy { "busy" } else { "other" });
        Self::Unavailable { problem: error.to_string() }
    }
}

/// Turns a violated uniqueness into [`StoreError::Taken`], a reference to nothing into [`StoreError::Missing`].
pub(super) fn constraint(
    error: sqlx::Error,
    what: &'static str,
    value: &str,
    refers_to: &'static str,
) -> StoreError {
    let database = error.as_database_error();
    if database.is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
        return StoreError::Taken { what, value: value.to_owned() };
    }
    if database.is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation) {
        return StoreError::Missing { what: refers_to };
    }
    error.into()
}

/// The checks before an object is changed: it belongs to the API, and is as the caller knows it.
pub(super) fn changeable(
    what: &'static str,
    origin: Origin,
    revision: Revision,
    expected: Option<Revision>,
) -> Result<(), StoreError> {
    if origin == Origin::Config {
        return Err(StoreError::ReadOnly { what });
    }
    if expected.is_some_and(|expected| expected != revision) {
        return Err(StoreError::Stale);
    }
    Ok(())
}
