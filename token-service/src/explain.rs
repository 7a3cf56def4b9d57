//! Explanations: what would be decided now for a caller, by the facts and the code of a lease.

use std::collections::BTreeMap;

use portcullis_wire::lease::{CallerProof, LeaseRequest};
use portcullis_wire::names::Slug;

use crate::clock::Timestamp;
use crate::domain::Origin;
use crate::domain::client_session::ClientSession;
use crate::domain::denial::Trail;
use crate::domain::explain::{Asked, Explanation};
use crate::domain::ids::MemberId;
use crate::domain::people::{ApiKeyRecord, Identity, Member, MemberRole};
use crate::domain::resolve::{
    CallerFacts, LeaseFacts, Membership, Resolution, Taken, resolve_on, resolve_taken,
};
use crate::domain::server::ServerAuth;
use crate::state::Service;
use crate::store::StoreError;
use crate::store::connections::ConnectionFilter;

/// Whose request it would be. The credential is taken as good, and what is known of it judged.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it does not live long")]
#[derive(Clone, Debug)]
pub enum Subject {
    Member(Member),
    Key(ApiKeyRecord),
    Session(Box<ClientSession>),
    /// Somebody with a token of an issuer, and the workspace that the token or the path names.
    Bearer {
        identity: Identity,
        workspace: Option<Slug>,
    },
}

/// How the caller stands to an account at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// The server needs none of each member.
    NotNeeded,
    /// None was ever connected.
    Missing,
    /// In the words of [`crate::domain::connection::ConnectionState`].
    Is(&'static str),
}

impl Account {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotNeeded => "not_needed",
            Self::Missing => "missing",
            Self::Is(state) => state,
        }
    }
}

impl Service {
    /// What is decided now. `hidden`: whoever asks may not know of the server, so it is as if there were none.
    pub async fn explain(
        &self,
        subject: &Subject,
        server: &Slug,
        asked: Option<&Asked>,
        hidden: bool,
    ) -> Result<Explanation, StoreError> {
        let now = self.clock.now();
        let request = subject.request(server);
        let mut facts = self.store.lease_facts(&request).await?;
        if hidden {
            facts.server = None;
        }
        let (mut trail, mut resolution) = self.judge(subject, &request, &facts, now);
        if let Resolution::Provision { workspace, identity, .. } = &resolution {
            // As the first request would: a member first, and then the decision.
            let member = newcomer(workspace.clone(), identity.clone(), &facts);
            if let CallerFacts::Token(token) = &mut facts.caller
                && let Some(workspace) = token.mapped.clone()
            {
                token.memberships.push(Membership { workspace, member });
            }
            (trail, resolution) = self.judge(subject, &request, &facts, now);
        }
        Ok(Explanation::of(resolution, &trail, asked))
    }

    fn judge(
        &self,
        subject: &Subject,
        request: &LeaseRequest,
        facts: &LeaseFacts,
        now: Timestamp,
    ) -> (Trail, Resolution) {
        let mut trail = Trail::default();
        let resolution = match subject {
            Subject::Member(member) => resolve_taken(&mut trail, Taken::Member(&member.id), request, facts),
            Subject::Bearer { identity, workspace } => {
                let workspace = workspace.as_ref().map(Slug::as_str);
                resolve_taken(&mut trail, Taken::Bearer { identity, workspace }, request, facts)
            }
            Subject::Key(_) | Subject::Session(_) => {
                resolve_on(&mut trail, request, facts, &self.resource_of(request), now)
            }
        };
        (trail, resolution)
    }

    /// Whether the caller of a lease has an account at the server.
    pub async fn account(&self, explanation: &Explanation) -> Result<Option<Account>, StoreError> {
        let Some(grant) = &explanation.grant else { return Ok(None) };
        let (ServerAuth::OAuth(_), Some(member)) = (&grant.server.settings.auth, &grant.member) else {
            return Ok(Some(Account::NotNeeded));
        };
        let filter = ConnectionFilter {
            server: Some(grant.server.id.clone()),
            member: Some(member.id.clone()),
            ..ConnectionFilter::default()
        };
        let found = self.store.connections(&filter, None, 1).await?;
        Ok(Some(found.first().map_or(Account::Missing, |connection| Account::Is(connection.state.as_str()))))
    }
}

impl Subject {
    fn request(&self, server: &Slug) -> LeaseRequest {
        let (workspace, proof) = match self {
            Self::Member(member) => (None, bearer(&member.identity, None)),
            // What the bearer of the key would prove.
            Self::Key(key) => (None, CallerProof::ApiKey { id: key.id.to_string(), digest: key.digest }),
            Self::Session(session) => (session.resource.workspace.clone(), of_session(session)),
            Self::Bearer { identity, workspace } => {
                let named = workspace.as_ref().map(Slug::to_string);
                (workspace.clone(), bearer(identity, named))
            }
        };
        LeaseRequest { server: server.clone(), workspace, proof, rejected: None, wait_ms: None }
    }
}

fn bearer(identity: &Identity, workspace_claim: Option<String>) -> CallerProof {
    CallerProof::Jwt {
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
        workspace_claim,
        audiences: Vec::new(),
        issued_at: None,
        claims: BTreeMap::new(),
        expires_at: 0,
    }
}

/// A token that lives as long as its sign-in.
fn of_session(session: &ClientSession) -> CallerProof {
    let scope = session.extent.scope();
    CallerProof::AccessToken {
        session: session.id.to_string(),
        scopes: scope.split(' ').map(str::to_owned).collect(),
        expires_at: (session.expires_at.0 / 1_000).saturating_add(1),
    }
}

/// Somebody of whom nothing is known but that a token is good.
fn newcomer(workspace: crate::domain::ids::WorkspaceId, identity: Identity, facts: &LeaseFacts) -> Member {
    Member {
        id: MemberId::from(String::new()),
        workspace,
        name: identity.subject.clone(),
        identity,
        role: MemberRole::Member,
        disabled: false,
        lapsed: false,
        origin: Origin::Api,
        revision: facts.revision,
        quarantined: false,
    }
}
