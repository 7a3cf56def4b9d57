//! Turning what the token-service gave out itself, a state or a session id, into what the upstream gave out or would
//! have.

use std::time::Duration;

use portcullis_wire::digest::Digest;
use portcullis_wire::lease::{CallerProof, LeaseRequest, Rejected};
use portcullis_wire::names::Slug;
use portcullis_wire::unconnected::{OpenState, OpenedState, STATE_PREFIX, SessionReply, SessionRequest};
use secrecy::{ExposeSecret as _, SecretString};

use super::learn::shake_hands;
use super::tokens::{RequestState, Session};
use super::upstream::{Speech, Upstream, UpstreamError};
use crate::broker::Credential;
use crate::domain::ids::MemberId;
use crate::domain::resolve::{Grant, Resolution};
use crate::http::error::error_chain;
use crate::state::Service;
use crate::store::StoreError;
use crate::store::connections::UpstreamSession;
use crate::vault::Place;

/// When to ask again after something failed.
const RETRY_AFTER_MS: u64 = 1_000;

/// How long a filter may use an answer without asking again. The answer itself does not change.
const LONGEST_USE: Duration = Duration::from_mins(10);

impl Service {
    /// Opens a state for the caller, server and request that it was made for.
    pub async fn open_state(&self, request: &OpenState) -> OpenedState {
        let granted = self.member_grant(&request.server, request.workspace.as_ref(), &request.proof).await;
        let (grant, member) = match granted {
            Ok(Some(granted)) => granted,
            Ok(None) => return OpenedState::Refused,
            Err(error) => {
                tracing::error!(error = error_chain(&error), "cannot open a request state");
                return OpenedState::Unavailable { retry_after_ms: RETRY_AFTER_MS };
            }
        };
        let Some(text) = request.state.strip_prefix(STATE_PREFIX) else { return OpenedState::Refused };
        let now = self.clock.now();
        match RequestState::open(&self.vault, &member, &grant.server.id, &request.request, text, now) {
            Some(state) => {
                OpenedState::Opened { request_state: state.upstream, input_responses: state.input_responses }
            }
            None => OpenedState::Refused,
        }
    }

    /// Finds the upstream's session behind one of ours, or makes it.
    ///
    /// An upstream that does not shake hands at all, because it has the modern version only, leaves nothing to open:
    /// the answer is [`SessionReply::Unknown`], the client starts anew, and hears from the upstream itself what it
    /// speaks.
    pub async fn open_session(&self, request: &SessionRequest) -> SessionReply {
        match self.find_or_open(request).await {
            Ok(reply) => reply,
            Err(error) => {
                tracing::error!(error = error_chain(&error), "cannot open a session");
                SessionReply::Unavailable { retry_after_ms: RETRY_AFTER_MS }
            }
        }
    }

    async fn find_or_open(&self, request: &SessionRequest) -> Result<SessionReply, StoreError> {
        let granted = self.member_grant(&request.server, request.workspace.as_ref(), &request.proof).await?;
        let Some((grant, member)) = granted else { return Ok(SessionReply::Unknown) };
        let now = self.clock.now();
        let session = Session::open(&self.vault, &member, &grant.server.id, &request.session, now);
        let Some(session) = session else { return Ok(SessionReply::Unknown) };
        let digest = Digest::of("portcullis-session-v1", &[request.session.as_bytes()]);
        let lock = self.unconnected.session(digest);
        let _one_at_a_time = lock.lock().await;
        let kept = match self.store.upstream_session(&digest).await? {
            Some(kept) => kept,
            None => match self.open_upstream_session(&grant, &member, &session, digest).await? {
                Ok(kept) => kept,
                Err(reply) => return Ok(reply),
            },
        };
        let place = Place::upstream_session(&digest, &member, &grant.server.id);
        let session_id = kept.session_id.map(|sealed| self.vault.unseal(&place, &sealed)).transpose();
        let Ok(session_id) = session_id else {
            tracing::error!(server = grant.server.id.as_str(), "a kept session cannot be opened");
            return Ok(SessionReply::Unknown);
        };
        let ttl = now.until(session.expires_at()).min(LONGEST_USE);
        Ok(SessionReply::Opened {
            session_id: session_id.map(|id| id.expose_secret().to_owned()),
            protocol_version: kept.protocol_version,
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Shakes hands and keeps what came of it. `Err` is what to answer if there is no session.
    async fn open_upstream_session(
        &self,
        grant: &Grant,
        member: &MemberId,
        session: &Session,
        digest: Digest,
    ) -> Result<Result<UpstreamSession, SessionReply>, StoreError> {
        let server = &grant.server;
        let (credential, speech) = match self.shake_hands_as(grant, session).await {
            Ok(opened) => opened,
            Err(Some(error)) if error.is_final() => {
                tracing::info!(server = server.id.as_str(), %error, "the server does not shake hands");
                return Ok(Err(SessionReply::Unknown));
            }
            Err(error) => {
                let error = error.map(|error| error.to_string());
                tracing::warn!(server = server.id.as_str(), error, "no session can be opened now");
                return Ok(Err(SessionReply::Unavailable { retry_after_ms: RETRY_AFTER_MS }));
            }
        };
        let Speech::Legacy { version, session: id } = &speech else { return Ok(Err(SessionReply::Unknown)) };
        let place = Place::upstream_session(&digest, member, &server.id);
        let opened = UpstreamSession {
            member: member.clone(),
            server: server.id.clone(),
            session_id: id.as_ref().map(|id| self.vault.seal(&place, &SecretString::from(id.as_str()))),
            protocol_version: version.clone(),
            created_at: self.clock.now(),
        };
        let kept = self.store.save_upstream_session(&digest, &opened).await?;
        if kept != opened
            && let Ok(upstream) = Upstream::new(&self.egress, server, &credential)
        {
            // Another process was faster, and its session is the one.
            upstream.end(&speech).await;
        }
        Ok(Ok(kept))
    }

    /// With a credential that is renewed once if the upstream does not take it. What it says to the second one is
    /// reported too, so that the next lease asks the member. `Err(None)`: there is no credential now.
    async fn shake_hands_as(
        &self,
        grant: &Grant,
        session: &Session,
    ) -> Result<(Credential, Speech), Option<UpstreamError>> {
        let mut rejected = None;
        for _ in 0..2 {
            let credential = self.credential(grant, rejected.as_ref()).await.map_err(|_| None)?;
            let upstream = Upstream::new(&self.egress, &grant.server, &credential).map_err(Some)?;
            let Session { version, capabilities, client_info, .. } = session;
            match shake_hands(&upstream, version, capabilities, client_info).await {
                Ok((speech, _)) => return Ok((credential, speech)),
                Err(UpstreamError::Credential { status, challenge }) => {
                    let Some((id, generation)) = credential.connection else { return Err(None) };
                    let connection_id = id.to_string();
                    rejected = Some(Rejected { connection_id, generation, status, challenge });
                }
                Err(error) => return Err(Some(error)),
            }
        }
        let _ = self.credential(grant, rejected.as_ref()).await;
        Err(None)
    }

    /// The caller's grant, as a lease would find it, and the member behind it.
    async fn member_grant(
        &self,
        server: &Slug,
        workspace: Option<&Slug>,
        proof: &CallerProof,
    ) -> Result<Option<(Grant, MemberId)>, StoreError> {
        let request = LeaseRequest {
            server: server.clone(),
            workspace: workspace.cloned(),
            proof: proof.clone(),
            rejected: None,
            wait_ms: None,
        };
        let Resolution::Granted(grant) = self.resolve(&request, self.clock.now()).await? else {
            return Ok(None);
        };
        Ok(grant.member.as_ref().map(|member| member.id.clone()).map(|member| (*grant, member)))
    }
}
