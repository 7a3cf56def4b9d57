//! A database of PostgreSQL, on the server that `PORTCULLIS_POSTGRES` names or on one that `make test-tools` has fetched.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use url::Url;

use crate::artifacts::repository;
use crate::fetched::required;

/// The server stays as long as this process does; others share it.
#[derive(Debug)]
struct Server {
    url: Url,
    _keeper: Option<Child>,
}

fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let found = SERVER.get_or_init(|| {
        let named = std::env::var("PORTCULLIS_POSTGRES").ok().filter(|url| !url.is_empty());
        let (url, keeper) = named.map(|url| (url, None)).or_else(start)?;
        Some(Server { url: url.parse().expect("a URL of PostgreSQL"), _keeper: keeper })
    });
    required("PostgreSQL", found.as_ref())
}

fn start() -> Option<(String, Option<Child>)> {
    let mut keeper = Command::new(repository().join("tests/tools/postgres.sh"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("is a program");
    let (output, mut line) = (keeper.stdout.take().expect("is piped"), String::new());
    BufReader::new(output).read_line(&mut line).expect("is read");
    let url = line.trim().to_owned();
    if url.is_empty() {
        // It has said why.
        keeper.wait().expect("ends");
        return None;
    }
    Some((url, Some(keeper)))
}

/// An empty database.
#[derive(Debug)]
pub struct Database {
    url: Url,
    server: &'static Server,
    name: String,
}

impl Database {
    /// `None` where there is no server, which is reported.
    ///
    /// # Panics
    /// If the server makes none.
    pub async fn make() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = server()?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("portcullis_e2e_{}_{count}", std::process::id());
        let mut connection = PgConnection::connect(server.url.as_str()).await.expect("connects");
        let statement = format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0");
        connection.execute(AssertSqlSafe(statement)).await.expect("makes a database");
        let mut url = server.url.clone();
        url.set_path(&name);
        Some(Self { url, server, name })
    }

    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// What `portcullis.yaml` says for a store in it.
    pub fn store(&self) -> Value {
        json!({"postgres": {"url": self.url(), "directory": "kept"}})
    }

    /// Removes it, with whoever still uses it.
    ///
    /// # Panics
    /// If the server does not.
    pub async fn remove(self) {
        let mut connection = PgConnection::connect(self.server.url.as_str()).await.expect("connects");
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        connection.execute(AssertSqlSafe(statement)).await.expect("removes the database");
    }
}
