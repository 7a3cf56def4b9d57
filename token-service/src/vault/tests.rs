use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

use super::*;
use crate::clock::SystemEntropy;
use crate::domain::header::HeaderName;
use crate::domain::server::Sealed;
use crate::domain::url::{PlainHttp, ServerUrl};
use crate::store::{DataKeyRow, DataKeyState, NewWorkspace, SealingStore as _, SqlStore, Store as _};

const SECRET: &str = "Bearer lin_api_0123456789";

struct Home {
    directory: TempDir,
    store: SqlStore,
}

impl Home {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = SqlStore::open_sqlite(&directory.path().join("portcullis.db")).await.expect("opens");
        Self { directory, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn vault(&self) -> Result<Vault, VaultError> {
        Vault::open_with_file(&self.path("root.key"), &self.store, Arc::new(SystemEntropy)).await
    }

    async fn open(&self, root: &Arc<dyn RootKey>) -> Result<Vault, VaultError> {
        let roots = RootKeys::new(Arc::clone(root), Vec::new());
        Vault::open(roots, &self.store, Arc::new(SystemEntropy)).await
    }

    async fn admin_token(&self) -> Result<AdminToken, VaultError> {
        AdminToken::establish(&self.path("admin-token"), &self.store, &SystemEntropy).await
    }
}

fn secret() -> SecretString {
    SecretString::from(SECRET)
}

fn place() -> Place {
    Place::new("table", "column", vec!["row".into(), "part".into()], "owner".into(), 3)
}

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn what_is_sealed_opens_also_after_a_restart() {
    let home = Home::new().await;
    let sealed = home.vault().await.expect("opens").seal(&place(), &secret());
    assert!(
        !sealed.as_bytes().windows(6).any(|window| SECRET.as_bytes().windows(6).any(|part| part == window))
    );
    let vault = home.vault().await.expect("opens again");
    assert_eq!(vault.unseal(&place(), &sealed).expect("unseals").expose_secret(), SECRET);
    // The same secret never looks the same twice.
    assert_ne!(vault.seal(&place(), &secret()), vault.seal(&place(), &secret()));
    assert_eq!(mode(&home.path("root.key")), 0o600);
    assert_eq!(format!("{vault:?}"), "Vault { active: 1, .. }");
}

#[tokio::test]
async fn no_byte_can_be_changed_added_or_removed() {
    let home = Home::new().await;
    let vault = home.vault().await.expect("opens");
    let good = vault.seal(&place(), &secret());
    for position in 0..good.as_bytes().len() {
        for bit in 0..8 {
            let mut bytes = good.as_bytes().to_vec();
            bytes[position] ^= 1 << bit;
            vault.unseal(&place(), &Sealed::new(bytes)).expect_err("a changed byte");
        }
        let shorter = good.as_bytes()[..position].to_vec();
        vault.unseal(&place(), &Sealed::new(shorter)).expect_err("the end is missing");
    }
    let mut longer = good.as_bytes().to_vec();
    longer.push(0);
    assert_eq!(vault.unseal(&place(), &Sealed::new(longer)).err(), Some(UnsealError::Tampered));
    let mut other_key = good.as_bytes().to_vec();
    other_key[5] = 9;
    assert_eq!(vault.unseal(&place(), &Sealed::new(other_key)).err(), Some(UnsealError::UnknownKey(9)));
}

#[tokio::test]
async fn a_sealed_value_opens_in_its_own_place_only() {
    let home = Home::new().await;
    let vault = home.vault().await.expect("opens");
    let sealed = vault.seal(&place(), &secret());
    let row = || vec!["row".to_owned(), "part".to_owned()];
    let others = [
        Place::new("other", "column", row(), "owner".into(), 3),
        Place::new("table", "other", row(), "owner".into(), 3),
        Place::new("table", "column", vec!["other".into(), "part".into()], "owner".into(), 3),
        Place::new("table", "column", vec!["rowp".into(), "art".into()], "owner".into(), 3),
        Place::new("table", "column", vec!["row".into()], "part".into(), 3),
        Place::new("table", "column", vec!["row".into(), "part".into(), String::new()], "owner".into(), 3),
        Place::new("table", "column", row(), "other".into(), 3),
        Place::new("table", "column", row(), "owner".into(), 4),
        Place::new("tablec", "olumn", row(), "owner".into(), 3),
    ];
    for other in others {
        assert_eq!(vault.unseal(&other, &sealed).err(), Some(UnsealError::Tampered), "{other:?}");
    }

    let url = |text| ServerUrl::parse(text, PlainHttp::Refused).expect("a URL");
    let name = HeaderName::parse("authorization").expect("a name");
    let here = Place::server_header(&"srv".into(), &url("https://a.example/mcp"), &name, 1);
    let sealed = vault.seal(&here, &secret());
    // Another path of the same origin is the same owner; another host is not.
    let other_path = Place::server_header(&"srv".into(), &url("https://a.example/v2"), &name, 1);
    vault.unseal(&other_path, &sealed).expect("the origin is the same");
    let elsewhere = Place::server_header(&"srv".into(), &url("https://evil.example/mcp"), &name, 1);
    assert_eq!(vault.unseal(&elsewhere, &sealed).err(), Some(UnsealError::Tampered));
}

#[tokio::test]
async fn a_session_key_is_that_of_one_caller_at_one_server_and_stays() {
    let home = Home::new().await;
    let vault = home.vault().await.expect("opens");
    let key = |vault: &Vault, caller: &str, server: &str| vault.session_key(caller, &server.into());
    let ours = key(&vault, "mem_1", "srv_1");
    assert_ne!(key(&vault, "mem_2", "srv_1"), ours);
    assert_ne!(key(&vault, "mem_1", "srv_2"), ours);
    assert_ne!(key(&vault, "mem_1s", "rv_1"), ours);
    let again = home.vault().await.expect("opens again");
    assert_eq!(key(&again, "mem_1", "srv_1"), ours);
}

#[tokio::test]
async fn a_wrong_root_key_refuses_to_start_and_writes_nothing() {
    let home = Home::new().await;
    home.vault().await.expect("opens");
    let keys = home.store.data_keys().await.expect("reads");
    std::fs::remove_file(home.path("root.key")).expect("removes");
    LocalRootKey::create(&home.path("root.key"), Arc::new(SystemEntropy)).expect("another key");
    let error = home.vault().await.expect_err("the wrong key");
    assert!(matches!(error, VaultError::WrongRootKey { data_key: 1, .. }), "{error}");
    let text = std::fs::read_to_string(home.path("root.key")).expect("reads");
    assert!(!error.to_string().contains(text.trim()));
    assert_eq!(home.store.data_keys().await.expect("reads"), keys);
}

#[tokio::test]
async fn a_missing_root_key_is_made_for_an_empty_database_only() {
    let home = Home::new().await;
    home.vault().await.expect("opens");
    std::fs::remove_file(home.path("root.key")).expect("removes");
    let error = home.vault().await.expect_err("the key is missing");
    assert!(matches!(error, VaultError::RootKeyMissing { .. }), "{error}");
    assert!(!home.path("root.key").exists());

    // Also if nothing is sealed yet: somebody has pointed at the wrong database or the wrong key.
    let home = Home::new().await;
    let workspace = NewWorkspace {
        id: "wsp".into(),
        slug: portcullis_wire::names::Slug::parse("core").expect("a slug"),
        name: "Core".into(),
        staleness: None,
    };
    home.store.create_workspace(&workspace).await.expect("makes");
    assert!(matches!(home.vault().await, Err(VaultError::RootKeyMissing { .. })));
}

#[tokio::test]
async fn a_key_that_was_made_before_the_database_is_used() {
    let home = Home::new().await;
    LocalRootKey::create(&home.path("root.key"), Arc::new(SystemEntropy)).expect("creates");
    home.vault().await.expect("opens");
    let again = LocalRootKey::create(&home.path("root.key"), Arc::new(SystemEntropy));
    assert!(matches!(again, Err(VaultError::File { .. })), "a key is never overwritten");
}

#[tokio::test]
async fn damaged_data_keys_are_noticed_at_start() {
    let entropy = Arc::new(SystemEntropy);
    let home = Home::new().await;
    let root = LocalRootKey::create(&home.path("root.key"), entropy).expect("creates");
    let root: Arc<dyn RootKey> = Arc::new(root);
    home.vault().await.expect("opens");
    let good = home.store.data_keys().await.expect("reads").remove(0);
    for position in 0..good.wrapped.len() {
        let mut changed = good.wrapped.clone();
        changed[position] ^= 1;
        for wrapped in [changed.as_slice(), &good.wrapped[..position]] {
            let error = root.unwrap(1, wrapped).await.expect_err("damaged");
            let noticed =
                matches!(error, VaultError::DataKeyDamaged { .. } | VaultError::WrongRootKey { .. });
            assert!(noticed, "{position}: {error}");
        }
    }
    let damaged = [
        DataKeyRow { id: 2, ..good.clone() },
        DataKeyRow { wrapped: good.wrapped[1..].to_vec(), ..good.clone() },
        DataKeyRow { check: vec![0; 16], ..good.clone() },
        DataKeyRow { check: Vec::new(), ..good.clone() },
    ];
    for row in damaged {
        let home = Home::new().await;
        assert!(home.store.add_first_data_key(&row).await.expect("adds"));
        let error = home.open(&root).await.expect_err("damaged");
        assert!(matches!(error, VaultError::DataKeyDamaged { .. }), "{error}");
    }
    let home = Home::new().await;
    let retired = DataKeyRow { state: DataKeyState::Retired, ..good };
    assert!(home.store.add_first_data_key(&retired).await.expect("adds"));
    let error = home.open(&root).await.expect_err("nothing to seal with");
    assert!(matches!(error, VaultError::NoActiveDataKey));
}

#[tokio::test]
async fn poor_root_keys_are_refused() {
    let home = Home::new().await;
    for (text, weak) in [
        ("", false),
        ("secret", false),
        ("AAAA", false),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", true),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", false),
    ] {
        std::fs::write(home.path("root.key"), text).expect("writes");
        let error = home.vault().await.expect_err("a poor key");
        let VaultError::RootKeyFile { problem, .. } = error else { panic!("{text:?}: {error}") };
        assert_eq!(problem, if weak { NoRootKey::Weak } else { NoRootKey::Malformed }, "{text:?}");
    }
    assert_eq!(home.store.data_keys().await.expect("reads"), []);
}

#[tokio::test]
async fn the_admin_token_is_written_once_and_kept_as_a_digest() {
    let home = Home::new().await;
    let made = home.admin_token().await.expect("makes");
    let path = home.path("admin-token");
    let token = std::fs::read_to_string(&path).expect("reads").trim().to_owned();
    assert_eq!(mode(&path), 0o600);
    assert!(made.accepts(&token) && !made.accepts("") && !made.accepts(&token[1..]));

    // The file may go; the token stays.
    std::fs::remove_file(&path).expect("removes");
    let kept = home.admin_token().await.expect("knows it");
    assert!(kept.accepts(&token) && !path.exists());

    // Another token in the file replaces it.
    std::fs::write(&path, "a-new-token-that-is-long-enough-0123\n").expect("writes");
    let new = home.admin_token().await.expect("takes it");
    assert!(new.accepts("a-new-token-that-is-long-enough-0123") && !new.accepts(&token));
    std::fs::remove_file(&path).expect("removes");
    assert!(home.admin_token().await.expect("knows it").accepts("a-new-token-that-is-long-enough-0123"));
}

#[tokio::test]
async fn poor_admin_tokens_are_refused() {
    let home = Home::new().await;
    for text in ["", "admin", "changeme", &"x".repeat(40), &"ab c".repeat(20), &"abcdefghijk".repeat(40)] {
        std::fs::write(home.path("admin-token"), text).expect("writes");
        let error = home.admin_token().await.expect_err("a poor token");
        assert!(matches!(error, VaultError::AdminTokenWeak { .. }), "{text:?}");
    }
    assert_eq!(home.store.admin_token_digest().await.expect("reads"), None);
}
