//! The section `store`.

use std::path::Path;

use super::super::StoreConfig;
use super::{minimal, parse_in, problems};
use crate::store::Location;

/// The least that works, with another store.
fn with(store: &str) -> String {
    minimal("").replace("{sqlite: p.db}", store)
}

fn location(store: &str) -> String {
    let config =
        parse_in(Path::new("/etc/portcullis"), &with(store)).unwrap_or_else(|error| panic!("{error}"));
    let StoreConfig::Postgres { directory, .. } = &config.service.store else { panic!("not PostgreSQL") };
    assert_eq!(directory, Path::new("/etc/portcullis/kept"));
    let Location::Postgres(url) = config.service.store.location() else { panic!("not PostgreSQL") };
    assert!(!format!("{config:?}").contains("hunter2"), "no secret is printed");
    format!("{url} {}", url.has_password())
}

#[test]
fn a_database_of_postgresql_is_named_with_its_secret_apart() {
    for (store, wanted) in [
        (
            "{postgres: {url: 'postgres://ada@db:5433/gate', directory: kept}}",
            "postgres://db:5433/gate false",
        ),
        (
            "{postgres: {url: 'postgres://ada@db/gate', password: {env: WAREHOUSE_SECRET}, directory: kept}}",
            "postgres://db/gate true",
        ),
        ("{postgres: {url: {env: DATABASE_URL}, directory: kept}}", "postgres://db/gate true"),
    ] {
        assert_eq!(location(store), wanted, "{store}");
    }
}

#[test]
fn a_store_is_checked_whole() {
    for (store, problem) in [
        ("{}", "the database is either one of SQLite or one of PostgreSQL"),
        ("{sqlite: a.db, postgres: {url: 'postgres://db/gate', directory: kept}}", "is either one of SQLite"),
        (
            "{postgres: {url: 'postgres://ada:hunter2@db/gate', directory: kept}}",
            "a password cannot be written here",
        ),
        (
            "{postgres: {url: {env: DATABASE_URL}, password: {env: WAREHOUSE_SECRET}, directory: kept}}",
            "a password in the URL and another beside it",
        ),
        ("{postgres: {url: 'mysql://db/gate', directory: kept}}", "this is no URL of PostgreSQL"),
        (
            "{postgres: {url: 'postgres://db/gate?ssl=true', directory: kept}}",
            "the parameter \"ssl\" of the URL is unknown",
        ),
        ("{postgres: {url: {env: WAREHOUSE_SECRET}, directory: kept}}", "this is no URL of PostgreSQL"),
        ("{postgres: {url: {env: NONE}}}", "the environment has no variable NONE"),
        ("{postgres: {}}", "`directory` is missing"),
    ] {
        let reported = problems(&with(store));
        assert!(reported.contains(problem) && !reported.contains("hunter2"), "{problem} in {reported}");
    }
}
