//! The part of the contract about data keys and sealed values: which function runs in which kind of transaction.

use async_trait::async_trait;

use super::sealed::Page;
use super::{SqlStore, conditional, data_keys, housekeeping, sealed, writing};
use crate::clock::Timestamp;
use crate::domain::server::Sealed;
use crate::store::{DataKeyRow, Result, SealedColumn, SealedRow, SealingStore};

#[async_trait]
impl SealingStore for SqlStore {
    async fn data_keys(&self) -> Result<Vec<DataKeyRow>> {
        data_keys::all(&mut *self.read().await?).await
    }

    async fn add_first_data_key(&self, key: &DataKeyRow) -> Result<bool> {
        housekeeping!(self, data_keys::add_first, key)
    }

    async fn publish_data_key(&self, key: &DataKeyRow) -> Result<bool> {
        writing!(self, data_keys::publish, key)
    }

    async fn activate_data_key(&self, id: u32, now: Timestamp) -> Result<bool> {
        writing!(self, data_keys::activate, id, now)
    }

    async fn rewrap_data_key(&self, id: u32, present: &[u8], wrapped: &[u8]) -> Result<bool> {
        conditional!(self, data_keys::rewrap, id, present, wrapped)
    }

    async fn note_resealed(&self, id: u32, now: Timestamp) -> Result<()> {
        conditional!(self, data_keys::note_resealed, id, now)
    }

    async fn sealed_rows(
        &self,
        column: SealedColumn,
        not_under: Option<u32>,
        after: Option<&[String]>,
        limit: u32,
    ) -> Result<Vec<SealedRow>> {
        let page = Page { column, not_under, after, limit };
        sealed::page(&mut *self.snapshot().await?, &page).await
    }

    async fn reseal(&self, rows: &[(SealedRow, Sealed)]) -> Result<u64> {
        housekeeping!(self, sealed::replace, rows)
    }
}
