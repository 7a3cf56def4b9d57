//! Statements that are put together of fixed texts and of values, which are bound.

use std::fmt::Write as _;

use sqlx::any::{Any, AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{AnyConnection, Arguments as _, AssertSqlSafe, Encode, Type};

use crate::record_store::Result;

/// Grows from left to right. Its text is of this program alone: nothing of a caller's gets into it but as a value.
pub(super) struct Statement {
    text: String,
    values: AnyArguments,
}

impl Statement {
    pub(super) fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), values: AnyArguments::default() }
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(super) fn bind<'v>(&mut self, value: impl Encode<'v, Any> + Type<Any>) -> &mut Self {
        self.values.add(value).expect("texts and numbers are always written");
        let _infallible = write!(self.text, "${}", self.values.len());
        self
    }

    pub(super) async fn rows(self, connection: &mut AnyConnection) -> Result<Vec<AnyRow>> {
        Ok(self.query().fetch_all(connection).await?)
    }

    pub(super) async fn row(self, connection: &mut AnyConnection) -> Result<Option<AnyRow>> {
        Ok(self.query().fetch_optional(connection).await?)
    }

    fn query(self) -> Query<'static, Any, AnyArguments> {
        sqlx::query_with(AssertSqlSafe(self.text), self.values)
    }
}
