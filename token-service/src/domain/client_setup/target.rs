//! What a client is to be set up for.

use url::Url;

use crate::domain::resource::ResourcePath;

const KEY_VARIABLE: &str = "PORTCULLIS_API_KEY";

/// Names that Claude Code keeps for itself.
const TAKEN: [&str; 2] = ["workspace", "claude-in-chrome"];

/// One server, by the address at which clients call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: String,
    name: String,
    key_variable: String,
    names_workspace: bool,
    is_https: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("the gateway's address must be scheme, host and port, such as https://mcp.example.com")]
    NotAnOrigin,
}

impl Target {
    /// `public_url` is the gateway's own origin. The resource names a workspace where its user is in several.
    pub fn new(public_url: &str, resource: &ResourcePath) -> Result<Self, TargetError> {
        let url = Url::parse(public_url).map_err(|_| TargetError::NotAnOrigin)?;
        let is_https = url.scheme() == "https";
        let is_web = is_https || url.scheme() == "http";
        if !is_web || url.origin().ascii_serialization() != public_url {
            return Err(TargetError::NotAnOrigin);
        }
        let server = &resource.server;
        let (name, key_variable) = match &resource.workspace {
            None => (server.to_string(), KEY_VARIABLE.to_owned()),
            Some(workspace) => {
                let suffix = workspace.as_str().replace('-', "_").to_ascii_uppercase();
                (format!("{workspace}-{server}"), format!("{KEY_VARIABLE}_{suffix}"))
            }
        };
        let name = if TAKEN.contains(&name.as_str()) { format!("mcp-{name}") } else { name };
        let names_workspace = resource.workspace.is_some();
        Ok(Self { url: resource.url(public_url), name, key_variable, names_workspace, is_https })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the server is called in a client: letters, digits and hyphens, which every client takes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A key is of one workspace, so whoever is in several has several keys.
    pub fn key_variable(&self) -> &str {
        &self.key_variable
    }

    pub fn names_workspace(&self) -> bool {
        self.names_workspace
    }

    pub(super) fn is_https(&self) -> bool {
        self.is_https
    }
}
