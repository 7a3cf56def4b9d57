//! A21: what clients read first, and which web pages may.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::stand::{Stand, send};
use crate::browser::GATEWAY;
use crate::harness::Service;

const DOCUMENTS: [&str; 5] = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource/open/mcp",
    "/.well-known/oauth-protected-resource/core/open/mcp",
    "/oauth/jwks",
];

#[tokio::test]
async fn the_server_describes_itself() {
    let stand = Stand::start().await;
    let metadata = stand.get(DOCUMENTS[0]).await;
    assert_eq!(metadata.header("content-type"), Some("application/json"));
    assert_eq!(stand.get(DOCUMENTS[1]).await.body, metadata.body);
    let at = |path: &str| json!(format!("{GATEWAY}{path}"));
    for (member, value) in [
        ("issuer", json!(GATEWAY)),
        ("authorization_endpoint", at("/oauth/authorize")),
        ("token_endpoint", at("/oauth/token")),
        ("registration_endpoint", at("/oauth/register")),
        ("revocation_endpoint", at("/oauth/revoke")),
        ("jwks_uri", at("/oauth/jwks")),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("authorization_response_iss_parameter_supported", json!(true)),
        ("client_id_metadata_document_supported", json!(true)),
        ("scopes_supported", json!(["mcp:read", "mcp:write"])),
        ("grant_types_supported", json!(["authorization_code", "refresh_token"])),
    ] {
        assert_eq!(metadata.body[member], value, "{member}");
    }
    // Without registration nothing of it is offered or there.
    let service = Service::start("").await;
    let url = format!("{}{}", service.addresses.public, DOCUMENTS[0]);
    let metadata = send(stand.http.get(url)).await;
    assert_eq!(metadata.body.get("registration_endpoint"), None);
    let register = stand.http.post(format!("{}/oauth/register", service.addresses.public));
    let reply = send(register.json(&json!({"redirect_uris": ["https://app.example/cb"]}))).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_path_of_a_server_is_a_resource_whether_there_is_one_or_not() {
    let stand = Stand::start().await;
    for path in ["open", "core/open", "no-such-server", "no-such-workspace/no-such-server"] {
        let reply = stand.get(&format!("/.well-known/oauth-protected-resource/{path}/mcp")).await;
        assert_eq!(
            reply.body,
            json!({
                "resource": format!("{GATEWAY}/{path}/mcp"),
                "authorization_servers": [GATEWAY],
                "scopes_supported": ["mcp:read", "mcp:write"],
                "bearer_methods_supported": ["header"],
            })
        );
    }
    for path in ["", "/", "/mcp", "/Open/mcp", "/oauth/mcp", "/a/b/c/mcp", "/open/mcp/", "/open", "/a_b/mcp"]
    {
        let reply = stand.get(&format!("/.well-known/oauth-protected-resource{path}")).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn no_header_changes_who_we_are() {
    let stand = Stand::start().await;
    for document in DOCUMENTS {
        let expected = stand.get(document).await.text;
        for (name, value) in [
            ("host", "evil.example"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/evil"),
            ("forwarded", "host=evil.example;proto=https"),
            ("x-original-url", "/evil"),
        ] {
            let reply = send(stand.request(Method::GET, document).header(name, value)).await;
            assert_eq!(reply.text, expected, "{document} with {name}");
        }
    }
}

#[tokio::test]
async fn documents_are_for_every_web_page_and_tokens_for_listed_ones() {
    let stand = Stand::start().await;
    let asked = |method: Method, path: &str, origin: &str| {
        let request = stand.request(method, path).header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        send(request.header("access-control-request-headers", "mcp-protocol-version,content-type"))
    };
    let allowed = "access-control-allow-origin";
    for document in DOCUMENTS {
        for method in [Method::GET, Method::OPTIONS] {
            let reply = asked(method, document, "https://anywhere.example").await;
            assert_eq!((reply.status, reply.header(allowed)), (StatusCode::OK, Some("*")), "{document}");
            assert_eq!(reply.header("access-control-allow-credentials"), None);
        }
        let preflight = asked(Method::OPTIONS, document, "https://anywhere.example").await;
        assert_eq!(preflight.header("access-control-allow-headers"), Some("mcp-protocol-version"));
    }
    for endpoint in ["/oauth/token", "/oauth/revoke", "/oauth/register"] {
        for method in [Method::POST, Method::OPTIONS] {
            let listed = asked(method.clone(), endpoint, "https://inspector.example").await;
            assert_eq!(listed.header(allowed), Some("https://inspector.example"), "{endpoint}");
            assert_eq!(listed.header("access-control-allow-credentials"), None);
            for origin in [
                "https://evil.example",
                "null",
                "https://inspector.example.evil.example",
                "http://inspector.example",
            ] {
                let other = asked(method.clone(), endpoint, origin).await;
                assert_eq!(other.header(allowed), None, "{endpoint} for {origin}");
            }
        }
    }
    for page in ["/oauth/authorize", "/oauth/consent", "/oauth/introspect", "/connections"] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let reply = asked(method, page, "https://inspector.example").await;
            assert_eq!(reply.header(allowed), None, "{page}");
        }
    }
}
