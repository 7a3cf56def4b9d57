//! Placeholder.
use super::SqliteStore;
use crate::clock::Timestamp;
use crate::domain::{connecting::*, connection::*, ids::*, server::Sealed};
use crate::store::{Result, browsers::*, connections::*};
use async_trait::async_trait;
use portcullis_wire::digest::Digest;
use std::time::Duration;

#[async_trait]
impl ConnectionStore for SqliteStore {
    async fn connection(&self, _id: &ConnectionId) -> Result<Option<Connection>> {
        todo!()
    }
    async fn connections(
        &self,
        _filter: &ConnectionFilter,
        _after: Option<&ConnectionId>,
        _limit: u32,
    ) -> Result<Vec<Connection>> {
        todo!()
    }
    async fn due_connections(&self, _now: Timestamp, _limit: u32) -> Result<Vec<ConnectionId>> {
        todo!()
    }
    async fn connect(&self, _new: &NewConnection) -> Result<Connection> {
        todo!()
    }
    async fn begin_refresh(
        &self,
        _id: &ConnectionId,
        _generation: u64,
        _attempt: &str,
        _lease: Duration,
    ) -> Result<RefreshStart> {
        todo!()
    }
    async fn mark_sent(&self, _id: &ConnectionId, _attempt: &str) -> Result<bool> {
        todo!()
    }
    async fn finish_refresh(
        &self,
        _id: &ConnectionId,
        _attempt: &str,
        _renewed: &Renewed,
    ) -> Result<Option<Connection>> {
        todo!()
    }
    async fn fail_refresh(
        &self,
        _id: &ConnectionId,
        _attempt: &str,
        _failure: &RefreshFailure,
    ) -> Result<Option<Connection>> {
        todo!()
    }
    async fn need_reauth(
        &self,
        _id: &ConnectionId,
        _generation: u64,
        _reason: ReauthReason,
    ) -> Result<Option<Connection>> {
        todo!()
    }
    async fn set_step_up(
        &self,
        _id: &ConnectionId,
        _generation: u64,
        _step_up: &StepUp,
    ) -> Result<Option<Connection>> {
        todo!()
    }
    async fn disconnect(&self, _id: &ConnectionId) -> Result<Option<Connection>> {
        todo!()
    }
    async fn release(
        &self,
        _id: &ConnectionId,
        _generation: u64,
        _binding: &Binding,
        _tokens: &SealedTokens,
    ) -> Result<Option<Connection>> {
        todo!()
    }
    async fn registered_client(&self, _server: &ServerId, _issuer: &str) -> Result<Option<RegisteredClient>> {
        todo!()
    }
    async fn last_issuer(&self, _server: &ServerId) -> Result<Option<String>> {
        todo!()
    }
    async fn save_registered_client(&self, _client: &RegisteredClient) -> Result<bool> {
        todo!()
    }
    async fn delete_registered_client(&self, _server: &ServerId, _issuer: &str) -> Result<()> {
        todo!()
    }
    async fn catalogue(&self, _server: &ServerId) -> Result<Option<Catalogue>> {
        todo!()
    }
    async fn save_catalogue(&self, _server: &ServerId, _catalogue: &Catalogue) -> Result<()> {
        todo!()
    }
    async fn upstream_session(&self, _session: &Digest) -> Result<Option<UpstreamSession>> {
        todo!()
    }
    async fn save_upstream_session(
        &self,
        _session: &Digest,
        _opened: &UpstreamSession,
    ) -> Result<UpstreamSession> {
        todo!()
    }
}

#[async_trait]
impl BrowserStore for SqliteStore {
    async fn create_ticket(&self, _ticket: &Ticket) -> Result<()> {
        todo!()
    }
    async fn ticket(&self, _digest: &Digest, _now: Timestamp) -> Result<Option<Ticket>> {
        todo!()
    }
    async fn take_ticket(&self, _digest: &Digest, _now: Timestamp) -> Result<Option<Ticket>> {
        todo!()
    }
    async fn tickets_since(&self, _member: &MemberId, _server: &ServerId, _since: Timestamp) -> Result<u32> {
        todo!()
    }
    async fn create_session(&self, _session: &BrowserSession) -> Result<()> {
        todo!()
    }
    async fn session(&self, _digest: &Digest, _now: Timestamp) -> Result<Option<BrowserSession>> {
        todo!()
    }
    async fn touch_session(&self, _digest: &Digest, _seen: Timestamp, _expires_at: Timestamp) -> Result<()> {
        todo!()
    }
    async fn delete_session(&self, _digest: &Digest) -> Result<()> {
        todo!()
    }
    async fn create_flow(&self, _flow: &Flow) -> Result<()> {
        todo!()
    }
    async fn take_flow(&self, _state: &Digest, _now: Timestamp) -> Result<Option<Flow>> {
        todo!()
    }
    async fn sweep_browsers(&self, _now: Timestamp) -> Result<()> {
        todo!()
    }
}
