//! `/v1/unconnected`, `/v1/states` and `/v1/sessions`: from the first request of a member to the connected call.

use portcullis_wire::unconnected::{INPUT_KEY, request_digest};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::browser::{Browser, GATEWAY};
use crate::harness::{LOG, Service, key_proof};
use crate::provider::Provider;
use crate::reply::Reply;
use crate::tracker::TrackerServer;

const MODERN: &str = "2026-07-28";
const PATH: &str = "http://token-service/v1/unconnected";

/// A service with the server `tracker`, and a member's key.
struct Scene {
    provider: Provider,
    tracker: TrackerServer,
    service: Service,
    key: String,
}

impl Scene {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(settings: &str) -> Self {
        let provider = Provider::start().await;
        let tracker = TrackerServer::start(&provider).await;
        let server = format!(
            "  - {{slug: tracker, name: Tracker, url: '{}', allow_http: true, auth: {{type: oauth}}, workspaces: [core]}}",
            tracker.url
        );
        let service = Service::start(&format!("{settings}\n{}{server}\n", provider.configuration())).await;
        let key = member_key(&service, "ada").await;
        Self { provider, tracker, service, key }
    }

    async fn lease(&self, key: &str) -> Value {
        self.service.lease_with_key("tracker", key).await.body
    }

    async fn handle(&self, key: &str) -> String {
        let lease = self.lease(key).await;
        assert_eq!(lease["result"], "connect_required", "{lease}");
        lease["handle"].as_str().expect("a handle").to_owned()
    }

    async fn post(&self, handle: &str, session: Option<&str>, message: &Value) -> Reply {
        let request = self.service.filter.post(PATH).header("x-portcullis-handle", handle);
        let request = session.into_iter().fold(request, |request, id| request.header("mcp-session-id", id));
        Reply::read(request.json(message).send().await.expect("a reply")).await
    }

    async fn ask(&self, path: &str, key: &str, mut body: Value) -> Value {
        body["server"] = "tracker".into();
        body["proof"] = key_proof(key);
        let request = self.service.filter.post(format!("http://token-service/v1/{path}")).json(&body);
        let reply = Reply::read(request.send().await.expect("a reply")).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        reply.body
    }

    /// Opens the link and goes through all of it.
    async fn connect(&self, name: &str, link: &str) {
        let mut browser = Browser::signed_in(&self.service, name).await;
        let departure = browser.agree(link.strip_prefix(GATEWAY).expect("the gateway's")).await;
        let server = self.service.server_id("tracker").await;
        let page = browser.come_back(&server, &departure, &self.provider.url).await;
        assert!(page.status.is_success() || page.status.is_redirection(), "{}", page.text);
    }

    /// A session of a legacy client that opens URLs.
    async fn initialize(&self, handle: &str) -> Reply {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {"url": {}}},
            "clientInfo": {"name": "agent", "version": "1"}});
        self.post(handle, None, &request("initialize", params)).await
    }
}

async fn member_key(service: &Service, subject: &str) -> String {
    let member = service.member_id("core", subject).await;
    let made = service.post("/v1/workspaces/core/keys", json!({"name": "mine", "member": member})).await;
    made.body["api_key"].as_str().unwrap_or_else(|| panic!("a key: {}", made.text)).to_owned()
}

fn request(method: &str, params: Value) -> Value {
    let mut message = json!({"jsonrpc": "2.0", "id": 1, "method": method});
    message["params"] = params;
    message
}

fn modern(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "agent", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}, "url": {}}},
    });
    request(method, params)
}

fn call() -> Value {
    json!({"name": "search", "arguments": {"query": "a"}})
}

fn retry(state: &Value, action: &str) -> Value {
    let mut params = call();
    params["requestState"] = state.clone();
    params["inputResponses"] = json!({INPUT_KEY: {"action": action}});
    modern("tools/call", params)
}

fn link_of(result: &Value) -> String {
    result["inputRequests"][INPUT_KEY]["params"]["url"].as_str().expect("a link").to_owned()
}

#[tokio::test]
async fn a_modern_call_waits_for_its_member_and_goes_on() {
    let scene = Scene::new().await;
    let handle = scene.handle(&scene.key).await;
    let asked = scene.post(&handle, None, &modern("tools/call", call())).await;
    assert_eq!((asked.status, asked.header("x-portcullis-service")), (StatusCode::OK, Some("1")));
    let asked = &asked.body["result"];
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let link = link_of(asked);

    // The client says that the person is on the way; it is answered when the person is there.
    let accepted = retry(&asked["requestState"], "accept");
    let waiting = scene.post(&handle, None, &accepted);
    let (held, ()) = tokio::join!(waiting, scene.connect("Ada Lovelace", &link));
    let held = &held.body["result"];
    assert_eq!((&held["resultType"], held.get("inputRequests")), (&json!("input_required"), None), "{held}");

    assert_eq!(scene.lease(&scene.key).await["result"], "granted");
    let digest = request_digest("tools/call", "search", br#"{"query":"a"}"#);
    let open = async |key: &str, digest| {
        scene.ask("states", key, json!({"state": held["requestState"], "request": digest})).await["result"]
            .clone()
    };
    assert_eq!(open(&scene.key, digest).await, "opened");
    assert_eq!(open(&scene.key, request_digest("tools/call", "search", b"{}")).await, "refused");
    let eve = member_key(&scene.service, "eve").await;
    assert_eq!(open(&eve, digest).await, "refused");
    scene.service.clock.advance(10 * 60_000);
    assert_eq!(open(&scene.key, digest).await, "refused");

    let ticket = link.rsplit('/').next().expect("a ticket");
    let state = held["requestState"].as_str().expect("a state");
    assert!(!LOG.text().contains(ticket) && !LOG.text().contains(state) && !LOG.text().contains(&handle));
}

#[tokio::test]
async fn a_call_is_asked_again_or_given_up() {
    let scene = Scene::with("connect_wait: 100ms").await;
    let handle = scene.handle(&scene.key).await;
    let mut first = call();
    first["requestState"] = "the upstream's own".into();
    first["inputResponses"] = json!({"theirs": {"action": "accept"}});
    let asked = scene.post(&handle, None, &modern("tools/call", first)).await.body["result"].clone();
    let again =
        scene.post(&handle, None, &retry(&asked["requestState"], "accept")).await.body["result"].clone();
    assert_eq!(link_of(&again), link_of(&asked), "the same link");
    let declined =
        scene.post(&handle, None, &retry(&again["requestState"], "decline")).await.body["result"].clone();
    assert_eq!((&declined["isError"], &declined["resultType"]), (&json!(true), &json!("complete")));

    // A state of another request, member or maker is none.
    let mut other = retry(&again["requestState"], "accept");
    other["params"]["arguments"] = json!({"query": "b"});
    let eve = scene.handle(&member_key(&scene.service, "eve").await).await;
    for (handle, message) in [
        (&handle, other),
        (&eve, retry(&again["requestState"], "accept")),
        (&handle, retry(&json!("pcl-state.AAAA"), "accept")),
    ] {
        let refused = scene.post(handle, None, &message).await;
        assert_eq!(
            (refused.status, &refused.body["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!(-32602))
        );
    }

    // What the upstream had asked comes back through it all.
    scene.connect("Ada Lovelace", &link_of(&again)).await;
    let digest = request_digest("tools/call", "search", br#"{"query":"a"}"#);
    let opened =
        scene.ask("states", &scene.key, json!({"state": again["requestState"], "request": digest})).await;
    assert_eq!(opened["request_state"], "the upstream's own");
    assert_eq!(opened["input_responses"], r#"{"theirs":{"action":"accept"}}"#);
}

#[tokio::test]
async fn a_legacy_session_goes_on_with_the_upstream() {
    let scene = Scene::new().await;
    let handle = scene.handle(&scene.key).await;
    let opened = scene.initialize(&handle).await;
    assert_eq!(opened.body["result"]["protocolVersion"], "2025-11-25", "{}", opened.text);
    let session = opened.header("mcp-session-id").expect("a session").to_owned();
    let notified = scene
        .post(&handle, Some(&session), &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
        .await;
    assert_eq!((notified.status, &*notified.text), (StatusCode::ACCEPTED, ""));
    let asked = scene.post(&handle, Some(&session), &request("tools/call", call())).await;
    let elicitation = &asked.body["error"]["data"]["elicitations"][0];
    assert_eq!(
        (&asked.body["error"]["code"], &elicitation["mode"]),
        (&json!(-32042), &json!("url")),
        "{}",
        asked.text
    );
    assert!(elicitation["elicitationId"].is_string());
    let eve = member_key(&scene.service, "eve").await;
    let foreign = scene.post(&scene.handle(&eve).await, Some(&session), &request("ping", json!({}))).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);

    scene.connect("Ada Lovelace", elicitation["url"].as_str().expect("a link")).await;
    learnt(&scene).await;
    let before = scene.tracker.count("initialize");
    let find = || scene.ask("sessions", &scene.key, json!({"session": session}));
    let all = tokio::join!(find(), find(), find(), find());
    let all = [all.0, all.1, all.2, all.3];
    assert_eq!(all[0]["result"], "opened", "{}", all[0]);
    assert!(all.iter().all(|reply| reply == &all[0]), "{all:?}");
    assert_eq!(scene.tracker.count("initialize"), before + 1, "one handshake for all");
    assert!(all[0]["session_id"].is_string());
    assert_eq!(all[0]["protocol_version"], "2025-11-25");

    let unknown = json!("unknown");
    assert_eq!(scene.ask("sessions", &eve, json!({"session": session})).await["result"], unknown);
    assert_eq!(
        scene.ask("sessions", &scene.key, json!({"session": "pcl-session.AAAA"})).await["result"],
        unknown
    );
    scene.service.clock.advance(24 * 60 * 60_000);
    assert_eq!(scene.ask("sessions", &scene.key, json!({"session": session})).await["result"], unknown);
}

#[tokio::test]
async fn a_session_waits_for_a_server_that_refuses() {
    let scene = Scene::new().await;
    let handle = scene.handle(&scene.key).await;
    let session = scene.initialize(&handle).await.header("mcp-session-id").expect("a session").to_owned();
    let asked = scene.post(&handle, None, &modern("tools/call", call())).await;
    scene.connect("Ada Lovelace", &link_of(&asked.body["result"])).await;
    learnt(&scene).await;
    scene.service.clock.advance(60_000);
    scene.tracker.answer_all(StatusCode::UNAUTHORIZED);
    let reply = scene.ask("sessions", &scene.key, json!({"session": session})).await;
    assert_eq!(reply["result"], "unavailable", "{reply}");
    assert_eq!(scene.lease(&scene.key).await["result"], "connect_required", "the member is asked");
}

#[tokio::test]
async fn a_server_that_does_not_shake_hands_ends_the_session() {
    let scene = Scene::new().await;
    let handle = scene.handle(&scene.key).await;
    let session = scene.initialize(&handle).await.header("mcp-session-id").expect("a session").to_owned();
    let asked = scene.post(&handle, None, &modern("tools/call", call())).await;
    scene.connect("Ada Lovelace", &link_of(&asked.body["result"])).await;
    learnt(&scene).await;
    for (status, expected) in [
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (StatusCode::TOO_MANY_REQUESTS, "unavailable"),
        (StatusCode::NOT_FOUND, "unknown"),
    ] {
        scene.tracker.answer_all(status);
        let reply = scene.ask("sessions", &scene.key, json!({"session": session})).await;
        assert_eq!(reply["result"], expected, "{status}");
    }
}

#[tokio::test]
async fn a_call_that_needs_more_scopes_is_held_when_it_comes_again() {
    let scene = Scene::new().await;
    let first = scene.post(&scene.handle(&scene.key).await, None, &modern("tools/call", call())).await;
    scene.connect("Ada Lovelace", &link_of(&first.body["result"])).await;
    scene.service.clock.advance(60_000);
    let granted = scene.lease(&scene.key).await;
    let refused = async || {
        let rejected = json!({
            "connection_id": granted["connection_id"], "generation": granted["credential_generation"],
            "status": 403, "challenge": "Bearer error=\"insufficient_scope\", scope=\"admin\"",
        });
        let request = json!({"server": "tracker", "proof": key_proof(&scene.key), "rejected": rejected});
        let lease = scene.service.lease(&request).await.body;
        lease["handle"].as_str().unwrap_or_else(|| panic!("a handle: {lease}")).to_owned()
    };
    let asked = scene.post(&refused().await, None, &modern("tools/call", call())).await.body;
    let link = link_of(&asked["result"]);
    assert_ne!(link, link_of(&first.body["result"]), "the first link was used");

    // The upstream has refused the retry too, and its state is with the upstream's copy of the request.
    let (handle, again) = (refused().await, modern("tools/call", call()));
    let (held, ()) = tokio::join!(scene.post(&handle, None, &again), scene.connect("Ada Lovelace", &link));
    let held = &held.body["result"];
    assert_eq!((&held["resultType"], held.get("inputRequests")), (&json!("input_required"), None), "{held}");
}

/// Until the catalogue is there.
async fn learnt(scene: &Scene) {
    let server = scene.service.server_id("tracker").await;
    LOG.wait_for(|line| line.contains("catalogue is learnt") && line.contains(&server)).await;
}

#[tokio::test]
async fn what_one_member_connects_others_see() {
    let scene = Scene::new().await;
    let eve = scene.handle(&member_key(&scene.service, "eve").await).await;
    let unknown = scene.post(&eve, None, &modern("tools/list", json!({}))).await.body["error"].clone();
    assert_eq!(
        (&unknown["code"], &unknown["data"]["reason"]),
        (&json!(-31002), &json!("connect_required")),
        "{unknown}"
    );

    let ada = scene.handle(&scene.key).await;
    let asked = scene.post(&ada, None, &modern("tools/call", call())).await;
    scene.connect("Ada Lovelace", &link_of(&asked.body["result"])).await;
    learnt(&scene).await;

    let tools = scene.post(&eve, None, &modern("tools/list", json!({}))).await.body["result"].clone();
    let names: Vec<&Value> =
        tools["tools"].as_array().expect("tools").iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["search", "create_issue", "get_issue"], "all pages in one");
    assert_eq!((&tools["resultType"], &tools["cacheScope"]), (&json!("complete"), &json!("private")));
    let legacy = scene.post(&eve, None, &request("tools/list", json!({}))).await.body["result"].clone();
    assert_eq!(legacy, json!({"tools": tools["tools"]}));
    let resources =
        scene.post(&eve, None, &request("resources/list", json!({}))).await.body["result"].clone();
    assert_eq!(resources, json!({"resources": []}), "a member's own documents stay the member's");
    let initialized = scene.initialize(&eve).await.body["result"].clone();
    assert_eq!(initialized["serverInfo"]["name"], "tracker", "{initialized}");
    assert_eq!(initialized["instructions"], "Track issues.");
    let discovered =
        scene.post(&eve, None, &modern("server/discover", json!({}))).await.body["result"].clone();
    assert_eq!(discovered["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "tracker", "{discovered}");
}

#[tokio::test]
async fn broken_requests_are_answered_in_json_rpc() {
    let scene = Scene::new().await;
    let handle = scene.handle(&scene.key).await;
    let ping = request("ping", json!({}));
    for broken in ["", "x", &handle[1..]] {
        let reply = scene.post(broken, None, &ping).await;
        assert_eq!((reply.status, reply.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("1")));
        assert_eq!(reply.body["error"]["data"]["reason"], "handle_outdated");
    }
    assert_eq!(scene.post(&handle, None, &ping).await.body["result"], json!({}));
    let send = async |method: Method, body: String| {
        let request =
            scene.service.filter.request(method, PATH).header("x-portcullis-handle", &handle).body(body);
        Reply::read(request.send().await.expect("a reply")).await
    };
    for (method, body, status, code) in [
        (Method::GET, String::new(), 405, json!(-32600)),
        (Method::DELETE, String::new(), 204, Value::Null),
        (Method::POST, "{".to_owned(), 400, json!(-32700)),
        (Method::POST, " ".repeat(4 * 1024 * 1024 + 1), 413, json!(-32600)),
    ] {
        let reply = send(method.clone(), body).await;
        assert_eq!((reply.status.as_u16(), &reply.body["error"]["code"]), (status, &code), "{method}");
    }
    scene.service.clock.advance(5 * 60_000);
    assert_eq!(
        scene.post(&handle, None, &ping).await.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "it has expired"
    );
}
