//! A8: clients whose id is the address of a document about them.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::stand::{Ask, VERIFIER, decision_form};
use crate::browser::{Browser, Departure, encoded, field};
use crate::harness::{Directory, Service};
use crate::reply::Reply;
use crate::upstream_oauth::site::{Place, Site, Spoilt};
use crate::upstream_oauth::stand::Canary;

const URI: &str = "https://app.example/cb";
const RESOURCE: &str = "http://127.0.0.1:10000/open/mcp";

/// Makes something wrong with a document.
type Change = fn(&mut Value);

struct Stand {
    service: Service,
    site: Site,
    canary: Canary,
    ada: Browser,
}

impl Stand {
    async fn start() -> Self {
        let canary = Canary::start().await;
        let (site, authority) = Site::start(canary.port).await;
        let directory = Directory::new();
        directory.write("site.pem", &authority.0);
        let declared = "
sign_in: {development: true}
egress:
  trusted_ca: site.pem
  allow: [{host: localhost, network: 127.0.0.0/8}]
workspaces:
  - {slug: core, members: [{issuer: 'https://idp.example', subject: ada, name: Ada Lovelace}]}
servers:
  - {slug: open, name: Open, url: 'https://open.example/mcp', auth: {type: none}, workspaces: all}
";
        let service = Service::start_in(directory, declared).await.expect("the service starts");
        let ada = Browser::signed_in(&service, "Ada Lovelace").await;
        Self { service, site, canary, ada }
    }

    /// The id of a client with this document.
    fn client(&self, name: &str, change: impl FnOnce(&mut Value)) -> String {
        let id = format!("{}/{name}/mcp", self.site.origin);
        let mut document = json!({"client_id": id, "client_name": "A client", "redirect_uris": [URI]});
        change(&mut document);
        self.site.spoil(name, Place::Server, Spoilt::json(200, document.to_string()));
        id
    }

    async fn authorize(&mut self, id: &str) -> Reply {
        self.ada.get(&Ask::of(id, URI, RESOURCE).path()).await
    }

    fn fetched(&self, name: &str) -> usize {
        self.site.asked(name, Place::Server).len()
    }
}

#[tokio::test]
async fn a_document_tells_who_the_client_is_and_its_host_vouches_for_it() {
    let mut stand = Stand::start().await;
    let id = stand.client("good", |document| {
        document["client_name"] = "<b>Claude</b>".into();
        document["logo_uri"] = "https://localhost/logo".into();
    });
    let sent = stand.authorize(&id).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text);
    let page = stand.ada.get(sent.header("location").expect("a location")).await;
    for shown in
        ["“&#60;b&#62;Claude&#60;/b&#62;”", "class=\"state on\">localhost<", "<strong>app.example</strong>"]
    {
        assert!(page.text.contains(shown), "{shown}: {}", page.text);
    }
    let form = decision_form(&page.text, "allow", &[]);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let back = Departure::read(&stand.ada.post("/oauth/consent", &form).await).url;
    let code = super::stand::parameter(&back, "code").expect("a code");
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", &id),
        ("code", &code),
        ("redirect_uri", URI),
        ("code_verifier", VERIFIER),
        ("resource", RESOURCE),
    ];
    let request = reqwest::Client::new().post(format!("{}/oauth/token", stand.service.addresses.public));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(encoded(&form));
    let tokens = Reply::read(request.send().await.expect("a reply")).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.text);
    assert_eq!(stand.fetched("good"), 1, "it is remembered");
}

#[tokio::test]
async fn addresses_that_are_none_are_not_asked() {
    let mut stand = Stand::start().await;
    let origin = stand.site.origin.clone();
    let port = origin.rsplit_once(':').expect("a port").1.to_owned();
    let canary = stand.canary.port;
    for id in [
        format!("http://localhost:{port}/good/mcp"),
        origin.clone(),
        format!("{origin}/"),
        format!("{origin}/good/mcp#x"),
        format!("https://me@localhost:{port}/good/mcp"),
        format!("{origin}/a/../good/mcp"),
        format!("{origin}/good\\mcp"),
        format!("https://LOCALHOST:{port}/good/mcp"),
        format!("https://127.0.0.1:{port}/good/mcp"),
        format!("https://[::1]:{canary}/c"),
        format!("https://127.0.0.1:{canary}/c"),
        format!("https://0x7f.1:{canary}/c"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://127.0.0.1/c".to_owned(),
        format!("{origin}/{}", "a".repeat(256)),
    ] {
        let reply = stand.authorize(&id).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{id}: {}", reply.text);
        assert_eq!(reply.header("location"), None, "{id}");
    }
    assert_eq!((stand.fetched("good"), stand.canary.connections()), (0, 0));
}

#[tokio::test]
async fn documents_that_are_not_in_order_are_refused_and_errors_forgotten() {
    let mut stand = Stand::start().await;
    let big = "x".repeat(6 * 1024);
    let answer = |status: u16, media_type: &str, body: &str| Spoilt::Answer {
        status,
        headers: vec![("content-type", media_type.to_owned())],
        body: body.to_owned(),
    };
    let changes: [(&str, Change); 10] = [
        ("another id", |document| document["client_id"] = "https://localhost/other".into()),
        ("no id", |document| document["client_id"] = Value::Null),
        ("a secret", |document| document["client_secret"] = "x".into()),
        ("a secret's end", |document| document["client_secret_expires_at"] = 0.into()),
        ("a method with a secret", |document| {
            document["token_endpoint_auth_method"] = "client_secret_basic".into();
        }),
        ("a method with a key", |document| document["token_endpoint_auth_method"] = "private_key_jwt".into()),
        ("no redirect URIs", |document| document["redirect_uris"] = json!([])),
        ("a script", |document| document["redirect_uris"] = json!([URI, "javascript:alert(1)"])),
        ("plain http", |document| document["redirect_uris"] = json!([URI, "http://app.example/cb"])),
        ("another grant", |document| document["grant_types"] = json!(["client_credentials"])),
    ];
    let mut cases: Vec<(String, String)> = Vec::new();
    for (number, (name, change)) in changes.into_iter().enumerate() {
        cases.push((format!("bad-{number}"), name.to_owned()));
        stand.client(&format!("bad-{number}"), change);
    }
    for (name, spoilt) in [
        ("redirecting", Spoilt::redirect(302, "{origin}/elsewhere/mcp")),
        ("redirecting-for-good", Spoilt::redirect(308, "{origin}/elsewhere/mcp")),
        ("missing", answer(404, "application/json", "{}")),
        ("broken", answer(500, "application/json", "{}")),
        ("created", answer(201, "application/json", "{}")),
        (
            "big",
            answer(
                200,
                "application/json",
                &format!(r#"{{"client_id": "{{origin}}/big/mcp", "x": "{big}"}}"#),
            ),
        ),
        (
            "html",
            answer(
                200,
                "text/html",
                r#"{"client_id": "{origin}/html/mcp", "redirect_uris": ["https://app.example/cb"]}"#,
            ),
        ),
        (
            "twice",
            answer(
                200,
                "application/json",
                r#"{"client_id": "{origin}/twice/mcp", "redirect_uris": ["https://app.example/cb"], "redirect_uris": ["https://evil.example/cb"]}"#,
            ),
        ),
        ("list", answer(200, "application/json", "[]")),
        ("nothing", answer(200, "application/json", "")),
        ("endless", Spoilt::Endless),
    ] {
        stand.site.spoil(name, Place::Server, spoilt);
        cases.push((name.to_owned(), name.to_owned()));
    }
    for (name, what) in cases {
        let id = format!("{}/{name}/mcp", stand.site.origin);
        let reply = stand.authorize(&id).await;
        assert_eq!(
            (reply.status, reply.header("location")),
            (StatusCode::BAD_REQUEST, None),
            "{what}: {}",
            reply.text
        );
        assert!(reply.text.contains("cannot be identified"), "{what}: {}", reply.text);
        assert_eq!(stand.fetched(&name), 1, "{what}");
        // In order by now, and nothing of what was before is remembered.
        stand.client(&name, |_| {});
        let reply = stand.authorize(&id).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{what}: {}", reply.text);
    }
    assert_eq!(stand.fetched("elsewhere"), 0, "a redirect was followed");
}

#[tokio::test]
async fn a_document_is_believed_for_as_long_as_it_says_and_a_change_voids_what_was_asked() {
    let mut stand = Stand::start().await;
    let id = format!("{}/aging/mcp", stand.site.origin);
    let document = |uri: &str, cache: &str| Spoilt::Answer {
        status: 200,
        headers: vec![("content-type", "application/json".into()), ("cache-control", cache.into())],
        body: json!({"client_id": id, "client_name": "A client", "redirect_uris": [uri]}).to_string(),
    };
    stand.site.spoil("aging", Place::Server, document(URI, "max-age=60"));
    let sent = stand.authorize(&id).await;
    let location = sent.header("location").expect("a location").to_owned();
    let page = stand.ada.get(&location).await;
    assert_eq!(stand.fetched("aging"), 1);
    // Another address by now: what was on its way is not sent to the old one.
    stand.site.spoil("aging", Place::Server, document("https://new.example/cb", "no-store"));
    stand.service.clock.advance(59_999);
    assert_eq!(stand.authorize(&id).await.status, StatusCode::SEE_OTHER);
    stand.service.clock.advance(1);
    assert_eq!(stand.authorize(&id).await.status, StatusCode::BAD_REQUEST);
    let form = decision_form(&page.text, "allow", &[]);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let reply = stand.ada.post("/oauth/consent", &form).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text);
    assert!(reply.text.contains("sent to the wrong place"), "{}", reply.text);
    assert_eq!(stand.fetched("aging"), 3, "what says no-store is asked for each time");
    assert!(!field(&page.text, "request").is_empty());
}
