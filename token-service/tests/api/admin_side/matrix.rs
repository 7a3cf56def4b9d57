//! Every operation of the admin API against every role, from the served description: an operation that the table does
//! not name fails the test.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::world::{ROLES, Role, World, targets};

/// What each role gets, in the order of [`ROLES`]: anonymous, token, owner, admin, manager here, manager elsewhere,
/// oneself, fellow, member elsewhere. `.` is done, `u` 401, `x` 403, `-` 404, `?` 422 as for what does not exist.
type Expected = &'static str;

const OPEN: Expected = ".........";
const ANYBODY: Expected = "u........";
const ADMINS: Expected = "u...xxxxx";
const OWNERS: Expected = "u..xxxxxx";
/// An administrator's own row: nobody else knows of it.
const OWNERS_SECRETLY: Expected = "u..x-----";
const ADMINS_SECRETLY: Expected = "u...-----";
const SEEN_IN_WORKSPACE: Expected = "u....-..-";
const ADMINS_SEEN_IN_WORKSPACE: Expected = "u...x-xx-";
const MANAGERS: Expected = "u....-xx-";
const MANAGERS_AND_ONESELF: Expected = "u....-.--";
const MANAGERS_SECRETLY: Expected = "u....----";
const MANAGERS_SEEN_BY_ONESELF: Expected = "u....-x--";

/// One operation with a body that would do, on objects of `core` and of Ada.
struct Row {
    operation: &'static str,
    /// In place of the parameters of the path that have no object of their own, and a query.
    path: Option<String>,
    body: Option<Value>,
    expected: Expected,
}

fn row(operation: &'static str, expected: Expected) -> Row {
    Row { operation, path: None, body: None, expected }
}

impl Row {
    fn at(self, path: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    fn with(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }
}

fn table(ids: &BTreeMap<&'static str, String>) -> Vec<Row> {
    let mut rows = organization(ids);
    rows.extend(workspace(ids));
    rows.extend(own(ids));
    rows.extend(governance(ids));
    for (target, expected) in targets(ids).into_iter().zip([
        ADMINS,
        MANAGERS,
        MANAGERS_SEEN_BY_ONESELF,
        MANAGERS_SEEN_BY_ONESELF,
        MANAGERS_SECRETLY,
    ]) {
        rows.push(row("GET /v1/policies/{target}", expected).at(format!("/v1/policies/{target}")));
        let path = format!("/v1/policies/{target}/linear");
        let set = row("PUT /v1/policies/{target}/{server}", expected);
        rows.push(set.at(&path).with(json!({"tools": {"deny": ["x"]}})));
        rows.push(row("DELETE /v1/policies/{target}/{server}", expected).at(path));
        rows.push(row("GET /v1/limits/{target}", expected).at(format!("/v1/limits/{target}")));
        let path = format!("/v1/limits/{target}/writes");
        let set = row("PUT /v1/limits/{target}/{name}", expected);
        rows.push(set.at(&path).with(json!({"requests": 9, "per": "hour", "server": "linear"})));
        rows.push(row("DELETE /v1/limits/{target}/{name}", expected).at(path));
    }
    rows
}

fn organization(ids: &BTreeMap<&'static str, String>) -> Vec<Row> {
    let approvals = json!({"tools": [{"name": "search", "digest": ids["tool_digest"]}]});
    let server =
        json!({"slug": "new", "url": "https://mcp.example/mcp", "auth": {"type": "none"}, "workspaces": []});
    let administrator = json!({"issuer": "https://idp.example", "subject": "new", "role": "admin"});
    vec![
        row("GET /openapi.json", OPEN),
        row("GET /v1/me", ANYBODY),
        row("DELETE /v1/me/session", "u-......."),
        row("GET /v1/status", ADMINS),
        row("GET /v1/audit", ADMINS),
        // Everybody finds what they may see; see `records_are_found_by_whoever_may_see_them`.
        row("GET /v1/records", ANYBODY),
        row("GET /v1/records/download", ANYBODY),
        row("GET /v1/records/summary", ANYBODY),
        row("GET /v1/records/tail", ANYBODY).at("/v1/records/tail?wait=0"),
        row("GET /v1/issuers", ADMINS),
        row("GET /v1/presets", ADMINS),
        // Nothing answers there, which is only found out by who may ask.
        row("POST /v1/server-checks", "u???xxxxx").with(json!({"url": "https://127.0.0.1:9/mcp"})),
        row("GET /v1/oauth-clients", ADMINS),
        row("DELETE /v1/oauth-clients/{client}", ADMINS),
        row("GET /v1/signing-keys", ADMINS),
        row("POST /v1/signing-keys/rotate", ADMINS).at("/v1/signing-keys/rotate?replace=true"),
        row("GET /v1/data-keys", ADMINS),
        row("POST /v1/data-keys/rotate", ADMINS),
        row("GET /v1/administrators", ADMINS),
        row("POST /v1/administrators", OWNERS).with(administrator),
        row("GET /v1/administrators/{administrator}", ADMINS_SECRETLY),
        row("PATCH /v1/administrators/{administrator}", OWNERS_SECRETLY).with(json!({"name": "New"})),
        row("DELETE /v1/administrators/{administrator}", OWNERS_SECRETLY),
        row("GET /v1/servers", ANYBODY),
        row("POST /v1/servers", ADMINS).with(server),
        row("GET /v1/servers/{server}", SEEN_IN_WORKSPACE),
        row("PATCH /v1/servers/{server}", ADMINS_SEEN_IN_WORKSPACE).with(json!({"name": "New"})),
        row("DELETE /v1/servers/{server}", ADMINS_SEEN_IN_WORKSPACE),
        row("POST /v1/servers/{server}/quarantine", ADMINS_SEEN_IN_WORKSPACE)
            .with(json!({"decision": "discard"})),
        row("GET /v1/servers/{server}/workspaces", ADMINS_SEEN_IN_WORKSPACE),
        row("PUT /v1/servers/{server}/workspaces/{workspace}", ADMINS_SEEN_IN_WORKSPACE),
        row("DELETE /v1/servers/{server}/workspaces/{workspace}", ADMINS_SEEN_IN_WORKSPACE),
        row("GET /v1/servers/{server}/tools", MANAGERS),
        row("GET /v1/servers/{server}/tools/{tool}", MANAGERS).at("/v1/servers/linear/tools/search"),
        row("GET /v1/servers/{server}/prompts", MANAGERS),
        row("GET /v1/servers/{server}/resources", MANAGERS),
        row("POST /v1/servers/{server}/approvals", ADMINS_SEEN_IN_WORKSPACE).with(approvals),
        row("DELETE /v1/servers/{server}/approvals", ADMINS_SEEN_IN_WORKSPACE)
            .at("/v1/servers/linear/approvals?tool=fetch"),
        row("PATCH /v1/servers/{server}/workspaces/{workspace}", ADMINS_SEEN_IN_WORKSPACE)
            .with(json!({"members": "all"})),
        // Managers see those of their workspace; see `governance.rs`.
        row("GET /v1/servers/{server}/members", SEEN_IN_WORKSPACE),
        row("GET /v1/quarantines", ANYBODY),
        row("GET /v1/workspaces", ANYBODY),
        row("POST /v1/workspaces", ADMINS).with(json!({"slug": "new"})),
        row("GET /v1/connections", ADMINS),
    ]
}

fn workspace(ids: &BTreeMap<&'static str, String>) -> Vec<Row> {
    let member = json!({"issuer": "https://idp.example", "subject": "new"});
    let key = |member: Option<&String>| json!({"name": "New", "member": member});
    let keys = "/v1/workspaces/core/keys";
    vec![
        row("GET /v1/workspaces/{workspace}", SEEN_IN_WORKSPACE),
        row("PATCH /v1/workspaces/{workspace}", ADMINS_SEEN_IN_WORKSPACE).with(json!({"name": "New"})),
        row("DELETE /v1/workspaces/{workspace}", ADMINS_SEEN_IN_WORKSPACE),
        row("GET /v1/workspaces/{workspace}/members", MANAGERS),
        row("POST /v1/workspaces/{workspace}/members", MANAGERS).with(member),
        // Everybody sees their own; see `members_see_their_own_keys_only`.
        row("GET /v1/workspaces/{workspace}/keys", SEEN_IN_WORKSPACE),
        row("POST /v1/workspaces/{workspace}/keys", MANAGERS).with(key(None)),
        row("POST /v1/workspaces/{workspace}/keys", "u....-.?-").at(keys).with(key(Some(&ids["member"]))),
        row("GET /v1/connections", MANAGERS).at("/v1/connections?workspace=core"),
    ]
}

fn own(ids: &BTreeMap<&'static str, String>) -> Vec<Row> {
    let service_key = format!("/v1/keys/{}", ids["service_key"]);
    let shared = format!("/v1/connections/{}", ids["shared_connection"]);
    let of_ada = format!("/v1/connections?workspace=core&member={}", ids["member"]);
    vec![
        row("GET /v1/members/{member}", MANAGERS_AND_ONESELF),
        row("PATCH /v1/members/{member}", MANAGERS_SEEN_BY_ONESELF).with(json!({"name": "New"})),
        row("DELETE /v1/members/{member}", MANAGERS_SEEN_BY_ONESELF),
        row("GET /v1/members/{member}/connections", MANAGERS_AND_ONESELF),
        row("GET /v1/members/{member}/sessions", MANAGERS_AND_ONESELF),
        row("DELETE /v1/sessions/{session}", MANAGERS_AND_ONESELF),
        row("GET /v1/records/{record}", MANAGERS_AND_ONESELF),
        row("GET /v1/keys/{key}", MANAGERS_AND_ONESELF),
        row("PATCH /v1/keys/{key}", MANAGERS_AND_ONESELF).with(json!({"name": "New"})),
        row("DELETE /v1/keys/{key}", MANAGERS_AND_ONESELF),
        row("POST /v1/keys/{key}/rotate", MANAGERS_AND_ONESELF).with(json!({})),
        row("POST /v1/keys/{key}/rotate", MANAGERS_SECRETLY)
            .at(format!("{service_key}/rotate"))
            .with(json!({})),
        row("GET /v1/keys/{key}", MANAGERS_SECRETLY).at(&service_key),
        row("PATCH /v1/keys/{key}", MANAGERS_SECRETLY).at(&service_key).with(json!({"name": "New"})),
        row("DELETE /v1/keys/{key}", MANAGERS_SECRETLY).at(&service_key),
        row("GET /v1/connections", MANAGERS_AND_ONESELF).at(of_ada),
        row("GET /v1/connections/{connection}", MANAGERS_AND_ONESELF),
        row("DELETE /v1/connections/{connection}", MANAGERS_AND_ONESELF),
        row("GET /v1/connections/{connection}", ADMINS_SECRETLY).at(&shared),
        row("DELETE /v1/connections/{connection}", ADMINS_SECRETLY).at(&shared),
    ]
}

fn governance(ids: &BTreeMap<&'static str, String>) -> Vec<Row> {
    let asked = |caller: Value| json!({"caller": caller, "server": "linear", "tool": "search"});
    let explain = |caller: Value, expected| row("POST /v1/explain", expected).with(asked(caller));
    let mut rows = vec![
        explain(json!({"member": ids["member"]}), MANAGERS_SEEN_BY_ONESELF),
        explain(json!({"key": ids["key"]}), MANAGERS_SEEN_BY_ONESELF),
        explain(json!({"key": ids["service_key"]}), MANAGERS_SECRETLY),
        explain(json!({"session": ids["session"]}), MANAGERS_SEEN_BY_ONESELF),
        explain(json!({"issuer": "i", "subject": "s", "workspace": "core"}), MANAGERS),
        explain(json!({"issuer": "i", "subject": "s"}), ADMINS),
        row("PUT /v1/servers/{server}/members/{member}", MANAGERS_SEEN_BY_ONESELF)
            .with(json!({"access": "allow"})),
        row("DELETE /v1/servers/{server}/members/{member}", MANAGERS_SEEN_BY_ONESELF),
    ];
    for (target, expected) in [
        (format!("member:{}", ids["member"]), MANAGERS_SEEN_BY_ONESELF),
        (format!("key:{}", ids["key"]), MANAGERS_SEEN_BY_ONESELF),
        (format!("key:{}", ids["service_key"]), MANAGERS_SECRETLY),
        ("server:linear".to_owned(), ADMINS_SEEN_IN_WORKSPACE),
    ] {
        let path = format!("/v1/quarantines/{target}");
        rows.push(row("GET /v1/quarantines/{target}", expected).at(&path));
        let set = row("PUT /v1/quarantines/{target}", expected).at(&path);
        rows.push(set.with(json!({"reason": "an emergency"})));
        rows.push(row("DELETE /v1/quarantines/{target}", expected).at(path));
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_against_every_role() {
    let mut world = World::start().await;
    let rows = table(&world.ids);
    let named: BTreeSet<String> = rows.iter().map(|row| row.operation.to_owned()).collect();
    assert_eq!(named, described(&world).await, "the table names every operation, and no other");
    let mut wrong = Vec::new();
    for position in 0..rows.len() {
        for (number, role) in ROLES.into_iter().enumerate() {
            // The ids differ from world to world.
            let mut row = table(&world.ids).swap_remove(position);
            row.body = row.body.map(|body| named_anew(&body, number));
            let expected = row.expected.chars().nth(number).expect("one for each role");
            let (found, changed) = attempt(&world, role, &row).await;
            if found != expected {
                wrong.push(format!("{role:?}: {} {:?}: {found} for {expected}", row.operation, row.path));
            }
            if changed {
                undo(&mut world, role, &row).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What each of the roles makes has a name of its own.
fn named_anew(body: &Value, number: usize) -> Value {
    serde_json::from_str(&body.to_string().replace("\"new\"", &format!("\"new-{number}\""))).expect("JSON")
}

/// So that the next role finds what this one has deleted.
async fn undo(world: &mut World, role: Role, row: &Row) {
    let restored = match row.operation {
        "DELETE /v1/me/session" => return world.sign_in_again(role).await,
        "DELETE /v1/policies/{target}/{server}" => Some(json!({})),
        "DELETE /v1/limits/{target}/{name}" => Some(json!({"requests": 9, "per": "hour"})),
        "DELETE /v1/servers/{server}/workspaces/{workspace}" => Some(Value::Null),
        "POST /v1/data-keys/rotate" => {
            // It seals before there may be another.
            world.service.clock.advance(15_000);
            return world.service.shared().keep_data_keys().await.expect("activates it");
        }
        "PUT /v1/quarantines/{target}" => {
            assert!(world.service.delete(&path(world, row)).await.status.is_success());
            return;
        }
        "DELETE /v1/servers/{server}/members/{member}" => Some(json!({"access": "allow"})),
        operation if operation.starts_with("DELETE ") => None,
        _ => return,
    };
    match restored {
        Some(body) => {
            let path = path(world, row);
            assert!(world.service.put(&path, body).await.status.is_success(), "{path}");
        }
        None => *world = World::start().await,
    }
}

fn path(world: &World, row: &Row) -> String {
    let (_, template) = row.operation.split_once(' ').expect("an operation");
    row.path.clone().unwrap_or_else(|| filled(template, &world.ids))
}

/// What this role gets, and whether anything has changed by it.
async fn attempt(world: &World, role: Role, row: &Row) -> (char, bool) {
    let (method, _) = row.operation.split_once(' ').expect("an operation");
    let (method, path): (Method, String) = (method.parse().expect("a method"), path(world, row));
    let before = world.service.revision().await;
    let reply = world.ask(role, method.clone(), &path, row.body.as_ref()).await;
    let letter = match reply.status {
        StatusCode::UNAUTHORIZED => 'u',
        StatusCode::FORBIDDEN => 'x',
        StatusCode::NOT_FOUND => '-',
        StatusCode::UNPROCESSABLE_ENTITY => '?',
        status if status.is_success() => '.',
        other => panic!("{role:?} {} {path}: {other} {}", row.operation, reply.text),
    };
    let changed = world.service.revision().await != before;
    assert!(letter == '.' || !changed, "{role:?} {} was refused and has changed something", row.operation);
    // An object that is hidden looks like one that is not there, to the letter.
    if letter == '-' && role != Role::AdminToken {
        let nothing = missing(&path, &world.ids);
        let other = world.ask(role, method.clone(), &nothing, row.body.as_ref()).await;
        assert_eq!((other.status, &other.text), (reply.status, &reply.text), "{role:?} {nothing}");
    }
    let ended = row.operation == "DELETE /v1/me/session" && letter == '.';
    (letter, changed || ended)
}

/// With the ids of the world's objects.
fn filled(template: &str, ids: &BTreeMap<&'static str, String>) -> String {
    ids.iter().fold(template.to_owned(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id))
}

/// The same path with ids of nothing.
fn missing(path: &str, ids: &BTreeMap<&'static str, String>) -> String {
    let mut path = path.replace("/linear", "/no-such").replace("/core", "/no-such");
    // With a member named besides, it is the member who is hidden.
    if !path.contains("member=") {
        path = path.replace("=core", "=no-such");
    }
    for (name, id) in ids {
        let other = match *name {
            "key" | "service_key" => "AAAAAAAAAA".to_owned(),
            _ => format!("{}{}", &id[..4], "0".repeat(id.len() - 4)),
        };
        path = path.replace(id, &other);
    }
    path
}

async fn described(world: &World) -> BTreeSet<String> {
    let document = world.service.get("/openapi.json").await.body;
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("an item").keys() {
            operations.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    operations
}

#[tokio::test]
async fn lists_hold_what_the_caller_may_see() {
    let world = World::start().await;
    world.service.post("/v1/workspaces", json!({"slug": "empty"})).await;
    for (role, workspaces, servers) in [
        (Role::AdminToken, &["core", "empty", "sales"][..], &["linear"][..]),
        (Role::Owner, &["core", "empty", "sales"], &["linear"]),
        (Role::Admin, &["core", "empty", "sales"], &["linear"]),
        (Role::ManagerHere, &["core"], &["linear"]),
        (Role::Oneself, &["core"], &["linear"]),
        (Role::ManagerElsewhere, &["sales"], &[]),
        (Role::MemberElsewhere, &["sales"], &[]),
    ] {
        let slugs = async |path: &str, list: &str| -> Vec<String> {
            let reply = world.ask(role, Method::GET, path, None).await;
            let items = reply.body[list].as_array().expect("a list").iter();
            items.map(|item| item["slug"].as_str().expect("a slug").to_owned()).collect()
        };
        assert_eq!(slugs("/v1/workspaces", "workspaces").await, workspaces, "{role:?}");
        assert_eq!(slugs("/v1/servers", "servers").await, servers, "{role:?}");
    }
    // Members see where to call a server, and not how it is authorised.
    for role in [Role::Oneself, Role::ManagerHere] {
        let shown = world.ask(role, Method::GET, "/v1/servers/linear", None).await.body;
        assert_eq!(shown["mcp_url"], "http://127.0.0.1:10000/linear/mcp");
        assert!(shown["auth"].is_null() && shown["url"].is_null(), "{shown}");
    }
}

#[tokio::test]
async fn members_see_their_own_keys_only() {
    let world = World::start().await;
    let path = "/v1/workspaces/core/keys";
    for (role, count) in [(Role::Oneself, 1), (Role::Fellow, 0), (Role::ManagerHere, 2), (Role::Admin, 2)] {
        let keys = world.ask(role, Method::GET, path, None).await.body;
        assert_eq!(keys["keys"].as_array().map(Vec::len), Some(count), "{role:?}: {keys}");
    }
}

#[tokio::test]
async fn records_are_found_by_whoever_may_see_them() {
    let world = World::start().await;
    for (role, count) in [
        (Role::AdminToken, 1),
        (Role::Admin, 1),
        (Role::ManagerHere, 1),
        (Role::Oneself, 1),
        (Role::Fellow, 0),
        (Role::ManagerElsewhere, 0),
        (Role::MemberElsewhere, 0),
    ] {
        let ask = async |path: String| world.ask(role, Method::GET, &path, None).await;
        let list = ask("/v1/records".into()).await.body;
        assert_eq!(list["records"].as_array().map(Vec::len), Some(count), "{role:?}: {list}");
        // Nor does a filter tell that there is something.
        let filtered = ask(format!("/v1/records?caller={}", world.ids["member"])).await.body;
        assert_eq!(filtered["records"].as_array().map(Vec::len), Some(count), "{role:?}: {filtered}");
        let news = ask("/v1/records/tail?after=0&wait=0".into()).await.body;
        assert_eq!(news["records"].as_array().map(Vec::len), Some(count), "{role:?}: {news}");
        let lines = ask("/v1/records/download".into()).await.text;
        assert_eq!(lines.lines().count(), count, "{role:?}: {lines}");
        let summary = ask("/v1/records/summary".into()).await.body;
        assert_eq!(summary["total"]["requests"], json!(count), "{role:?}: {summary}");
    }
}
