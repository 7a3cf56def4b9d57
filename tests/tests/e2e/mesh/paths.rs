//! What is no address of an MCP server, and what a client says that only the filter may say.

use portcullis_tests::mesh::Mesh;
use portcullis_tests::raw::{RawConnection, RawResponse};
use portcullis_tests::stack::Stack;
use serde_json::Value;

use super::stack;

/// By which the filter asks the token-service, and its route goes by.
const SERVICE: &str = "portcullis.portcullis.svc.cluster.local";

#[tokio::test]
async fn istio_by_wasm_plugin() {
    tell(Mesh::IstioStream).await;
}

#[tokio::test]
async fn istio_by_envoy_filter() {
    tell(Mesh::IstioHold).await;
}

#[tokio::test]
async fn envoy_gateway() {
    tell(Mesh::EnvoyGateway).await;
}

async fn tell(mesh: Mesh) {
    let Some(stack) = stack(mesh, Vec::new()).await else { return };
    pages_pass(&stack).await;
    other_paths_lead_nowhere(&stack).await;
    nobody_but_the_filter_releases(&stack).await;
    assert!(stack.filter_never_trapped().await);
}

async fn get(stack: &Stack, path: &str, headers: &[(&str, &str)]) -> RawResponse {
    let gateway = stack.gateway.to_string();
    let host = headers.iter().find(|(name, _)| *name == "host").map_or(&*gateway, |(_, value)| value);
    let others = headers.iter().filter(|(name, _)| *name != "host");
    let lines: Vec<String> = others.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let lines = lines.concat();
    let mut connection = RawConnection::open(stack.gateway).await;
    connection.send(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n").as_bytes()).await;
    connection.response().await.expect("an answer")
}

async fn pages_pass(stack: &Stack) {
    // With what a client has no business to say, too.
    for headers in [&[][..], &[("x-portcullis-upstream", "plain")], &[("x-portcullis-handle", "h")]] {
        let metadata = get(stack, "/.well-known/oauth-authorization-server", headers).await;
        assert_eq!(metadata.status, 200, "{metadata:?}");
        let metadata: Value = serde_json::from_slice(&metadata.body).expect("JSON");
        assert_eq!(metadata["issuer"], stack.public_url());
        assert_eq!(get(stack, "/sign-in", headers).await.status, 200);
    }
}

async fn other_paths_lead_nowhere(stack: &Stack) {
    for path in ["/", "/nothing", "/livez", "/v1/leases", "/journal", "/connectx"] {
        let reply = get(stack, path, &[]).await;
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
    }
}

/// Straight to the internal listener or a server, as if the filter had released it.
async fn nobody_but_the_filter_releases(stack: &Stack) {
    let server = format!("localhost:{}", stack.sample.address().port());
    for (host, released, path) in
        [(SERVICE, "service", "/livez"), (SERVICE, "service", "/metrics"), (&*server, "plain", "/journal")]
    {
        let reply = get(stack, path, &[("host", host), ("x-portcullis-upstream", released)]).await;
        assert_eq!(reply.status, 404, "{host} {path}: {reply:?}");
    }
    // It is there, for those who are let through.
    for url in [format!("{}/livez", stack.service.internal_url()), format!("http://{server}/journal")] {
        let there = portcullis_tests::http::client().build().expect("a client").get(&url).send().await;
        assert_eq!(there.expect("an answer").status(), 200, "{url}");
    }

    stack.sample.journal.clear();
    for host in [stack.gateway.to_string(), server] {
        let reply = get(stack, "/sample/mcp", &[("host", &host), ("x-portcullis-upstream", "plain")]).await;
        // Envoy Gateway shows the filter only what some route matches.
        assert!(matches!(reply.status, 401 | 404 | 421), "{host}: {reply:?}");
    }
    assert!(stack.sample.journal.entries().is_empty());
}
