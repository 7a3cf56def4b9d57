//! Servers that want OAuth: registering, changing, showing and declaring them. Their secrets stay where they are.

use insta::assert_snapshot;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{CANARY, Service};

const WORKSPACE: &str = "workspaces: [{slug: core}]\n";

fn crm() -> Value {
    json!({
        "slug": "crm",
        "url": "https://mcp.crm.example/mcp",
        "auth": {
            "type": "oauth",
            "client": {"id": "portcullis", "secret": "hunter2", "method": "client_secret_post"},
            "scopes": ["contacts.read"],
            "authorize_parameters": {"prompt": "consent"},
            "authorization_server": {"issuer": "https://login.crm.example"},
        },
        "workspaces": ["core"],
    })
}

/// The generation of the client's secret after this change, or why there was none.
async fn change(service: &Service, body: Value) -> Value {
    let reply = service.patch("/v1/servers/crm", body).await;
    assert!(!reply.text.contains("hunter"), "{}", reply.text);
    if reply.status == StatusCode::OK {
        reply.body["auth"]["client"]["generation"].clone()
    } else {
        reply.body["problems"][0]["field"].clone()
    }
}

#[tokio::test]
async fn a_server_that_members_connect_to() {
    let service = Service::start(WORKSPACE).await;
    let made = service.post("/v1/servers", crm()).await;
    assert_snapshot!(made.shown(), @r#"
    201 Created
    {
      "auth": {
        "authorization_server": {
          "issuer": "https://login.crm.example"
        },
        "authorize_parameters": {
          "prompt": "consent"
        },
        "callback_url": "http://127.0.0.1:10000/callback/srv_1",
        "client": {
          "generation": 1,
          "id": "portcullis",
          "method": "client_secret_post"
        },
        "scopes": [
          "contacts.read"
        ],
        "type": "oauth"
      },
      "id": "srv_1",
      "name": "crm",
      "origin": "api",
      "payload": "redacted",
      "payload_limit": 4096,
      "provision_new_workspaces": false,
      "revision": 2,
      "slug": "crm",
      "url": "https://mcp.crm.example/mcp"
    }
    "#);
    assert!(!made.text.contains("hunter2"));
    assert_eq!(service.get("/v1/servers/crm").await.body, made.body);
    assert_eq!(service.delete("/v1/servers/crm").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_preset_fills_what_is_not_given() {
    let service = Service::start(WORKSPACE).await;
    let body = |auth: Value| json!({"slug": "s", "auth": auth, "workspaces": "all"});
    let linear = service.post("/v1/servers", body(json!({"type": "oauth", "preset": "linear"}))).await;
    assert_eq!(linear.body["url"], "https://mcp.linear.app/mcp", "{}", linear.text);
    assert_eq!(service.delete("/v1/servers/s").await.status, StatusCode::NO_CONTENT);

    let client = json!({"id": "a.apps.example", "secret": "hunter2"});
    let gmail = json!({"type": "oauth", "preset": "google-gmail", "client": client});
    assert_snapshot!(service.post("/v1/servers", body(gmail)).await.shown(), @r#"
    201 Created
    {
      "auth": {
        "authorization_server": {
          "issuer": "https://accounts.google.com"
        },
        "authorize_parameters": {
          "access_type": "offline",
          "prompt": "consent"
        },
        "callback_url": "http://127.0.0.1:10000/callback/srv_1",
        "client": {
          "generation": 1,
          "id": "a.apps.example",
          "method": "client_secret_post"
        },
        "preset": "google-gmail",
        "scopes": [
          "https://www.googleapis.com/auth/gmail.readonly",
          "https://www.googleapis.com/auth/gmail.compose"
        ],
        "type": "oauth"
      },
      "id": "srv_1",
      "name": "s",
      "origin": "api",
      "payload": "redacted",
      "payload_limit": 4096,
      "provision_new_workspaces": true,
      "revision": 4,
      "slug": "s",
      "url": "https://gmailmcp.googleapis.com/mcp/v1"
    }
    "#);

    for (auth, field) in [
        (json!({"type": "oauth", "preset": "github"}), "auth.client"),
        (json!({"type": "oauth", "preset": "liner"}), "auth.preset"),
        (json!({"type": "oauth"}), "url"),
    ] {
        let refused = service.post("/v1/servers", body(auth)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(refused.body["problems"].as_array().map(Vec::len), Some(1), "{}", refused.text);
        assert_eq!(refused.body["problems"][0]["field"], field);
    }

    let presets = service.get("/v1/presets").await.body;
    let names: Vec<&Value> =
        presets["presets"].as_array().expect("presets").iter().map(|preset| &preset["name"]).collect();
    assert!(names.len() >= 7 && names.contains(&&json!("slack")), "{names:?}");
}

#[tokio::test]
async fn all_faults_of_an_authorization_are_named() {
    let service = Service::start(WORKSPACE).await;
    let reply = service
        .post(
            "/v1/servers",
            json!({
                "slug": "crm",
                "url": "https://mcp.crm.example/mcp",
                "auth": {
                    "type": "client_credentials",
                    "client": {"id": "a b", "secret": "hunter2\n", "private_key": "hunter3"},
                    "scopes": ["a b"],
                    "token_parameters": {"grant_type": "password"},
                    "authorization_server": {"issuer": "http://crm.example", "revocation_endpoint": "x"},
                },
                "workspaces": "all",
            }),
        )
        .await;
    assert_snapshot!(reply.shown(), @r#"
    422 Unprocessable Entity
    {
      "detail": "9 faults; see `problems`",
      "problems": [
        {
          "field": "auth.scopes[0]",
          "problem": "a scope has 1 to 256 visible ASCII characters, none of them a quote, a backslash or a space",
          "remedy": "write each scope as the provider spells it"
        },
        {
          "field": "auth.token_parameters.grant_type",
          "problem": "this parameter belongs to OAuth itself and is set by the gateway",
          "remedy": "leave it out, or give it by its own setting if there is one"
        },
        {
          "field": "auth.authorization_server.issuer",
          "problem": "it must be an https URL (http for a loopback host) without user name, password, query or fragment",
          "remedy": "write it byte for byte as the provider's metadata have it"
        },
        {
          "field": "auth.authorization_server.token_endpoint",
          "problem": "is missing next to the other endpoints",
          "remedy": "give it too, or give the issuer alone to have its metadata read"
        },
        {
          "field": "auth.authorization_server.revocation_endpoint",
          "problem": "it must be an https URL (http for a loopback host) without user name, password or fragment",
          "remedy": "write the provider's https URL"
        },
        {
          "field": "auth.client.id",
          "problem": "it has 1 to 2048 visible ASCII characters",
          "remedy": "copy it from the provider's settings"
        },
        {
          "field": "auth.client.secret",
          "problem": "a client secret has 1 to 16384 ASCII characters, none of them a control character, and no space at its ends",
          "remedy": "copy it from the provider's settings"
        },
        {
          "field": "auth.client.private_key",
          "problem": "this is not the private key of a P-256, RSA (2048 bits or more) or Ed25519 key pair in PEM",
          "remedy": "give it in PEM as PKCS #8, such as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes it"
        },
        {
          "field": "auth.client.private_key",
          "problem": "the method has no use for a private key",
          "remedy": "remove it, or write method: private_key_jwt"
        }
      ],
      "status": 422,
      "title": "The request has faults",
      "type": "urn:portcullis:problem:invalid-request"
    }
    "#);
    assert!(!reply.text.contains("hunter"));
}

#[tokio::test]
async fn a_client_secret_stays_where_it_was_given_for() {
    let service = Service::start(WORKSPACE).await;
    service.post("/v1/servers", crm()).await;
    let auth = || crm()["auth"].clone();
    let without_secret = |change: &dyn Fn(&mut Value)| {
        let mut auth = auth();
        auth["client"].as_object_mut().expect("a client").remove("secret");
        change(&mut auth);
        json!({"auth": auth})
    };
    let secret = json!("auth.client.secret");

    assert_eq!(change(&service, json!({"auth": auth()})).await, 1, "the same value again changes nothing");
    assert_eq!(change(&service, without_secret(&|_| {})).await, 1);
    let other_scopes = without_secret(&|auth| auth["scopes"] = json!(["contacts.write"]));
    assert_eq!(change(&service, other_scopes).await, 1);
    let no_method = without_secret(&|auth| {
        auth["client"].as_object_mut().expect("a client").remove("method");
    });
    assert_eq!(change(&service, no_method).await, 1);

    // Each of these decides where the secret is sent.
    let other_client = without_secret(&|auth| auth["client"]["id"] = json!("other"));
    assert_eq!(change(&service, other_client).await, secret);
    let evil = json!({"issuer": "https://evil.example"});
    let other_issuer = without_secret(&|auth| auth["authorization_server"] = evil.clone());
    assert_eq!(change(&service, other_issuer).await, secret);
    let discovered = without_secret(&|auth| {
        auth.as_object_mut().expect("an auth").remove("authorization_server");
    });
    assert_eq!(change(&service, discovered).await, secret);
    let mut elsewhere = without_secret(&|_| {});
    elsewhere["url"] = json!("https://evil.example/mcp");
    assert_eq!(change(&service, elsewhere).await, secret);
    assert_eq!(change(&service, json!({"url": "https://evil.example/mcp"})).await, "auth");

    // A secret is no private key, and the other way round.
    let as_key = without_secret(&|auth| auth["client"]["method"] = json!("private_key_jwt"));
    assert_eq!(change(&service, as_key).await, "auth.client.private_key");

    let mut other = json!({"auth": auth()});
    other["auth"]["client"]["secret"] = json!("hunter3");
    assert_eq!(change(&service, other).await, 2);
    let mut moved = json!({"auth": auth(), "url": "https://mcp.crm.example:8443/mcp"});
    moved["auth"]["client"]["secret"] = json!("hunter3");
    assert_eq!(change(&service, moved).await, 3);
    let public = json!({"auth": {"type": "oauth", "client": {"id": "portcullis", "method": "none"}}});
    assert_eq!(change(&service, public).await, Value::Null);
}

#[tokio::test]
async fn a_service_key_cannot_connect_an_account() {
    let service = Service::start(WORKSPACE).await;
    service.post("/v1/servers", crm()).await;
    let (key, _) = service.service_key("core").await;
    let lease = service.lease_with_key("crm", &key).await;
    let told = (&lease.body["reason"], &lease.body["because"]);
    assert_eq!(told, (&json!("member_required"), &json!("server/account")));
}

const DECLARED: &str = "
workspaces: [{slug: core}]
servers:
  - slug: crm
    url: https://mcp.crm.example/mcp
    auth:
      type: oauth
      client: {id: portcullis, secret: {env: CANARY}}
      scopes: [contacts.read]
    workspaces: all
  - slug: warehouse
    url: https://warehouse.example/mcp
    auth:
      type: client_credentials
      client: {id: portcullis, secret: {env: CANARY}}
      token_parameters: {audience: warehouse}
      authorization_server: {issuer: https://login.example, token_endpoint: https://login.example/token}
    workspaces: all
  - slug: notion
    auth: {type: oauth, preset: notion}
    workspaces: all
";

#[tokio::test]
async fn declared_servers_apply_again_without_a_change() {
    let service = Service::start(DECLARED).await;
    let (revision, servers) = (service.revision().await, service.get("/v1/servers").await);
    assert!(!servers.text.contains(CANARY));
    let directory = service.stop().await;
    let service = Service::start_in(directory, DECLARED).await.expect("starts again");
    assert_eq!(service.revision().await, revision);
    assert_eq!(service.get("/v1/servers").await.body, servers.body);

    let moved = DECLARED.replace("https://login.example/token", "https://login.example/oauth/token");
    service.directory().configure(&moved);
    assert_eq!(service.watch("vm-1", revision).await.body["cursor"], revision + 1);
    let warehouse = service.get("/v1/servers/warehouse").await.body;
    assert_eq!(warehouse["auth"]["client"]["generation"], 2, "sealed anew for where it goes now");
    assert_eq!(service.get("/v1/servers/crm").await.body["auth"]["client"]["generation"], 1);
}
