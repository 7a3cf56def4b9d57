//! Each mode does what it says.

use std::time::Duration;

use jwt_simple::prelude::{Claims, ECDSAP256KeyPairLike as _, ES256KeyPair};
use reqwest::{Client as Http, RequestBuilder, Response};
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

use super::clients::{Authentication, Client};
use super::faults::{Endpoint, Fault};
use super::shape::{Iss, KeptAnswer, Metadata, Pkce, Refresh, Registration, Resource, Shape};
use super::{Provider, books};

const REDIRECT: &str = "http://127.0.0.1:9/callback/server-1";
const RESOURCE: &str = "https://mcp.example/mcp";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-x";

/// A client of a provider, written for these tests: it says exactly what it is told to.
struct Visitor {
    http: Http,
    provider: Provider,
    client_id: String,
    secret: Option<String>,
}

impl Visitor {
    async fn start(shape: Shape) -> Self {
        let provider = Provider::start(shape).await.expect("starts");
        provider.allow_resource(RESOURCE);
        provider.approve_as(Some("ada"));
        let policy = reqwest::redirect::Policy::none();
        let http = Http::builder().no_proxy().redirect(policy).build().expect("a client");
        let mut visitor = Self { http, provider, client_id: String::new(), secret: None };
        visitor.introduce().await;
        visitor
    }

    async fn introduce(&mut self) {
        if self.provider.shape().registration == Registration::Dynamic {
            let body = json!({
                "redirect_uris": [REDIRECT], "application_type": "web", "token_endpoint_auth_method": "none",
                "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
            });
            let registered = self.register(body).await;
            self.client_id = registered["client_id"].as_str().expect("an id").to_owned();
        } else if let Some(client) = self.provider.shape().clients.first() {
            self.client_id.clone_from(&client.client_id);
            if let Authentication::SecretBasic(secret) = &client.authentication {
                self.secret = Some(secret.clone());
            }
        }
    }

    async fn register(&self, body: Value) -> Value {
        json(self.http.post(self.provider.url(Endpoint::Register)).json(&body)).await
    }

    /// The query that the browser comes back with, after an authorization request with these changes; an empty value
    /// takes a parameter away.
    async fn authorize(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let reply = self.authorization(changes).send().await.expect("an answer");
        returned(&reply)
    }

    fn authorization(&self, changes: &[(&str, &str)]) -> RequestBuilder {
        let challenge = books::s256(VERIFIER);
        let mut params = vec![
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", REDIRECT),
            ("state", "the-state"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", RESOURCE),
        ];
        params.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        params.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        let url = Url::parse_with_params(&self.provider.url(Endpoint::Authorize), params).expect("a URL");
        self.http.get(url)
    }

    async fn code(&self) -> String {
        let query = self.authorize(&[]).await;
        value(&query, "code").unwrap_or_else(|| panic!("no code: {query:?}")).to_owned()
    }

    async fn redeem(&self, code: &str) -> (u16, Value) {
        let params = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
            ("resource", RESOURCE),
        ];
        self.token(&params).await
    }

    async fn sign_in(&self) -> Value {
        let (status, tokens) = self.redeem(&self.code().await).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    async fn refresh(&self, token: &str) -> (u16, Value) {
        let params = [("grant_type", "refresh_token"), ("refresh_token", token), ("resource", RESOURCE)];
        self.token(&params).await
    }

    async fn token(&self, params: &[(&str, &str)]) -> (u16, Value) {
        let reply = self.token_request(params).send().await.expect("an answer");
        (reply.status().as_u16(), reply.json().await.expect("JSON"))
    }

    fn token_request(&self, params: &[(&str, &str)]) -> RequestBuilder {
        self.form(Endpoint::Token, params)
    }

    fn form(&self, endpoint: Endpoint, params: &[(&str, &str)]) -> RequestBuilder {
        let mut form = Serializer::new(String::new());
        form.extend_pairs(params);
        let request = self.http.post(self.provider.url(endpoint));
        // Form-encoded before they are put together (RFC 6749, section 2.3.1).
        let basic = self.secret.as_ref().map(|secret| (encoded(&self.client_id), encoded(secret)));
        if basic.is_none() {
            form.append_pair("client_id", &self.client_id);
        }
        let request =
            basic.into_iter().fold(request, |request, (id, secret)| request.basic_auth(id, Some(secret)));
        request.header("content-type", "application/x-www-form-urlencoded").body(form.finish())
    }
}

async fn json(request: RequestBuilder) -> Value {
    request.send().await.expect("an answer").json().await.expect("JSON")
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn returned(reply: &Response) -> Vec<(String, String)> {
    let location = reply.headers().get("location").unwrap_or_else(|| panic!("not sent back: {reply:?}"));
    let url = Url::parse(location.to_str().expect("text")).expect("a URL");
    assert!(url.as_str().starts_with(REDIRECT), "{url}");
    url.query_pairs().into_owned().collect()
}

fn value<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap_or_else(|| panic!("{name} in {tokens}"))
}

#[tokio::test]
async fn the_whole_way_from_metadata_to_revocation() {
    let visitor = Visitor::start(Shape::linear()).await;
    let metadata = json(visitor.http.get(visitor.provider.url(Endpoint::Metadata))).await;
    assert_eq!(metadata["issuer"], visitor.provider.issuer());
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["registration_endpoint"], visitor.provider.url(Endpoint::Register));

    let query = visitor.authorize(&[("scope", "read write")]).await;
    assert_eq!(value(&query, "state"), Some("the-state"));
    assert_eq!(value(&query, "iss"), None);
    let (status, tokens) = visitor.redeem(value(&query, "code").expect("a code")).await;
    assert_eq!(
        (status, &tokens["token_type"], &tokens["expires_in"]),
        (200, &json!("Bearer"), &json!(86_400))
    );
    let access = visitor.provider.look_up(text(&tokens, "access_token")).expect("a good token");
    assert_eq!((access.subject.as_str(), access.scope.as_str()), ("ada", "read write"));
    assert_eq!(access.resource.as_deref(), Some(RESOURCE));

    let revocation =
        visitor.form(Endpoint::Revoke, &[("token", text(&tokens, "refresh_token"))]).send().await;
    assert_eq!(revocation.expect("an answer").status(), 200);
    assert_eq!(visitor.provider.look_up(text(&tokens, "access_token")), None);
    assert_eq!(visitor.refresh(text(&tokens, "refresh_token")).await.0, 400);

    let ledger = &visitor.provider.ledger;
    assert_eq!(ledger.authorizations()[0].subject, "ada");
    assert_eq!(ledger.requests_of("authorization_code").len(), 1);
    assert!(ledger.secrets().contains(&text(&tokens, "access_token").to_owned()));
}

#[tokio::test]
async fn a_request_that_does_not_fit_is_refused() {
    let visitor = Visitor::start(Shape::linear()).await;
    for (changes, error) in [
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("resource", ""), "invalid_target"),
        (("resource", "https://other.example/mcp"), "invalid_target"),
        (("scope", "read everything"), "invalid_scope"),
        (("response_type", "token"), "unsupported_response_type"),
    ] {
        let query = visitor.authorize(&[changes]).await;
        assert_eq!(value(&query, "error"), Some(error), "{changes:?}");
        assert_eq!(value(&query, "state"), Some("the-state"));
        assert_eq!(value(&query, "code"), None);
    }
    for changes in [("redirect_uri", "http://127.0.0.1:9/callback/server-2"), ("client_id", "nobody")] {
        let reply = visitor.authorization(&[changes]).send().await.expect("an answer");
        assert_eq!(reply.status(), 400, "{changes:?}");
        assert!(reply.headers().get("location").is_none(), "{changes:?}");
    }
}

#[tokio::test]
async fn a_code_is_good_once_and_only_with_its_verifier() {
    let visitor = Visitor::start(Shape::linear()).await;
    let code = visitor.code().await;
    for (name, wrong) in [
        ("code_verifier", "another-verifier-of-forty-three-characters-long"),
        ("redirect_uri", "http://127.0.0.1:9/callback/server-2"),
    ] {
        let right = [("code_verifier", VERIFIER), ("redirect_uri", REDIRECT)];
        let mut params = vec![("grant_type", "authorization_code"), ("code", &code), ("resource", RESOURCE)];
        params.extend(right.into_iter().filter(|(key, _)| *key != name));
        params.push((name, wrong));
        assert_eq!(visitor.token(&params).await.1["error"], "invalid_grant", "{name}");
    }
    let (status, tokens) = visitor.redeem(&code).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(visitor.redeem(&code).await.1["error"], "invalid_grant");
    assert_eq!(visitor.provider.look_up(text(&tokens, "access_token")), None, "a code that was stolen");
    assert_eq!(visitor.provider.ledger.reuses(), 1);
}

#[tokio::test]
async fn rotation_without_grace_revokes_on_reuse() {
    let visitor = Visitor::start(Shape::linear()).await;
    let first = visitor.sign_in().await;
    let (status, second) = visitor.refresh(text(&first, "refresh_token")).await;
    assert_eq!(status, 200, "{second}");
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(visitor.refresh(text(&first, "refresh_token")).await.1["error"], "invalid_grant");
    assert_eq!(visitor.provider.look_up(text(&second, "access_token")), None);
    assert_eq!(visitor.refresh(text(&second, "refresh_token")).await.1["error"], "invalid_grant");
    let uses = visitor.provider.ledger.refresh_uses();
    assert_eq!(uses.get(text(&first, "refresh_token")), Some(&2));
    assert_eq!(visitor.provider.ledger.reuses(), 1);
}

#[test]
fn rotation_with_grace_forgives_for_a_while() {
    let grace = Duration::from_secs(10);
    let shape = Shape { refresh: Refresh::Rotated { grace: Some(grace) }, ..Shape::linear() };
    let issuer = "https://as.example".to_owned();
    let mut books = books::Books::new(Shape { resource: Resource::Ignored, ..shape }, issuer);
    let client = Client::confidential("web", "secret");
    let now = tokio::time::Instant::now();
    let grant = books::Grant {
        client_id: "web".into(),
        subject: "ada".into(),
        scope: "read".into(),
        resource: None,
        refreshable: true,
    };
    let code = books.issue_code(grant, REDIRECT, None, now);
    let form = format!("code={code}&redirect_uri={REDIRECT}");
    let params = super::Params::read(form.as_bytes()).expect("sound");
    let first =
        books.redeem(&client, &params, now).expect("tokens").refresh_token.expect("one to refresh with");
    let params = super::Params::read(format!("refresh_token={first}").as_bytes()).expect("sound");
    for moment in [now, now + grace] {
        assert!(books.refresh(&client, &params, moment).is_ok());
    }
    let late = books.refresh(&client, &params, now + grace + Duration::from_millis(1));
    assert_eq!(late.expect_err("too late").reuse, Some(("ada".into(), 1)));
}

#[tokio::test]
async fn kept_refresh_tokens_are_omitted_repeated_or_empty() {
    for (answer, told) in
        [(KeptAnswer::Omitted, None), (KeptAnswer::Repeated, Some(false)), (KeptAnswer::Empty, Some(true))]
    {
        let refresh = Refresh::Kept { answer, only_offline: false };
        let visitor = Visitor::start(Shape { refresh, ..Shape::linear() }).await;
        let tokens = visitor.sign_in().await;
        let token = text(&tokens, "refresh_token");
        for _ in 0..2 {
            let (status, refreshed) = visitor.refresh(token).await;
            assert_eq!(status, 200, "{answer:?}: {refreshed}");
            let expected = told.map(|empty| if empty { "" } else { token });
            assert_eq!(refreshed["refresh_token"].as_str(), expected, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn google_gives_a_refresh_token_only_offline() {
    let client = Client { redirect_uris: vec![REDIRECT.into()], ..Client::confidential("app", "p+ss:w ord") };
    let visitor = Visitor::start(Shape::google(client)).await;
    assert!(visitor.sign_in().await.get("refresh_token").is_none());
    let query = visitor.authorize(&[("access_type", "offline")]).await;
    let (_, tokens) = visitor.redeem(value(&query, "code").expect("a code")).await;
    assert!(tokens["refresh_token"].is_string(), "{tokens}");
}

#[tokio::test]
async fn github_is_registered_by_hand_and_gives_tokens_for_good() {
    let mut visitor = Visitor::start(Shape::github(by_hand())).await;
    let tokens = visitor.sign_in().await;
    assert!(tokens.get("refresh_token").is_none() && tokens.get("expires_in").is_none(), "{tokens}");
    assert_eq!(metadata_status(&visitor).await, 200);
    let registration = visitor.http.post(visitor.provider.url(Endpoint::Register)).send().await;
    assert_eq!(registration.expect("an answer").status(), 404);
    visitor.secret = Some("not-the-secret".into());
    let (status, refused) = visitor.redeem("any").await;
    assert_eq!((status, &refused["error"]), (401, &json!("invalid_client")));
    visitor.secret = None;
    assert_eq!(visitor.redeem("any").await.0, 401);
}

#[tokio::test]
async fn slack_has_no_metadata_and_words_of_its_own() {
    let mut visitor = Visitor::start(Shape::slack(by_hand())).await;
    let tokens = visitor.sign_in().await;
    assert_eq!((&tokens["ok"], &tokens["token_type"]), (&json!(true), &json!("user")), "{tokens}");
    assert!(tokens["refresh_token"].is_string() && tokens["team"]["name"].is_string(), "{tokens}");
    assert_eq!(metadata_status(&visitor).await, 404);
    let (status, refused) = visitor.redeem("any").await;
    assert_eq!((status, refused), (200, json!({"ok": false, "error": "invalid_code"})));
    visitor.secret = Some("not-the-secret".into());
    let (status, refused) = visitor.redeem("any").await;
    assert_eq!((status, refused), (200, json!({"ok": false, "error": "bad_client_secret"})));
}

fn by_hand() -> Client {
    Client { redirect_uris: vec![REDIRECT.into()], ..Client::confidential("app", "the-secret") }
}

async fn metadata_status(visitor: &Visitor) -> u16 {
    let path = visitor.provider.shape().path;
    let origin = visitor.provider.issuer().replace(path, "");
    let url = format!("{origin}/.well-known/oauth-authorization-server{path}");
    visitor.http.get(url).send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn iss_is_sent_absent_forgotten_or_wrong() {
    for (iss, advertised) in [
        (Iss::Sent, true),
        (Iss::Absent, false),
        (Iss::Forgotten, true),
        (Iss::Wrong("https://evil.example".into()), true),
    ] {
        let visitor = Visitor::start(Shape { iss: iss.clone(), ..Shape::linear() }).await;
        let metadata = json(visitor.http.get(visitor.provider.url(Endpoint::Metadata))).await;
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], advertised, "{iss:?}");
        let expected = match &iss {
            Iss::Sent => Some(visitor.provider.issuer().to_owned()),
            Iss::Wrong(other) => Some(other.clone()),
            Iss::Absent | Iss::Forgotten => None,
        };
        // Errors carry it as well as codes do.
        for changes in [("scope", "read"), ("scope", "nonsense")] {
            let query = visitor.authorize(&[changes]).await;
            assert_eq!(value(&query, "iss"), expected.as_deref(), "{iss:?}");
        }
    }
}

#[tokio::test]
async fn pkce_is_required_unadvertised_or_plain() {
    for (pkce, advertised) in [
        (Pkce::Required, json!(["S256"])),
        (Pkce::Unadvertised, Value::Null),
        (Pkce::PlainOnly, json!(["plain"])),
    ] {
        let visitor = Visitor::start(Shape { pkce, ..Shape::linear() }).await;
        let metadata = json(visitor.http.get(visitor.provider.url(Endpoint::Metadata))).await;
        assert_eq!(metadata["code_challenge_methods_supported"], advertised, "{pkce:?}");
        let s256 = visitor.authorize(&[]).await;
        assert_eq!(value(&s256, "code").is_some(), pkce != Pkce::PlainOnly, "{pkce:?}");
    }
}

#[tokio::test]
async fn tenants_share_a_host_and_nothing_else() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let first = Shape { metadata: Metadata::OpenIdAppended, ..Shape::linear() }.tenant("/tenant-1");
    let second = Shape { metadata: Metadata::OpenId, ..Shape::linear() }.tenant("/tenant-2");
    let providers = Provider::start_on(listener, vec![first, second]).expect("start");
    let http = Http::builder().no_proxy().build().expect("a client");
    for (provider, suffix) in providers
        .iter()
        .zip(["/tenant-1/.well-known/openid-configuration", "/.well-known/openid-configuration/tenant-2"])
    {
        let url = provider.url(Endpoint::Metadata);
        assert!(url.ends_with(suffix), "{url}");
        assert_eq!(json(http.get(url)).await["issuer"], provider.issuer());
        provider.allow_resource(RESOURCE);
        provider.approve_as(Some("ada"));
    }
    let mut visitor =
        Visitor { http, provider: providers[0].clone(), client_id: String::new(), secret: None };
    visitor.http =
        Http::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("one");
    visitor.introduce().await;
    let tokens = visitor.sign_in().await;
    assert!(providers[0].look_up(text(&tokens, "access_token")).is_some());
    assert!(providers[1].look_up(text(&tokens, "access_token")).is_none());
    assert!(providers[1].ledger.events().is_empty());
}

#[tokio::test]
async fn faults_strike_once_each_and_in_order() {
    let visitor = Visitor::start(Shape::linear()).await;
    let token = text(&visitor.sign_in().await, "refresh_token").to_owned();
    let oauth_error = r#"{"error":"temporarily_unavailable"}"#;
    let faults =
        [Fault::Status(503), Fault::Html, Fault::Json(400, oauth_error), Fault::Break, Fault::LoseAnswer];
    visitor.provider.fail(Endpoint::Token, faults);
    let params = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("resource", RESOURCE)];
    let ask = async || visitor.token_request(&params).send().await.expect("a head");
    let unavailable = ask().await;
    assert_eq!(unavailable.status(), 503);
    assert!(unavailable.headers().contains_key("retry-after"));
    assert!(ask().await.headers()["content-type"].to_str().expect("text").starts_with("text/html"));
    assert_eq!(ask().await.text().await.expect("text"), oauth_error);
    let breaks = async || match visitor.token_request(&params).send().await {
        Ok(head) => head.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(breaks().await);
    assert!(visitor.provider.ledger.requests_of("refresh_token").is_empty(), "nothing was handled so far");
    assert!(breaks().await);
    let handled = visitor.provider.ledger.requests_of("refresh_token");
    assert!(matches!(handled.as_slice(), [request] if request.outcome.is_ok()), "{handled:?}");
}

#[tokio::test]
async fn a_hold_lets_nothing_through_until_it_is_dropped() {
    let visitor = Visitor::start(Shape::linear()).await;
    let tokens = visitor.sign_in().await;
    let mut hold = visitor.provider.hold(Endpoint::Token);
    let refresh = visitor.refresh(text(&tokens, "refresh_token"));
    let release = async {
        hold.arrived(1).await;
        assert!(visitor.provider.ledger.requests_of("refresh_token").is_empty());
        drop(hold);
    };
    let ((status, _), ()) = tokio::join!(refresh, release);
    assert_eq!(status, 200);
}

#[tokio::test]
async fn machines_prove_themselves_in_three_ways() {
    let pair = ES256KeyPair::generate();
    let key = pair.public_key().to_pem().expect("PEM");
    for authentication in [
        Authentication::SecretBasic("the secret".into()),
        Authentication::SecretPost("the secret".into()),
        Authentication::PrivateKeyJwt(key),
    ] {
        let client = Client::machine("machine", authentication.clone());
        let mut visitor = Visitor::start(Shape::machines(client)).await;
        let assertion = |audience: &str| {
            let claims = Claims::create(jwt_simple::prelude::Duration::from_mins(1))
                .with_issuer("machine")
                .with_subject("machine")
                .with_audience(audience)
                .with_jwt_id(books::random("jti"));
            pair.sign(claims).expect("signs")
        };
        let jwt = assertion(visitor.provider.issuer());
        let mut params = vec![("grant_type", "client_credentials"), ("resource", RESOURCE)];
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        match &authentication {
            Authentication::SecretPost(_) => params.push(("client_secret", "the secret")),
            Authentication::PrivateKeyJwt(_) => {
                params.extend([("client_assertion_type", kind), ("client_assertion", &jwt)]);
            }
            _ => {}
        }
        let (status, tokens) = visitor.token(&params).await;
        assert_eq!(status, 200, "{authentication:?}: {tokens}");
        let access = visitor.provider.look_up(text(&tokens, "access_token")).expect("a good token");
        assert_eq!(access.subject, "machine");
        let method = visitor.provider.ledger.token_requests()[0].authentication;
        assert_eq!(method, authentication.as_str());

        if let Authentication::PrivateKeyJwt(_) = authentication {
            assert_eq!(visitor.token(&params).await.0, 401, "an assertion is good once");
            let elsewhere = assertion(&visitor.provider.url(Endpoint::Token));
            params.retain(|(name, _)| *name != "client_assertion");
            params.push(("client_assertion", &elsewhere));
            assert_eq!(visitor.token(&params).await.0, 401, "made for somebody else");
        }
        visitor.secret = Some("wrong".into());
        assert_ne!(visitor.token(&[("grant_type", "client_credentials")]).await.0, 200);
    }
}

#[tokio::test]
async fn a_client_may_be_its_metadata_document() {
    let document = axum::Router::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let id = format!("http://{}/oauth/client/server-1", listener.local_addr().expect("an address"));
    let body = json!({
        "client_id": id, "client_name": "The gateway", "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
    });
    let show = axum::routing::get(async move || axum::Json(body));
    let _serving = crate::upstream::Serving::start(listener, document.route("/oauth/client/server-1", show))
        .expect("starts");
    let mut visitor = Visitor::start(Shape::strict()).await;
    visitor.client_id = id;
    let tokens = visitor.sign_in().await;
    assert!(tokens["refresh_token"].is_string(), "{tokens}");
}

#[tokio::test]
async fn time_and_people_can_take_tokens_away() {
    let visitor = Visitor::start(Shape::linear()).await;
    let tokens = visitor.sign_in().await;
    visitor.provider.expire_access_tokens();
    assert_eq!(visitor.provider.look_up(text(&tokens, "access_token")), None);
    let (status, tokens) = visitor.refresh(text(&tokens, "refresh_token")).await;
    assert_eq!(status, 200, "{tokens}");
    visitor.provider.withdraw("ada");
    assert_eq!(visitor.provider.look_up(text(&tokens, "access_token")), None);
    assert_eq!(visitor.refresh(text(&tokens, "refresh_token")).await.1["error"], "invalid_grant");
    visitor.provider.forget_client(&visitor.client_id);
    assert_eq!(visitor.refresh("any").await.1["error"], "invalid_client");
}

#[tokio::test]
async fn the_page_can_be_answered_and_refused() {
    let visitor = Visitor::start(Shape::linear()).await;
    visitor.provider.approve_as(None);
    let page = visitor.authorization(&[]).send().await.expect("a page").text().await.expect("text");
    assert!(page.contains("Sign in to Linear") && page.contains("the-state"), "{page}");
    assert!(visitor.provider.ledger.authorizations().is_empty());
    let url = visitor.authorization(&[]).build().expect("a request").url().clone();
    for (decision, outcome) in [("allow", "code"), ("deny", "error")] {
        let mut form = Serializer::new(url.query().expect("a query").to_owned());
        form.append_pair("subject", "grace").append_pair("decision", decision);
        let reply = visitor
            .http
            .post(visitor.provider.url(Endpoint::Authorize))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.finish())
            .send()
            .await
            .expect("an answer");
        assert!(value(&returned(&reply), outcome).is_some(), "{decision}");
    }
    let authorizations = visitor.provider.ledger.authorizations();
    assert_eq!(authorizations.len(), 1);
    assert_eq!(authorizations[0].subject, "grace");
    let cookie = ("cookie", "other=1; auto_approve=alan");
    let reply = visitor.authorization(&[]).header(cookie.0, cookie.1).send().await.expect("an answer");
    assert!(value(&returned(&reply), "code").is_some());
    assert_eq!(visitor.provider.ledger.authorizations()[1].subject, "alan");
}
