//! A registered upstream MCP server.

use std::fmt;

use portcullis_wire::names::Slug;
use portcullis_wire::watch::{PayloadPolicy, ServerEntry};

use super::header::HeaderName;
use super::ids::ServerId;
use super::url::ServerUrl;
use super::{Origin, Revision};

/// A registry entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub id: ServerId,
    /// Fixed when the server is made: it is in the URL that people have put into their clients.
    pub slug: Slug,
    pub settings: ServerSettings,
    pub origin: Origin,
    /// The commit that last changed it.
    pub revision: Revision,
}

/// What can be changed about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    pub name: String,
    pub url: ServerUrl,
    pub auth: ServerAuth,
    pub payload: PayloadPolicy,
    /// Whether a workspace made later gets this server. It says nothing about those that exist.
    pub provision_new_workspaces: bool,
}

/// How the gateway authenticates to the server. A further kind is a further variant, with its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAuth {
    None,
    /// The same headers on every request, whoever calls. Names differ from each other.
    Headers(Vec<SealedHeader>),
}

impl ServerAuth {
    /// The word for it in configuration, API and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Headers(_) => "headers",
        }
    }
}

/// A credential header whose value only the vault can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedHeader {
    pub name: HeaderName,
    /// Counts the values this header has had; part of what the value is sealed to.
    pub generation: u64,
    pub value: Sealed,
}

/// A sealed secret, as the store keeps it. The layout is the vault's business.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[sealed, {} bytes]", self.0.len())
    }
}

impl Server {
    /// What every filter is told about it.
    pub fn entry(&self) -> ServerEntry {
        ServerEntry {
            id: self.id.to_string(),
            slug: self.slug.clone(),
            upstream: self.settings.url.upstream(),
            payload: self.settings.payload,
        }
    }
}
