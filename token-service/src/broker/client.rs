//! As whom the gateway asks: the client that an administrator gave, the one it is already, its metadata document, or
//! one that it registers now, in this order.
//!
//! A client belongs to the issuer that it was made at. When a server names another issuer, the gateway becomes another
//! client there; a client of an administrator's is not shown to it, because a server could name an issuer of its own to
//! be given the secret.

use std::time::Duration;

use super::provider::Slot;
use super::{Broker, Provider, ProviderError};
use crate::clock::Timestamp;
use crate::credentials;
use crate::domain::server::{AuthorizationServerSettings, Sealed, Server, ServerAuth};
use crate::http::error::error_chain;
use crate::oauth::registration::{ClientMetadata, Registered, RegistrationError, register};
use crate::oauth::{Authentication, AuthorizationServer, Client, Discovered};
use crate::store::StoreError;
use crate::store::connections::{ClientKind, RegisteredClient};
use crate::vault::Place;

/// How long a provider that has refused to register the gateway is left alone.
const REFUSED: Duration = Duration::from_mins(1);

/// What providers show to people.
const CLIENT_NAME: &str = "Portcullis";

impl Broker {
    pub(super) async fn client(
        &self,
        server: &Server,
        discovered: &Discovered,
        slot: &mut Slot,
    ) -> Result<Client, ProviderError> {
        let authorization_server = &discovered.authorization_server;
        let given = credentials::open_client(&self.vault, server).map_err(|error| {
            let id = server.id.as_str();
            tracing::error!(server = id, error = error_chain(&error), "the client's secret cannot be opened");
            ProviderError::Misconfigured("the client's secret cannot be opened; enter it again".to_owned())
        })?;
        if let Some(client) = given {
            self.pin_issuer(server, &client.client_id, &authorization_server.issuer).await?;
            return Ok(client);
        }
        let known = self.store.registered_client(&server.id, &authorization_server.issuer).await?;
        if let Some(client) = known.as_ref().filter(|client| self.is_usable(client, server))
            && let Some(client) = self.open_registered(server, client)
        {
            return Ok(client);
        }
        if authorization_server.client_id_metadata_document && self.public_url.starts_with("https://") {
            let client_id = format!("{}/oauth/client/{}", self.public_url, server.id);
            return Ok(Client { client_id, authentication: Authentication::None });
        }
        self.registered_now(server, authorization_server, known.as_ref(), slot).await
    }

    /// What the gateway says of itself as a client for this server's connections.
    pub fn client_metadata(&self, server: &Server) -> ClientMetadata {
        let configured = match &server.settings.auth {
            ServerAuth::OAuth(settings) => settings.scopes.clone(),
            _ => None,
        };
        ClientMetadata {
            client_name: CLIENT_NAME.to_owned(),
            client_uri: self.public_url.clone(),
            redirect_uri: self.redirect_uri(server),
            // Plain http is allowed for a loopback public URL only.
            application_type: if self.public_url.starts_with("https://") { "web" } else { "native" },
            scopes: configured.unwrap_or_default(),
        }
    }

    /// The issuer of an administrator's client is the first that the server named, or the one in the settings.
    async fn pin_issuer(&self, server: &Server, client_id: &str, issuer: &str) -> Result<(), ProviderError> {
        let settings = server.settings.auth.client().map(|(_, settings)| settings);
        if !matches!(settings, Some(AuthorizationServerSettings::Discovered)) {
            return Ok(());
        }
        let is_note = |client: &RegisteredClient| {
            client.kind == ClientKind::PreRegistered && client.client_id == client_id
        };
        let known = self.store.registered_client(&server.id, issuer).await?;
        if known.as_ref().is_some_and(is_note) {
            return Ok(());
        }
        if let Some(last) = self.store.last_issuer(&server.id).await?.filter(|last| last != issuer)
            && self.store.registered_client(&server.id, &last).await?.as_ref().is_some_and(is_note)
        {
            return Err(ProviderError::Misconfigured(format!(
                "the server now names the authorization server {issuer}, and the client {client_id} was registered at {last}; register a client at {issuer} and enter it, or name {last} in auth.authorization_server if the change is not intended"
            )));
        }
        let note = RegisteredClient {
            server: server.id.clone(),
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            kind: ClientKind::PreRegistered,
            authentication: String::new(),
            secret: None,
            secret_expires_at: None,
            redirect_uri: self.redirect_uri(server),
            generation: next_generation(known.as_ref()),
            created_at: self.clock.now(),
        };
        // If somebody else was faster, the next look is at theirs.
        self.store.save_registered_client(&note).await?;
        Ok(())
    }

    fn is_usable(&self, client: &RegisteredClient, server: &Server) -> bool {
        let expired = client.secret_expires_at.is_some_and(|end: Timestamp| end <= self.clock.now());
        client.kind == ClientKind::Dynamic && client.redirect_uri == self.redirect_uri(server) && !expired
    }

    fn open_registered(&self, server: &Server, client: &RegisteredClient) -> Option<Client> {
        let place = Place::registered_client(&server.id, &client.issuer, client.generation);
        let secret =
            client.secret.as_ref().map(|sealed: &Sealed| self.vault.unseal(&place, sealed)).transpose();
        let secret = secret
            .inspect_err(|error| {
                let id = server.id.as_str();
                tracing::error!(server = id, %error, "a registered client's secret cannot be opened");
            })
            .ok()?;
        let authentication = match (client.authentication.as_str(), secret) {
            ("client_secret_basic", Some(secret)) => Authentication::SecretBasic(secret),
            ("client_secret_post", Some(secret)) => Authentication::SecretPost(secret),
            ("none", _) => Authentication::None,
            _ => return None,
        };
        Some(Client { client_id: client.client_id.clone(), authentication })
    }

    async fn registered_now(
        &self,
        server: &Server,
        authorization_server: &AuthorizationServer,
        before: Option<&RegisteredClient>,
        slot: &mut Slot,
    ) -> Result<Client, ProviderError> {
        let issuer = &authorization_server.issuer;
        if authorization_server.registration_endpoint.is_none() {
            return Err(ProviderError::Misconfigured(format!(
                "{issuer} does not let clients register themselves; register one there by hand, with the redirect URI {}, and enter it as auth.client",
                self.redirect_uri(server)
            )));
        }
        let now = self.clock.now();
        if let Some((at, refusal)) = &slot.registration_failed
            && now < at.plus(REFUSED)
        {
            return Err(ProviderError::Misconfigured(refusal.clone()));
        }
        let registered =
            register(&self.egress, authorization_server, &self.client_metadata(server), now).await;
        let registered = registered.map_err(|error| refused(issuer, &error, now, slot))?;
        let client = self.sealed(server, issuer, registered, next_generation(before));
        if self.store.save_registered_client(&client).await? {
            tracing::info!(
                server = server.id.as_str(),
                issuer,
                client = client.client_id,
                "registered as a client"
            );
        }
        // Another replica may have been faster; then the client that all use is theirs.
        let kept = self.store.registered_client(&server.id, issuer).await?;
        kept.and_then(|kept| self.open_registered(server, &kept)).ok_or(ProviderError::Unavailable)
    }

    fn sealed(
        &self,
        server: &Server,
        issuer: &str,
        registered: Registered,
        generation: u64,
    ) -> RegisteredClient {
        let Registered { client_id, client_secret, client_secret_expires_at, authentication } = registered;
        let place = Place::registered_client(&server.id, issuer, generation);
        RegisteredClient {
            server: server.id.clone(),
            issuer: issuer.to_owned(),
            client_id,
            kind: ClientKind::Dynamic,
            authentication,
            secret: client_secret.map(|secret| self.vault.seal(&place, &secret)),
            secret_expires_at: client_secret_expires_at,
            redirect_uri: self.redirect_uri(server),
            generation,
            created_at: self.clock.now(),
        }
    }

    /// The provider no longer knows our client. If the gateway has registered it itself, the next consent makes another
    /// one; says whether that is so.
    pub async fn forget_client(&self, server: &Server, provider: &Provider) -> Result<bool, StoreError> {
        let issuer = &provider.discovered.authorization_server.issuer;
        let known = self.store.registered_client(&server.id, issuer).await?;
        let is_it = |client: &RegisteredClient| {
            client.kind == ClientKind::Dynamic && client.client_id == provider.client.client_id
        };
        let forgotten = known.as_ref().is_some_and(is_it);
        if forgotten {
            tracing::warn!(
                server = server.id.as_str(),
                issuer,
                "the provider does not know our client any more"
            );
            self.store.delete_registered_client(&server.id, issuer).await?;
            self.providers.forget(&server.id);
        }
        Ok(forgotten)
    }
}

fn next_generation(before: Option<&RegisteredClient>) -> u64 {
    before.map_or(0, |client| client.generation).saturating_add(1)
}

fn refused(issuer: &str, error: &RegistrationError, now: Timestamp, slot: &mut Slot) -> ProviderError {
    tracing::warn!(issuer, error = error_chain(error), "the gateway could not register as a client");
    if error.may_pass() {
        return ProviderError::Unavailable;
    }
    slot.registration_failed = Some((now, error.to_string()));
    ProviderError::Misconfigured(error.to_string())
}
