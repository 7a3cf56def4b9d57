//! A browser, as far as the pages need one: cookies, forms, and the headers that go with them. Follows no redirect by
//! itself.

use std::collections::BTreeMap;

use reqwest::header::SET_COOKIE;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use url::Url;

use crate::harness::Service;
use crate::reply::Reply;

/// What the tests' services call themselves.
pub(crate) const GATEWAY: &str = "http://127.0.0.1:10000";

#[derive(Clone)]
pub(crate) struct Browser {
    client: Client,
    /// Where the public listener really is.
    address: String,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// A browser that has left for the provider.
pub(crate) struct Departure {
    pub(crate) url: Url,
    pub(crate) state: String,
}

impl Browser {
    pub(crate) fn new(service: &Service) -> Self {
        let client = Client::builder().redirect(Policy::none()).build().expect("a client");
        Self { client, address: service.addresses.public.clone(), cookies: BTreeMap::new() }
    }

    /// One that goes to the admin listener.
    pub(crate) fn of_admin(service: &Service) -> Self {
        Self { address: service.addresses.admin.clone(), ..Self::new(service) }
    }

    /// A browser in which the member of this name has signed in.
    pub(crate) async fn signed_in(service: &Service, name: &str) -> Self {
        let mut browser = Self::new(service);
        let reply = browser.sign_in(name, "/connections").await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text);
        browser
    }

    /// Chooses somebody on the sign-in page.
    pub(crate) async fn sign_in(&mut self, name: &str, next: &str) -> Reply {
        self.sign_in_to(name, next, GATEWAY).await
    }

    /// The same where pages are at `origin`, and it works.
    pub(crate) async fn sign_in_at(&mut self, name: &str, origin: &str) {
        let reply = self.sign_in_to(name, "", origin).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text);
    }

    pub(crate) async fn sign_in_to(&mut self, name: &str, next: &str, origin: &str) -> Reply {
        let page = self.get(&format!("/sign-in?next={next}")).await;
        let (before, _) =
            page.text.split_once(&format!("<span class=\"name\">{name}</span>")).expect("the name");
        let member = attribute_at_end(before, "value").to_owned();
        let form =
            [("csrf", field(&page.text, "csrf")), ("next", field(&page.text, "next")), ("member", member)];
        self.post_from(origin, "/sign-in", &form).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post<Value: AsRef<str>>(&mut self, path: &str, form: &[(&str, Value)]) -> Reply {
        self.post_from(GATEWAY, path, form).await
    }

    async fn post_from<Value: AsRef<str>>(
        &mut self,
        origin: &str,
        path: &str,
        form: &[(&str, Value)],
    ) -> Reply {
        let request = self.request(Method::POST, path).header("origin", origin);
        self.send(
            request.header("sec-fetch-site", "same-origin").header("content-type", FORM).body(encoded(form)),
        )
        .await
    }

    /// A request with this browser's cookies, and nothing else that a browser adds.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.client.request(method, format!("{}{path}", self.address));
        if !pairs.is_empty() {
            request = request.header("cookie", pairs.join("; "));
        }
        request.header("accept", "text/html,application/xhtml+xml")
    }

    /// Sends it and keeps the cookies.
    pub(crate) async fn send(&mut self, request: RequestBuilder) -> Reply {
        let reply = Reply::read(request.send().await.expect("a reply")).await;
        for cookie in reply.headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().expect("a text");
            let (name, rest) = text.split_once('=').expect("a name");
            let (value, attributes) = rest.split_once(';').expect("attributes");
            if attributes.contains("Max-Age=0;") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    /// Agrees on the page of a link, and is on the way to the provider.
    pub(crate) async fn agree(&mut self, link: &str) -> Departure {
        let page = self.get(link).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let form = [("csrf", field(&page.text, "csrf")), ("plan", field(&page.text, "plan"))];
        Departure::read(&self.post(link, &form).await)
    }

    /// Comes back from the provider with a code.
    pub(crate) async fn come_back(&mut self, server: &str, departure: &Departure, issuer: &str) -> Reply {
        self.get(&departure.callback(server, issuer)).await
    }
}

impl Departure {
    pub(crate) fn read(page: &Reply) -> Self {
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let (_, after) = page.text.split_once("content=\"0; url=").expect("a page that goes on");
        let (url, _) = after.split_once('"').expect("the end of the address");
        let url = Url::parse(&unescaped(url)).expect("a URL");
        let state = url.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
        Self { url, state }
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    }

    /// The address that the provider sends the browser to.
    pub(crate) fn callback(&self, server: &str, issuer: &str) -> String {
        let query = encoded(&[("code", "canary-code-55e1"), ("state", &self.state), ("iss", issuer)]);
        format!("/callback/{server}?{query}")
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) fn encoded<Value: AsRef<str>>(pairs: &[(&str, Value)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        form.append_pair(name, value.as_ref());
    }
    form.finish()
}

/// The value of the first hidden field of this name.
pub(crate) fn field(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    let (_, after) = page.split_once(&mark).unwrap_or_else(|| panic!("no field {name} in {page}"));
    unescaped(after.split_once('"').expect("the end of the value").0)
}

/// The value of the last attribute of this name in `before`.
fn attribute_at_end<'a>(before: &'a str, name: &str) -> &'a str {
    let (_, after) = before.rsplit_once(&format!("{name}=\"")).expect("the attribute");
    after.split_once('"').expect("the end of the value").0
}

fn unescaped(text: &str) -> String {
    text.replace("&#38;", "&")
        .replace("&amp;", "&")
        .replace("&#39;", "'")
        .replace("&#34;", "\"")
        .replace("&#60;", "<")
}
