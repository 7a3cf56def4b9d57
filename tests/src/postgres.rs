//! A database of PostgreSQL for a story.

use std::net::SocketAddr;
use std::path::Path;

pub use portcullis_test_postgres::Database;
use serde_json::{Value, json};

use crate::faults::line::End;

/// What `portcullis.yaml` says for a store in it.
pub fn store(database: &Database) -> Value {
    json!({"postgres": {"url": database.url().as_str(), "directory": "kept"}})
}

/// What `portcullis.yaml` says for a store in it that is reached by a line.
///
/// # Panics
/// If the line has no address for a URL.
pub fn store_by(database: &Database, line: SocketAddr) -> Value {
    let mut url = database.url().clone();
    url.set_query(None);
    url.set_ip_host(line.ip()).expect("a URL with a host");
    url.set_port(Some(line.port())).expect("a URL with a port");
    json!({"postgres": {"url": url.as_str(), "directory": "kept"}})
}

/// The far end of a line to the server.
///
/// # Panics
/// If it is nowhere.
pub fn server(database: &Database) -> End {
    let url = database.url();
    let socket = url.query_pairs().find(|(name, _)| name == "host").map(|(_, directory)| directory);
    match (socket, url.socket_addrs(|| Some(5432))) {
        (Some(directory), _) => End::Socket(Path::new(&*directory).join(".s.PGSQL.5432")),
        (None, addresses) => {
            let addresses = addresses.expect("a server that has an address");
            End::Tcp(*addresses.first().expect("an address"))
        }
    }
}
