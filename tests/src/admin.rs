//! The admin API, as a script would use it.

use anyhow::{Context as _, bail};
use reqwest::{Client, Method};
use serde_json::Value;

/// Speaks to one admin listener.
#[derive(Clone, Debug)]
pub struct Admin {
    http: Client,
    url: String,
    token: String,
}

impl Admin {
    pub fn new(url: &str, token: &str) -> anyhow::Result<Self> {
        let http = crate::http::client().build()?;
        Ok(Self { http, url: url.to_owned(), token: token.to_owned() })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// A PUT whose path says it all.
    pub async fn put_nothing(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::PUT, path, None).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::DELETE, path, None).await
    }

    /// Sends one request; an answer that is not a success is an error with the whole problem document.
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request =
            self.http.request(method.clone(), format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let reply = request.send().await.with_context(|| format!("{method} {path}"))?;
        let (status, text) = (reply.status(), reply.text().await?);
        if !status.is_success() {
            bail!("{method} {path}: {status}: {text}");
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("{method} {path}: {text}"))
    }
}
