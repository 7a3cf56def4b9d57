//! Everywhere that something is kept or shown.

use std::fs;
use std::path::Path;

use portcullis_tests::canaries::Place;
use portcullis_tests::process::Process;
use portcullis_tests::stack::Stack;
use serde_json::Value;

/// What Envoy's admin interface shows.
const ENVOY: [&str; 15] = [
    "/config_dump?include_eds",
    "/stats",
    "/stats?format=json",
    "/stats/prometheus",
    "/clusters",
    "/clusters?format=json",
    "/certs",
    "/listeners",
    "/server_info",
    "/memory",
    "/runtime",
    "/init_dump",
    "/contention",
    "/ready",
    "/",
];

/// What the token-service's other listeners show to whoever asks without a credential.
const INTERNAL: [&str; 4] = ["/livez", "/readyz", "/metrics", "/v1/watch?cursor=0&filter=search"];

/// Files of the database, logs, configuration.
pub(super) fn files(directory: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            places.extend(files(&path));
        } else {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            places.push(Place::new(format!("file {name}"), fs::read(&path).expect("readable")));
        }
    }
    places
}

/// How the programs were started.
pub(super) fn processes(stack: &Stack) -> Vec<Place> {
    let of = |process: &Process| {
        ["cmdline", "environ"].map(|what| {
            let path = format!("/proc/{}/{what}", process.id());
            Place::new(format!("{what} of {}", process.name()), fs::read(path).expect("readable"))
        })
    };
    [of(&stack.service.process), of(&stack.envoy.process)].concat()
}

pub(super) async fn listeners(stack: &Stack) -> Vec<Place> {
    let mut places = Vec::new();
    for path in ENVOY {
        let url = format!("{}{path}", stack.envoy.admin_url);
        places.push(Place::new(format!("Envoy {path}"), get(&url, None).await));
    }
    for path in INTERNAL {
        let url = format!("{}{path}", stack.service.internal_url());
        places.push(Place::new(format!("internal {path}"), get(&url, None).await));
    }
    for path in admin_paths(stack).await {
        let url = format!("{}{path}", stack.admin().url());
        let answer = get(&url, Some(stack.admin().token())).await;
        places.push(Place::new(format!("admin API {path}"), answer));
    }
    places
}

/// Each path of the description that can be read, for each object that there is.
async fn admin_paths(stack: &Stack) -> Vec<String> {
    let admin = stack.admin();
    let description = admin.get("/openapi.json").await.expect("the description");
    let connections = admin.get("/v1/connections").await.expect("connections");
    let connections = connections["connections"].as_array().expect("a list").iter();
    let connections: Vec<String> =
        connections.map(|connection| connection["id"].as_str().expect("an id").to_owned()).collect();
    let administrators = admin.get("/v1/administrators").await.expect("administrators");
    let administrators = administrators["administrators"].as_array().expect("a list").iter();
    let administrators: Vec<String> =
        administrators.map(|one| one["id"].as_str().expect("an id").to_owned()).collect();
    let records = admin.get("/v1/records?limit=1000").await.expect("records");
    let records = records["records"].as_array().expect("a list").iter();
    let records: Vec<String> =
        records.map(|record| record["id"].as_str().expect("an id").to_owned()).collect();
    let seeded = &stack.seeded;
    let members: Vec<String> =
        [&seeded.member].into_iter().chain(seeded.others.iter().map(|other| &other.id)).cloned().collect();
    let values = |parameter: &str| match parameter {
        "server" => seeded.servers.clone(),
        "workspace" => vec![seeded.workspace.clone()],
        "member" => members.clone(),
        "key" => vec![seeded.key.id.clone()],
        "connection" => connections.clone(),
        "administrator" => administrators.clone(),
        "record" => records.clone(),
        "target" => vec!["organization".to_owned(), format!("workspace:{}", seeded.workspace)],
        other => panic!("what is {other}?"),
    };
    let mut paths = Vec::new();
    for (path, item) in description["paths"].as_object().expect("paths") {
        if item["get"] == Value::Null {
            continue;
        }
        match path.split_once('{') {
            None => paths.push(path.clone()),
            Some((before, rest)) => {
                let (parameter, after) = rest.split_once('}').expect("an end");
                paths.extend(values(parameter).iter().map(|value| format!("{before}{value}{after}")));
            }
        }
    }
    paths
}

async fn get(url: &str, token: Option<&str>) -> Vec<u8> {
    let client = portcullis_tests::http::client().build().expect("a client");
    let mut request = client.get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let reply = request.send().await.expect("a reply");
    let head = format!("{}\n", reply.status()).into_bytes();
    [head, reply.bytes().await.expect("a body").to_vec()].concat()
}
