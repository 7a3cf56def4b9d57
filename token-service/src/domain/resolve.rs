//! Who may have a lease: the facts about one caller and one server, turned into a grant or a reason why not.
//!
//! The store reads [`LeaseFacts`] from one snapshot and judges nothing; every rule is here.

mod known;
mod session;
mod taken;
mod token;

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
pub use self::taken::{Taken, resolve_taken};
use self::token::{VerifiedToken, by_token};
use super::Revision;
use super::denial::Trail;
use super::ids::{ServerId, WorkspaceId};
use super::issuer::Issuer;
use super::limit::{Counted, Limit};
use super::people::{ApiKeyRecord, Identity, KeyOwner, KeyScope, Member, MemberRole, Workspace};
use super::policy::{PolicyEntry, PolicyTarget};
use super::provisioning::Admission;
use super::server::{Server, ServerAuth};
use super::staleness::Staleness;
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
    /// Every limit that may concern the caller; others do no harm.
    pub limits: Vec<Limit>,
    /// The tools whose definition is the one that was approved; filled in only where a policy makes them matter.
    pub approved_tools: Vec<String>,
    /// Which of the workspaces' members it is for.
    pub admission: Admission,
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
    /// When the caller's own credential expires.
    pub not_after: Option<Timestamp>,
    pub revision: Revision,
}

/// Decides on a lease. The caller is judged before the server, so that a stranger learns nothing about servers.
/// `resource` is the URL of the path that was called.
pub fn resolve(request: &LeaseRequest, facts: &LeaseFacts, resource: &str, now: Timestamp) -> Resolution {
    resolve_on(&mut Trail::default(), request, facts, resource, now)
}

/// As [`resolve`], and notes on the trail what is judged.
pub fn resolve_on(
    trail: &mut Trail,
    request: &LeaseRequest,
    facts: &LeaseFacts,
    resource: &str,
    now: Timestamp,
) -> Resolution {
    let outcome = match (&facts.caller, &request.proof) {
        (CallerFacts::ApiKey(key), CallerProof::ApiKey { digest, .. }) => {
            by_key(trail, key.as_ref(), digest, request, now).map(Standing::Caller)
        }
        (CallerFacts::Token(facts), proof @ CallerProof::Jwt { .. }) => {
            VerifiedToken::of(proof).and_then(|token| by_token(trail, facts, &token, request, resource, now))
        }
        (CallerFacts::Session(session), CallerProof::AccessToken { scopes, expires_at, .. }) => {
            let expires_at = Timestamp::from_seconds(*expires_at);
            by_session(trail, session.as_deref(), scopes, expires_at, request, now).map(Standing::Caller)
        }
        // Facts about another kind of credential than was shown say nothing about this one.
        _ => Err(DenyReason::UnknownCredential),
    };
    conclude(trail, outcome, facts)
}

fn conclude(trail: &mut Trail, outcome: Result<Standing<'_>, DenyReason>, facts: &LeaseFacts) -> Resolution {
    trail.at(facts.revision);
    match outcome.and_then(|standing| finish(trail, standing, facts)) {
        Ok(resolution) => resolution,
        Err(reason) => Resolution::Denied(reason),
    }
}

/// Where a credential that holds leaves its bearer.
enum Standing<'facts> {
    Caller(KnownCaller<'facts>),
    Newcomer { workspace: &'facts Workspace, identity: Identity, name: String },
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

impl KnownCaller<'_> {
    fn counted<'a>(&'a self, server: &'a Server) -> Counted<'a> {
        Counted {
            server,
            workspace: &self.workspace.id,
            bounded_by: self.bounded_by.map(|member| &member.id),
            key: self.key.map(|key| &key.id),
            caller: &self.caller,
        }
    }
}

fn by_key<'facts>(
    trail: &mut Trail,
    facts: Option<&'facts KeyFacts>,
    digest: &Digest,
    request: &LeaseRequest,
    now: Timestamp,
) -> Result<KnownCaller<'facts>, DenyReason> {
    let KeyFacts { key, workspace, member, maker } =
        trail.take("key/unknown", facts, DenyReason::UnknownCredential)?;
    let same = bool::from(key.digest.as_bytes().ct_eq(digest.as_bytes()));
    trail.check("key/secret", same, DenyReason::UnknownCredential)?;
    let settings = &key.settings;
    trail.check("quarantine/key", !key.quarantined, DenyReason::DisabledCredential)?;
    trail.check("key/disabled", !settings.disabled, DenyReason::DisabledCredential)?;
    let ended = settings.expires_at.is_some_and(|end| end <= now);
    trail.check("key/expired", !ended, DenyReason::ExpiredCredential)?;
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
        (KeyOwner::Member(_), _) => {
            trail.check("key/owner", false, DenyReason::UnknownCredential)?;
            return Err(DenyReason::UnknownCredential);
        }
    };
    let member = member.as_ref().filter(|_| key.owner != KeyOwner::Service);
    if let Some(member) = member {
        trail.member(member)?;
    }
    let maker = maker.as_ref().filter(|_| key.owner == KeyOwner::Service);
    if let Some(maker) = maker {
        trail.check("key/maker", maker.may_make_service_keys(), DenyReason::DisabledCredential)?;
    }
    let elsewhere = request.workspace.as_ref().is_some_and(|named| *named != workspace.slug);
    trail.check("caller/workspace", !elsewhere, DenyReason::WrongWorkspace)?;
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

fn finish(trail: &mut Trail, standing: Standing<'_>, facts: &LeaseFacts) -> Result<Resolution, DenyReason> {
    let server = trail.take("server/unknown", facts.server.as_ref(), DenyReason::UnknownServer)?;
    match standing {
        Standing::Newcomer { workspace, identity, name } => {
            // Nobody becomes a member by asking for a server that the workspace does not have.
            effective_policy(trail, server, workspace, None, None)?;
            let admitted = server.admission.admits_newcomers(&workspace.id);
            trail.check("provision/member", admitted, DenyReason::UnknownServer)?;
            Ok(Resolution::Provision { workspace: workspace.id.clone(), identity, name })
        }
        Standing::Caller(known) => {
            // Another server may have the path by now.
            if let Some(only) = known.only {
                let same = *only == server.server.id;
                trail.check("session/server", same, DenyReason::NotForThisServer)?;
            }
            let policy = effective_policy(trail, server, known.workspace, known.bounded_by, known.key)?;
            // Nobody could consent, and whose account should it be?
            if matches!(server.server.settings.auth, ServerAuth::OAuth(_)) {
                trail.check("server/account", known.member.is_some(), DenyReason::MemberRequired)?;
            }
            let terms = known.counted(&server.server).terms(&server.limits);
            Ok(Resolution::Granted(Box::new(Grant {
                caller: known.caller,
                member: known.member.cloned(),
                workspace: known.workspace.reference(),
                server: server.server.clone(),
                policy,
                terms: Terms { serve_stale_ms: serve_stale_ms(known.workspace), ..terms },
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
    member.is_active()
        && effective_policy(&mut Trail::default(), facts, workspace, Some(member), None).is_ok()
}

/// The levels that concern this caller, outermost first; `UnknownServer` if any of them takes the server away.
fn effective_policy(
    trail: &mut Trail,
    facts: &ServerFacts,
    workspace: &Workspace,
    member: Option<&Member>,
    key: Option<&ApiKeyRecord>,
) -> Result<Policy, DenyReason> {
    let hidden = DenyReason::UnknownServer;
    trail.check("quarantine/server", !facts.server.quarantined, hidden)?;
    trail.check("provision/workspace", facts.provisioned.contains(&workspace.id), hidden)?;
    trail.check("provision/member", facts.admission.admits(&workspace.id, member), hidden)?;
    let concerns = |target: &PolicyTarget| match target {
        PolicyTarget::Organization => true,
        PolicyTarget::Workspace(id) => *id == workspace.id,
        PolicyTarget::Member(id) => member.is_some_and(|member| member.id == *id),
        PolicyTarget::Key(id) => key.is_some_and(|key| key.id == *id),
    };
    let entries = facts.policies.iter();
    let mut entries: Vec<&PolicyEntry> =
        entries.filter(|entry| entry.server == facts.server.id && concerns(&entry.target)).collect();
    entries.sort_by_key(|entry| entry.target.level());
    for entry in &entries {
        trail.enabled(entry)?;
    }
    let mut levels: Vec<LevelRules> =
        entries.into_iter().map(|entry| entry.rules.at(entry.target.level())).collect();
    if let Some(key) = key {
        levels.extend(rules_of_scope(trail, &key.settings.scope, facts)?);
    }
    let known = known_tools(&levels, facts);
    Ok(Policy { levels, known })
}

/// What a key's own scope takes away, as rules of its level; `None` if nothing.
fn rules_of_scope(
    trail: &mut Trail,
    scope: &KeyScope,
    facts: &ServerFacts,
) -> Result<Option<LevelRules>, DenyReason> {
    let left = scope.servers.as_ref().is_none_or(|servers| servers.contains(&facts.server.id));
    trail.check("key/scope.servers", left, DenyReason::UnknownServer)?;
    let takes_away = scope.read_only || !scope.tools.is_empty();
    Ok(takes_away.then(|| LevelRules {
        level: Level::Key,
        tools: scope.tools.clone(),
        read_only: scope.read_only,
        ..LevelRules::default()
    }))
}

fn serve_stale_ms(workspace: &Workspace) -> Option<u64> {
    workspace.staleness.map(Staleness::as_millis)
}

fn limits(key: Option<&ApiKeyRecord>, reading_tools: Option<Vec<String>>) -> CredentialLimits {
    let sources = key.map(|key| key.settings.sources.iter().map(ToString::to_string).collect());
    CredentialLimits { sources: sources.unwrap_or_default(), reading_tools }
}

#[cfg(test)]
mod tests;
