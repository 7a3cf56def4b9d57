//! Listening: on a Unix socket that only its owner can open, on TCP, or on TCP with mutual TLS.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingUnixStream;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::serve::Listener as _;
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};

use super::tls::MutualTlsListener;
use crate::config::InternalTls;
use crate::shutdown::Shutdown;

/// A socket that takes connections already; serving begins with [`Listener::serve`].
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, path: PathBuf },
    MutualTls(MutualTlsListener),
}

/// Where a listener can be reached, as logged: `http://127.0.0.1:8080` or `unix:/run/portcullis/internal.sock`.
pub type Url = String;

#[derive(Debug, Error)]
#[error("cannot listen on {address}")]
pub struct ListenError {
    address: String,
    source: io::Error,
}

impl Listener {
    pub async fn tcp(address: SocketAddr) -> Result<Self, ListenError> {
        TcpListener::bind(address)
            .await
            .map(Self::Tcp)
            .map_err(|source| ListenError { address: address.to_string(), source })
    }

    /// Replaces a socket that nobody listens on, left behind by a process that was killed; never anything else.
    pub fn unix(path: &Path) -> Result<Self, ListenError> {
        bind_unix(path)
            .map(|listener| Self::Unix { listener, path: path.to_owned() })
            .map_err(|source| ListenError { address: format!("unix:{}", path.display()), source })
    }

    /// Whoever connects must show a certificate that the configured authority has signed.
    pub async fn mutual_tls(address: SocketAddr, tls: &InternalTls) -> Result<Self, ListenError> {
        MutualTlsListener::bind(address, tls)
            .await
            .map(Self::MutualTls)
            .map_err(|source| ListenError { address: address.to_string(), source })
    }

    /// Where it listens, if that is reached over TCP.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::MutualTls(listener) => listener.local_addr().ok(),
            Self::Unix { .. } => None,
        }
    }

    pub fn url(&self) -> io::Result<Url> {
        match self {
            Self::Tcp(listener) => Ok(format!("http://{}", listener.local_addr()?)),
            Self::MutualTls(listener) => Ok(format!("https://{}", listener.local_addr()?)),
            Self::Unix { path, .. } => Ok(format!("unix:{}", path.display())),
        }
    }

    /// Serves until told to stop, then lets the requests at hand finish.
    pub async fn serve(self, router: Router, shutdown: Shutdown) -> io::Result<()> {
        let stopped = async move { shutdown.requested().await };
        match self {
            Self::Tcp(listener) => axum::serve(listener, router).with_graceful_shutdown(stopped).await,
            Self::MutualTls(listener) => axum::serve(listener, router).with_graceful_shutdown(stopped).await,
            Self::Unix { listener, path } => {
                let served = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
                // Gone or not, the next start replaces it.
                let _ = fs::remove_file(path);
                served
            }
        }
    }
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if BlockingUnixStream::connect(path).is_ok() {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it"));
            }
            fs::remove_file(path)?;
        }
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists and is not a socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    // Whoever can connect can ask for leases. The directory guards the moment before this line.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_for_its_owner_and_replaces_a_dead_one_only() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("internal.sock");
        let first = Listener::unix(&path).expect("listens");
        assert_eq!(fs::metadata(&path).expect("the socket").permissions().mode() & 0o777, 0o600);
        assert!(Listener::unix(&path).is_err(), "somebody listens");
        drop(first);
        Listener::unix(&path).expect("the old socket is dead");

        let file = directory.path().join("file");
        fs::write(&file, "mine").expect("writes");
        assert!(Listener::unix(&file).is_err());
        assert_eq!(fs::read(&file).expect("still there"), b"mine");
    }
}
