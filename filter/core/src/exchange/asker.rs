//! Who a request comes from and where to, as the token-service is told.

use portcullis_wire::lease::{CallerProof, LeaseRequest, Rejected};
use portcullis_wire::unconnected::{OpenState, SessionRequest, request_digest};
use portcullis_wire::watch::ServerEntry;

use super::Surroundings;
use super::refusals::unauthenticated;
use crate::identity::Credential;
use crate::leases::LeaseKey;
use crate::mcp::Request;
use crate::path::{self, Route};
use crate::registry::Registry;
use crate::reply::LocalReply;
use crate::worker::Worker;

#[derive(Debug)]
pub(super) struct Asker {
    pub(super) route: Route,
    credential: Credential,
    /// Set once the credential is found good.
    proof: Option<CallerProof>,
}

/// An [`Asker`] whose credential is good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proven<'asker> {
    route: &'asker Route,
    proof: &'asker CallerProof,
}

impl Asker {
    pub(super) fn new(route: Route, credential: Credential) -> Self {
        Self { route, credential, proof: None }
    }

    pub(super) fn prove(
        &mut self,
        worker: &mut Worker,
        registry: &Registry,
        around: &Surroundings<'_>,
    ) -> Result<(), LocalReply> {
        if self.proof.is_none() {
            let resource = path::resource_url(&worker.config().public_url, &self.route);
            let proof =
                worker.identify(&self.credential, registry, &resource, around).map_err(unauthenticated)?;
            self.proof = Some(proof);
        }
        Ok(())
    }

    /// `None` before [`Self::prove`].
    pub(super) fn proven(&self) -> Option<Proven<'_>> {
        Some(Proven { route: &self.route, proof: self.proof.as_ref()? })
    }

    pub(super) fn key(&self, server: &ServerEntry) -> LeaseKey {
        LeaseKey {
            credential: self.credential.digest,
            workspace: self.route.workspace.clone(),
            server_id: server.id.clone(),
        }
    }
}

impl Proven<'_> {
    pub(super) fn lease(self, rejected: Option<&Rejected>) -> LeaseRequest {
        LeaseRequest {
            server: self.route.server.clone(),
            workspace: self.route.workspace.clone(),
            proof: self.proof.clone(),
            rejected: rejected.cloned(),
            // Whoever sends it knows how long it will listen.
            wait_ms: None,
        }
    }

    pub(super) fn session(self, session: &str) -> SessionRequest {
        SessionRequest {
            server: self.route.server.clone(),
            workspace: self.route.workspace.clone(),
            proof: self.proof.clone(),
            session: session.to_owned(),
        }
    }

    /// `state` is what `request`, whose body is `body`, carries.
    pub(super) fn state(self, state: &str, request: &Request, body: &[u8]) -> OpenState {
        let name = request.targets.first().map(|target| target.name.as_str()).unwrap_or_default();
        let arguments = request.arguments.clone().and_then(|span| body.get(span)).unwrap_or_default();
        OpenState {
            server: self.route.server.clone(),
            workspace: self.route.workspace.clone(),
            proof: self.proof.clone(),
            state: state.to_owned(),
            request: request_digest(&request.method_name, name, arguments),
        }
    }
}
