//! The admin API, one noun a file. Every operation is in `/openapi.json`.
//!
//! Objects are named in paths by id; servers and workspaces by slug too. What `portcullis.yaml` declares is shown and
//! cannot be changed here. Secrets go in and never come out, but for a new API key, which is shown once.

pub mod audit;
mod auth_body;
mod auth_reader;
mod auth_view;
pub mod check;
pub mod commit;
pub mod connections;
pub mod description;
pub mod issuers;
pub mod keys;
pub mod members;
pub mod oauth_clients;
pub mod page;
pub mod policies;
pub mod presets;
pub mod provisions;
mod server_body;
pub mod servers;
pub mod sessions;
pub mod signing_keys;
pub mod start;
pub mod status;
pub mod time;
pub mod workspaces;

use portcullis_wire::names::Slug;

use super::error::ApiError;
use crate::domain::people::{ApiKeyRecord, Member, Workspace};
use crate::domain::server::Server;
use crate::state::Service;

impl Service {
    /// The server that a path names by id or slug.
    pub async fn find_server(&self, name: &str) -> Result<Server, ApiError> {
        let found = match Slug::parse(name) {
            Ok(slug) => self.store.server_by_slug(&slug).await?,
            // Ids have an underscore, which slugs cannot have.
            Err(_) => self.store.server(&name.into()).await?,
        };
        found.ok_or(ApiError::NotFound { what: "server" })
    }

    /// The workspace that a path names by id or slug.
    pub async fn find_workspace(&self, name: &str) -> Result<Workspace, ApiError> {
        let found = match Slug::parse(name) {
            Ok(slug) => self.store.workspace_by_slug(&slug).await?,
            Err(_) => self.store.workspace(&name.into()).await?,
        };
        found.ok_or(ApiError::NotFound { what: "workspace" })
    }

    pub async fn find_member(&self, id: &str) -> Result<Member, ApiError> {
        self.store.member(&id.into()).await?.ok_or(ApiError::NotFound { what: "member" })
    }

    pub async fn find_key(&self, id: &str) -> Result<ApiKeyRecord, ApiError> {
        self.store.key(&id.into()).await?.ok_or(ApiError::NotFound { what: "key" })
    }
}
