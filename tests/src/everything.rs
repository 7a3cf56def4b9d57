//! npm `@modelcontextprotocol/server-everything`, the reference server of the TypeScript SDK, as a process.

use std::net::SocketAddr;

use anyhow::bail;
use tempfile::TempDir;

use crate::fetched;
use crate::patience::poll;
use crate::port::Reserved;
use crate::process::{Process, Program};

/// A running server.
#[derive(Debug)]
pub struct Everything {
    address: SocketAddr,
    _process: Process,
    _directory: TempDir,
}

impl Everything {
    /// Starts it. `None` if it is not on this machine, which has then been reported.
    pub async fn start() -> anyhow::Result<Option<Self>> {
        let Some(node) = fetched::node_with_packages() else { return Ok(None) };
        let directory = tempfile::tempdir()?;
        let reserved = Reserved::take(None)?;
        let address = reserved.address()?;
        drop(reserved);
        let script = fetched::npm_packages().join("@modelcontextprotocol/server-everything/dist/index.js");
        let program = Program {
            name: "server-everything",
            path: node,
            arguments: vec![script.into(), "streamableHttp".into()],
            environment: vec![("PORT".to_owned(), address.port().to_string())],
        };
        let mut process = Process::start(&program, directory.path())?;
        let answered = poll(async || {
            if let Ok(Some(status)) = process.ended() {
                return Some(Err(status));
            }
            tokio::net::TcpStream::connect(address).await.ok().map(|_| Ok(()))
        })
        .await;
        match answered {
            Some(Ok(())) => Ok(Some(Self { address, _process: process, _directory: directory })),
            Some(Err(status)) => bail!("it has ended: {status}\n{}", process.log_tail()),
            None => bail!("it does not get ready\n{}", process.log_tail()),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }
}
