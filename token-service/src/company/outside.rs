//! The crate's requests, by our one way out.

use std::future::Future;
use std::pin::Pin;

use axum::http::{Request, Response, StatusCode};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use url::Url;

use crate::egress::{EgressClient, EgressError, EgressRequest};

/// Key sets, and ID tokens with ten thousand groups.
const LIMIT: usize = 1024 * 1024;

pub(super) struct Through<'a>(pub(super) &'a EgressClient);

impl<'c> AsyncHttpClient<'c> for Through<'_> {
    type Error = EgressError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, EgressError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = Request::into_parts(request);
            let url = Url::parse(&parts.uri.to_string());
            let request = EgressRequest {
                method: parts.method,
                url: url.map_err(|_| EgressError::Refused("it is no URL"))?,
                headers: parts.headers,
                body: body.into(),
                limit: LIMIT,
            };
            let reply = self.0.fetch(request).await?;
            let mut response = Response::new(reply.body.into());
            *response.status_mut() = StatusCode::from_u16(reply.status).map_err(|_| EgressError::Broken)?;
            *response.headers_mut() = reply.headers;
            Ok(response)
        })
    }
}
