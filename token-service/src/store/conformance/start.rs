//! What the service itself needs to start.

use portcullis_wire::digest::Digest;

use super::Database;
use super::fixtures::*;
use crate::domain::Revision;
use crate::store::{DataKeyRow, DataKeyState};

pub(super) fn data_key(id: u32) -> DataKeyRow {
    DataKeyRow {
        id,
        wrapped: vec![1, 2, 3],
        check: vec![4],
        state: DataKeyState::Active,
        published_at: None,
        active_from: None,
        resealed_at: None,
    }
}

pub(in crate::store) async fn a_fresh_database_says_so(database: &dyn Database) {
    let store = database.open().await;
    assert!(store.is_fresh().await.expect("reads"));
    assert_eq!(revision(store.as_ref()).await, Revision(0));
    assert_eq!(changes(store.as_ref(), Revision(0)).await, change_set(Revision(0), false, &[]));
    store.create_workspace(&new_workspace(1)).await.expect("makes");
    assert!(!store.is_fresh().await.expect("reads"));
}

pub(in crate::store) async fn the_first_data_key_wins(database: &dyn Database) {
    let (one, two) = (database.open().await, database.open().await);
    assert_eq!(one.data_keys().await.expect("reads"), []);
    assert!(one.add_first_data_key(&data_key(1)).await.expect("adds"));
    assert!(!two.add_first_data_key(&data_key(2)).await.expect("adds"));
    assert_eq!(two.data_keys().await.expect("reads"), [data_key(1)]);
    assert!(!two.is_fresh().await.expect("reads"));
    assert_eq!(revision(two.as_ref()).await, Revision(0));
}

pub(in crate::store) async fn the_admin_token_is_compared_and_set(database: &dyn Database) {
    let (one, two) = (database.open().await, database.open().await);
    let digest = |text: &str| Digest::of("test", &[text.as_bytes()]);
    assert_eq!(one.admin_token_digest().await.expect("reads"), None);
    assert!(!one.set_admin_token_digest(Some(digest("z")), digest("a")).await.expect("sets"));
    assert!(one.set_admin_token_digest(None, digest("a")).await.expect("sets"));
    assert!(!two.set_admin_token_digest(None, digest("b")).await.expect("sets"));
    assert!(two.set_admin_token_digest(Some(digest("a")), digest("b")).await.expect("sets"));
    assert_eq!(one.admin_token_digest().await.expect("reads"), Some(digest("b")));
    assert!(!one.is_fresh().await.expect("reads"));
}
