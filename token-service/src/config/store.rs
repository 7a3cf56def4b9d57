//! The section that says where the database is.

use secrecy::{ExposeSecret as _, SecretString};

use super::reader::{At, Fields};
use super::{StoreConfig, secret};
use crate::store::PostgresUrl;

const URL: &str = "write postgres://user@host/database?sslmode=verify-full, {file: path} or {env: NAME}";

pub(super) fn read(sections: &Fields<'_>) -> Option<StoreConfig> {
    let at = sections.require("store")?;
    let fields = at.fields(&["sqlite", "postgres"])?;
    match (fields.get("sqlite"), fields.get("postgres")) {
        (Some(path), None) => path.path().map(StoreConfig::Sqlite),
        (None, Some(at)) => postgres(at),
        (Some(_), Some(_)) | (None, None) => {
            at.report(
                "the database is either one of SQLite or one of PostgreSQL",
                "write `sqlite: portcullis.db`, or `postgres` with url and directory",
            );
            None
        }
    }
}

fn postgres(at: &At<'_>) -> Option<StoreConfig> {
    let fields = at.fields(&["url", "password", "directory"])?;
    let url = fields.require("url").and_then(url);
    let password = match fields.get("password") {
        Some(at) => {
            secret::read(at, |text| if text.is_empty() { Err("it is empty") } else { Ok(()) }).map(Some)
        }
        None => Some(None),
    };
    let directory = fields.require("directory").and_then(At::path);
    let (url, password): (PostgresUrl, Option<SecretString>) = (url?, password?);
    if password.is_some() && url.has_password() {
        at.report("there is a password in the URL and another beside it", "leave one of them out");
        return None;
    }
    let url = password.map_or_else(|| url.clone(), |password| url.with_password(&password));
    Some(StoreConfig::Postgres { url, directory: directory? })
}

/// Written here, or as a secret where it has a password.
fn url(at: &At<'_>) -> Option<PostgresUrl> {
    if at.is_scalar() {
        let url = match PostgresUrl::parse(at.text()?) {
            Ok(url) => url,
            Err(problem) => {
                at.report(problem, URL);
                return None;
            }
        };
        if url.has_password() {
            at.report(
                "a password cannot be written here",
                "add password: {file: path} or {env: NAME}, or give the whole url that way",
            );
            return None;
        }
        return Some(url);
    }
    let text = secret::read(at, |text| PostgresUrl::parse(text).map(drop))?;
    PostgresUrl::parse(text.expose_secret()).ok()
}
