use std::io::Write as _;
use std::time::Duration;

use axum::http::{HeaderValue, Method, header};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::client::Timeouts;
use super::testing::{Answers, Server, Then, converse, development, get};
use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\nok";

fn client(policy: &EgressPolicy, answers: &[&[&str]]) -> EgressClient {
    EgressClient::with_resolver(policy, Answers::new(answers)).expect("a client")
}

fn local() -> EgressClient {
    client(&development(), &[&["127.0.0.1"]])
}

async fn fetch(client: &EgressClient, server: &Server) -> Result<EgressReply, EgressError> {
    client.fetch(get(server.url("127.0.0.1"))).await
}

fn allowing(host: &str, network: &str) -> EgressPolicy {
    EgressPolicy {
        allowed: vec![AllowedPrivate::parse(host, network).expect("an entry")],
        ..EgressPolicy::default()
    }
}

#[tokio::test]
async fn an_answer_and_nothing_remembered() {
    let server = Server::start(OK, Then::Close).await;
    let client = local();
    for _ in 0..2 {
        let reply = client.fetch(get(server.url("localhost"))).await.expect("an answer");
        assert_eq!((reply.status, &reply.body[..]), (200, &b"ok"[..]));
    }
    let seen = server.seen.lock().expect("not poisoned").clone();
    assert_eq!(seen.len(), 2, "no connection is used twice");
    for request in seen {
        let request = request.to_lowercase();
        assert!(request.starts_with("get /path?query http/1.1\r\n"), "{request}");
        assert!(
            request.contains("accept-encoding: identity\r\n") && !request.contains("cookie"),
            "{request}"
        );
        assert!(request.contains("user-agent: portcullis/") && !request.contains("referer"), "{request}");
    }
}

#[tokio::test]
async fn redirects_are_answers() {
    let canary = Server::start(OK, Then::Close).await;
    for status in [301, 302, 303, 307, 308] {
        let answer = format!(
            "HTTP/1.1 {status} X\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
            canary.url("127.0.0.1")
        );
        let server = Server::start(answer, Then::Close).await;
        let reply = fetch(&local(), &server).await.expect("an answer");
        assert_eq!(reply.status, status);
        assert!(reply.headers.contains_key(header::LOCATION));
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn bodies_are_bounded() {
    for head in ["Content-Length: 1073741824\r\n\r\n", "\r\n", "Content-Length: 1001\r\n\r\n"] {
        let server =
            Server::start(format!("HTTP/1.1 200 OK\r\n{head}{}", "x".repeat(1001)), Then::Repeat).await;
        assert_eq!(fetch(&local(), &server).await.map(|_| ()), Err(EgressError::TooLarge), "{head}");
    }
    let chunks = Server::start(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n".to_owned()
            + &"x".repeat(500)
            + "\r\n1f4\r\n"
            + &"x".repeat(500)
            + "\r\n1\r\nx\r\n",
        Then::Hold,
    )
    .await;
    assert_eq!(fetch(&local(), &chunks).await.map(|_| ()), Err(EgressError::TooLarge));
    let most = Server::start(
        format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}", "x".repeat(1000)),
        Then::Hold,
    )
    .await;
    assert_eq!(fetch(&local(), &most).await.expect("an answer").body.len(), 1000);
}

#[tokio::test]
async fn a_compressed_body_stays_compressed() {
    // A gzip header, so that a client which decompresses would fail or give other bytes.
    let bomb = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03bomb";
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len())
            .into_bytes();
    answer.extend_from_slice(bomb);
    let server = Server::start(answer, Then::Close).await;
    let reply = fetch(&local(), &server).await.expect("an answer");
    assert_eq!(&reply.body[..], bomb);
    assert_eq!(reply.headers.get(header::CONTENT_ENCODING), Some(&HeaderValue::from_static("gzip")));
}

#[tokio::test]
async fn headers_are_bounded() {
    let large = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(17 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(200));
    for (answer, error) in [(large, EgressError::TooLarge), (many, EgressError::Broken)] {
        let server = Server::start(answer, Then::Hold).await;
        assert_eq!(fetch(&local(), &server).await.map(|_| ()), Err(error));
    }
}

#[tokio::test]
async fn a_slow_server_is_given_up() {
    let timeouts = Timeouts { connect: Duration::from_secs(3), total: Duration::from_millis(100) };
    for answer in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx"] {
        let server = Server::start(answer, Then::Hold).await;
        let error =
            fetch(&local().with_timeouts(timeouts), &server).await.map(|_| ()).expect_err("no answer");
        assert_eq!(error, EgressError::Timeout, "{answer}");
        assert!(error.may_have_arrived());
    }
}

#[tokio::test]
async fn the_head_alone_does_not_wait_for_a_stream() {
    let server =
        Server::start("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n", Then::Hold)
            .await;
    let reply = local().fetch_head(get(server.url("127.0.0.1"))).await.expect("a head");
    assert_eq!((reply.status, reply.body.len()), (200, 0));
}

#[tokio::test]
async fn a_request_is_sent_once() {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx", "SSH-2.0-x\r\n"] {
        let server = Server::start(answer, Then::Close).await;
        let mut request = get(server.url("127.0.0.1"));
        (request.method, request.body) = (Method::POST, Bytes::from_static(b"code=1"));
        let error = local().fetch(request).await.map(|_| ()).expect_err("no answer");
        assert_eq!((error.clone(), error.may_have_arrived()), (EgressError::Broken, true), "{answer}");
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn nobody_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().expect("an address").port());
    drop(listener);
    let error = local().fetch(get(Url::parse(&url).expect("a URL"))).await.map(|_| ()).expect_err("nobody");
    assert_eq!((error.clone(), error.may_have_arrived()), (EgressError::Unreachable, false));
    let nameless = client(&EgressPolicy::default(), &[]);
    let url = Url::parse("https://nowhere.example/").expect("a URL");
    assert_eq!(nameless.fetch(get(url)).await.map(|_| ()), Err(EgressError::Unreachable));
}

#[tokio::test]
async fn nothing_inside_is_ever_dialled() {
    let canary = Server::start(OK, Then::Close).await;
    let port = canary.address.port();
    for policy in [EgressPolicy::default(), allowing("canary.example", "10.0.0.0/8"), development()] {
        for answer in [&["127.0.0.1"][..], &["::ffff:127.0.0.1"], &["::1", "127.0.0.1"], &["0.0.0.0"]] {
            let client = client(&policy, &[answer]);
            for url in
                ["https://canary.example", "http://canary.example", "https://10.0.0.1", "https://0.0.0.0"]
            {
                let url = Url::parse(&format!("{url}:{port}/")).expect("a URL");
                let outcome = client.fetch(get(url.clone())).await.map(|_| ());
                assert!(matches!(outcome, Err(EgressError::Refused(_))), "{url} {answer:?} {outcome:?}");
            }
        }
    }
    let strict = client(&EgressPolicy::default(), &[&["127.0.0.1"]]);
    for host in ["localhost", "127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "[::1]", "0"] {
        let outcome = strict.fetch(get(canary.url(host))).await.map(|_| ());
        assert!(matches!(outcome, Err(EgressError::Refused(_))), "{host}");
    }
    assert_eq!(canary.connections(), 0);
}

/// A server for `as.example`, and a policy that allows and trusts it.
async fn tls_server() -> (Server, EgressPolicy, tempfile::TempDir) {
    let mut authority = CertificateParams::new([]).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["as.example".to_owned()]).expect("parameters");
    let chain = vec![params.signed_by(&key, &authority).expect("signed").der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions");
    let config = builder.with_no_client_auth().with_single_cert(chain, key).expect("a certificate");
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(config));
    let server = Server::serve(move |stream, seen| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = converse(stream, &seen, OK.as_bytes(), Then::Close).await;
            }
        }
    })
    .await;
    let directory = tempfile::tempdir().expect("a directory");
    let roots = directory.path().join("roots.pem");
    let mut file = std::fs::File::create(&roots).expect("a file");
    file.write_all(authority.pem().as_bytes()).expect("written");
    let policy = EgressPolicy { extra_roots: Some(roots), ..allowing("as.example", "127.0.0.1/32") };
    (server, policy, directory)
}

fn https(server: &Server, host: &str) -> EgressRequest {
    get(Url::parse(&format!("https://{host}:{}/", server.address.port())).expect("a URL"))
}

#[tokio::test]
async fn an_allowed_host_with_its_own_authority() {
    let (server, policy, _directory) = tls_server().await;
    let trusting = client(&policy, &[&["127.0.0.1"]]);
    assert_eq!(trusting.fetch(https(&server, "as.example")).await.expect("an answer").status, 200);
    let untrusting = client(&EgressPolicy { extra_roots: None, ..policy.clone() }, &[&["127.0.0.1"]]);
    let error = untrusting.fetch(https(&server, "as.example")).await.map(|_| ());
    assert_eq!(error, Err(EgressError::Untrusted));
    let other = EgressPolicy { allowed: allowing("other.example", "127.0.0.1/32").allowed, ..policy };
    let error = client(&other, &[&["127.0.0.1"]]).fetch(https(&server, "other.example")).await.map(|_| ());
    assert_eq!(error, Err(EgressError::Untrusted), "the certificate is for another name");
    assert_eq!(server.connections(), 1, "nothing was sent to whoever was not trusted");
}

#[tokio::test]
async fn a_name_is_resolved_once_and_judged_each_time() {
    let (server, policy, _directory) = tls_server().await;
    let answers = Answers::new(&[&["10.0.0.1", "127.0.0.1"], &["127.0.0.2"], &["169.254.169.254"]]);
    let resolver: std::sync::Arc<dyn Resolve> = answers.clone();
    let client = EgressClient::with_resolver(&policy, resolver).expect("a client");
    let reply = client.fetch(https(&server, "as.example")).await.expect("the allowed one of two addresses");
    assert_eq!((reply.status, answers.left()), (200, 2));
    for _rebound in 0..2 {
        let outcome = client.fetch(https(&server, "as.example")).await.map(|_| ());
        assert!(matches!(outcome, Err(EgressError::Refused(_))));
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn roots_that_cannot_be_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").expect("written");
    for file in [empty, directory.path().join("missing.pem")] {
        let policy = EgressPolicy { extra_roots: Some(file.clone()), ..EgressPolicy::default() };
        let problem = EgressClient::new(&policy).map(|_| ()).expect_err("no roots");
        assert!(problem.starts_with(&file.display().to_string()), "{problem}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let mut request = get(Url::parse("https://a.example/path-secret?code=secret").expect("a URL"));
    request.headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic secret"));
    request.body = Bytes::from_static(b"refresh_token=secret");
    let reply = EgressReply { status: 200, headers: request.headers.clone(), body: request.body.clone() };
    let printed = format!("{request:?} {reply:?}");
    assert!(printed.contains("https://a.example") && !printed.contains("secret"), "{printed}");
}
