//! Cookies: what they are called, read and written.

use axum::http::{HeaderMap, HeaderValue, header};
use portcullis_wire::digest::Digest;

use super::realm::Realm;
use crate::state::Settings;

/// Names and attributes. On https every name begins with `__Host-`: then no neighbouring host can plant one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cookies {
    https: bool,
    realm: Realm,
}

/// The session of a signed-in browser.
const SESSION: &str = "session";
/// A browser that is about to sign in.
const VISIT: &str = "visit";
/// One for each flow, so that several tabs do not get in each other's way.
const FLOW: &str = "flow-";
/// The same for a sign-in at the company's provider.
const SIGN_IN: &str = "sign-in-";

impl Cookies {
    /// `public_url`: the gateway's; plain http, for a loopback host, has neither `Secure` nor the prefix.
    pub(super) fn of(public_url: &str) -> Self {
        Self { https: public_url.starts_with("https:"), realm: Realm::Public }
    }

    pub(super) fn in_realm(realm: Realm, settings: &Settings) -> Self {
        Self { https: realm.url(settings).starts_with("https:"), realm }
    }

    pub(super) fn session(self) -> String {
        self.name(SESSION)
    }

    pub(super) fn visit(self) -> String {
        self.name(VISIT)
    }

    pub(super) fn flow(self, state: &Digest) -> String {
        self.of_state(FLOW, state)
    }

    pub(super) fn sign_in(self, state: &Digest) -> String {
        self.of_state(SIGN_IN, state)
    }

    fn of_state(self, name: &str, state: &Digest) -> String {
        let state = state.to_string();
        self.name(&format!("{name}{}", state.get(..16).unwrap_or_default()))
    }

    fn name(self, name: &str) -> String {
        let host = if self.https { "__Host-" } else { "" };
        format!("{host}{}{name}", self.realm.prefix())
    }

    /// A `Set-Cookie`. Values are Base64; `max_age` is in seconds, and 0 removes the cookie.
    pub(super) fn set(self, name: &str, value: &str, max_age: u64) -> HeaderValue {
        let secure = if self.https { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}");
        let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

/// The value of the one cookie of this name. Two of them mean that somebody has planted one, and neither counts.
pub(super) fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut named = pairs.filter(|(found, _)| *found == name);
    match (named.next(), named.next()) {
        (Some((_, value)), None) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_https_a_cookie_is_of_this_host_alone() {
        let cookies = Cookies::of("https://mcp.example.com");
        let name = cookies.session();
        assert_eq!(
            cookies.set(&name, "x", 60),
            "__Host-portcullis-session=x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
        let flow = cookies.flow(&Digest::of("test", &[]));
        assert!(flow.starts_with("__Host-portcullis-flow-") && flow.len() == 39, "{flow}");
    }

    #[test]
    fn on_a_laptop_there_is_no_tls() {
        let cookies = Cookies::of("http://127.0.0.1:8080");
        let set = cookies.set(&cookies.session(), "x", 0);
        assert_eq!(set, "portcullis-session=x; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
        assert!(set.is_sensitive());
    }

    #[test]
    fn one_of_a_name_counts() {
        let read_from = |values: &[&str]| {
            let pairs = values.iter().map(|value| (header::COOKIE, value.parse().expect("a value")));
            let headers = pairs.fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            });
            read(&headers, "a").map(str::to_owned)
        };
        assert_eq!(read_from(&["a=1"]).as_deref(), Some("1"));
        assert_eq!(read_from(&["b=2; a=1;c=3"]).as_deref(), Some("1"));
        assert_eq!(read_from(&["b=2", "a=1=1"]).as_deref(), Some("1=1"));
        for nothing in [&["b=2"][..], &["a=1; a=2"], &["a=1", "a=2"], &["aa=1; A=1"], &[]] {
            assert_eq!(read_from(nothing), None, "{nothing:?}");
        }
    }
}
