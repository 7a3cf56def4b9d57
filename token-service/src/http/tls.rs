//! TLS on which both sides show a certificate, for an internal listener that others than this machine can reach.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto, version};
use tokio_rustls::server::TlsStream;

use crate::config::InternalTls;

/// How long a peer may take over the handshake, and how many may be at it at once.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
const MOST_HANDSHAKES: usize = 256;

/// Takes connections whose handshake is done. Handshakes run beside each other, so that a slow peer delays nobody.
#[derive(Debug)]
pub struct MutualTlsListener {
    address: SocketAddr,
    accepted: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    accepting: JoinHandle<()>,
}

impl MutualTlsListener {
    pub async fn bind(address: SocketAddr, files: &InternalTls) -> io::Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(server_config(files)?));
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (sender, accepted) = mpsc::channel(1);
        let accepting = tokio::spawn(accept_all(listener, acceptor, sender));
        Ok(Self { address, accepted, accepting })
    }
}

impl Listener for MutualTlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(connection) => connection,
            // The task that accepts ends with this listener only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Drop for MutualTlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept_all(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    sender: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let slots = Arc::new(Semaphore::new(MOST_HANDSHAKES));
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let (stream, peer) = Listener::accept(&mut listener).await;
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        tokio::spawn(async move {
            let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
            drop(slot);
            match handshake {
                Ok(Ok(stream)) => {
                    // Fails when the listener is gone, and with it the need for the connection.
                    let _ = sender.send((stream, peer)).await;
                }
                Ok(Err(error)) => tracing::warn!(%peer, %error, "a TLS handshake failed"),
                Err(_) => tracing::warn!(%peer, "a TLS handshake took too long"),
            }
        });
    }
}

fn server_config(files: &InternalTls) -> io::Result<ServerConfig> {
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(&files.client_ca)? {
        authorities.add(certificate).map_err(io::Error::other)?;
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(&provider))
        .build()
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, &error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(io::Error::other)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&files.certificate)?, key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &std::path::Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(unusable(path, &"it holds no certificate")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn unusable(path: &std::path::Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
