//! The bearers of access tokens of our own.

use portcullis_wire::lease::{Caller, CredentialKind, DenyReason, LeaseRequest};

use super::{KnownCaller, Trail};
use crate::clock::Timestamp;
use crate::domain::client_session::{ClientSession, Extent};
use crate::domain::people::{Member, Workspace};
use crate::domain::resource::ResourcePath;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    pub session: ClientSession,
    pub workspace: Workspace,
    pub member: Member,
}

/// An access token of our own. The filter has verified that it was issued for the path that is called; whether the
/// sign-in still holds, and for which server that path was, is judged here.
pub(super) fn by_session<'facts>(
    trail: &mut Trail,
    facts: Option<&'facts SessionFacts>,
    scopes: &[String],
    expires_at: Timestamp,
    request: &LeaseRequest,
    now: Timestamp,
) -> Result<KnownCaller<'facts>, DenyReason> {
    let SessionFacts { session, workspace, member } =
        trail.take("session/unknown", facts, DenyReason::UnknownCredential)?;
    let holds = expires_at > now && session.expires_at > now;
    trail.check("session/expired", holds, DenyReason::ExpiredCredential)?;
    let extent = trail.take("session/scopes", Extent::of_scopes(scopes), DenyReason::UnknownCredential)?;
    let extent = extent.min(session.extent);
    trail.member(member)?;
    let ResourcePath { workspace: named, server } = &session.resource;
    let same = *named == request.workspace && *server == request.server;
    trail.check("session/path", same, DenyReason::NotForThisServer)?;
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
        bounded_by: Some(member),
        key: None,
        only: Some(&session.server),
        reads_only: extent == Extent::Reading,
        not_after: Some(expires_at.min(session.expires_at)),
    })
}
