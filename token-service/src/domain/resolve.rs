//! Who may have a lease: the facts about one caller and one server, turned into a grant or a reason why not.
//!
//! The store reads [`LeaseFacts`] from one snapshot and judges nothing; every rule is here.

mod known;
mod session;

use std::collections::BTreeSet;

use portcullis_wire::digest::Digest;
use portcullis_wire::lease::{
    Caller, CallerProof, CredentialKind, CredentialLimits, DenyReason, LeaseRequest, Terms, WorkspaceRef,
};
use portcullis_wire::policy::{Level, LevelRules, Policy};
use subtle::ConstantTimeEq as _;

pub use self::known::judges_by_catalogue;
use self::known::known_tools;
pub use self::session::SessionFacts;
use self::session::by_session;
use super::Revision;
use super::ids::{ServerId, WorkspaceId};
use super::issuer::{Issuer, WorkspaceMapping};
use super::people::{ApiKeyRecord, Identity, KeyOwner, KeyScope, Member, MemberRole, Workspace};
use super::policy::{PolicyEntry, PolicyTarget};
use super::server::{Server, ServerAuth};
use super::token_rules::TokenView;
use crate::clock::Timestamp;

/// Everything that is known about one lease request, as of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseFacts {
    pub revision: Revision,
    pub caller: CallerFacts,
    /// The server of that slug.
    pub server: Option<ServerFacts>,
}

#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it does not live long")]
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
    /// Who made it; `None` if that was the admin token.
    pub maker: Option<MakerFacts>,
}

/// What whoever made a key may do at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakerFacts {
    /// Whether the maker administers the organization.
    pub administers: bool,
    /// The maker's membership in the key's workspace.
    pub membership: Option<Member>,
}

impl MakerFacts {
    /// Whether the maker could make a service key now.
    fn may_make_service_keys(&self) -> bool {
        let manages = |member: &Member| member.is_active() && member.role == MemberRole::Manager;
        self.administers || self.membership.as_ref().is_some_and(manages)
    }
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
    /// The tools that are known to read only; filled in only where the credential or a policy makes them matter.
    pub reading_tools: Vec<String>,
    /// The tools whose definition is the one that was approved; filled in only where a policy makes them matter.
    pub approved_tools: Vec<String>,
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
        /// What to call the member until somebody gives it another name.
        name: String,
    },
    /// Whoever knows about the credential is being asked, and takes its time.
    Pending,
    /// Whoever knows about the credential cannot be asked now.
    Unavailable,
}

impl Resolution {
    /// The same for a caller whose token's issuer was asked, and is believed until then.
    #[must_use]
    pub fn by_introspection(self, until: Timestamp) -> Self {
        match self {
            Self::Granted(mut grant) => {
                grant.caller.credential = CredentialKind::OpaqueToken;
                grant.not_after = Some(grant.not_after.map_or(until, |end| end.min(until)));
                Self::Granted(grant)
            }
            other => other,
        }
    }
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
    pub terms: Terms,
    /// Whether it matters which tools are known to read only, because of the credential or of a policy.
    pub reads_only: bool,
    /// When the caller's own credential expires.
    pub not_after: Option<Timestamp>,
    pub revision: Revision,
}

/// Decides on a lease. The caller is judged before the server, so that a stranger learns nothing about servers.
/// `resource` is the URL of the path that was called.
pub fn resolve(request: &LeaseRequest, facts: &LeaseFacts, resource: &str, now: Timestamp) -> Resolution {
    let outcome = match (&facts.caller, &request.proof) {
        (CallerFacts::ApiKey(key), CallerProof::ApiKey { digest, .. }) => {
            by_key(key.as_ref(), digest, request, now).map(Standing::Caller)
        }
        (CallerFacts::Token(facts), proof @ CallerProof::Jwt { .. }) => {
            VerifiedToken::of(proof).and_then(|token| by_token(facts, &token, request, resource, now))
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
    Newcomer { workspace: &'facts Workspace, identity: Identity, name: String },
}

/// A token as the filter has verified it.
struct VerifiedToken<'a> {
    identity: Identity,
    workspace_claim: Option<&'a str>,
    says: TokenView<'a>,
    expires_at: Timestamp,
}

impl<'a> VerifiedToken<'a> {
    fn of(proof: &'a CallerProof) -> Result<Self, DenyReason> {
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

struct KnownCaller<'facts> {
    caller: Caller,
    workspace: &'facts Workspace,
    member: Option<&'facts Member>,
    /// Whose member-level policy applies: the member's, or that of whoever made a service key.
    bounded_by: Option<&'facts Member>,
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
    let KeyFacts { key, workspace, member, maker } = facts.ok_or(DenyReason::UnknownCredential)?;
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
    if member.is_some_and(|member| !member.is_active()) {
        return Err(DenyReason::DisabledCredential);
    }
    let maker = maker.as_ref().filter(|_| key.owner == KeyOwner::Service);
    if maker.is_some_and(|maker| !maker.may_make_service_keys()) {
        return Err(DenyReason::DisabledCredential);
    }
    if request.workspace.as_ref().is_some_and(|named| *named != workspace.slug) {
        return Err(DenyReason::WrongWorkspace);
    }
    let bounded_by = member.or_else(|| maker?.membership.as_ref());
    Ok(KnownCaller {
        caller,
        workspace,
        member,
        bounded_by,
        key: Some(key),
        only: None,
        reads_only: false,
        not_after: settings.expires_at,
    })
}

fn by_token<'facts>(
    facts: &'facts TokenFacts,
    token: &VerifiedToken<'_>,
    request: &LeaseRequest,
    resource: &str,
    now: Timestamp,
) -> Result<Standing<'facts>, DenyReason> {
    let VerifiedToken { identity, workspace_claim: claim, says, expires_at } = token;
    let issuer = facts.issuer.as_ref().filter(|issuer| issuer.issuer == identity.issuer);
    let issuer = issuer.ok_or(DenyReason::UnknownCredential)?;
    let not_after = expires_at.plus(issuer.clock_tolerance());
    if not_after <= now {
        return Err(DenyReason::ExpiredCredential);
    }
    issuer.judge(&request.server, *says, resource, now)?;
    let membership = match &issuer.workspaces {
        WorkspaceMapping::Membership => the_membership(facts, request)?,
        WorkspaceMapping::Fixed(_) | WorkspaceMapping::Claim(_) => {
            let slug = issuer.mapped_workspace(*claim).ok_or(DenyReason::UnknownCredential)?;
            if request.workspace.as_ref().is_some_and(|named| *named != slug) {
                return Err(DenyReason::WrongWorkspace);
            }
            let found = facts.memberships.iter().find(|membership| membership.workspace.slug == slug);
            let Some(membership) = found else {
                let workspace = facts.mapped.as_ref().filter(|mapped| mapped.slug == slug);
                return match workspace {
                    Some(workspace) if issuer.auto_provision_members => {
                        let name = issuer.first_name(*says).unwrap_or(&identity.subject).to_owned();
                        Ok(Standing::Newcomer { workspace, identity: identity.clone(), name })
                    }
                    _ => Err(DenyReason::UnknownCredential),
                };
            };
            membership
        }
    };
    let Membership { workspace, member } = membership;
    if member.identity != *identity {
        return Err(DenyReason::UnknownCredential);
    }
    if !member.is_active() {
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
        bounded_by: Some(member),
        key: None,
        only: None,
        reads_only: false,
        not_after: Some(not_after),
    };
    Ok(Standing::Caller(known))
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
        Standing::Newcomer { workspace, identity, name } => {
            // Nobody becomes a member by asking for a server that the workspace does not have.
            effective_policy(server, workspace, None, None)?;
            Ok(Resolution::Provision { workspace: workspace.id.clone(), identity, name })
        }
        Standing::Caller(known) => {
            // Another server may have the path by now.
            if known.only.is_some_and(|only| *only != server.server.id) {
                return Err(DenyReason::NotForThisServer);
            }
            let policy = effective_policy(server, known.workspace, known.bounded_by, known.key)?;
            // Nobody could consent, and whose account should it be?
            if known.member.is_none() && matches!(server.server.settings.auth, ServerAuth::OAuth(_)) {
                return Err(DenyReason::MemberRequired);
            }
            Ok(Resolution::Granted(Box::new(Grant {
                caller: known.caller,
                member: known.member.cloned(),
                workspace: known.workspace.reference(),
                server: server.server.clone(),
                reads_only: known.reads_only || policy.levels.iter().any(LevelRules::needs_reading),
                policy,
                terms: Terms::default(),
                limits: limits(known.key, known.reads_only.then(|| server.reading_tools.clone())),
                not_after: known.not_after,
                revision: facts.revision,
            })))
        }
    }
}

/// Whether a member may use a server, as far as no key of the member's narrows that down.
pub fn may_use(facts: &ServerFacts, membership: &Membership) -> bool {
    let Membership { workspace, member } = membership;
    member.is_active() && effective_policy(facts, workspace, Some(member), None).is_ok()
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
    let mut levels: Vec<LevelRules> =
        entries.into_iter().map(|entry| entry.rules.at(entry.target.level())).collect();
    if let Some(key) = key {
        levels.extend(rules_of_scope(&key.settings.scope, facts)?);
    }
    let known = known_tools(&levels, facts);
    Ok(Policy { levels, known })
}

/// What a key's own scope takes away, as rules of its level; `None` if nothing.
fn rules_of_scope(scope: &KeyScope, facts: &ServerFacts) -> Result<Option<LevelRules>, DenyReason> {
    if scope.servers.as_ref().is_some_and(|servers| !servers.contains(&facts.server.id)) {
        return Err(DenyReason::UnknownServer);
    }
    let takes_away = scope.read_only || !scope.tools.is_empty();
    Ok(takes_away.then(|| LevelRules {
        level: Level::Key,
        tools: scope.tools.clone(),
        read_only: scope.read_only,
        ..LevelRules::default()
    }))
}

fn limits(key: Option<&ApiKeyRecord>, reading_tools: Option<Vec<String>>) -> CredentialLimits {
    let sources = key.map(|key| key.settings.sources.iter().map(ToString::to_string).collect());
    CredentialLimits { sources: sources.unwrap_or_default(), reading_tools }
}

#[cfg(test)]
mod tests;
