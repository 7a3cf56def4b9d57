//! What has to become of a request.

use std::fmt;

use portcullis_tests::raw::RawResponse;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// Written as `served`, `served 202`, `400`, `400 -31004` or `closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// None where the connection is closed instead.
    status: Option<u16>,
    /// Of the JSON-RPC error.
    code: Option<i64>,
    /// Whether it goes on to the server, once.
    pub(crate) reaches: bool,
}

impl Expected {
    fn parse(text: &str) -> Option<Self> {
        let (reaches, rest) = match text.strip_prefix("served") {
            Some("") => (true, "200"),
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        if rest == "closed" {
            return Some(Self { status: None, code: None, reaches });
        }
        let mut numbers = rest.split(' ');
        let status = numbers.next()?.parse().ok().filter(|status| (200..600).contains(status))?;
        let code = numbers.next().map(str::parse).transpose().ok()?;
        numbers.next().is_none().then_some(Self { status: Some(status), code, reaches })
    }

    /// # Errors
    /// With what is otherwise.
    pub(crate) fn judge(&self, response: Option<&RawResponse>) -> Result<(), String> {
        let Some(response) = response else {
            return if self.status.is_none() { Ok(()) } else { Err("no answer".to_owned()) };
        };
        if self.status != Some(response.status) {
            return Err(format!("status {} instead of {self}", response.status));
        }
        if let Some(code) = self.code {
            self.judge_error(response, code)?;
        }
        let challenge = response.header("www-authenticate");
        if response.status == 401 && !challenge.is_some_and(|challenge| challenge.starts_with("Bearer ")) {
            return Err("no challenge".to_owned());
        }
        Ok(())
    }

    fn judge_error(&self, response: &RawResponse, code: i64) -> Result<(), String> {
        let body = message(response).ok_or("the body is no message")?;
        if body["jsonrpc"] != "2.0" || body["error"]["code"] != code {
            return Err(format!("not the error {code}"));
        }
        if !self.reaches && response.header("content-type") != Some("application/json") {
            return Err("the answer's media type".to_owned());
        }
        Ok(())
    }
}

/// The message of an answer, in JSON or as the last event.
pub(crate) fn message(response: &RawResponse) -> Option<Value> {
    let kind = response.header("content-type")?;
    if kind.starts_with("application/json") {
        return serde_json::from_slice(&response.body).ok();
    }
    let text = response.text();
    let last = text.lines().rev().find_map(|line| line.strip_prefix("data:"))?;
    serde_json::from_str(last).ok()
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(formatter, "{status}"),
            None => write!(formatter, "a closed connection"),
        }
    }
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A status alone is a number to YAML.
        let scalar = Scalar::deserialize(deserializer)?;
        let text = match scalar {
            Scalar::Number(status) => status.to_string(),
            Scalar::Text(text) => text,
        };
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is no outcome")))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(u16),
    Text(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read() {
        let expected = |status, code, reaches| Some(Expected { status, code, reaches });
        for (text, outcome) in [
            ("served", expected(Some(200), None, true)),
            ("served 202", expected(Some(202), None, true)),
            ("served 200 -31005", expected(Some(200), Some(-31005), true)),
            ("400", expected(Some(400), None, false)),
            ("400 -31004", expected(Some(400), Some(-31004), false)),
            ("closed", expected(None, None, false)),
            ("", None),
            ("serve", None),
            ("400 -31004 x", None),
            ("40", None),
        ] {
            assert_eq!(Expected::parse(text), outcome, "{text:?}");
        }
    }
}
