//! The parts of the contract about connections and browsers: which function runs in which kind of transaction.

use std::time::Duration;

use async_trait::async_trait;
use portcullis_wire::digest::Digest;

use super::{
    SqlStore, browsers, catalogue, clients, conditional, connection_changes, connections, housekeeping,
    renewals, upstreams, writing,
};
use crate::clock::Timestamp;
use crate::domain::connecting::{BrowserSession, Flow, Ticket};
use crate::domain::connection::{Binding, Connection, ConnectionId, ReauthReason, SealedTokens, StepUp};
use crate::domain::ids::{MemberId, ServerId};
use crate::store::connections::{
    Catalogue, ConnectionFilter, NewConnection, RefreshFailure, RefreshStart, RegisteredClient, Renewed,
    UpstreamSession,
};
use crate::store::{BrowserStore, ConnectionStore, Result};

#[async_trait]
impl ConnectionStore for SqlStore {
    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>> {
        connections::by_id(&mut *self.read().await?, id).await
    }

    async fn connections(
        &self,
        filter: &ConnectionFilter,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Connection>> {
        connections::page(&mut *self.read().await?, filter, after, limit).await
    }

    async fn connection_counts(&self) -> Result<Vec<(String, u64)>> {
        connections::counts(&mut *self.read().await?).await
    }

    async fn due_connections(&self, now: Timestamp, limit: u32) -> Result<Vec<ConnectionId>> {
        connections::due(&mut *self.read().await?, now, limit).await
    }

    async fn connect(&self, new: &NewConnection) -> Result<Connection> {
        writing!(self, connection_changes::connect, new)
    }

    async fn begin_refresh(
        &self,
        id: &ConnectionId,
        generation: u64,
        attempt: &str,
        lease: Duration,
    ) -> Result<RefreshStart> {
        conditional!(self, renewals::begin, id, generation, attempt, lease)
    }

    async fn mark_sent(&self, id: &ConnectionId, attempt: &str) -> Result<bool> {
        conditional!(self, renewals::mark_sent, id, attempt)
    }

    async fn finish_refresh(
        &self,
        id: &ConnectionId,
        attempt: &str,
        renewed: &Renewed,
    ) -> Result<Option<Connection>> {
        writing!(self, renewals::finish, id, attempt, renewed)
    }

    async fn fail_refresh(
        &self,
        id: &ConnectionId,
        attempt: &str,
        failure: &RefreshFailure,
    ) -> Result<Option<Connection>> {
        match *failure {
            RefreshFailure::Ambiguous { retry_in } => {
                conditional!(self, renewals::leave_ambiguous, id, attempt, retry_in)
            }
            RefreshFailure::NotDone { retry_in } => {
                conditional!(self, renewals::give_back, id, attempt, retry_in)
            }
            RefreshFailure::Refused(reason) => writing!(self, renewals::refuse, id, attempt, reason),
        }
    }

    async fn need_reauth(
        &self,
        id: &ConnectionId,
        generation: u64,
        reason: ReauthReason,
    ) -> Result<Option<Connection>> {
        writing!(self, connection_changes::need_reauth, id, generation, reason)
    }

    async fn set_step_up(
        &self,
        id: &ConnectionId,
        generation: u64,
        step_up: &StepUp,
    ) -> Result<Option<Connection>> {
        conditional!(self, connections::set_step_up, id, generation, step_up)
    }

    async fn set_account(
        &self,
        id: &ConnectionId,
        generation: u64,
        account: &str,
    ) -> Result<Option<Connection>> {
        conditional!(self, connections::set_account, id, generation, account)
    }

    async fn disconnect(&self, id: &ConnectionId) -> Result<Option<Connection>> {
        writing!(self, connection_changes::disconnect, id)
    }

    async fn release(
        &self,
        id: &ConnectionId,
        generation: u64,
        binding: &Binding,
        tokens: &SealedTokens,
    ) -> Result<Option<Connection>> {
        writing!(self, connection_changes::release, id, generation, binding, tokens)
    }

    async fn registered_client(&self, server: &ServerId, issuer: &str) -> Result<Option<RegisteredClient>> {
        clients::find(&mut *self.read().await?, server, issuer).await
    }

    async fn last_issuer(&self, server: &ServerId) -> Result<Option<String>> {
        clients::last_issuer(&mut *self.snapshot().await?, server).await
    }

    async fn save_registered_client(&self, client: &RegisteredClient) -> Result<bool> {
        housekeeping!(self, clients::save, client)
    }

    async fn delete_registered_client(&self, server: &ServerId, issuer: &str) -> Result<()> {
        housekeeping!(self, clients::delete, server, issuer)
    }

    async fn catalogue(&self, server: &ServerId) -> Result<Option<Catalogue>> {
        upstreams::catalogue(&mut *self.read().await?, server).await
    }

    async fn save_catalogue(&self, server: &ServerId, learnt: &Catalogue) -> Result<()> {
        catalogue::save(self, server, learnt).await
    }

    async fn upstream_session(&self, session: &Digest) -> Result<Option<UpstreamSession>> {
        upstreams::session(&mut *self.read().await?, session).await
    }

    async fn save_upstream_session(
        &self,
        session: &Digest,
        opened: &UpstreamSession,
    ) -> Result<UpstreamSession> {
        housekeeping!(self, upstreams::save_session, session, opened)
    }
}

#[async_trait]
impl BrowserStore for SqlStore {
    async fn live_ticket(
        &self,
        member: &MemberId,
        server: &ServerId,
        client_name: Option<&str>,
        good_until: Timestamp,
    ) -> Result<Option<Ticket>> {
        browsers::live_ticket(&mut *self.read().await?, member, server, client_name, good_until).await
    }

    async fn create_ticket(&self, ticket: &Ticket, good_until: Timestamp) -> Result<Option<Ticket>> {
        housekeeping!(self, browsers::create_ticket, ticket, good_until)
    }

    async fn ticket(&self, digest: &Digest, now: Timestamp) -> Result<Option<Ticket>> {
        browsers::ticket(&mut *self.read().await?, digest, now).await
    }

    async fn take_ticket(&self, digest: &Digest, now: Timestamp) -> Result<Option<Ticket>> {
        conditional!(self, browsers::take_ticket, digest, now)
    }

    async fn burn_ticket(&self, digest: &Digest, now: Timestamp) -> Result<bool> {
        writing!(self, browsers::burn_ticket, digest, now)
    }

    async fn tickets_since(&self, member: &MemberId, server: &ServerId, since: Timestamp) -> Result<u32> {
        browsers::tickets_since(&mut *self.read().await?, member, server, since).await
    }

    async fn create_session(&self, session: &BrowserSession) -> Result<()> {
        housekeeping!(self, browsers::create_session, session)
    }

    async fn session(&self, digest: &Digest, now: Timestamp) -> Result<Option<BrowserSession>> {
        browsers::session(&mut *self.read().await?, digest, now).await
    }

    async fn touch_session(&self, digest: &Digest, seen: Timestamp, expires_at: Timestamp) -> Result<()> {
        conditional!(self, browsers::touch_session, digest, seen, expires_at)
    }

    async fn delete_session(&self, digest: &Digest) -> Result<()> {
        conditional!(self, browsers::delete_session, digest)
    }

    async fn create_flow(&self, flow: &Flow) -> Result<()> {
        housekeeping!(self, browsers::create_flow, flow)
    }

    async fn take_flow(&self, state: &Digest, now: Timestamp) -> Result<Option<Flow>> {
        conditional!(self, browsers::take_flow, state, now)
    }

    async fn note_wrong_browser(&self, member: &MemberId) -> Result<()> {
        writing!(self, browsers::note_wrong_browser, member)
    }

    async fn sweep_browsers(&self, now: Timestamp) -> Result<()> {
        housekeeping!(self, browsers::sweep, now)
    }
}
