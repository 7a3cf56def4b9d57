//! Replies, as tests look at them.

use std::fmt::Write as _;

use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde_json::Value;

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Null if it is empty or not JSON.
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        Self { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a text"))
    }

    /// The id of the object that the body shows.
    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().expect("an id").to_owned()
    }

    /// Status and body, with ids numbered in the order in which they turn up.
    pub(crate) fn shown(&self) -> String {
        let mut shown = self.status.to_string();
        if !self.text.is_empty() {
            let body = if self.body.is_null() {
                self.text.clone()
            } else {
                serde_json::to_string_pretty(&self.body).expect("writes")
            };
            write!(shown, "\n{}", number_ids(&body)).expect("writes");
        }
        shown
    }
}

/// `srv_` and 32 hexadecimal digits become `srv_1`, and so on.
fn number_ids(text: &str) -> String {
    let mut text = text.to_owned();
    for prefix in ["srv_", "wsp_", "mem_"] {
        let mut count = 0;
        while let Some(id) = text.match_indices(prefix).find_map(|(at, _)| {
            let id = text.get(at..at + prefix.len() + 32)?;
            id[prefix.len()..].bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| id.to_owned())
        }) {
            count += 1;
            text = text.replace(&id, &format!("{prefix}{count}"));
        }
    }
    text
}
