//! Answering an unconnected member's request.

use std::time::Duration;

use portcullis_wire::unconnected::SESSION_PREFIX;
use tokio::time::Instant;

use super::answer::{Plan, Question, Situation, plan};
use super::handle::Handle;
use super::message::{Message, Response, client_name};
use super::profile::Profile;
use super::reply::{Answer, code};
use super::tokens::{RequestState, Session};
use super::words::Words;
use crate::clock::Timestamp;
use crate::connect::ConnectLinkError;
use crate::domain::connection::ConnectionState;
use crate::domain::server::Server;
use crate::http::error::error_chain;
use crate::state::Service;
use crate::store::StoreError;

/// How long the filters get to hear of a new connection before the client is told to try again.
const FILTERS_HEAR: Duration = Duration::from_secs(2);

/// How long after a question the same call still counts as its retry, in milliseconds: the life of a link.
const ASKED_MS: u64 = 10 * 60 * 1000;

impl Service {
    /// Answers a POST. `handle` and `session` are the values of the headers.
    pub(crate) async fn answer_unconnected(
        &self,
        handle: &str,
        session: Option<&str>,
        body: &[u8],
    ) -> Answer {
        let Some(handle) = Handle::open(&self.vault, handle, self.clock.now()) else { return outdated() };
        let message = match Message::read(body) {
            Ok(message) => message,
            Err(answer) => return answer,
        };
        match self.answer(&handle, session, &message).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(error = error_chain(&error), "cannot answer an unconnected member");
                let text = "The gateway cannot answer now. Nothing was done; try again.";
                Answer::unavailable(message.id, "store_unavailable", text)
            }
        }
    }

    async fn answer(
        &self,
        handle: &Handle,
        session: Option<&str>,
        message: &Message<'_>,
    ) -> Result<Answer, StoreError> {
        let now = self.clock.now();
        let session = match session.filter(|session| session.starts_with(SESSION_PREFIX)) {
            None => None,
            Some(text) => match Session::open(&self.vault, &handle.member, &handle.server, text, now) {
                Some(session) => Some(session),
                None => return Ok(Answer::unknown_session(message.id)),
            },
        };
        let Some(server) = self.store.server(&handle.server).await? else { return Ok(outdated()) };
        let catalogue = self.store.catalogue(&server.id).await?;
        let profile = Profile::of(catalogue.as_ref(), &server.settings.name);
        match plan(message, session.as_ref(), &profile) {
            Plan::Answer(answer) => Ok(answer),
            Plan::Open(answer, version) => {
                let (capabilities, info) = message.client();
                let opened = Session::new(version, capabilities, info, now);
                let id = opened.seal(&self.vault, &handle.member, &handle.server);
                Ok(Answer { session: Some(id), ..answer })
            }
            Plan::Ask(question) => self.ask(handle, session.as_ref(), message, &question, &server).await,
        }
    }

    async fn ask(
        &self,
        handle: &Handle,
        session: Option<&Session>,
        message: &Message<'_>,
        question: &Question<'_>,
        server: &Server,
    ) -> Result<Answer, StoreError> {
        let words = Words::new(&server.settings.name, handle);
        let Some((state, response)) = self.read_state(handle, message, question) else {
            return Ok(refused_state(message));
        };
        let put = |situation| question.put(situation, &words, state.as_deref());
        let connected = match response {
            Response::Declined => return Ok(put(Situation::Declined)),
            Response::Accepted => self.wait_for_connection(handle, server).await?,
            Response::Missing if question.asks_by_input() && self.was_asked_for_scopes(handle).await? => {
                self.wait_for_connection(handle, server).await?
            }
            Response::Missing => self.is_connected(handle, server).await?,
        };
        if connected {
            self.filters_hear().await?;
            return Ok(put(Situation::Connected));
        }
        let info = session.map_or_else(|| message.client().1, |session| Some(&session.client_info));
        match self.connect_link(&handle.member, &handle.server, client_name(info)).await {
            Ok(link) => Ok(put(Situation::Link(&link))),
            // There the member signs in and finds the server.
            Err(ConnectLinkError::TooMany) => {
                Ok(put(Situation::Link(&format!("{}/connections", self.settings.public_url))))
            }
            Err(ConnectLinkError::Store(error)) => Err(error),
        }
    }

    /// The state for the next round, if there is room for one, and what the client says to the last. `None` if the
    /// state that it brings does not fit.
    fn read_state(
        &self,
        handle: &Handle,
        message: &Message<'_>,
        question: &Question<'_>,
    ) -> Option<(Option<String>, Response)> {
        let (now, digest) = (self.clock.now(), message.digest());
        let Handle { member, server, .. } = handle;
        let (state, response) = match message.our_state().filter(|_| question.takes_input()) {
            None => {
                let (theirs, answers) = message.their_state();
                (RequestState::new(now, theirs, answers), Response::Missing)
            }
            Some(text) => {
                let state = RequestState::open(&self.vault, member, server, &digest, text, now)?;
                (Some(state.renewed(now)), message.response())
            }
        };
        Some((state.map(|state| state.seal(&self.vault, member, server, &digest)), response))
    }

    /// Whether the member was asked for further scopes a moment ago. The retry of such a call has gone to the upstream
    /// first, since there is a credential, so that it comes here without its state; without the wait its client would
    /// use up its rounds while the person reads the page.
    async fn was_asked_for_scopes(&self, handle: &Handle) -> Result<bool, StoreError> {
        let Some(connection) = self.store.connection(&handle.connection).await? else { return Ok(false) };
        // Not by the link that led to the present connection.
        let since =
            Timestamp(self.clock.now().as_millis().saturating_sub(ASKED_MS)).max(connection.connected_at);
        Ok(handle.missing_scopes
            && self.store.tickets_since(&handle.member, &handle.server, since).await? > 0)
    }

    /// Until the member is connected, or the client has waited long enough.
    async fn wait_for_connection(&self, handle: &Handle, server: &Server) -> Result<bool, StoreError> {
        let permit = self.unconnected.waiting.try_acquire();
        let patience = if permit.is_ok() { self.settings.connect_wait } else { Duration::ZERO };
        let deadline = Instant::now() + patience;
        let mut commits = self.store.commits();
        loop {
            commits.mark_unchanged();
            if self.is_connected(handle, server).await? {
                return Ok(true);
            }
            tokio::select! {
                changed = commits.changed() => if changed.is_err() { return Ok(false) },
                () = tokio::time::sleep_until(deadline) => return Ok(false),
                () = self.shutdown.requested() => return Ok(false),
            }
        }
    }

    /// Whether the next lease will be a grant. The store is asked first, because most often it says no.
    async fn is_connected(&self, handle: &Handle, server: &Server) -> Result<bool, StoreError> {
        let Some(connection) = self.store.connection(&handle.connection).await? else { return Ok(false) };
        let lacks_scopes = handle.missing_scopes && !connection.step_up.wanted.is_empty();
        if connection.state != ConnectionState::Active || lacks_scopes {
            return Ok(false);
        }
        let Some(grant) = self.grant_of(&handle.member, server).await? else { return Ok(false) };
        Ok(self.credential(&grant, None).await.is_ok())
    }

    /// So that a client that tries again at once does not come here again. Should a filter not have heard in time, it
    /// does, and waits once more. For pages: what they say has been done is true of the next call.
    pub(crate) async fn filters_hear(&self) -> Result<(), StoreError> {
        let revision = self.store.current_revision().await?;
        let _ = self.applied(revision, FILTERS_HEAR).await;
        Ok(())
    }
}

/// The handle has expired, was sealed under another key, or names a server that is gone. The filter will have learnt
/// what is so now by the next request.
fn outdated() -> Answer {
    Answer::unavailable(
        None,
        "handle_outdated",
        "What the gateway knew of this caller is out of date. Try again.",
    )
}

fn refused_state(message: &Message<'_>) -> Answer {
    let text = "This requestState is not for this request, or has expired. Make the call again without \
                requestState and inputResponses.";
    Answer::refusal(message.id, code::INVALID_PARAMS, text)
}
