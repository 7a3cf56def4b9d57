//! Who may have a lease: the facts about one caller and one server, turned into a grant or a reason why not.
//!
//! The store reads [`LeaseFacts`] from one snapshot and judges nothing; every rule is here.

use std::collections::BTreeSet;

use portcullis_wire::digest::Digest;
use portcullis_wire::lease::{
    Caller, CallerProof, CredentialKind, CredentialLimits, DenyReason, LeaseRequest, WorkspaceRef,
};
use portcullis_wire::policy::Policy;
use subtle::ConstantTimeEq as _;

use super::Revision;
use super::client_session::{ClientSession, Extent};
use super::ids::{ServerId, WorkspaceId};
use super::issuer::{Issuer, WorkspaceMapping};
use super::people::{ApiKeyRecord, Identity, KeyOwner, Member, Workspace};
use super::policy::{PolicyEntry, PolicyTarget};
use super::resource::ResourcePath;
use super::server::{Server, ServerAuth};
use crate::clock::Timestamp;

/// Everything that is known about one lease request, as of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseFacts {
    pub revision: Revision,
    pub caller: CallerFacts,
    /// The server of that slug.
    pub server: Option<ServerFacts>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerFacts {
    /// The key of that id, if there is one. Its digest is yet to be compared.
    ApiKey(Option<KeyFacts>),
    Token(TokenFacts),
    /// The sign-in of that id, if there is one.
    Session(Option<Box<SessionFacts>>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    pub key: ApiKeyRecord,
    pub workspace: Workspace,
    /// The member who owns it; `None` for a service key.
    pub member: Option<Member>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    pub session: ClientSession,
    pub workspace: Workspace,
    pub member: Member,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// The issuer, if it is configured.
    pub issuer: Option<Issuer>,
    /// Every membership of (issuer, subject).
    pub memberships: Vec<Membership>,
    /// The workspace of [`Issuer::mapped_workspace`], if it exists.
    pub mapped: Option<Workspace>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub workspace: Workspace,
    pub member: Member,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    pub server: Server,
    /// Those of the caller's workspaces that have this server.
    pub provisioned: BTreeSet<WorkspaceId>,
    /// Every policy entry on this server that may concern the caller; others do no harm.
    pub policies: Vec<PolicyEntry>,
    /// The tools that are known to read only; read only where the credential makes them matter.
    pub reading_tools: Vec<String>,
}

/// What follows from the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    Granted(Box<Grant>),
    Denied(DenyReason),
    /// The caller may become a member on first use: provision it, read the facts again, resolve again.
    Provision {
        workspace: WorkspaceId,
        identity: Identity,
    },
}

/// A lease but for the credential itself, which the vault has to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub caller: Caller,
    /// Who the caller is; `None` for a service key.
    pub member: Option<Member>,
    pub workspace: WorkspaceRef,
    pub server: Server,
    pub policy: Policy,
    /// What the caller's own credential takes away besides.
    pub limits: CredentialLimits,
    /// When the caller's own credential expires.
    pub not_after: Option<Timestamp>,
    pub revision: Revision,
}

/// Decides on a lease. The caller is judged before the server, so that a stranger learns nothing about servers.
pub fn resolve(request: &LeaseRequest, facts: &LeaseFacts, now: Timestamp) -> Resolution {
    let outcome = match (&facts.caller, &request.proof) {
        (CallerFacts::ApiKey(key), CallerProof::ApiKey { digest, .. }) => {
            by_key(key.as_ref(), digest, request, now).map(Standing::Caller)
        }
        (
            CallerFacts::Token(token),
            CallerProof::Jwt { issuer, subject, workspace_claim: claim, expires_at, .. },
        ) => {
            let identity = Identity { issuer: issuer.clone(), subject: subject.clone() };
            by_token(token, identity, claim.as_deref(), Timestamp::from_seconds(*expires_at), request, now)
        }
        (CallerFacts::Session(session), CallerProof::AccessToken { scopes, expires_at, .. }) => {
            let expires_at = Timestamp::from_seconds(*expires_at);
            by_session(session.as_deref(), scopes, expires_at, request, now).map(Standing::Caller)
        }
        // Facts about another kind of credential than was shown say nothing about this one.
        _ => Err(DenyReason::UnknownCredential),
    };
    match outcome.and_then(|standing| finish(standing, facts)) {
        Ok(resolution) => resolution,
        Err(reason) => Resolution::Denied(reason),
    }
}

/// Where a credential that holds leaves its bearer.
enum Standing<'facts> {
    Caller(KnownCaller<'facts>),
    Newcomer { workspace: &'facts Workspace, identity: Identity },
}

struct KnownCaller<'facts> {
    caller: Caller,
    workspace: &'facts Workspace,
    member: Option<&'facts Member>,
    key: Option<&'facts ApiKeyRecord>,
    /// The credential is good for this very server only.
    only: Option<&'facts ServerId>,
    /// The credential is good for reading only.
    reads_only: bool,
    not_after: Option<Timestamp>,
}

fn by_key<'facts>(
    facts: Option<&'facts KeyFacts>,
    digest: &Digest,
    request: &LeaseRequest,
    now: Timestamp,
) -> Result<KnownCaller<'facts>, DenyReason> {
    let KeyFacts { key, workspace, member } = facts.ok_or(DenyReason::UnknownCredential)?;
    if !bool::from(key.digest.as_bytes().ct_eq(digest.as_bytes())) {
        return Err(DenyReason::UnknownCredential);
    }
    let settings = &key.settings;
    if settings.disabled {
        return Err(DenyReason::DisabledCredential);
    }
    if settings.expires_at.is_some_and(|end| end <= now) {
        return Err(DenyReason::ExpiredCredential);
    }
    let caller = match (&key.owner, member) {
        (KeyOwner::Service, _) => Caller {
            id: key.id.to_string(),
            name: settings.name.clone(),
            credential: CredentialKind::ServiceKey,
            key_id: Some(key.id.to_string()),
            session_id: None,
            client_id: None,
        },
        (KeyOwner::Member(owner), Some(member)) if *owner == member.id => Caller {
            id: member.id.to_string(),
            name: member.name.clone(),
            credential: CredentialKind::MemberKey,
            key_id: Some(key.id.to_string()),
            session_id: None,
            client_id: None,
        },
        (KeyOwner::Member(_), _) => return Err(DenyReason::UnknownCredential),
    };
    let member = member.as_ref().filter(|_| key.owner != KeyOwner::Service);
    if member.is_some_and(|member| member.disabled) {
        return Err(DenyReason::DisabledCredential);
    }
    if request.workspace.as_ref().is_some_and(|named| *named != workspace.slug) {
        return Err(DenyReason::WrongWorkspace);
    }
    Ok(KnownCaller {
        caller,
        workspace,
        member,
        key: Some(key),
        only: None,
        reads_only: false,
        not_after: settings.expires_at,
    })
}

fn by_token<'facts>(
    facts: &'facts TokenFacts,
    identity: Identity,
    claim: Option<&str>,
    expires_at: Timestamp,
    request: &LeaseRequest,
    now: Timestamp,
) -> Result<Standing<'facts>, DenyReason> {
    let issuer = facts.issuer.as_ref().filter(|issuer| issuer.issuer == identity.issuer);
    let issuer = issuer.ok_or(DenyReason::UnknownCredential)?;
    if expires_at <= now {
        return Err(DenyReason::ExpiredCredential);
    }
    let membership = match &issuer.workspaces {
        WorkspaceMapping::Membership => the_membership(facts, request)?,
        WorkspaceMapping::Fixed(_) | WorkspaceMapping::Claim(_) => {
            let slug = issuer.mapped_workspace(claim).ok_or(DenyReason::UnknownCredential)?;
            if request.workspace.as_ref().is_some_and(|named| *named != slug) {
                return Err(DenyReason::WrongWorkspace);
            }
            let found = facts.memberships.iter().find(|membership| membership.workspace.slug == slug);
            let Some(membership) = found else {
                let workspace = facts.mapped.as_ref().filter(|mapped| mapped.slug == slug);
                return match workspace {
                    Some(workspace) if issuer.auto_provision_members => {
                        Ok(Standing::Newcomer { workspace, identity })
                    }
                    _ => Err(DenyReason::UnknownCredential),
                };
            };
            membership
        }
    };
    let Membership { workspace, member } = membership;
    if member.identity != identity {
        return Err(DenyReason::UnknownCredential);
    }
    if member.disabled {
        return Err(DenyReason::DisabledCredential);
    }
    let caller = Caller {
        id: member.id.to_string(),
        name: member.name.clone(),
        credential: CredentialKind::Jwt,
        key_id: None,
        session_id: None,
        client_id: None,
    };
    let known = KnownCaller {
        caller,
        workspace,
        member: Some(member),
        key: None,
        only: None,
        reads_only: false,
        not_after: Some(expires_at),
    };
    Ok(Standing::Caller(known))
}

/// An access token of our own. The filter has verified that it was issued for the path that is called; whether the
/// sign-in still holds, and for which server that path was, is judged here.
fn by_session<'facts>(
    facts: Option<&'facts SessionFacts>,
    scopes: &[String],
    expires_at: Timestamp,
    request: &LeaseRequest,
    now: Timestamp,
) -> Result<KnownCaller<'facts>, DenyReason> {
    let SessionFacts { session, workspace, member } = facts.ok_or(DenyReason::UnknownCredential)?;
    if expires_at <= now || session.expires_at <= now {
        return Err(DenyReason::ExpiredCredential);
    }
    let extent = Extent::of_scopes(scopes).ok_or(DenyReason::UnknownCredential)?.min(session.extent);
    if member.disabled {
        return Err(DenyReason::DisabledCredential);
    }
    let ResourcePath { workspace: named, server } = &session.resource;
    if *named != request.workspace || *server != request.server {
        return Err(DenyReason::NotForThisServer);
    }
    let caller = Caller {
        id: member.id.to_string(),
        name: member.name.clone(),
        credential: CredentialKind::AccessToken,
        key_id: None,
        session_id: Some(session.id.to_string()),
        client_id: Some(session.client.id.clone()),
    };
    Ok(KnownCaller {
        caller,
        workspace,
        member: Some(member),
        key: None,
        only: Some(&session.server),
        reads_only: extent == Extent::Reading,
        not_after: Some(expires_at.min(session.expires_at)),
    })
}

/// Without a mapping: the membership that the path names, or the only one. With several and none named it would be a
/// guess on whose behalf the call is made, so it is refused.
fn the_membership<'facts>(
    facts: &'facts TokenFacts,
    request: &LeaseRequest,
) -> Result<&'facts Membership, DenyReason> {
    match (&request.workspace, facts.memberships.as_slice()) {
        (_, []) => Err(DenyReason::UnknownCredential),
        (Some(named), all) => all
            .iter()
            .find(|membership| membership.workspace.slug == *named)
            .ok_or(DenyReason::WrongWorkspace),
        (None, [only]) => Ok(only),
        (None, _) => Err(DenyReason::WrongWorkspace),
    }
}

fn finish(standing: Standing<'_>, facts: &LeaseFacts) -> Result<Resolution, DenyReason> {
    let server = facts.server.as_ref().ok_or(DenyReason::UnknownServer)?;
    match standing {
        Standing::Newcomer { workspace, identity } => {
            // Nobody becomes a member by asking for a server that the workspace does not have.
            effective_policy(server, workspace, None, None)?;
            Ok(Resolution::Provision { workspace: workspace.id.clone(), identity })
        }
        Standing::Caller(known) => {
            // Another server may have the path by now.
            if known.only.is_some_and(|only| *only != server.server.id) {
                return Err(DenyReason::NotForThisServer);
            }
            let policy = effective_policy(server, known.workspace, known.member, known.key)?;
            // Nobody could consent, and whose account should it be?
            if known.member.is_none() && matches!(server.server.settings.auth, ServerAuth::OAuth(_)) {
                return Err(DenyReason::MemberRequired);
            }
            Ok(Resolution::Granted(Box::new(Grant {
                caller: known.caller,
                member: known.member.cloned(),
                workspace: known.workspace.reference(),
                server: server.server.clone(),
                policy,
                limits: CredentialLimits {
                    reading_tools: known.reads_only.then(|| server.reading_tools.clone()),
                    ..CredentialLimits::default()
                },
                not_after: known.not_after,
                revision: facts.revision,
            })))
        }
    }
}

/// Whether a member may use a server, as far as no key of the member's narrows that down.
pub fn may_use(facts: &ServerFacts, membership: &Membership) -> bool {
    let Membership { workspace, member } = membership;
    !member.disabled && effective_policy(facts, workspace, Some(member), None).is_ok()
}

/// The levels that concern this caller, outermost first; `UnknownServer` if any of them takes the server away.
fn effective_policy(
    facts: &ServerFacts,
    workspace: &Workspace,
    member: Option<&Member>,
    key: Option<&ApiKeyRecord>,
) -> Result<Policy, DenyReason> {
    if !facts.provisioned.contains(&workspace.id) {
        return Err(DenyReason::UnknownServer);
    }
    let concerns = |target: &PolicyTarget| match target {
        PolicyTarget::Organization => true,
        PolicyTarget::Workspace(id) => *id == workspace.id,
        PolicyTarget::Member(id) => member.is_some_and(|member| member.id == *id),
        PolicyTarget::Key(id) => key.is_some_and(|key| key.id == *id),
    };
    let entries = facts.policies.iter();
    let mut entries: Vec<&PolicyEntry> =
        entries.filter(|entry| entry.server == facts.server.id && concerns(&entry.target)).collect();
    if entries.iter().any(|entry| entry.rules.removes_server()) {
        return Err(DenyReason::UnknownServer);
    }
    entries.sort_by_key(|entry| entry.target.level());
    Ok(Policy { levels: entries.into_iter().map(|entry| entry.rules.at(entry.target.level())).collect() })
}

#[cfg(test)]
mod tests;
