//! Whom a protected server asks whose token it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::header;
use serde_json::Value;

use crate::provider::{Access, Provider};

/// Who is asked about a token.
#[derive(Clone, Debug)]
pub enum Verifier {
    Provider(Provider),
    Introspection(Introspection),
    Keys(Keys),
}

/// Keys that the server's administrator hands out. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<Mutex<HashMap<String, Access>>>);

/// RFC 7662.
#[derive(Clone, Debug)]
pub struct Introspection {
    pub url: String,
    pub client_id: String,
    pub client_secret: String,
    pub http: reqwest::Client,
}

impl Verifier {
    /// What a token is good for, if it is.
    pub(super) async fn look_up(&self, token: &str) -> Option<Access> {
        match self {
            Self::Provider(provider) => provider.look_up(token),
            Self::Introspection(introspection) => introspection.look_up(token).await,
            Self::Keys(keys) => keys.look_up(token),
        }
    }
}

impl Keys {
    /// Takes `key` from now on as `subject`'s; `number` tells several of one subject apart.
    pub fn add(&self, key: &str, subject: &str, number: u64) {
        let access = Access {
            subject: subject.to_owned(),
            sign_in: Some(number),
            scope: String::new(),
            resource: None,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), access);
    }

    fn look_up(&self, key: &str) -> Option<Access> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}

impl Introspection {
    async fn look_up(&self, token: &str) -> Option<Access> {
        let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
        let request = self
            .http
            .post(&self.url)
            .basic_auth(&self.client_id, Some(&self.client_secret))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let reply = request.send().await.ok()?;
        let answer: Value = reply.json().await.ok()?;
        let member = |name: &str| answer[name].as_str().map(str::to_owned);
        (answer["active"] == true).then_some(())?;
        Some(Access {
            subject: member("sub").or_else(|| member("client_id"))?,
            sign_in: None,
            scope: member("scope").unwrap_or_default(),
            resource: member("aud"),
        })
    }
}
