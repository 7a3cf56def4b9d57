//! Servers with certificates that are good, and not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_tests::mcp::Era;
use portcullis_tests::seed::{self, Server};
use portcullis_tests::stack::{Builder, Stack};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::stand::Stand;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Authority::self_signed(parameters, KeyPair::generate().expect("a key")).expect("an authority")
}

/// What a server shows, by `authority` for `name`.
fn shown(authority: &Authority, name: &str, last_year: i32) -> ServerConfig {
    let key = KeyPair::generate().expect("a key");
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    // Its authority's name would make it look like one that nobody has signed.
    parameters.distinguished_name.push(DnType::CommonName, "a server");
    parameters.not_before = date_time_ymd(2000, 1, 1);
    parameters.not_after = date_time_ymd(last_year, 1, 1);
    let certificate = parameters.signed_by(&key, authority).expect("a certificate").pem();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("PEM");
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    builder.with_single_cert(vec![certificate], key).expect("a certificate")
}

/// A server that answers every call, and counts what it could read.
struct Secure {
    url: String,
    read: Arc<AtomicUsize>,
}

impl Secure {
    async fn start(config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let read = Arc::new(AtomicUsize::new(0));
        let (acceptor, counter) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&read));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, acceptor.clone(), Arc::clone(&counter)));
            }
        });
        Self { url: format!("https://localhost:{port}/mcp"), read }
    }
}

async fn answer(stream: TcpStream, acceptor: TlsAcceptor, read: Arc<AtomicUsize>) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut request = [0; 16384];
    while stream.read(&mut request).await.is_ok_and(|length| length > 0) {
        read.fetch_add(1, Ordering::Relaxed);
        let body = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
        let answer = format!("{head}: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

pub(crate) async fn only_a_good_certificate_is_talked_to(_: Arc<Stand>) {
    // By the dynamic forward proxy, and by clusters that were rendered.
    for rendered in [false, true] {
        only_a_good_certificate(rendered).await;
    }
}

async fn only_a_good_certificate(rendered: bool) {
    let (trusted, stranger) = (authority(), authority());
    let directory = tempfile::tempdir().expect("a directory");
    let authorities = directory.path().join("authorities.pem");
    std::fs::write(&authorities, trusted.pem()).expect("is written");
    let mut servers = Vec::new();
    for (slug, config) in [
        ("good", shown(&trusted, "localhost", 2099)),
        ("expired", shown(&trusted, "localhost", 2020)),
        ("elsewhere", shown(&trusted, "other.example", 2099)),
        ("unknown", shown(&stranger, "localhost", 2099)),
    ] {
        servers.push((slug, Secure::start(config).await));
    }
    let registered = servers.iter().map(|(slug, server)| Server {
        slug,
        url: server.url.clone(),
        auth: seed::headers(&[("x-api-key", "secure-upstream-key-30b1")]),
        allowed_tool: "allowed",
        denied_tool: "denied",
        denied_prompts: Vec::new(),
        denied_resources: Vec::new(),
        payload: "redacted",
    });
    let builder = Builder {
        servers: registered.collect(),
        trusted_ca: Some(authorities),
        scripted: false,
        rendered,
        ..Builder::default()
    };
    let stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
    for (slug, server) in &servers {
        let read_before = server.read.load(Ordering::Relaxed);
        let reply = stack.agent(slug, Era::Modern).call_tool("allowed", json!({})).await;
        let was_read = server.read.load(Ordering::Relaxed) > read_before;
        let expected = if *slug == "good" { (200, true) } else { (503, false) };
        assert_eq!((reply.status, was_read), expected, "{slug}, {rendered}: {reply:?}");
        if !was_read {
            assert_eq!(reply.answer()["error"]["code"], -31003, "{slug}");
        }
    }
}
