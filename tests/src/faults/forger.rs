//! Something between Envoy and the token-service that answers otherwise than the token-service would.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header, request};
use axum::response::{IntoResponse as _, Response};
use portcullis_wire::{LEASES_PATH, MARKER_HEADER, WATCH_PATH};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::upstream::Serving;

/// What becomes of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forgery {
    #[default]
    None,
    /// A lease is answered with one that somebody else was granted.
    LeaseOfAnother,
    /// A lease is answered with one for another server.
    LeaseForAnotherServer,
    /// A lease lacks half of its members.
    HalfALease,
    /// A lease comes without the mark of a token-service.
    UnmarkedLease,
    /// The watch is answered with what is no answer to it.
    MeaninglessWatch,
    /// The watch is answered with a registry that cannot be read.
    BrokenRegistry,
    /// The watch is answered with so many bytes.
    HugeWatch(usize),
    /// The watch is answered by another version of the contract.
    WatchOfAnotherVersion,
}

/// Stands in the way; dropping it ends it.
#[derive(Debug)]
pub struct Forger {
    forgery: Arc<Mutex<Forgery>>,
    serving: Serving,
}

#[derive(Clone, Debug)]
struct Post {
    forgery: Arc<Mutex<Forgery>>,
    /// The lease that was granted first.
    first: Arc<Mutex<Option<Value>>>,
    service: SocketAddr,
    http: reqwest::Client,
}

impl Forger {
    /// Stands before the token-service at `service`, honest at first.
    pub async fn before(service: SocketAddr) -> anyhow::Result<Self> {
        let forgery = Arc::default();
        let post = Post {
            forgery: Arc::clone(&forgery),
            first: Arc::default(),
            service,
            http: crate::http::client().build()?,
        };
        let router = Router::new().fallback(pass).with_state(post);
        let serving = Serving::start(TcpListener::bind(("127.0.0.1", 0)).await?, router)?;
        Ok(Self { forgery, serving })
    }

    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    pub fn set(&self, forgery: Forgery) {
        *self.forgery.lock().unwrap_or_else(PoisonError::into_inner) = forgery;
    }
}

async fn pass(State(post): State<Post>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match post.answer(&head, body).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

impl Post {
    async fn answer(&self, head: &request::Parts, body: Body) -> anyhow::Result<Response> {
        let path = head.uri.path_and_query().context("a request for nothing")?.as_str();
        let mut headers = head.headers.clone();
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::TRANSFER_ENCODING);
        let asked = self
            .http
            .request(head.method.clone(), format!("http://{}{path}", self.service))
            .headers(headers)
            .body(to_bytes(body, usize::MAX).await?);
        let reply = asked.send().await?;
        let (status, mut headers) = (reply.status(), reply.headers().clone());
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::TRANSFER_ENCODING);
        let mut body = reply.bytes().await?;
        let forgery = *self.forgery.lock().unwrap_or_else(PoisonError::into_inner);
        match head.uri.path() {
            LEASES_PATH => self.forge_lease(forgery, &mut headers, &mut body)?,
            WATCH_PATH => forge_watch(forgery, &mut headers, &mut body),
            _ => {}
        }
        Ok((status, headers, body).into_response())
    }

    fn forge_lease(&self, forgery: Forgery, headers: &mut HeaderMap, body: &mut Bytes) -> anyhow::Result<()> {
        let mut lease: Value = serde_json::from_slice(body)?;
        if lease["result"] != "granted" {
            return Ok(());
        }
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let first = first.get_or_insert_with(|| lease.clone());
        match forgery {
            Forgery::LeaseOfAnother => {
                for member in
                    ["caller", "connection_id", "credential_headers", "credential_generation", "policy"]
                {
                    lease[member] = first[member].clone();
                }
            }
            Forgery::LeaseForAnotherServer => lease["server_id"] = json!("srv_another"),
            Forgery::HalfALease => {
                lease.as_object_mut().context("a lease is an object")?.remove("policy");
            }
            Forgery::UnmarkedLease => {
                headers.remove(HeaderName::from_static(MARKER_HEADER));
            }
            _ => return Ok(()),
        }
        *body = lease.to_string().into();
        Ok(())
    }
}

fn forge_watch(forgery: Forgery, headers: &mut HeaderMap, body: &mut Bytes) {
    match forgery {
        Forgery::MeaninglessWatch => *body = Bytes::from_static(b"[\"registry\", null]"),
        Forgery::BrokenRegistry => {
            let broken =
                json!({"cursor": 1, "now_ms": 0, "hold_ms": 1000, "registry": {"servers": [{"id": 7}]}});
            *body = broken.to_string().into();
        }
        Forgery::HugeWatch(size) => *body = vec![b' '; size].into(),
        Forgery::WatchOfAnotherVersion => {
            headers.insert(HeaderName::from_static(MARKER_HEADER), header::HeaderValue::from_static("99"));
        }
        _ => {}
    }
}
