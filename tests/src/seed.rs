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
    /// As the admin API takes it: [`no_credential`], [`headers`], `{"type": "oauth"}`, …
    pub auth: Value,
    pub allowed_tool: &'static str,
    pub denied_tool: &'static str,
    /// What the workspace's policy takes away besides the tool.
    pub denied_prompts: Vec<&'static str>,
    pub denied_resources: Vec<&'static str>,
    pub payload: &'static str,
}

impl Server {
    /// As design section 11 writes it.
    pub fn auth_type(&self) -> &str {
        self.auth["type"].as_str().unwrap_or_default()
    }
}

/// For a server that wants no credential.
pub fn no_credential() -> Value {
    json!({"type": "none"})
}

/// For a server that wants the same headers on every request.
pub fn headers(headers: &[(&str, &str)]) -> Value {
    let headers: Vec<Value> =
        headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({"type": "headers", "headers": headers})
}

/// A further member of the workspace; has a key too.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Who it is to the identity provider.
    pub subject: &'static str,
    pub name: &'static str,
}

/// For stories about two.
pub const GRACE: Member = Member { subject: "grace", name: "Grace Hopper" };

/// What was made.
#[derive(Clone, Debug)]
pub struct Seeded {
    pub workspace: String,
    /// Ada.
    pub member: String,
    /// Ada's.
    pub key: IssuedKey,
    /// Ids, in the order of the servers given.
    pub servers: Vec<String>,
    /// In the order of the further members given.
    pub others: Vec<SeededMember>,
}

#[derive(Clone, Debug)]
pub struct SeededMember {
    pub id: String,
    pub key: IssuedKey,
}

/// An API key and its name.
#[derive(Clone, Debug, Serialize)]
pub struct IssuedKey {
    pub id: String,
    /// Shown once.
    pub text: String,
}

/// Makes a workspace `core` with the member Ada, `others`, a key for each, and `servers`.
pub async fn seed(admin: &Admin, servers: &[Server], others: &[Member]) -> anyhow::Result<Seeded> {
    let workspace = id(&admin.post("/v1/workspaces", json!({"slug": "core", "name": "Core"})).await?)?;
    let ada = member(admin, &workspace, ADA).await?;
    let mut seeded =
        Seeded { workspace, member: ada.id, key: ada.key, servers: Vec::new(), others: Vec::new() };
    for other in others {
        seeded.others.push(member(admin, &seeded.workspace, *other).await?);
    }
    for server in servers {
        seeded.servers.push(register(admin, &seeded.workspace, server).await?);
    }
    Ok(seeded)
}

const ADA: Member = Member { subject: SUBJECT, name: "Ada Lovelace" };

/// Makes a member with a key.
pub async fn member(admin: &Admin, workspace: &str, member: Member) -> anyhow::Result<SeededMember> {
    let body = json!({"issuer": ISSUER, "subject": member.subject, "name": member.name});
    let id = id(&admin.post(&format!("/v1/workspaces/{workspace}/members"), body).await?)?;
    let key = member_key(admin, workspace, &id, "laptop").await?;
    Ok(SeededMember { id, key })
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
    let body = json!({
        "slug": server.slug,
        "name": server.slug,
        "url": server.url,
        "allow_http": true,
        "auth": server.auth,
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
