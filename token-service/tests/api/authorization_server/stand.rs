//! A service with clients of every kind, a browser of Ada's, and the way from one to the other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use url::Url;

use crate::browser::{Browser, Departure, GATEWAY, encoded, field};
use crate::harness::{Directory, LOG, Service};
use crate::provider::Provider;
use crate::reply::Reply;

/// Of a client that authenticates in the header, and of one that does in the body.
pub(super) const SECRET: &str = "canary-client-secret-5a3e:%+ and more of it";
pub(super) const POST_SECRET: &str = "canary-client-secret-for-the-body-9c1b";

/// PKCE, as in RFC 7636, appendix B.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(super) const DESKTOP: &str = "desktop";
pub(super) const DESKTOP_URI: &str = "http://127.0.0.1:41234/cb";
pub(super) const WEB_URI: &str = "https://assistant.example/cb?tenant=1";

/// A server that Ada has in two workspaces, by the path that names one.
pub(super) const OPEN: &str = "http://127.0.0.1:10000/core/open/mcp";

pub(super) const CONFIGURATION: &str = "
oauth:
  browser_origins: ['https://inspector.example']
  dynamic_registration: true
  clients:
    - {id: desktop, name: Desktop, redirect_uris: ['http://127.0.0.1/cb', 'com.example.desktop:/cb']}
    - {id: assistant, name: Assistant, redirect_uris: ['https://assistant.example/cb?tenant=1'],
       secret: {file: secret}}
    - {id: poster, name: Poster, redirect_uris: ['https://poster.example/cb'], secret: {file: post-secret},
       method: client_secret_post}
";

pub(super) struct Stand {
    pub(super) service: Service,
    pub(super) provider: Provider,
    pub(super) ada: Browser,
    pub(super) http: Client,
}

/// An authorization request.
#[derive(Clone)]
pub(super) struct Ask(Vec<(String, String)>);

/// What a client has after signing in.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: String,
    /// Of the access token.
    pub(super) claims: Value,
}

impl Ask {
    pub(super) fn of(client: &str, redirect_uri: &str, resource: &str) -> Self {
        let pairs = [
            ("client_id", client),
            ("redirect_uri", redirect_uri),
            ("response_type", "code"),
            ("state", "a state & more"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", resource),
        ];
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
    }

    pub(super) fn desktop() -> Self {
        Self::of(DESKTOP, DESKTOP_URI, OPEN)
    }

    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut ask = self.without(name);
        ask.0.push((name.to_owned(), value.to_owned()));
        ask
    }

    pub(super) fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(found, _)| found != name).cloned().collect())
    }

    /// The parameter a second time.
    pub(super) fn and(&self, name: &str, value: &str) -> Self {
        let mut ask = self.clone();
        ask.0.push((name.to_owned(), value.to_owned()));
        ask
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    pub(super) fn path(&self) -> String {
        let pairs: Vec<(&str, &str)> =
            self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        format!("/oauth/authorize?{}", encoded(&pairs))
    }
}

impl Stand {
    pub(super) async fn start() -> Self {
        let provider = Provider::start().await;
        Self::start_in(Directory::new(), provider).await
    }

    /// Once more, with the files of another.
    pub(super) async fn start_in(directory: Directory, provider: Provider) -> Self {
        directory.write("secret", SECRET);
        directory.write("post-secret", POST_SECRET);
        let declared = format!("{CONFIGURATION}{}", provider.configuration());
        let service = Service::start_in(directory, &declared).await.expect("the service starts");
        Self::around(service, provider).await
    }

    pub(super) async fn around(service: Service, provider: Provider) -> Self {
        let ada = Browser::signed_in(&service, "Ada Lovelace").await;
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Self { service, provider, ada, http }
    }

    /// Stops and starts again.
    pub(super) async fn restarted(self) -> Self {
        let Self { service, provider, ada, .. } = self;
        let now = service.clock.clone();
        let directory = service.stop().await;
        let mut again = Self::start_in(directory, provider).await;
        let passed = portcullis_token_service::clock::Clock::now(&*now).0 - crate::harness::START.0;
        again.service.clock.advance(passed);
        again.ada.cookies = ada.cookies;
        again
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.service.addresses.public)
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        send(self.http.get(self.url(path))).await
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    pub(super) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        send(self.form(path, form)).await
    }

    pub(super) fn form(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let request = self.request(Method::POST, path);
        request.header("content-type", "application/x-www-form-urlencoded").body(encoded(form))
    }

    /// The consent page that Ada gets.
    pub(super) async fn consent(&mut self, ask: &Ask) -> Reply {
        let sent = self.ada.get(&ask.path()).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text);
        let location = sent.header("location").expect("a location").to_owned();
        assert!(location.starts_with("/oauth/consent?request=") && location.len() < 2048, "{location}");
        let page = self.ada.get(&location).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        page
    }

    /// Ada decides on what a page asks.
    pub(super) async fn decide(&mut self, page: &Reply, decision: &str, more: &[(&str, &str)]) -> Reply {
        let form = decision_form(&page.text, decision, more);
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.ada.post("/oauth/consent", &form).await
    }

    /// Ada allows what is asked for: the address that the client gets.
    pub(super) async fn allow(&mut self, ask: &Ask) -> Url {
        let page = self.consent(ask).await;
        let back = self.decide(&page, "allow", &[]).await;
        Departure::read(&back).url
    }

    /// The code in it.
    pub(super) async fn code(&mut self, ask: &Ask) -> String {
        parameter(&self.allow(ask).await, "code").expect("a code")
    }

    /// The token request for a code, by the desktop client.
    #[expect(clippy::unused_self, reason = "it is the client of this stand that asks")]
    pub(super) fn exchange<'a>(&self, code: &'a str) -> Vec<(&'static str, &'a str)> {
        vec![
            ("grant_type", "authorization_code"),
            ("client_id", DESKTOP),
            ("code", code),
            ("redirect_uri", DESKTOP_URI),
            ("code_verifier", VERIFIER),
            ("resource", OPEN),
        ]
    }

    pub(super) async fn refresh(&self, token: &str) -> Reply {
        self.post("/oauth/token", &refreshing(token)).await
    }

    /// Ada signs the desktop client in.
    pub(super) async fn sign_in(&mut self) -> Tokens {
        self.sign_in_for(&Ask::desktop()).await
    }

    pub(super) async fn sign_in_for(&mut self, ask: &Ask) -> Tokens {
        let code = self.code(ask).await;
        let mut form = self.exchange(&code);
        form.retain(|(name, _)| *name != "resource");
        form.push(("resource", ask.get("resource")));
        Tokens::read(&self.post("/oauth/token", &form).await)
    }

    /// Whether a filter that gets this token lets a call through: `granted`, or the reason why not.
    pub(super) async fn lease(&self, tokens: &Tokens) -> String {
        let request = json!({"server": "open", "workspace": "core", "proof": tokens.proof()});
        let reply = self.service.lease(&request).await.body;
        reply["reason"].as_str().or(reply["result"].as_str()).expect("a result").to_owned()
    }

    #[expect(clippy::unused_self, reason = "the log is that of the stand's service")]
    pub(super) fn no_secret_was_logged(&self, secrets: &[&str]) {
        let log = LOG.text();
        assert!(log.contains("\"TRACE\""), "the log is not talkative");
        for secret in secrets {
            assert!(!log.contains(secret), "a secret is in the log");
        }
    }
}

impl Tokens {
    pub(super) fn read(reply: &Reply) -> Self {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        let text = |name: &str| reply.body[name].as_str().expect("a text").to_owned();
        let access = text("access_token");
        Self { claims: part(&access, 1), refresh: text("refresh_token"), access }
    }

    pub(super) fn session(&self) -> &str {
        self.claims["sid"].as_str().expect("a session")
    }

    /// What the filter sends after verifying the access token.
    pub(super) fn proof(&self) -> Value {
        let scopes: Vec<&str> = self.claims["scope"].as_str().expect("scopes").split(' ').collect();
        json!({"kind": "access_token", "session": self.session(), "scopes": scopes, "expires_at": self.claims["exp"]})
    }
}

pub(super) async fn send(request: RequestBuilder) -> Reply {
    Reply::read(request.send().await.expect("a reply")).await
}

/// One part of a token.
pub(super) fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).expect("a part");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("Base64")).expect("JSON")
}

pub(super) fn refreshing(token: &str) -> Vec<(&'static str, &str)> {
    vec![("grant_type", "refresh_token"), ("client_id", DESKTOP), ("refresh_token", token)]
}

pub(super) fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// The form of a consent page, filled in; `more` wins.
pub(super) fn decision_form(page: &str, decision: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut form = vec![("decision".to_owned(), decision.to_owned())];
    for name in ["csrf", "request", "shown", "member"] {
        if page.contains(&format!("name=\"{name}\"")) {
            form.push((name.to_owned(), field(page, name)));
        }
    }
    form.retain(|(name, _)| !more.iter().any(|(other, _)| name == other));
    form.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    form
}

/// `Authorization: Basic` as RFC 6749 wants it.
pub(super) fn basic(id: &str, secret: &str) -> String {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id), encode(secret));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

#[tokio::test]
async fn a_client_signs_in_from_the_url_to_the_token() {
    let mut stand = Stand::start().await;
    let back = stand.allow(&Ask::desktop()).await;
    assert!(back.as_str().starts_with("http://127.0.0.1:41234/cb?"), "{back}");
    assert_eq!(parameter(&back, "state").as_deref(), Some("a state & more"));
    assert_eq!(parameter(&back, "iss").as_deref(), Some(GATEWAY));
    let code = parameter(&back, "code").expect("a code");
    let reply = stand.post("/oauth/token", &stand.exchange(&code)).await;
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!((&reply.body["token_type"], &reply.body["expires_in"]), (&json!("Bearer"), &json!(300)));
    assert_eq!(reply.body["scope"], "mcp:read mcp:write");
    let tokens = Tokens::read(&reply);
    let header = part(&tokens.access, 0);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    let now = crate::harness::START.0 / 1000;
    let member = stand.service.member_id("core", "ada").await;
    let mut claims = tokens.claims.clone();
    for name in ["jti", "sid"] {
        assert!(claims[name].take().is_string(), "{name}");
    }
    let expected = json!({
        "iss": GATEWAY, "aud": OPEN, "sub": member, "client_id": "desktop", "scope": "mcp:read mcp:write",
        "iat": now, "exp": now + 300, "jti": null, "sid": null,
    });
    assert_eq!(claims, expected);
    assert_eq!(stand.lease(&tokens).await, "granted");
    stand.no_secret_was_logged(&[&code, &tokens.access, &tokens.refresh, VERIFIER]);
}
