//! Which servers a person may connect an account to.

use std::collections::BTreeMap;

use portcullis_wire::lease::{CallerProof, LeaseRequest};
use portcullis_wire::names::Slug;

use crate::domain::ids::{MemberId, ServerId};
use crate::domain::people::{Identity, Member, Workspace};
use crate::domain::resolve::{CallerFacts, Membership, may_use};
use crate::domain::server::{Server, ServerAuth};
use crate::state::Service;
use crate::store::StoreError;

/// A member of a workspace, and a server that this member may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub workspace: Workspace,
    pub member: Member,
    pub server: Server,
}

/// What somebody may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usable {
    pub accesses: Vec<Access>,
    /// Whether the person has memberships in several workspaces, active or not: an address without a workspace can
    /// then mean any of them.
    pub in_several_workspaces: bool,
}

impl Service {
    /// All that `identity` may connect, by server and then by workspace.
    pub async fn accesses(&self, identity: &Identity) -> Result<Vec<Access>, StoreError> {
        let mut all = Vec::new();
        for server in self.store.servers().await? {
            all.extend(self.accesses_to(identity, &server).await?);
        }
        Ok(all)
    }

    /// What `identity` may do as this member with this server: `None` if it is another person's membership, or if the
    /// server is not, or no longer, for this member.
    pub async fn access(
        &self,
        identity: &Identity,
        member: &MemberId,
        server: &ServerId,
    ) -> Result<Option<Access>, StoreError> {
        let Some(server) = self.store.server(server).await? else { return Ok(None) };
        let accesses = self.accesses_to(identity, &server).await?;
        Ok(accesses.into_iter().find(|access| access.member.id == *member))
    }

    async fn accesses_to(&self, identity: &Identity, server: &Server) -> Result<Vec<Access>, StoreError> {
        if !matches!(server.settings.auth, ServerAuth::OAuth(_)) {
            return Ok(Vec::new());
        }
        self.usable(identity, &server.slug).await
    }

    /// Every membership as which `identity` may use the server of this slug, whatever its type; none if there is no such
    /// server.
    pub async fn usable(&self, identity: &Identity, server: &Slug) -> Result<Vec<Access>, StoreError> {
        Ok(self.usable_by(identity, server).await?.accesses)
    }

    /// [`Self::usable_by`] of every server, by server and then by workspace.
    pub async fn usable_servers(&self, identity: &Identity) -> Result<Usable, StoreError> {
        let mut all = Usable::default();
        for server in self.store.servers().await? {
            let usable = self.usable_by(identity, &server.slug).await?;
            all.accesses.extend(usable.accesses);
            all.in_several_workspaces |= usable.in_several_workspaces;
        }
        Ok(all)
    }

    /// [`Self::usable`], and whether somebody has to say which membership is meant.
    pub async fn usable_by(&self, identity: &Identity, server: &Slug) -> Result<Usable, StoreError> {
        // The same facts as for a lease, so that the pages and the gateway cannot differ on who may use what.
        let proof = CallerProof::Jwt {
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
            workspace_claim: None,
            audiences: Vec::new(),
            issued_at: None,
            claims: BTreeMap::new(),
            expires_at: 0,
        };
        let request =
            LeaseRequest { server: server.clone(), workspace: None, proof, rejected: None, wait_ms: None };
        let facts = self.store.lease_facts(&request).await?;
        let (CallerFacts::Token(person), Some(server)) = (facts.caller, facts.server) else {
            return Ok(Usable::default());
        };
        let in_several_workspaces = person.memberships.len() > 1;
        let usable = person.memberships.into_iter().filter(|membership| may_use(&server, membership));
        let access =
            |Membership { workspace, member }| Access { workspace, member, server: server.server.clone() };
        Ok(Usable { accesses: usable.map(access).collect(), in_several_workspaces })
    }
}
