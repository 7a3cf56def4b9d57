//! The address of a database, with what may be secret in it.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::ConnectOptions as _;
use sqlx::any::AnyConnectOptions;
use sqlx::postgres::PgConnectOptions;
use url::Url;

/// The parameters of a URL that have a meaning here; the names and meanings are those of libpq.
const PARAMETERS: [&str; 11] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
];

/// `postgres://user:password@host:port/database?sslmode=verify-full`. What it leaves out comes from the variables that
/// libpq reads (`PGHOST`, `PGUSER`, `PGPASSWORD`, `PGPASSFILE`, …). Printing it shows where the database is and nothing else.
#[derive(Clone)]
pub struct PostgresUrl(SecretString);

/// Why an address cannot be used. It repeats nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostgresUrlProblem {
    #[error("this is no URL of PostgreSQL")]
    NotPostgres,
    #[error("the parameter {0:?} of the URL is unknown")]
    Unknown(String),
    #[error("a parameter of the URL has a value that it cannot have: {0}")]
    Unusable(&'static str),
}

impl PostgresUrl {
    pub fn parse(text: &str) -> Result<Self, PostgresUrlProblem> {
        let url = Url::parse(text).map_err(|_| PostgresUrlProblem::NotPostgres)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(PostgresUrlProblem::NotPostgres);
        }
        for (name, _) in url.query_pairs() {
            if !PARAMETERS.contains(&&*name) && name != "user" && !name.starts_with("options[") {
                return Err(PostgresUrlProblem::Unknown(name.into_owned()));
            }
        }
        // What is wrong is not told by the error without the value.
        if PgConnectOptions::from_url(&url).is_err() {
            return Err(PostgresUrlProblem::Unusable("look at sslmode, port and hostaddr"));
        }
        Ok(Self(text.into()))
    }

    /// The same database with this password.
    #[must_use]
    pub fn with_password(&self, password: &SecretString) -> Self {
        let mut url = self.url();
        // As a parameter it needs no host beside it, unlike in its usual place.
        url.query_pairs_mut().append_pair("password", password.expose_secret());
        Self(String::from(url).into())
    }

    /// Whether it names a password itself.
    pub fn has_password(&self) -> bool {
        let url = self.url();
        url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
    }

    pub(super) fn url(&self) -> Url {
        Url::parse(self.0.expose_secret()).expect("it was parsed before")
    }

    /// As those who look at what a database does see who does it.
    fn named(&self) -> Url {
        let mut url = self.url();
        if !url.query_pairs().any(|(name, _)| name == "application_name") {
            url.query_pairs_mut().append_pair("application_name", "portcullis");
        }
        url
    }

    pub(in crate::store::sql) fn any_options(&self) -> sqlx::Result<AnyConnectOptions> {
        AnyConnectOptions::from_url(&self.named())
    }

    pub(in crate::store::sql) fn options(&self) -> sqlx::Result<PgConnectOptions> {
        PgConnectOptions::from_url(&self.named())
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url();
        formatter.write_str("postgres://")?;
        formatter.write_str(url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(formatter, ":{port}")?;
        }
        formatter.write_str(url.path())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PostgresUrl({self})")
    }
}

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for PostgresUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_printed() {
        let url = PostgresUrl::parse("postgres://ada:hunter2@db.example:5433/gate?sslmode=require")
            .expect("parses");
        let url = url.with_password(&"hunter3".into());
        for text in [url.to_string(), format!("{url:?}")] {
            assert!(text.contains("postgres://db.example:5433/gate"), "{text}");
            assert!(!text.contains("hunter") && !text.contains("ada"), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_repeating_it() {
        for (text, problem) in [
            ("mysql://hunter2@db/gate", "no URL of PostgreSQL"),
            ("host=db password=hunter2", "no URL of PostgreSQL"),
            ("postgres://db/gate?sslmod=require&password=hunter2", "\"sslmod\" of the URL is unknown"),
            ("postgres://db/gate?sslmode=hunter2", "look at sslmode"),
        ] {
            let error = PostgresUrl::parse(text).expect_err(text).to_string();
            assert!(error.contains(problem) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_password_is_in_either_place() {
        let parse = |text| PostgresUrl::parse(text).expect("parses");
        assert!(parse("postgres://ada:hunter2@db/gate").has_password());
        assert!(parse("postgres:///gate?host=/run/postgresql&password=x").has_password());
        let without = parse("postgres://ada@db/gate");
        assert!(!without.has_password());
        assert!(without.with_password(&"p&ss=wörd".into()).has_password());
    }
}
