//! Whoever can write to the database changes what is sealed there, byte by byte, and moves it about: nothing may open.

use std::path::Path;
use std::sync::Arc;

use portcullis_token_service::clock::SystemEntropy;
use portcullis_token_service::domain::server::Sealed;
use portcullis_token_service::store::{
    Location, SealedColumn, SealedRow, SealingStore as _, SqlStore, Tables,
};
use portcullis_token_service::vault::Vault;

/// How many of the rows take part in the swaps, each with each.
const SWAPPED: usize = 200;
const BATCH: u32 = 500;

/// What was tried, and what was not noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tampering {
    pub rows: u64,
    pub changed_bytes: u64,
    pub moved: u64,
    pub unnoticed: u64,
}

/// Tries it on copies of every sealed value of a database.
///
/// # Errors
/// If it cannot be read, or something does not open where it is.
pub async fn tamper(location: &Location, root_key: &Path) -> anyhow::Result<Tampering> {
    let store = SqlStore::open(location, Tables::Required).await?;
    let vault = Vault::open_with_file(root_key, &store, Arc::new(SystemEntropy)).await?;
    let rows = everything(&store).await?;
    let mut tried = Tampering { rows: rows.len() as u64, ..Tampering::default() };
    for row in &rows {
        vault.unseal(&row.place, &row.sealed)?;
        for position in 0..row.sealed.as_bytes().len() {
            let mut bytes = row.sealed.as_bytes().to_vec();
            bytes[position] ^= 1 << (position % 8);
            tried.changed_bytes += 1;
            tried.unnoticed += u64::from(vault.unseal(&row.place, &Sealed::new(bytes)).is_ok());
        }
    }
    let some: Vec<&SealedRow> = rows.iter().take(SWAPPED).collect();
    for (number, row) in some.iter().enumerate() {
        for other in some.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, other)| other) {
            tried.moved += 1;
            tried.unnoticed += u64::from(vault.unseal(&row.place, &other.sealed).is_ok());
        }
    }
    Ok(tried)
}

async fn everything(store: &SqlStore) -> anyhow::Result<Vec<SealedRow>> {
    let mut all = Vec::new();
    for column in SealedColumn::ALL {
        let mut after: Option<Vec<String>> = None;
        loop {
            let rows = store.sealed_rows(column, None, after.as_deref(), BATCH).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.key.clone());
            all.extend(rows);
        }
    }
    Ok(all)
}
