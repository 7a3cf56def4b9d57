//! A proxy that adds a credential: for programs that speak MCP but cannot send a header of ours.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;

use crate::upstream::Serving;

/// They belong to one connection, not to the message (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 5] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::TE, header::TRAILER, header::UPGRADE];

/// A running shim. Everything streams both ways; a client that goes away takes its request with it.
#[derive(Debug)]
pub struct Shim {
    serving: Serving,
}

#[derive(Clone, Debug)]
struct Route {
    http: reqwest::Client,
    shim: SocketAddr,
    target: SocketAddr,
    authorization: HeaderValue,
}

impl Shim {
    /// Sends every request on to the same path of `target`, with `Authorization: Bearer <key>`.
    pub async fn start(target: SocketAddr, key: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let route = Route {
            http: crate::http::client().redirect(reqwest::redirect::Policy::none()).build()?,
            shim: listener.local_addr()?,
            target,
            authorization: HeaderValue::try_from(format!("Bearer {key}"))?,
        };
        let router = Router::new().fallback(forward).with_state(route);
        Ok(Self { serving: Serving::start(listener, router)? })
    }

    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }
}

async fn forward(State(route): State<Route>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = end_to_end(&parts.headers);
    for name in [header::HOST, header::ORIGIN] {
        route.rename(&mut headers, &name);
    }
    headers.insert(header::AUTHORIZATION, route.authorization.clone());
    let sent = route
        .http
        .request(parts.method, format!("http://{}{path}", route.target))
        .headers(headers)
        .body(reqwest::Body::wrap_stream(body.into_data_stream()))
        .send()
        .await;
    match sent {
        Ok(reply) => {
            let (status, headers) = (reply.status(), end_to_end(reply.headers()));
            (status, headers, Body::from_stream(reply.bytes_stream())).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, format!("shim: {error}")).into_response(),
    }
}

impl Route {
    /// The client names the shim where it means the target; any other name is passed on as it is, because what
    /// happens to a foreign name is for the target to decide.
    fn rename(&self, headers: &mut HeaderMap, name: &HeaderName) {
        let renamed = headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(|value| value.replace(&self.shim.to_string(), &self.target.to_string()))
            .and_then(|value| HeaderValue::try_from(value).ok());
        if let Some(value) = renamed {
            headers.insert(name, value);
        }
    }
}

/// The headers that go on. The length goes too: without it every body would become a chunked one.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers
}
