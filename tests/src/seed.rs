//! Fills an empty gateway through the admin API: a workspace, a member, an API key, servers, policies.

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::admin::Admin;

/// Who Ada is to the identity provider.
pub const ISSUER: &str = "https://idp.example";
pub const SUBJECT: &str = "ada";

/// A server to register.
#[derive(Clone, Debug)]
pub struct Server {
    pub slug: &'static str,
    pub url: String,
    /// Credential headers; none means that the server wants no credential.
    pub headers: Vec<(&'static str, String)>,
    pub allowed_tool: &'static str,
    pub denied_tool: &'static str,
    /// What the workspace's policy takes away besides the tool.
    pub denied_prompts: Vec<&'static str>,
    pub denied_resources: Vec<&'static str>,
    pub payload: &'static str,
}

impl Server {
    /// As design section 11 writes it.
    pub fn auth_type(&self) -> &'static str {
        if self.headers.is_empty() { "none" } else { "headers" }
    }
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Seeded {
    pub workspace: String,
    pub member: String,
    pub key: IssuedKey,
    /// Ids, in the order of the servers given.
    pub servers: Vec<String>,
}

/// An API key and its name.
#[derive(Clone, Debug, Serialize)]
pub struct IssuedKey {
    pub id: String,
    /// Shown once.
    pub text: String,
}

/// Makes a workspace `core` with the member Ada, her key, and `servers`.
pub async fn seed(admin: &Admin, servers: &[Server]) -> anyhow::Result<Seeded> {
    let workspace = id(&admin.post("/v1/workspaces", json!({"slug": "core", "name": "Core"})).await?)?;
    let member = json!({"issuer": ISSUER, "subject": SUBJECT, "name": "Ada Lovelace"});
    let member = id(&admin.post(&format!("/v1/workspaces/{workspace}/members"), member).await?)?;
    let key = member_key(admin, &workspace, &member, "laptop").await?;
    let mut ids = Vec::new();
    for server in servers {
        ids.push(register(admin, &workspace, server).await?);
    }
    Ok(Seeded { workspace, member, key, servers: ids })
}

/// Makes an API key for a member.
pub async fn member_key(
    admin: &Admin,
    workspace: &str,
    member: &str,
    name: &str,
) -> anyhow::Result<IssuedKey> {
    let reply = admin
        .post(&format!("/v1/workspaces/{workspace}/keys"), json!({"name": name, "member": member}))
        .await?;
    let text = reply["api_key"].as_str().context("the reply shows no key")?.to_owned();
    Ok(IssuedKey { id: id(&reply["key"])?, text })
}

/// Registers a server for every workspace, with what the workspace's policy takes away; its id.
pub async fn register(admin: &Admin, workspace: &str, server: &Server) -> anyhow::Result<String> {
    let auth = if server.headers.is_empty() {
        json!({"type": "none"})
    } else {
        let headers: Vec<Value> =
            server.headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({"type": "headers", "headers": headers})
    };
    let body = json!({
        "slug": server.slug,
        "name": server.slug,
        "url": server.url,
        "allow_http": true,
        "auth": auth,
        "payload": server.payload,
        "workspaces": "all",
    });
    let server_id = id(&admin.post("/v1/servers", body).await?)?;
    let rules = json!({
        "tools": {"deny": [server.denied_tool]},
        "prompts": {"deny": server.denied_prompts},
        "resources": {"deny": server.denied_resources},
    });
    admin.put(&format!("/v1/policies/workspace:{workspace}/{server_id}"), rules).await?;
    Ok(server_id)
}

fn id(reply: &Value) -> anyhow::Result<String> {
    Ok(reply["id"].as_str().with_context(|| format!("the reply has no id: {reply}"))?.to_owned())
}
