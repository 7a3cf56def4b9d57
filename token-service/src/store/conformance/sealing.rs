//! Data keys, and everything that they seal.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::Database;
use super::authorization::{key, refresh};
use super::everything::fill;
use super::fixtures::*;
use super::start::data_key;
use crate::clock::{SystemEntropy, Timestamp};
use crate::domain::Revision;
use crate::domain::server::Sealed;
use crate::store::{DataKeyRow, DataKeyState, SealedColumn, SealedRow, SqlStore, Store};
use crate::vault::verify::verify;
use crate::vault::{Vault, sealed_under};

const NOW: Timestamp = Timestamp(200);

fn published(id: u32) -> DataKeyRow {
    DataKeyRow { state: DataKeyState::Published, published_at: Some(NOW), ..data_key(id) }
}

pub(in crate::store) async fn data_keys_follow_each_other(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    assert!(!store.publish_data_key(&published(1)).await.expect("answers"), "there is no active one");
    assert!(store.add_first_data_key(&data_key(1)).await.expect("adds"));
    assert!(!store.publish_data_key(&published(1)).await.expect("answers"), "it is there");
    assert!(!store.publish_data_key(&published(3)).await.expect("answers"), "one is left out");
    assert!(!store.activate_data_key(2, NOW).await.expect("answers"), "there is none");

    assert!(store.publish_data_key(&published(2)).await.expect("publishes"));
    assert_eq!(other.data_keys().await.expect("reads"), [data_key(1), published(2)]);
    assert!(!other.publish_data_key(&published(2)).await.expect("answers"), "somebody was faster");
    assert!(!other.publish_data_key(&published(3)).await.expect("answers"), "the newest does not seal yet");
    let entries = store.audit(None, 10).await.expect("reads");
    assert_eq!((entries[0].action.as_str(), entries[0].object.as_str()), ("data_key.publish", "2"));

    assert!(other.activate_data_key(2, Timestamp(300)).await.expect("activates"));
    assert!(!store.activate_data_key(2, Timestamp(301)).await.expect("answers"), "it seals already");
    let retired = DataKeyRow { state: DataKeyState::Retired, ..data_key(1) };
    let active =
        DataKeyRow { state: DataKeyState::Active, active_from: Some(Timestamp(300)), ..published(2) };
    assert_eq!(store.data_keys().await.expect("reads"), [retired.clone(), active.clone()]);

    store.note_resealed(1, Timestamp(400)).await.expect("notes");
    store.note_resealed(1, Timestamp(500)).await.expect("leaves it");
    store.note_resealed(2, Timestamp(500)).await.expect("leaves it: it seals");
    let before = revision(store.as_ref()).await;
    assert!(!other.rewrap_data_key(1, &[9], &[5]).await.expect("answers"), "it is another by now");
    assert!(other.rewrap_data_key(1, &retired.wrapped, &[5]).await.expect("rewraps"));
    let rewrapped = DataKeyRow { wrapped: vec![5], resealed_at: Some(Timestamp(400)), ..retired };
    assert_eq!(store.data_keys().await.expect("reads"), [rewrapped, active]);
    assert_eq!(revision(store.as_ref()).await, before);
    assert!(before > Revision(0));
}

/// Something in every sealed column.
async fn sealed_everywhere(store: &dyn Store) {
    fill(store).await;
    refresh(store, "shown", "next", NOW).await;
    assert!(store.publish_signing_key(&key("two"), Some("one")).await.expect("publishes"));
}

async fn all(store: &dyn Store, not_under: Option<u32>) -> Vec<SealedRow> {
    let mut rows = Vec::new();
    for column in SealedColumn::ALL {
        let mut after: Option<Vec<String>> = None;
        loop {
            // One at a time, to meet the end of each page.
            let page = store.sealed_rows(column, not_under, after.as_deref(), 1).await.expect("reads");
            let Some(last) = page.last() else { break };
            assert!(page.iter().all(|row| row.column == column));
            after = Some(last.key.clone());
            rows.extend(page);
        }
    }
    rows
}

/// A vault of another database: what it seals belongs to the places of this one all the same.
async fn vault() -> Vault {
    let directory = tempfile::tempdir().expect("a directory");
    let store = SqlStore::open_sqlite(&directory.path().join("keys.db")).await.expect("opens");
    let path = directory.path().join("root.key");
    Vault::open_with_file(&path, &store, Arc::new(SystemEntropy)).await.expect("a vault")
}

fn secret_of(row: &SealedRow) -> SecretString {
    SecretString::from(format!("{:?} {}", row.column, row.key.join(" ")))
}

/// Puts a real secret in place of every value.
async fn seal_everything(store: &dyn Store, vault: &Vault) -> Vec<SealedRow> {
    let rows = all(store, None).await;
    let sealed: Vec<(SealedRow, Sealed)> = rows
        .into_iter()
        .map(|row| {
            let sealed = vault.seal(&row.place, &secret_of(&row));
            (row, sealed)
        })
        .collect();
    assert_eq!(store.reseal(&sealed).await.expect("reseals"), sealed.len() as u64);
    all(store, None).await
}

pub(in crate::store) async fn everything_sealed_is_found_and_replaced(database: &dyn Database) {
    let store = database.open().await;
    sealed_everywhere(store.as_ref()).await;
    let before = revision(store.as_ref()).await;
    let found = all(store.as_ref(), None).await;
    for column in SealedColumn::ALL {
        assert!(found.iter().any(|row| row.column == column), "nothing in {column:?}");
    }
    let vault = vault().await;
    let rows = seal_everything(store.as_ref(), &vault).await;
    assert_eq!(rows.len(), found.len());
    for (row, was) in rows.iter().zip(&found) {
        assert_eq!((&row.place, &row.key), (&was.place, &was.key));
        assert_eq!(sealed_under(&row.sealed), Some(1));
        let opened = vault.unseal(&row.place, &row.sealed).expect("opens where it is");
        assert_eq!(opened.expose_secret(), secret_of(row).expose_secret());
    }
    assert_eq!(all(store.as_ref(), Some(1)).await, []);
    assert_eq!(all(store.as_ref(), Some(2)).await, rows);
    // Whoever has read what is no longer there changes nothing.
    let late: Vec<_> = found.iter().map(|row| (row.clone(), Sealed::new(vec![1]))).collect();
    assert_eq!(store.reseal(&late).await.expect("answers"), 0);
    assert_eq!(revision(store.as_ref()).await, before);
}

pub(in crate::store) async fn nothing_sealed_can_be_changed_or_moved(database: &dyn Database) {
    let store = database.open().await;
    sealed_everywhere(store.as_ref()).await;
    let vault = vault().await;
    let rows = seal_everything(store.as_ref(), &vault).await;
    for row in &rows {
        for position in 0..row.sealed.as_bytes().len() {
            let mut bytes = row.sealed.as_bytes().to_vec();
            bytes[position] ^= 1;
            vault.unseal(&row.place, &Sealed::new(bytes)).expect_err("a changed byte");
        }
        for other in rows.iter().filter(|other| (other.column, &other.key) != (row.column, &row.key)) {
            vault.unseal(&row.place, &other.sealed).expect_err("a value of another place");
        }
    }
    // What is found in the database is named, and nothing else is.
    for column in SealedColumn::ALL {
        let row = rows.iter().find(|row| row.column == column).expect("is there");
        let mut bytes = row.sealed.as_bytes().to_vec();
        *bytes.last_mut().expect("bytes") ^= 1;
        let changed = Sealed::new(bytes);
        assert_eq!(store.reseal(&[(row.clone(), changed.clone())]).await.expect("reseals"), 1);
        let verified = verify(&vault, store.as_ref()).await.expect("reads");
        let bad: Vec<_> = verified.iter().filter(|column| !column.bad.is_empty()).collect();
        assert_eq!(bad.len(), 1, "{bad:?}");
        assert_eq!((bad[0].table, bad[0].column), column.name());
        assert_eq!(bad[0].bad.len(), 1);
        assert_eq!(bad[0].bad[0].row, row.key);
        let good: u64 = verified.iter().map(|column| column.good).sum();
        assert_eq!(good, rows.len() as u64 - 1);
        let changed = SealedRow { sealed: changed, ..row.clone() };
        assert_eq!(store.reseal(&[(changed, row.sealed.clone())]).await.expect("reseals"), 1);
    }
}
