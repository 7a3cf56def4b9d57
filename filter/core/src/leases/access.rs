//! What the token-service says of a caller on a server: a lease, or that an account has to be connected first.

use std::ops::Deref;
use std::rc::Rc;

use portcullis_wire::lease::{
    Caller, ConnectRequired, CredentialLimits, Lease, Rejected, Terms, WorkspaceRef,
};
use portcullis_wire::policy::CompiledPolicy;
use portcullis_wire::watch::Invalidation;

use super::policies::Policies;

/// A caller that may use a server. Both kinds are cached, judged by policy, and ended by invalidations alike; they
/// differ in where the request goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Access {
    /// To the upstream.
    Granted(Rc<Ruled<Lease>>),
    /// To the token-service, which answers in the upstream's place.
    ConnectRequired(Rc<Ruled<ConnectRequired>>),
}

/// What the token-service said, and its policy in the form that is judged by; the policy of the reply itself is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruled<T> {
    reply: T,
    policy: Rc<CompiledPolicy>,
}

impl<T> Deref for Ruled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.reply
    }
}

impl From<Lease> for Access {
    fn from(lease: Lease) -> Self {
        Self::granted(lease, &mut Policies::default())
    }
}

impl From<ConnectRequired> for Access {
    fn from(connect: ConnectRequired) -> Self {
        Self::connect_required(connect, &mut Policies::default())
    }
}

impl Access {
    pub fn granted(mut lease: Lease, policies: &mut Policies) -> Self {
        let policy = policies.compiled(std::mem::take(&mut lease.policy));
        Self::Granted(Rc::new(Ruled { reply: lease, policy }))
    }

    pub fn connect_required(mut connect: ConnectRequired, policies: &mut Policies) -> Self {
        let policy = policies.compiled(std::mem::take(&mut connect.policy));
        Self::ConnectRequired(Rc::new(Ruled { reply: connect, policy }))
    }

    pub fn caller(&self) -> &Caller {
        match self {
            Self::Granted(lease) => &lease.caller,
            Self::ConnectRequired(connect) => &connect.caller,
        }
    }

    pub fn workspace(&self) -> &WorkspaceRef {
        match self {
            Self::Granted(lease) => &lease.workspace,
            Self::ConnectRequired(connect) => &connect.workspace,
        }
    }

    pub fn server_id(&self) -> &str {
        match self {
            Self::Granted(lease) => &lease.server_id,
            Self::ConnectRequired(connect) => &connect.server_id,
        }
    }

    pub fn policy(&self) -> &Rc<CompiledPolicy> {
        match self {
            Self::Granted(lease) => &lease.policy,
            Self::ConnectRequired(connect) => &connect.policy,
        }
    }

    pub fn limits(&self) -> &CredentialLimits {
        match self {
            Self::Granted(lease) => &lease.limits,
            Self::ConnectRequired(connect) => &connect.limits,
        }
    }

    pub fn terms(&self) -> &Terms {
        match self {
            Self::Granted(lease) => &lease.terms,
            Self::ConnectRequired(connect) => &connect.terms,
        }
    }

    pub fn revision(&self) -> u64 {
        match self {
            Self::Granted(lease) => lease.revision,
            Self::ConnectRequired(connect) => connect.revision,
        }
    }

    pub fn ttl_ms(&self) -> u64 {
        match self {
            Self::Granted(lease) => lease.ttl_ms,
            Self::ConnectRequired(connect) => connect.ttl_ms,
        }
    }

    /// Of all headers that are set on requests.
    pub(super) fn credential_bytes(&self) -> usize {
        match self {
            Self::Granted(lease) => lease
                .credential_headers
                .iter()
                .map(|header| header.name.len().saturating_add(header.value.expose().len()))
                .fold(0, usize::saturating_add),
            Self::ConnectRequired(_) => 0,
        }
    }

    fn connection_id(&self) -> Option<&str> {
        match self {
            Self::Granted(lease) => lease.connection_id.as_deref(),
            Self::ConnectRequired(connect) => Some(&connect.connection_id),
        }
    }

    /// Whether it is a lease with the credential that an upstream refused, or an older one.
    pub fn has_credential(&self, rejected: &Rejected) -> bool {
        match self {
            Self::Granted(lease) => {
                lease.connection_id.as_deref() == Some(&rejected.connection_id)
                    && lease.credential_generation <= rejected.generation
            }
            Self::ConnectRequired(_) => false,
        }
    }

    /// Whether this was decided before `other`, though it may come after it: answers can overtake each other.
    pub(super) fn is_older_than(&self, other: &Self) -> bool {
        let renewed = match (self, other) {
            (Self::Granted(this), Self::Granted(other)) => {
                this.connection_id == other.connection_id
                    && this.credential_generation < other.credential_generation
            }
            _ => false,
        };
        renewed || self.revision() < other.revision()
    }

    /// The invalidations that name it, [`Invalidation::All`] apart.
    pub(super) fn names(&self) -> impl Iterator<Item = Invalidation> {
        [
            Some(Invalidation::Member(self.caller().id.clone())),
            self.caller().key_id.clone().map(Invalidation::Key),
            self.caller().session_id.clone().map(Invalidation::Session),
            Some(Invalidation::Workspace(self.workspace().id.clone())),
            Some(Invalidation::Server(self.server_id().to_owned())),
            self.connection_id().map(|id| Invalidation::Connection(id.to_owned())),
        ]
        .into_iter()
        .flatten()
    }
}
