//! The internal listener on TCP: both sides show a certificate.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto, version};

use crate::harness::{Directory, Service};

/// A certificate and its key, in PEM.
struct Certified {
    certificate: String,
    key: String,
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(parameters, key).expect("an authority"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn certify(&self, name: &str) -> Certified {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let certificate = parameters.signed_by(&key, &self.0).expect("a certificate").pem();
        Certified { certificate, key: key.serialize_pem() }
    }
}

async fn start(authority: &Authority) -> Service {
    let directory = Directory::new();
    let server = authority.certify("token-service");
    directory.write("server.pem", &server.certificate);
    directory.write("server.key", &server.key);
    directory.write("clients.pem", &authority.pem());
    let tls = "internal: 127.0.0.1:0\n  internal_tls: {certificate: server.pem, key: server.key, client_ca: clients.pem}";
    Service::start_with_internal(directory, tls, "").await.expect("starts")
}

/// What the listener answers to `GET /livez`, or why it does not.
async fn ask(service: &Service, authority: &Authority, client: Option<Certified>) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM"))
        .expect("an authority");
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .expect("a version")
        .with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(Certified { certificate, key }) => {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
            builder.with_client_auth_cert(vec![certificate], key).expect("a certificate")
        }
    };
    let address = service.addresses.internal.strip_prefix("https://").expect("TLS");
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("token-service").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: token-service\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_filter_with_a_certificate_is_served() {
    let authority = Authority::new();
    let service = start(&authority).await;
    let answer = ask(&service, &authority, Some(authority.certify("filter"))).await.expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("x-portcullis-service: 1"),
        "{answer}"
    );
}

#[tokio::test]
async fn nobody_else_is() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let service = start(&authority).await;
    for client in [None, Some(stranger.certify("filter"))] {
        ask(&service, &authority, client).await.expect_err("refused");
    }
    let address = service.addresses.internal.replace("https://", "http://");
    reqwest::get(format!("{address}/livez")).await.expect_err("no plain HTTP");
    let answer = ask(&service, &authority, Some(authority.certify("filter"))).await;
    assert!(answer.is_ok(), "and the listener goes on: {answer:?}");
}
