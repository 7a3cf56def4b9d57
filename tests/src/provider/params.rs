//! Parameters of OAuth requests, read as RFC 6749, section 3.1, wants it: none twice, empty ones absent.

use std::collections::BTreeMap;

use url::form_urlencoded;

use super::ledger::Refusal;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads a query or a form.
    pub fn read(encoded: &[u8]) -> Result<Self, Refusal> {
        let mut params = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(encoded).into_owned() {
            if value.is_empty() {
                continue;
            }
            if params.insert(name, value).is_some() {
                return Err(Refusal::new(400, "invalid_request", "a parameter is given twice"));
            }
        }
        Ok(Self(params))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn require(&self, name: &str, missing: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or(Refusal::new(400, "invalid_request", missing))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl Refusal {
    pub(super) const fn new(status: u16, error: &'static str, description: &'static str) -> Self {
        Self { status, error, description }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_twice_and_nothing_empty() {
        let params = Params::read(b"a=1+2&b=&c=%26").expect("sound");
        assert_eq!((params.get("a"), params.get("b"), params.get("c")), (Some("1 2"), None, Some("&")));
        assert_eq!(Params::read(b"a=1&a=1").expect_err("twice").error, "invalid_request");
    }
}
