//! Lists that come in pages.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::error::ApiError;

const DEFAULT_LIMIT: u32 = 100;
const LARGEST_LIMIT: u32 = 1_000;

/// Query of a list in pages.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// The `next` of the page before.
    pub after: Option<String>,
    /// 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

impl Page {
    pub fn limit(&self) -> Result<u32, ApiError> {
        match self.limit {
            None => Ok(DEFAULT_LIMIT),
            Some(limit @ 1..=LARGEST_LIMIT) => Ok(limit),
            Some(_) => Err(ApiError::invalid("limit", "is not 1 to 1000", "ask for fewer and follow `next`")),
        }
    }
}

/// The cursor of the next page: the id of the last object, if this page is full.
pub fn next<T>(objects: &[T], limit: u32, id: impl Fn(&T) -> String) -> Option<String> {
    let is_full = usize::try_from(limit).is_ok_and(|limit| objects.len() >= limit);
    objects.last().filter(|_| is_full).map(id)
}
