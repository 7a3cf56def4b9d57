//! The sections `root_key` and `other_root_keys`.

use insta::assert_snapshot;

use super::{minimal, parse_in, problems};
use crate::config::RootKeyConfig;
use crate::vault::transit::TransitToken;

pub(super) const ROOT_KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";

#[test]
fn a_root_key_is_in_a_file_the_environment_or_vault() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("token"), "s.token").expect("writes");
    let more = "other_root_keys:
  - {env: ROOT_KEY}
  - vault: {address: 'https://vault.example:8200', key: portcullis, token: {file: token}}
  - vault:
      {address: 'http://127.0.0.1:8200', mount: team/transit, key: k, namespace: a/b, token: {env: ROOT_KEY}}
";
    let keys = parse_in(directory.path(), &minimal(more)).expect("loads").service.root_keys;
    let RootKeyConfig::Environment { name, .. } = &keys.others[0] else { panic!("{keys:?}") };
    assert_eq!(name, "ROOT_KEY");
    let RootKeyConfig::Transit(remote) = &keys.others[1] else { panic!("{keys:?}") };
    assert_eq!((remote.mount.as_str(), remote.key.as_str()), ("transit", "portcullis"));
    assert_eq!(remote.token, TransitToken::File(directory.path().join("token")));
    let RootKeyConfig::Transit(local) = &keys.others[2] else { panic!("{keys:?}") };
    assert_eq!((local.mount.as_str(), local.namespace.as_deref()), ("team/transit", Some("a/b")));
    assert!(!format!("{keys:?}").contains(ROOT_KEY));
}

#[test]
fn every_problem_of_root_keys_is_named() {
    let more = "other_root_keys:
  - {env: LINEAR_TEAM}
  - {file: a, env: b}
  - {vault: {address: 'http://vault.example', key: ../x, token: hunter2}}
  - {vault: {address: 'https://v/v1', key: k, ca: nowhere.pem, token: {file: nowhere}}}
";
    assert_snapshot!(problems(&minimal(more)), @r#"
    portcullis.yaml:7: other_root_keys[0]: it must be 32 bytes in standard Base64, as `openssl rand -base64 32` prints
        put a usable value into the file or the variable
    portcullis.yaml:8: other_root_keys[1]: a root key is in a file, in the environment or in HashiCorp Vault
        write one of {file: path}, {env: NAME} and {vault: {address, key, token}}
    portcullis.yaml:9: other_root_keys[2].vault.address: "http://vault.example": it must be https, or http with a loopback host
        write https://host:port
    portcullis.yaml:9: other_root_keys[2].vault.key: "../x": not a name in Vault
        write letters, digits, -, _ and . only, with / between parts
    portcullis.yaml:9: other_root_keys[2].vault.token: a secret cannot be written here
        write {file: path} or {env: NAME}
    portcullis.yaml:10: other_root_keys[3].vault.address: "https://v/v1": it must be scheme, host and port only
        write https://host:port
    portcullis.yaml:10: other_root_keys[3].vault.ca: nowhere.pem cannot be read: No such file or directory (os error 2)
        name a readable PEM file
    portcullis.yaml:10: other_root_keys[3].vault.token.file: nowhere cannot be read: No such file or directory (os error 2)
        name the file that Vault Agent writes its token to
    8 problems
    "#);
    let twice = problems(&minimal("other_root_keys: [{file: r}]\n"));
    assert!(twice.contains("root_key is among other_root_keys too"), "{twice}");
}
