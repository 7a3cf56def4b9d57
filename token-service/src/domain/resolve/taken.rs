//! Callers whose credential is taken as good: what would be decided if they called now.

use portcullis_wire::lease::{DenyReason, LeaseRequest};

use super::token::{Bearer, by_identity, issuer_of, member_of};
use super::{CallerFacts, LeaseFacts, Resolution, Standing, TokenFacts, Trail, conclude};
use crate::domain::ids::MemberId;
use crate::domain::people::Identity;

/// Of whom it is known who it is, and nothing else of the credential.
#[derive(Clone, Copy, Debug)]
pub enum Taken<'a> {
    Member(&'a MemberId),
    /// Somebody with a token of an issuer, and the workspace that the token names.
    Bearer {
        identity: &'a Identity,
        workspace: Option<&'a str>,
    },
}

/// As [`super::resolve_on`]. `facts` are those of the identity behind the caller.
pub fn resolve_taken(
    trail: &mut Trail,
    who: Taken<'_>,
    request: &LeaseRequest,
    facts: &LeaseFacts,
) -> Resolution {
    let outcome = match &facts.caller {
        CallerFacts::Token(token) => standing(trail, who, request, token),
        CallerFacts::ApiKey(_) | CallerFacts::Session(_) => Err(DenyReason::UnknownCredential),
    };
    conclude(trail, outcome, facts)
}

fn standing<'facts>(
    trail: &mut Trail,
    who: Taken<'_>,
    request: &LeaseRequest,
    facts: &'facts TokenFacts,
) -> Result<Standing<'facts>, DenyReason> {
    match who {
        Taken::Member(id) => {
            let found = facts.memberships.iter().find(|membership| membership.member.id == *id);
            let membership = trail.take("member/unknown", found, DenyReason::UnknownCredential)?;
            trail.member(&membership.member)?;
            Ok(Standing::Caller(member_of(membership, None)))
        }
        Taken::Bearer { identity, workspace } => {
            let issuer = issuer_of(trail, facts, identity)?;
            trail.check("issuer/servers", issuer.serves(&request.server), DenyReason::NotForThisServer)?;
            let name = identity.subject.clone();
            let bearer = Bearer { identity, claim: workspace, name, not_after: None };
            by_identity(trail, facts, issuer, bearer, request)
        }
    }
}
