//! The bearers of tokens of configured issuers.

use portcullis_wire::lease::{Caller, CallerProof, CredentialKind, DenyReason, LeaseRequest};

use super::{KnownCaller, Membership, Standing, TokenFacts, Trail};
use crate::clock::Timestamp;
use crate::domain::issuer::{Issuer, WorkspaceMapping};
use crate::domain::people::Identity;
use crate::domain::token_rules::TokenView;

/// A token as the filter has verified it.
pub(super) struct VerifiedToken<'a> {
    identity: Identity,
    workspace_claim: Option<&'a str>,
    says: TokenView<'a>,
    expires_at: Timestamp,
}

impl<'a> VerifiedToken<'a> {
    pub(super) fn of(proof: &'a CallerProof) -> Result<Self, DenyReason> {
        let CallerProof::Jwt { issuer, subject, workspace_claim, audiences, issued_at, claims, expires_at } =
            proof
        else {
            return Err(DenyReason::UnknownCredential);
        };
        Ok(Self {
            identity: Identity { issuer: issuer.clone(), subject: subject.clone() },
            workspace_claim: workspace_claim.as_deref(),
            says: TokenView { audiences, issued_at: *issued_at, claims },
            expires_at: Timestamp::from_seconds(*expires_at),
        })
    }
}

pub(super) fn by_token<'facts>(
    trail: &mut Trail,
    facts: &'facts TokenFacts,
    token: &VerifiedToken<'_>,
    request: &LeaseRequest,
    resource: &str,
    now: Timestamp,
) -> Result<Standing<'facts>, DenyReason> {
    let VerifiedToken { identity, workspace_claim: claim, says, expires_at } = token;
    let issuer = issuer_of(trail, facts, identity)?;
    let not_after = expires_at.plus(issuer.clock_tolerance());
    trail.check("token/expired", not_after > now, DenyReason::ExpiredCredential)?;
    trail.check("issuer/servers", issuer.serves(&request.server), DenyReason::NotForThisServer)?;
    trail.issuer(issuer.judge(&request.server, *says, resource, now))?;
    let name = issuer.first_name(*says).unwrap_or(&identity.subject).to_owned();
    let bearer = Bearer { identity, claim: *claim, name, not_after: Some(not_after) };
    by_identity(trail, facts, issuer, bearer, request)
}

pub(super) fn issuer_of<'facts>(
    trail: &mut Trail,
    facts: &'facts TokenFacts,
    identity: &Identity,
) -> Result<&'facts Issuer, DenyReason> {
    let issuer = facts.issuer.as_ref().filter(|issuer| issuer.issuer == identity.issuer);
    trail.take("issuer/unknown", issuer, DenyReason::UnknownCredential)
}

/// Somebody whom a token names.
pub(super) struct Bearer<'a> {
    pub(super) identity: &'a Identity,
    /// The value of the issuer's workspace claim.
    pub(super) claim: Option<&'a str>,
    /// What to call a newcomer.
    pub(super) name: String,
    pub(super) not_after: Option<Timestamp>,
}

/// As whom, and in which workspace, somebody calls whose token is good.
pub(super) fn by_identity<'facts>(
    trail: &mut Trail,
    facts: &'facts TokenFacts,
    issuer: &Issuer,
    bearer: Bearer<'_>,
    request: &LeaseRequest,
) -> Result<Standing<'facts>, DenyReason> {
    let Bearer { identity, claim, name, not_after } = bearer;
    let membership = match &issuer.workspaces {
        WorkspaceMapping::Membership => the_membership(trail, facts, request)?,
        WorkspaceMapping::Fixed(_) | WorkspaceMapping::Claim(_) => {
            let slug = issuer.mapped_workspace(claim);
            let slug = trail.take("issuer/workspace", slug, DenyReason::UnknownCredential)?;
            let elsewhere = request.workspace.as_ref().is_some_and(|named| *named != slug);
            trail.check("caller/workspace", !elsewhere, DenyReason::WrongWorkspace)?;
            let found = facts.memberships.iter().find(|membership| membership.workspace.slug == slug);
            let Some(membership) = found else {
                let workspace = facts.mapped.as_ref().filter(|mapped| mapped.slug == slug);
                let workspace = workspace.filter(|_| issuer.auto_provision_members);
                let workspace = trail.take("member/unknown", workspace, DenyReason::UnknownCredential)?;
                return Ok(Standing::Newcomer { workspace, identity: identity.clone(), name });
            };
            membership
        }
    };
    let member = &membership.member;
    trail.check("member/unknown", member.identity == *identity, DenyReason::UnknownCredential)?;
    trail.member(member)?;
    Ok(Standing::Caller(member_of(membership, not_after)))
}

/// A member as such, by whatever token.
pub(super) fn member_of(membership: &Membership, not_after: Option<Timestamp>) -> KnownCaller<'_> {
    let Membership { workspace, member } = membership;
    let caller = Caller {
        id: member.id.to_string(),
        name: member.name.clone(),
        credential: CredentialKind::Jwt,
        key_id: None,
        session_id: None,
        client_id: None,
    };
    KnownCaller {
        caller,
        workspace,
        member: Some(member),
        bounded_by: Some(member),
        key: None,
        only: None,
        reads_only: false,
        not_after,
    }
}

/// Without a mapping: the membership that the path names, or the only one. With several and none named it would be a
/// guess on whose behalf the call is made, so it is refused.
fn the_membership<'facts>(
    trail: &mut Trail,
    facts: &'facts TokenFacts,
    request: &LeaseRequest,
) -> Result<&'facts Membership, DenyReason> {
    let all = facts.memberships.as_slice();
    trail.check("member/unknown", !all.is_empty(), DenyReason::UnknownCredential)?;
    let found = match (&request.workspace, all) {
        (Some(named), all) => all.iter().find(|membership| membership.workspace.slug == *named),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    trail.take("caller/workspace", found, DenyReason::WrongWorkspace)
}
