//! A database of PostgreSQL, on the server that `PORTCULLIS_POSTGRES` names or on one that `make test-tools` has fetched.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use url::Url;

use crate::artifacts::repository;
use crate::faults::line::End;
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

    /// The far end of a line to the server.
    pub fn server(&self) -> End {
        let parameters = self.server.url.query_pairs();
        let socket = parameters.into_iter().find(|(name, _)| name == "host").map(|(_, directory)| directory);
        match (socket, self.server.url.socket_addrs(|| Some(5432))) {
            (Some(directory), _) => End::Socket(Path::new(&*directory).join(".s.PGSQL.5432")),
            (None, addresses) => {
                let addresses = addresses.expect("a server that has an address");
                End::Tcp(*addresses.first().expect("an address"))
            }
        }
    }

    /// What `portcullis.yaml` says for a store in it that is reached by a line.
    ///
    /// # Panics
    /// If the line has no address for a URL.
    pub fn store_by(&self, line: SocketAddr) -> Value {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_ip_host(line.ip()).expect("a URL with a host");
        url.set_port(Some(line.port())).expect("a URL with a port");
        json!({"postgres": {"url": url.as_str(), "directory": "kept"}})
    }

    /// Ends all connections to it.
    ///
    /// # Panics
    /// If the server does not.
    pub async fn disconnect_all(&self) {
        let statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        let mut connection = self.administrator().await;
        sqlx::query(statement).bind(&self.name).execute(&mut connection).await.expect("ends connections");
    }

    /// Makes a standby that is as far as this is now, and comes no further. Nobody may be connected.
    ///
    /// # Panics
    /// If the server does not.
    pub async fn make_standby(&self) {
        let statement = format!("CREATE DATABASE {0}_standby TEMPLATE {0}", self.name);
        self.administrator().await.execute(AssertSqlSafe(statement)).await.expect("copies the database");
    }

    /// Puts the standby in the place of this, and forgets what came after it was made. Nobody may be connected.
    ///
    /// # Panics
    /// If there is none.
    pub async fn fail_over(&self) {
        let mut connection = self.administrator().await;
        for statement in [
            format!("DROP DATABASE {}", self.name),
            format!("ALTER DATABASE {0}_standby RENAME TO {0}", self.name),
        ] {
            connection.execute(AssertSqlSafe(statement)).await.expect("replaces the database");
        }
    }

    async fn administrator(&self) -> PgConnection {
        PgConnection::connect(self.server.url.as_str()).await.expect("connects")
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
