//! MCP servers to stand behind the gateway.
//!
//! - [`sample`]: a real server with tools, prompts and resources; what `make run` shows.
//! - [`protected`]: a real server that wants a token of an authorization server, and knows whose it is.
//! - [`shifting`]: a real server whose tools become others while it runs.
//! - [`scripted`]: answers byte for byte what a test tells it to, when it tells it to.
//!
//! All write down what reaches them in a [`journal`].

pub mod journal;
pub mod protected;
pub mod sample;
pub mod scripted;
pub mod shifting;

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server on a task of its own; dropping this ends it.
#[derive(Debug)]
pub struct Serving {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Serving {
    /// Serves `router` on `listener` until dropped.
    pub fn start(listener: TcpListener, router: Router) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the server has ended");
            }
        });
        Ok(Self { address, task })
    }

    /// Waits for the server to fail; it does not end by itself.
    pub async fn ended(&mut self) {
        // Cancelled or ended, it is gone all the same.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}
