//! MCP servers and the authorization servers they name, on one TLS listener, each as hostile as a test wants it.
//!
//! Everything of one server lies under its name: `/<name>/mcp` wants a token, and `https://localhost:<port>/<name>` is
//! the issuer. Whatever is secret begins with [`SECRET`], so that one search finds all of it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use axum::serve::Listener;
use axum::{Json, Router};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::server::TlsStream;

/// What every secret of a site begins with.
pub(crate) const SECRET: &str = "canary-";

/// What of a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The MCP endpoint; good: 401 with a challenge.
    Server,
    Resource,
    Metadata,
    /// OpenID Connect's name for the metadata; good: there are none.
    OpenId,
    Register,
    Token,
    Revoke,
}

/// What is wrong with an answer. `{origin}`, `{issuer}`, `{name}` and `{canary}` are filled in, wherever they stand.
#[derive(Clone, Debug)]
pub(crate) enum Spoilt {
    /// The good document, with one member in place of its own.
    Member(&'static str, Value),
    Without(&'static str),
    /// Something else altogether.
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// The good answer with these headers on top.
    Headers(Vec<(&'static str, String)>),
    /// A head, and a body without an end.
    Endless,
    /// No answer at all.
    Silence,
}

impl Spoilt {
    pub(crate) fn json(status: u16, body: impl Into<String>) -> Self {
        Self::Answer { status, headers: vec![("content-type", "application/json".into())], body: body.into() }
    }

    pub(crate) fn challenge(value: impl Into<String>) -> Self {
        let headers = vec![("www-authenticate", value.into())];
        Self::Answer { status: 401, headers, body: String::new() }
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::Answer { status, headers: vec![("location", location.to_owned())], body: String::new() }
    }
}

/// A request that came to one of the servers.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) body: String,
}

/// Runs until it is dropped. Clones share it.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) origin: String,
    /// Port of the listener that nobody may reach.
    canary: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    spoilt: Mutex<HashMap<(String, Place), Spoilt>>,
    asked: Mutex<Vec<Asked>>,
}

/// The certificate of the authority that a site's is from, in PEM.
pub(crate) struct Authority(pub(crate) String);

impl Site {
    pub(crate) async fn start(canary: u16) -> (Self, Authority) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (acceptor, authority) = tls();
        let site = Self { origin: format!("https://localhost:{port}"), canary, shared: Arc::default() };
        let routes = routes().with_state(site.clone());
        tokio::spawn(async move { axum::serve(TlsListener { listener, acceptor }, routes).await });
        (site, authority)
    }

    pub(crate) fn issuer(&self, name: &str) -> String {
        format!("{}/{name}", self.origin)
    }

    pub(crate) fn spoil(&self, name: &str, place: Place, spoilt: Spoilt) {
        locked(&self.shared.spoilt).insert((name.to_owned(), place), spoilt);
    }

    /// This server is good again.
    pub(crate) fn behave(&self, name: &str) {
        locked(&self.shared.spoilt).retain(|(spoilt, _), _| spoilt != name);
    }

    /// What a server was asked at a place, in order.
    pub(crate) fn asked(&self, name: &str, place: Place) -> Vec<Asked> {
        let asked = locked(&self.shared.asked);
        asked.iter().filter(|asked| asked.name == name && asked.place == place).cloned().collect()
    }

    fn fill(&self, name: &str, text: &str) -> String {
        let text = text.replace("{origin}", &self.origin).replace("{issuer}", &self.issuer(name));
        text.replace("{name}", name).replace("{canary}", &self.canary.to_string())
    }

    async fn answer(&self, name: String, place: Place, body: String) -> Response {
        let request: Value = serde_json::from_str(&body).unwrap_or_default();
        locked(&self.shared.asked).push(Asked { name: name.clone(), place, body });
        let spoilt = locked(&self.shared.spoilt).get(&(name.clone(), place)).cloned();
        let (status, mut document) = self.good(&name, place, &request["redirect_uris"]);
        match spoilt {
            None => {}
            Some(Spoilt::Silence) => std::future::pending().await,
            Some(Spoilt::Endless) => return Body::from_stream(tokio_stream::iter(endless())).into_response(),
            Some(Spoilt::Answer { status, headers, body }) => {
                let status = StatusCode::from_u16(status).expect("a status");
                return self.with(&name, &headers, (status, self.fill(&name, &body)).into_response());
            }
            Some(Spoilt::Headers(headers)) => {
                return self.with(&name, &headers, self.as_it_is(&name, place, status, document));
            }
            Some(Spoilt::Member(member, value)) => {
                let filled = self.fill(&name, &value.to_string());
                document[member] = serde_json::from_str(&filled).expect("JSON");
            }
            Some(Spoilt::Without(member)) => {
                document.as_object_mut().expect("a document").remove(member);
            }
        }
        self.as_it_is(&name, place, status, document)
    }

    fn as_it_is(&self, name: &str, place: Place, status: StatusCode, document: Value) -> Response {
        if place != Place::Server {
            return (status, Json(document)).into_response();
        }
        let challenge = r#"Bearer resource_metadata="{origin}/.well-known/oauth-protected-resource/{name}/mcp", scope="read""#;
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, self.fill(name, challenge))]).into_response()
    }

    /// With these headers, and of no content type but theirs.
    fn with(&self, name: &str, headers: &[(&'static str, String)], mut response: Response) -> Response {
        response.headers_mut().remove(header::CONTENT_TYPE);
        for (header, text) in headers {
            let value = HeaderValue::from_str(&self.fill(name, text)).expect("a header value");
            response.headers_mut().append(HeaderName::from_static(header), value);
        }
        response
    }

    /// What an honest server answers.
    fn good(&self, name: &str, place: Place, redirects: &Value) -> (StatusCode, Value) {
        let (origin, issuer) = (&self.origin, self.issuer(name));
        let document = match place {
            Place::Server | Place::Revoke => Value::Null,
            Place::OpenId => return (StatusCode::NOT_FOUND, Value::Null),
            Place::Resource => {
                json!({"resource": format!("{origin}/{name}/mcp"), "authorization_servers": [issuer]})
            }
            Place::Metadata => json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "registration_endpoint": format!("{issuer}/register"),
                "revocation_endpoint": format!("{issuer}/revoke"),
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
                "authorization_response_iss_parameter_supported": true,
            }),
            Place::Register => json!({
                "client_id": format!("client-of-{name}"),
                "client_secret": format!("{SECRET}client-secret-{name}"),
                "redirect_uris": redirects,
                "token_endpoint_auth_method": "client_secret_basic",
            }),
            Place::Token => json!({
                "access_token": format!("{SECRET}access-{name}"),
                "refresh_token": format!("{SECRET}refresh-{name}"),
                "token_type": "Bearer",
                "expires_in": 3600,
            }),
        };
        (if place == Place::Register { StatusCode::CREATED } else { StatusCode::OK }, document)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn routes() -> Router<Site> {
    let at = |place: Place| {
        any(async move |State(site): State<Site>, Path(name): Path<String>, body: String| {
            site.answer(name, place, body).await
        })
    };
    Router::new()
        .route("/{name}/mcp", at(Place::Server))
        .route("/.well-known/oauth-protected-resource/{name}/mcp", at(Place::Resource))
        .route("/.well-known/oauth-authorization-server/{name}", at(Place::Metadata))
        .route("/.well-known/openid-configuration/{name}", at(Place::OpenId))
        .route("/{name}/register", at(Place::Register))
        .route("/{name}/token", at(Place::Token))
        .route("/{name}/revoke", at(Place::Revoke))
}

fn endless() -> impl Iterator<Item = io::Result<Bytes>> + Send {
    std::iter::repeat_with(|| Ok(Bytes::from_static(&[b' '; 4096])))
}

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// For the name `localhost`, and nothing else.
fn tls() -> (TlsAcceptor, Authority) {
    let mut authority = CertificateParams::new([]).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("parameters");
    let chain = vec![params.signed_by(&key, &authority).expect("signed").der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    (TlsAcceptor::from(Arc::new(config)), Authority(authority.pem()))
}
