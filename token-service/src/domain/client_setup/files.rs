//! The clients' configuration files, as their documentation describes them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{BRIDGE, Language, Snippet, Target};

/// `mcpServers` of Claude Code and Cursor.
#[derive(Serialize)]
struct McpServers<Server> {
    #[serde(rename = "mcpServers")]
    servers: BTreeMap<String, Server>,
}

/// A server that is called over HTTP.
#[derive(Serialize)]
struct Remote {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Headers>,
}

#[derive(Serialize)]
struct Headers {
    #[serde(rename = "Authorization")]
    authorization: String,
}

/// A program that is started and talked to by its standard input and output.
#[derive(Serialize)]
struct Local {
    command: &'static str,
    args: Vec<String>,
}

/// `mcp.json` of VS Code.
#[derive(Serialize)]
struct VsCode {
    servers: BTreeMap<String, Remote>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<Input>,
}

/// Something that VS Code asks for once, and keeps where secrets are kept.
#[derive(Serialize)]
struct Input {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    description: String,
    password: bool,
}

/// `config.toml` of Codex.
#[derive(Serialize)]
struct Codex {
    mcp_servers: BTreeMap<String, CodexServer>,
}

#[derive(Serialize)]
struct CodexServer {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer_token_env_var: Option<String>,
}

/// For Claude Code: `${NAME}` is taken from the environment.
pub(super) fn claude_code(target: &Target, with_key: bool) -> Snippet {
    let key = with_key.then(|| format!("${{{}}}", target.key_variable()));
    mcp_servers(target, remote(target, Some("http"), key))
}

/// For Cursor: `${env:NAME}` is taken from the environment, and the kind of server follows from its `url`.
pub(super) fn cursor(target: &Target, with_key: bool) -> Snippet {
    let key = with_key.then(|| format!("${{env:{}}}", target.key_variable()));
    mcp_servers(target, remote(target, None, key))
}

pub(super) fn vs_code(target: &Target, with_key: bool) -> Snippet {
    let id = target.key_variable().to_ascii_lowercase().replace('_', "-");
    let key = with_key.then(|| format!("${{input:{id}}}"));
    let input = Input {
        kind: "promptString",
        description: format!("API key for {}", target.url()),
        id,
        password: true,
    };
    let inputs = if with_key { vec![input] } else { Vec::new() };
    json(&VsCode { servers: one(target, remote(target, Some("http"), key)), inputs })
}

/// For Claude Desktop: a bridge that signs its user in, which may take longer than the half minute that it would wait.
pub(super) fn bridge_with_sign_in(target: &Target) -> Snippet {
    bridge(target, &["--auth-timeout", "300"])
}

/// The same with the headers in a file: an argument could be seen in the list of processes.
pub(super) fn bridge_with_key(target: &Target, headers: &str) -> Snippet {
    bridge(target, &["--header-file", headers])
}

pub(super) fn codex(target: &Target, with_key: bool) -> Snippet {
    let server = CodexServer {
        url: target.url().to_owned(),
        bearer_token_env_var: with_key.then(|| target.key_variable().to_owned()),
    };
    // Texts in a map cannot fail to be written.
    let text = toml::to_string(&Codex { mcp_servers: one(target, server) }).unwrap_or_default();
    Snippet::new(Language::Toml, text)
}

fn bridge(target: &Target, options: &[&str]) -> Snippet {
    let fixed = ["-y", BRIDGE, target.url()];
    let args = fixed.iter().chain(options).map(|&word| word.to_owned()).collect();
    mcp_servers(target, Local { command: "npx", args })
}

fn remote(target: &Target, kind: Option<&'static str>, key: Option<String>) -> Remote {
    let headers = key.map(|key| Headers { authorization: format!("Bearer {key}") });
    Remote { kind, url: target.url().to_owned(), headers }
}

fn mcp_servers(target: &Target, server: impl Serialize) -> Snippet {
    json(&McpServers { servers: one(target, server) })
}

fn one<Server>(target: &Target, server: Server) -> BTreeMap<String, Server> {
    BTreeMap::from([(target.name().to_owned(), server)])
}

/// Texts in structures cannot fail to be written.
fn json(file: &impl Serialize) -> Snippet {
    Snippet::new(Language::Json, serde_json::to_string_pretty(file).unwrap_or_default())
}
