//! Looking at everything that is sealed: whether it opens where it is.

use serde::Serialize;

use super::Vault;
use crate::store::{SealedColumn, SealedRow, Store, StoreError};

/// How many values are read at once.
const BATCH: u32 = 500;

/// What was found in one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub table: &'static str,
    pub column: &'static str,
    /// How many values open.
    pub good: u64,
    pub bad: Vec<Unreadable>,
}

/// A value that does not open, or a row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// The row's primary key.
    pub row: Vec<String>,
    pub problem: String,
}

/// Opens every sealed value of the store, column by column. Fails only where the store cannot be asked.
pub async fn verify(vault: &Vault, store: &dyn Store) -> Result<Vec<Verified>, StoreError> {
    let mut all = Vec::new();
    for column in SealedColumn::ALL {
        all.push(verify_column(vault, store, column).await?);
    }
    Ok(all)
}

async fn verify_column(
    vault: &Vault,
    store: &dyn Store,
    column: SealedColumn,
) -> Result<Verified, StoreError> {
    let (table, name) = column.name();
    let mut verified = Verified { table, column: name, good: 0, bad: Vec::new() };
    let mut after: Option<Vec<String>> = None;
    loop {
        let rows = match store.sealed_rows(column, None, after.as_deref(), BATCH).await {
            Ok(rows) => rows,
            Err(StoreError::Corrupt { row, problem, .. }) => {
                let problem = format!("{problem}; the rows of its batch were not looked at");
                verified.bad.push(Unreadable { row: vec![row], problem });
                return Ok(verified);
            }
            Err(error) => return Err(error),
        };
        let Some(last) = rows.last() else { return Ok(verified) };
        after = Some(last.key.clone());
        for row in rows {
            look_at(vault, row, &mut verified);
        }
    }
}

fn look_at(vault: &Vault, row: SealedRow, verified: &mut Verified) {
    match vault.unseal(&row.place, &row.sealed) {
        Ok(_) => verified.good += 1,
        Err(error) => verified.bad.push(Unreadable { row: row.key, problem: error.to_string() }),
    }
}
