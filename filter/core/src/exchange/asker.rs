//! Who a request comes from and where to, as the token-service is told.

use std::rc::Rc;

use portcullis_wire::decision::Who;
use portcullis_wire::lease::{CallerProof, LeaseRequest, Rejected};
use portcullis_wire::names::Slug;
use portcullis_wire::unconnected::{OpenState, SessionRequest, request_digest};

use super::Surroundings;
use super::admission::too_many_guesses;
use super::refusals::unauthenticated;
use crate::config::Config;
use crate::identity::{Credential, Fault, Identity};
use crate::leases::{LeaseKey, ServerKey};
use crate::mcp::Request;
use crate::path::{self, Route};
use crate::registry::{Registry, Server};
use crate::reply::LocalReply;
use crate::worker::Worker;

#[derive(Debug)]
pub(super) struct Asker {
    pub(super) route: Rc<Route>,
    credential: Credential,
    /// Set once the credential is found good.
    identity: Option<Identity>,
}

/// An [`Asker`] whose credential is good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proven<'asker> {
    asker: &'asker Asker,
    identity: &'asker Identity,
}

impl Asker {
    pub(super) fn new(route: Rc<Route>, credential: Credential) -> Self {
        Self { route, credential, identity: None }
    }

    pub(super) fn prove(
        &mut self,
        worker: &mut Worker,
        registry: &Registry,
        around: &Surroundings<'_>,
    ) -> Result<(), LocalReply> {
        if self.identity.is_none() {
            worker.may_guess(&self.credential.digest, around).map_err(too_many_guesses)?;
            let resource = path::resource_url(&worker.config().public_url, &self.route);
            match worker.identify(&self.credential, registry, &resource, around) {
                Ok(identity) => self.identity = Some(identity),
                Err(fault) => {
                    if fault == Fault::BadSignature {
                        self.note_guess(worker, around);
                    }
                    return Err(unauthenticated(fault, &self.metadata_url(worker.config())));
                }
            }
        }
        Ok(())
    }

    /// Nobody knows the credential.
    pub(super) fn note_guess(&self, worker: &mut Worker, around: &Surroundings<'_>) {
        worker.note_guess(self.credential.digest, around);
    }

    /// For challenges.
    pub(super) fn metadata_url(&self, config: &Config) -> String {
        path::metadata_url(&config.public_url, &self.route)
    }

    /// `None` before [`Self::prove`].
    pub(super) fn proven(&self) -> Option<Proven<'_>> {
        Some(Proven { asker: self, identity: self.identity.as_ref()? })
    }

    /// `server` is what the registry has under the name in the path.
    pub(super) fn key(&self, server: Option<&Server>) -> LeaseKey {
        let unlisted = || ServerKey::Unlisted(self.route.server.clone());
        LeaseKey {
            credential: self.credential.digest,
            workspace: self.route.workspace.clone(),
            server: server.map_or_else(unlisted, |server| ServerKey::Listed(server.id.clone())),
        }
    }
}

impl Proven<'_> {
    fn proof(self) -> CallerProof {
        self.identity.proof(&self.asker.credential)
    }

    /// Who that is, as far as it can be said without a lease. The id of a key, and nothing secret of it.
    pub(super) fn who(self) -> Option<Who> {
        match self.proof() {
            CallerProof::ApiKey { id, .. } => Some(Who::Key(id)),
            CallerProof::Jwt { issuer, subject, .. } => Some(Who::Subject { issuer, subject }),
            CallerProof::AccessToken { session, .. } => Some(Who::Session(session)),
            CallerProof::Opaque { .. } => None,
        }
    }

    fn server(self) -> Slug {
        self.asker.route.server.clone()
    }

    fn workspace(self) -> Option<Slug> {
        self.asker.route.workspace.clone()
    }

    pub(super) fn lease(self, rejected: Option<&Rejected>) -> LeaseRequest {
        LeaseRequest {
            server: self.server(),
            workspace: self.workspace(),
            proof: self.proof(),
            rejected: rejected.cloned(),
            // Whoever sends it knows how long it will listen.
            wait_ms: None,
        }
    }

    pub(super) fn session(self, session: &str) -> SessionRequest {
        SessionRequest {
            server: self.server(),
            workspace: self.workspace(),
            proof: self.proof(),
            session: session.to_owned(),
        }
    }

    /// `state` is what `request`, whose body is `body`, carries.
    pub(super) fn state(self, state: &str, request: &Request, body: &[u8]) -> OpenState {
        let name = request.targets.first().map(|target| target.name.as_str()).unwrap_or_default();
        let arguments = request.arguments.clone().and_then(|span| body.get(span)).unwrap_or_default();
        OpenState {
            server: self.server(),
            workspace: self.workspace(),
            proof: self.proof(),
            state: state.to_owned(),
            request: request_digest(&request.method_name, name, arguments),
        }
    }
}
