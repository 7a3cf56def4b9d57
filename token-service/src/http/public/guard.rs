//! Who sends a request, and that a form comes from a page of ours.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_wire::digest::Digest;
use portcullis_wire::secret::SecretText;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::cookies::{self, Cookies};
use super::next::is_ticket;
use super::realm::Realm;
use super::trouble::PageError;
use crate::clock::{Entropy, Timestamp, random};
use crate::domain::connecting::BrowserSession;
use crate::domain::people::Identity;
use crate::state::{Service, Shared};
use crate::store::StoreError;

/// A session ends after so long without a request, and after so long in any case.
const IDLE: Duration = Duration::from_mins(30);
const LONGEST: Duration = Duration::from_hours(12);

/// How old the note of the last request may be: not every request is worth a write.
const NOTED: Duration = Duration::from_mins(1);

/// Forms are small.
const FORM_LIMIT: usize = 16 * 1024;

/// A browser that has a live session.
pub(in crate::http) struct SignedIn {
    pub(in crate::http) session: BrowserSession,
    cookie: SecretText,
}

/// A browser that is about to sign in, known by a cookie of its own.
pub(super) struct Visitor {
    cookie: SecretText,
}

/// The same on the admin side.
pub(super) struct AdminVisitor(Visitor);

/// Somebody who sends a form.
pub(super) trait Sender: Sized + Send {
    /// Where the page of the form is.
    const REALM: Realm = Realm::Public;
    /// The sender as the cookies tell.
    fn find(app: &Service, headers: &HeaderMap) -> impl Future<Output = Result<Self, PageError>> + Send;
    /// Whether `token` is what this sender's pages hold.
    fn accepts(&self, token: &str) -> bool;
}

/// A form of one of our own pages: its origin is ours, the sender is known, and the synchroniser token is the
/// sender's. Types say `deny_unknown_fields`.
pub(super) struct Posted<T, Who = SignedIn> {
    pub(super) from: Who,
    pub(super) form: T,
}

impl SignedIn {
    /// The session of this browser, if it has a live one.
    pub(super) async fn of(app: &Service, headers: &HeaderMap) -> Result<Option<Self>, StoreError> {
        Self::in_realm(app, Realm::Public, headers).await
    }

    /// The same for the sessions of a realm.
    pub(in crate::http) async fn in_realm(
        app: &Service,
        realm: Realm,
        headers: &HeaderMap,
    ) -> Result<Option<Self>, StoreError> {
        let name = Cookies::in_realm(realm, &app.settings).session();
        let Some(cookie) = cookies::read(headers, &name) else { return Ok(None) };
        let now = app.clock.now();
        let digest = realm.session_digest(cookie);
        let Some(session) = app.store.session(&digest, now).await? else { return Ok(None) };
        if session.last_seen_at.until(now) >= NOTED {
            app.store.touch_session(&digest, now, end(session.created_at, now)).await?;
        }
        Ok(Some(Self { session, cookie: SecretText::new(cookie.to_owned()) }))
    }

    /// Begins a session with a new id; an old one of the same browser ends.
    pub(super) async fn begin(
        app: &Service,
        realm: Realm,
        headers: &HeaderMap,
        identity: Identity,
        name: String,
    ) -> Result<Self, StoreError> {
        if let Some(old) = cookies::read(headers, &Cookies::in_realm(realm, &app.settings).session()) {
            app.store.delete_session(&realm.session_digest(old)).await?;
        }
        let now = app.clock.now();
        let cookie = new_cookie(&*app.entropy);
        let session = BrowserSession {
            digest: realm.session_digest(cookie.expose()),
            identity,
            name,
            csrf: kept(&token(&cookie)),
            created_at: now,
            last_seen_at: now,
            expires_at: end(now, now),
        };
        app.store.create_session(&session).await?;
        Ok(Self { session, cookie })
    }

    /// What the forms of this browser's pages hold.
    pub(in crate::http) fn csrf(&self) -> String {
        token(&self.cookie)
    }

    /// Whether `token` is what this browser's pages hold.
    pub(in crate::http) fn holds(&self, token: &str) -> bool {
        kept(token).as_bytes().ct_eq(self.session.csrf.as_bytes()).into()
    }

    pub(super) fn set_cookie(&self, cookies: Cookies) -> axum::http::HeaderValue {
        cookies.set(&cookies.session(), self.cookie.expose(), LONGEST.as_secs())
    }
}

impl Sender for SignedIn {
    async fn find(app: &Service, headers: &HeaderMap) -> Result<Self, PageError> {
        Self::of(app, headers).await?.ok_or(PageError::SignedOut)
    }

    fn accepts(&self, token: &str) -> bool {
        self.holds(token)
    }
}

impl Visitor {
    /// The one that this browser is already, so that its tabs do not get in each other's way; or a new one.
    pub(super) fn of(app: &Service, realm: Realm, headers: &HeaderMap) -> Self {
        let name = Cookies::in_realm(realm, &app.settings).visit();
        let known = cookies::read(headers, &name).filter(|cookie| is_ticket(cookie));
        known.map_or_else(
            || Self::new(&*app.entropy),
            |cookie| Self { cookie: SecretText::new(cookie.to_owned()) },
        )
    }

    fn known(app: &Service, realm: Realm, headers: &HeaderMap) -> Result<Self, PageError> {
        let name = Cookies::in_realm(realm, &app.settings).visit();
        let cookie = cookies::read(headers, &name).ok_or(PageError::Forged)?;
        Ok(Self { cookie: SecretText::new(cookie.to_owned()) })
    }

    fn new(entropy: &dyn Entropy) -> Self {
        Self { cookie: new_cookie(entropy) }
    }

    pub(super) fn csrf(&self) -> String {
        token(&self.cookie)
    }

    pub(super) fn set_cookie(&self, cookies: Cookies) -> axum::http::HeaderValue {
        cookies.set(&cookies.visit(), self.cookie.expose(), IDLE.as_secs())
    }
}

impl Sender for Visitor {
    async fn find(app: &Service, headers: &HeaderMap) -> Result<Self, PageError> {
        Self::known(app, Realm::Public, headers)
    }

    fn accepts(&self, token: &str) -> bool {
        kept(token).as_bytes().ct_eq(kept(&self.csrf()).as_bytes()).into()
    }
}

impl Sender for AdminVisitor {
    const REALM: Realm = Realm::Admin;

    async fn find(app: &Service, headers: &HeaderMap) -> Result<Self, PageError> {
        Visitor::known(app, Realm::Admin, headers).map(Self)
    }

    fn accepts(&self, token: &str) -> bool {
        self.0.accepts(token)
    }
}

impl<T: DeserializeOwned, Who: Sender> FromRequest<Shared> for Posted<T, Who> {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, PageError> {
        let (parts, body) = request.into_parts();
        if !is_from_us(&parts.headers, Who::REALM.url(&app.settings)) {
            return Err(PageError::Forged);
        }
        let from = Who::find(app, &parts.headers).await?;
        let body = to_bytes(body, FORM_LIMIT).await.map_err(|_| PageError::Unreadable)?;
        let mut fields = fields(&parts.headers, &body).ok_or(PageError::Unreadable)?;
        let token = fields.remove("csrf");
        if !token.as_ref().and_then(Value::as_str).is_some_and(|token| from.accepts(token)) {
            return Err(PageError::Forged);
        }
        let form = serde_json::from_value(Value::Object(fields)).map_err(|_| PageError::Unreadable)?;
        Ok(Self { from, form })
    }
}

/// Whether a page of ours made the browser send this. `Sec-Fetch-Site` is missing in old browsers, `Origin` in none.
pub(in crate::http) fn is_from_us(headers: &HeaderMap, public_url: &str) -> bool {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        (values.next(), values.next())
    };
    let origin = matches!(one("origin"), (Some(origin), None) if origin == public_url);
    let site = match one("sec-fetch-site") {
        (None, None) => true,
        (Some(site), None) => site == "same-origin" || site == "none",
        _ => false,
    };
    origin && site
}

/// The fields of an HTML form; `None` if it is something else, or if a field is given twice.
pub(super) fn fields(headers: &HeaderMap, body: &[u8]) -> Option<Map<String, Value>> {
    let media_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    let mut fields = Map::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        if fields.insert(name.into_owned(), value.into_owned().into()).is_some() {
            return None;
        }
    }
    Some(fields)
}

fn end(created_at: Timestamp, seen: Timestamp) -> Timestamp {
    seen.plus(IDLE).min(created_at.plus(LONGEST))
}

fn new_cookie(entropy: &dyn Entropy) -> SecretText {
    SecretText::new(URL_SAFE_NO_PAD.encode(random::<32>(entropy)))
}

/// The synchroniser token of whoever has this cookie. The cookie itself is never in a page.
fn token(cookie: &SecretText) -> String {
    Digest::of("portcullis-form-token-v1", &[cookie.expose().as_bytes()]).to_string()
}

/// What is kept of a token.
fn kept(token: &str) -> Digest {
    Digest::of("portcullis-form-token-kept-v1", &[token.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    #[test]
    fn the_origin_is_ours_to_the_letter() {
        let ours = "https://mcp.example.com";
        let from_us = |pairs: &[(&'static str, &str)]| is_from_us(&headers(pairs), ours);
        assert!(from_us(&[("origin", ours)]));
        assert!(from_us(&[("origin", ours), ("sec-fetch-site", "same-origin")]));
        assert!(from_us(&[("origin", ours), ("sec-fetch-site", "none")]));
        for site in ["cross-site", "same-site", ""] {
            assert!(!from_us(&[("origin", ours), ("sec-fetch-site", site)]), "{site}");
        }
        for origin in [
            "null",
            "",
            "https://mcp.example.com:443",
            "https://mcp.example.com/",
            "http://mcp.example.com",
            "https://evil.example",
            "https://mcp.example.com.evil.example",
            "HTTPS://mcp.example.com",
        ] {
            assert!(!from_us(&[("origin", origin), ("sec-fetch-site", "same-origin")]), "{origin}");
        }
        assert!(!from_us(&[("sec-fetch-site", "same-origin")]));
        assert!(!from_us(&[("origin", ours), ("origin", ours)]));
    }

    #[test]
    fn forms_are_read_strictly() {
        let form = headers(&[("content-type", "application/x-www-form-urlencoded")]);
        let read = fields(&form, b"a=1&b=%20x+y").expect("reads");
        assert_eq!(Value::Object(read), serde_json::json!({"a": "1", "b": " x y"}));
        assert!(fields(&form, b"a=1&a=1").is_none());
        for other in ["text/plain", "multipart/form-data; boundary=x", "application/json"] {
            assert!(fields(&headers(&[("content-type", other)]), b"a=1").is_none(), "{other}");
        }
        assert!(fields(&HeaderMap::new(), b"a=1").is_none());
    }

    #[test]
    fn a_session_ends_after_idleness_and_after_half_a_day() {
        let start = Timestamp(1_000_000);
        assert_eq!(end(start, start), start.plus(IDLE));
        let late = start.plus(LONGEST.saturating_sub(Duration::from_secs(1)));
        assert_eq!(end(start, late), start.plus(LONGEST));
    }

    #[test]
    fn a_token_is_of_one_browser_and_not_its_cookie() {
        let entropy = crate::clock::SystemEntropy;
        let (one, other) = (Visitor::new(&entropy), Visitor::new(&entropy));
        assert!(one.accepts(&one.csrf()) && !one.accepts(&other.csrf()));
        assert!(!one.accepts("") && !one.accepts(one.cookie.expose()));
    }
}
