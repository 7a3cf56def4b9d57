//! A handler's way to objects: whatever it finds, the caller may do with it what the handler is about to do.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use portcullis_wire::names::Slug;

use crate::domain::access::{Object, Operation, Principal, Refusal, authorize};
use crate::domain::ids::WorkspaceId;
use crate::domain::people::{Administrator, ApiKeyRecord, KeyOwner, Member, Workspace};
use crate::domain::server::Server;
use crate::http::auth::Caller;
use crate::http::error::ApiError;
use crate::state::Shared;
use crate::store::Store;

/// The service, on behalf of whoever asks. There is no other way to find an object that a path names.
#[derive(Clone)]
pub struct Acting {
    app: Shared,
    caller: Caller,
}

impl FromRequestParts<Shared> for Acting {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, ApiError> {
        Ok(Self { app: Arc::clone(app), caller: Caller::from_request_parts(parts, app).await? })
    }
}

impl Deref for Acting {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.app
    }
}

impl Acting {
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) fn principal(&self) -> &Principal {
        &self.caller.principal
    }

    /// The store, for changes: each is recorded in the audit log as the caller's.
    pub(super) fn changing(&self) -> Arc<dyn Store> {
        self.app.store.on_behalf_of(self.caller.actor(), self.app.clock.now())
    }

    /// `what`: the kind of object, should it have to look as if there were none.
    pub(super) fn may(
        &self,
        operation: Operation,
        object: Object<'_>,
        what: &'static str,
    ) -> Result<(), ApiError> {
        authorize(&self.caller.principal, operation, object).map_err(|refusal| match refusal {
            Refusal::Hidden => ApiError::NotFound { what },
            Refusal::Forbidden => ApiError::Forbidden,
        })
    }

    /// For what is of the organization as a whole.
    pub(super) fn may_in_organization(&self, operation: Operation) -> Result<(), ApiError> {
        self.may(operation, Object::Organization, "page")
    }

    /// The server that a path names by id or slug.
    pub(super) async fn find_server(&self, name: &str, operation: Operation) -> Result<Server, ApiError> {
        let found = match Slug::parse(name) {
            Ok(slug) => self.store.server_by_slug(&slug).await?,
            // Ids have an underscore, which slugs cannot have.
            Err(_) => self.store.server(&name.into()).await?,
        };
        let server = found.ok_or(ApiError::NotFound { what: "server" })?;
        let workspaces = self.workspaces_of(&server).await?;
        self.may(operation, Object::Server(&workspaces), "server")?;
        Ok(server)
    }

    /// The workspaces that have it.
    pub(super) async fn workspaces_of(&self, server: &Server) -> Result<Vec<WorkspaceId>, ApiError> {
        Ok(self.store.provisions(&server.id).await?.unwrap_or_default().into_iter().collect())
    }

    /// The workspace that a path names by id or slug.
    pub(super) async fn find_workspace(
        &self,
        name: &str,
        operation: Operation,
    ) -> Result<Workspace, ApiError> {
        let found = match Slug::parse(name) {
            Ok(slug) => self.store.workspace_by_slug(&slug).await?,
            Err(_) => self.store.workspace(&name.into()).await?,
        };
        let workspace = found.ok_or(ApiError::NotFound { what: "workspace" })?;
        self.may(operation, Object::Workspace(&workspace.id), "workspace")?;
        Ok(workspace)
    }

    pub(super) async fn find_member(&self, id: &str, operation: Operation) -> Result<Member, ApiError> {
        let member = self.store.member(&id.into()).await?.ok_or(ApiError::NotFound { what: "member" })?;
        self.may(operation, Object::Member(&member), "member")?;
        Ok(member)
    }

    pub(super) async fn find_key(&self, id: &str, operation: Operation) -> Result<ApiKeyRecord, ApiError> {
        let missing = || ApiError::NotFound { what: "key" };
        let key = self.store.key(&id.into()).await?.ok_or_else(missing)?;
        match &key.owner {
            KeyOwner::Service => self.may(operation, Object::Shared(&key.workspace), "key")?,
            KeyOwner::Member(owner) => {
                let owner = self.store.member(owner).await?.ok_or_else(missing)?;
                self.may(operation, Object::Member(&owner), "key")?;
            }
        }
        Ok(key)
    }

    pub(super) async fn find_administrator(
        &self,
        id: &str,
        operation: Operation,
    ) -> Result<Administrator, ApiError> {
        self.may(operation, Object::Administrator, "administrator")?;
        let found = self.store.administrator(&id.into()).await?;
        found.ok_or(ApiError::NotFound { what: "administrator" })
    }
}
