//! What the tests of this module share.

use std::sync::Arc;

use crate::clock::SystemEntropy;
use crate::store::SqlStore;
use crate::vault::Vault;

/// A vault over a database of its own, which is gone afterwards.
pub(crate) fn vault() -> Vault {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let store = SqlStore::open_sqlite(&directory.path().join("portcullis.db")).await.expect("opens");
        let root_key = directory.path().join("root.key");
        Vault::open_with_file(&root_key, &store, Arc::new(SystemEntropy)).await.expect("a vault")
    })
}
