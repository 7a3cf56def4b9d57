//! The part of the contract about the authorization server: which function runs in which kind of transaction.

use async_trait::async_trait;
use portcullis_wire::digest::Digest;

use super::{
    SqlStore, authorizations, client_sessions, connection, dynamic_clients, housekeeping, refresh_tokens,
    signing_keys, writing,
};
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::client_session::{Authorization, ClientSession, ShownCode, Successor};
use crate::domain::ids::ClientSessionId;
use crate::domain::oauth_client::DynamicClient;
use crate::domain::signing::SigningKeyRow;
use crate::store::authorization::{Refreshed, SessionsOf};
use crate::store::{AuthorizationStore, Result};

#[async_trait]
impl AuthorizationStore for SqlStore {
    async fn signing_keys(&self) -> Result<Vec<SigningKeyRow>> {
        signing_keys::all(&mut *self.read().await?).await
    }

    async fn publish_signing_key(&self, key: &SigningKeyRow, newest: Option<&str>) -> Result<bool> {
        let mut transaction = self.begin().await?;
        if !signing_keys::add(&mut transaction, key, newest).await? {
            return Ok(false);
        }
        if connection::current_revision(&mut transaction).await? == Revision(0) {
            transaction.commit().await?;
        } else {
            let mut write = self.write_within(transaction).await?;
            signing_keys::note_added(&mut write, key);
            self.finish(write).await?;
        }
        Ok(true)
    }

    async fn forget_signing_key(&self, id: &str) -> Result<bool> {
        writing!(self, signing_keys::forget, id)
    }

    async fn register_client(&self, client: &DynamicClient) -> Result<bool> {
        housekeeping!(self, dynamic_clients::register, client)
    }

    async fn dynamic_client(&self, id: &str, now: Timestamp) -> Result<Option<DynamicClient>> {
        dynamic_clients::find(&mut *self.read().await?, id, now).await
    }

    async fn dynamic_clients(&self, after: Option<&str>, limit: u32) -> Result<Vec<DynamicClient>> {
        dynamic_clients::page(&mut *self.read().await?, after, limit).await
    }

    async fn delete_dynamic_client(&self, id: &str) -> Result<Option<Revision>> {
        writing!(self, dynamic_clients::delete, id)
    }

    async fn agree(&self, authorization: &Authorization) -> Result<bool> {
        housekeeping!(self, authorizations::agree, authorization)
    }

    async fn agreed(&self, request: &Digest) -> Result<Option<Authorization>> {
        authorizations::agreed(&mut *self.read().await?, request).await
    }

    async fn show_code(&self, request: &Digest, code: &Digest, expires_at: Timestamp) -> Result<bool> {
        housekeeping!(self, authorizations::show_code, request, code, expires_at)
    }

    async fn code(&self, code: &Digest) -> Result<Option<ShownCode>> {
        authorizations::code(&mut *self.read().await?, code).await
    }

    async fn redeem_code(&self, code: &Digest, session: &ClientSession, refresh: &Digest) -> Result<bool> {
        writing!(self, authorizations::redeem, code, session, refresh)
    }

    async fn spoil_code(&self, code: &Digest, now: Timestamp) -> Result<()> {
        writing!(self, authorizations::spoil, code, now)
    }

    async fn session_of_refresh_token(&self, token: &Digest) -> Result<Option<ClientSession>> {
        client_sessions::of_refresh_token(&mut *self.read().await?, &token.to_string()).await
    }

    /// A refresh takes no revision; only theft does, in the very transaction that notices it.
    async fn refresh(
        &self,
        token: &Digest,
        successor: &Successor,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Refreshed> {
        let mut transaction = self.begin().await?;
        let refreshed = refresh_tokens::rotate(&mut transaction, token, successor, now, expires_at).await?;
        if let Refreshed::Stolen(session) = &refreshed {
            let mut write = self.write_within(transaction).await?;
            client_sessions::end(&mut write, session, "session.stolen").await?;
            self.finish(write).await?;
        } else {
            transaction.commit().await?;
        }
        Ok(refreshed)
    }

    async fn client_session(&self, id: &ClientSessionId) -> Result<Option<ClientSession>> {
        client_sessions::by_id(&mut *self.read().await?, id).await
    }

    async fn client_sessions(
        &self,
        of: &SessionsOf,
        after: Option<&ClientSessionId>,
        limit: u32,
    ) -> Result<Vec<ClientSession>> {
        client_sessions::page(&mut *self.read().await?, of, after, limit).await
    }

    async fn end_client_session(&self, id: &ClientSessionId) -> Result<Option<Revision>> {
        writing!(self, client_sessions::end, id, "session.end")
    }

    async fn record_session_uses(&self, uses: &[(ClientSessionId, Timestamp)]) -> Result<()> {
        housekeeping!(self, client_sessions::record_uses, uses)
    }

    async fn sweep_authorizations(&self, now: Timestamp) -> Result<()> {
        housekeeping!(self, sweep, now)
    }
}

async fn sweep(connection: &mut sqlx::AnyConnection, now: Timestamp) -> Result<()> {
    authorizations::sweep(connection, now).await?;
    client_sessions::sweep(connection, now).await?;
    refresh_tokens::sweep(connection, now).await?;
    dynamic_clients::sweep(connection, now).await
}
