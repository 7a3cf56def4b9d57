//! Databases for tests, on the server that `PORTCULLIS_POSTGRES` names or on one that `make test-tools` has fetched.
//!
//! A crate of its own, because the tests inside the token-service need it as much as those of the whole.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use url::Url;

/// The server stays as long as this process does; others share it.
#[derive(Debug)]
struct Server {
    url: Url,
    is_named: bool,
    _keeper: Option<Child>,
}

fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let named = std::env::var("PORTCULLIS_POSTGRES").ok().filter(|url| !url.is_empty());
        let (url, keeper) = named.map(|url| (url, None)).or_else(start)?;
        let url = url.parse().expect("a URL of PostgreSQL");
        Some(Server { url, is_named: keeper.is_none(), _keeper: keeper })
    });
    if server.is_none() {
        skip("PostgreSQL: not here; `make test-tools` fetches it");
    }
    server.as_ref()
}

fn start() -> Option<(String, Option<Child>)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/postgres.sh");
    let mut keeper =
        Command::new(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("is a program");
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

/// As `portcullis_tests::fetched` does.
fn skip(message: &str) {
    assert!(std::env::var_os("REQUIRE_ALL").is_none_or(|value| value != "1"), "{message}");
    eprintln!("SKIPPED: {message}");
    let Some(path) = std::env::var_os("PORTCULLIS_SKIPPED") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let _ = file.and_then(|mut file| writeln!(file, "{message}"));
}

/// An empty database. It goes with the server, or on a server that was named when this does.
#[derive(Debug)]
pub struct Database {
    url: Url,
    name: String,
    server: &'static Server,
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
        let name = format!("portcullis_test_{}_{count}", std::process::id());
        let mut connection = PgConnection::connect(server.url.as_str()).await.expect("connects");
        let statement = format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0");
        connection.execute(AssertSqlSafe(statement)).await.expect("makes a database");
        let mut url = server.url.clone();
        url.set_path(&name);
        Some(Self { url, name, server })
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    /// For what is no business of the store.
    ///
    /// # Panics
    /// If there is no way to it.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(self.url.as_str()).await.expect("connects")
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

    /// Removes it, with whoever still uses it.
    ///
    /// # Panics
    /// If the server does not.
    pub async fn remove(self) {
        let statement = self.dropping();
        self.administrator().await.execute(AssertSqlSafe(statement)).await.expect("removes the database");
    }

    async fn administrator(&self) -> PgConnection {
        PgConnection::connect(self.server.url.as_str()).await.expect("connects")
    }

    fn dropping(&self) -> String {
        format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.server.is_named {
            return;
        }
        let (url, statement) = (&self.server.url, self.dropping());
        std::thread::scope(|scope| {
            let dropping = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    let mut connection = PgConnection::connect(url.as_str()).await?;
                    connection.execute(AssertSqlSafe(statement)).await.map(drop)
                })
            });
            if let Ok(Err(error)) = dropping.join() {
                eprintln!("{} is left behind: {error}", self.name);
            }
        });
    }
}
