//! Off to the provider: what will be asked for, and the authorization request.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_wire::digest::Digest;
use portcullis_wire::secret::SecretText;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::access::Access;
use super::redeem::{FLOW_LIFE, Sealed, cookie_digest, state_digest};
use crate::broker::{Provider, ProviderError};
use crate::clock::random;
use crate::domain::connecting::Flow;
use crate::domain::connection::{Binding, Connection, ConnectionId, ConnectionOwner, ConnectionState};
use crate::domain::server::{OAuthSettings, ServerAuth};
use crate::oauth::authorize::{AuthorizationRequest, new_verifier};
use crate::state::Service;
use crate::vault::Place;

/// What connecting would mean, before anybody has agreed to it.
#[derive(Clone, Debug)]
pub struct Plan {
    pub provider: Provider,
    /// To be asked for; empty leaves it to the provider.
    pub scopes: BTreeSet<String>,
}

/// A browser about to leave for the provider.
#[derive(Clone, Debug)]
pub struct Departure {
    pub url: Url,
    /// Names the flow and its cookie.
    pub state: Digest,
    /// Shows later that the same browser comes back.
    pub cookie: SecretText,
}

impl Plan {
    /// The host that the browser is sent to, for people.
    pub fn destination(&self) -> Option<&str> {
        self.provider.discovered.authorization_server.authorization_endpoint.as_ref()?.host_str()
    }

    /// Changes when what is asked for does, or whom it is asked of.
    pub fn digest(&self) -> Digest {
        let server = &self.provider.discovered.authorization_server;
        let endpoint = server.authorization_endpoint.as_ref().map_or("", Url::as_str);
        let mut parts = vec![server.issuer.as_bytes(), endpoint.as_bytes()];
        parts.extend(self.scopes.iter().map(String::as_bytes));
        Digest::of("portcullis-connect-plan-v1", &parts)
    }
}

impl Service {
    /// Finds out what would be asked of whom. Changes nothing that concerns the member.
    pub async fn connect_plan(&self, access: &Access) -> Result<Plan, ProviderError> {
        let provider = self.provider(&access.server, None).await?;
        if provider.discovered.authorization_server.authorization_endpoint.is_none() {
            return Err(ProviderError::Misconfigured(
                "the authorization server names no authorization endpoint; give one in the server's settings"
                    .to_owned(),
            ));
        }
        let owner = ConnectionOwner::Member(access.member.id.clone());
        let connection = self.store.connection(&ConnectionId::of(&access.server.id, &owner)).await?;
        let configured = oauth_settings(access).and_then(|settings| settings.scopes.as_ref());
        let scopes = scopes_to_ask(configured, &provider.discovered.scopes, connection.as_ref());
        Ok(Plan { provider, scopes })
    }

    /// Notes the flow, and says where the browser has to go. The member has agreed to `plan`.
    ///
    /// - `session`: of the browser session that leaves; the same one has to come back.
    /// - `continuation`: what goes on once the member is back, see [`Returned::continuation`](super::Returned).
    pub async fn depart(
        &self,
        access: &Access,
        plan: &Plan,
        session: Digest,
        continuation: Option<String>,
    ) -> Result<Departure, ProviderError> {
        let secret = || SecretText::new(URL_SAFE_NO_PAD.encode(random::<32>(&*self.entropy)));
        let (state, cookie, verifier) = (secret(), secret(), new_verifier(&*self.entropy));
        let url =
            request_url(access, plan, state.expose(), &verifier).map_err(ProviderError::Misconfigured)?;
        let (member, server) = (access.member.id.clone(), access.server.id.clone());
        let digest = state_digest(state.expose());
        let sealed = Sealed {
            verifier: SecretText::new(verifier.expose_secret().to_owned()),
            redirect_uri: plan.provider.redirect_uri.clone(),
            resource: plan.provider.discovered.resource.clone(),
            token_endpoint: plan.provider.discovered.authorization_server.token_endpoint.to_string(),
            iss_parameter: plan.provider.discovered.authorization_server.iss_parameter,
            scopes: plan.scopes.clone(),
            continuation,
        };
        let flow = Flow {
            sealed: self.vault.seal(&Place::flow(&digest, &member, &server), &sealed.write()),
            state: digest,
            cookie: cookie_digest(cookie.expose()),
            session,
            binding: binding(access, &plan.provider),
            member,
            server,
            expires_at: self.clock.now().plus(FLOW_LIFE),
        };
        self.store.create_flow(&flow).await?;
        Ok(Departure { url, state: digest, cookie })
    }
}

/// What tokens of this provider would be bound to.
pub(super) fn binding(access: &Access, provider: &Provider) -> Binding {
    Binding {
        origin: access.server.settings.url.origin(),
        issuer: provider.discovered.authorization_server.issuer.clone(),
        client_id: provider.client.client_id.clone(),
    }
}

fn oauth_settings(access: &Access) -> Option<&OAuthSettings> {
    match &access.server.settings.auth {
        ServerAuth::OAuth(settings) => Some(settings),
        _ => None,
    }
}

fn request_url(access: &Access, plan: &Plan, state: &str, verifier: &SecretString) -> Result<Url, String> {
    let none = BTreeMap::new();
    AuthorizationRequest {
        server: &plan.provider.discovered.authorization_server,
        client_id: &plan.provider.client.client_id,
        redirect_uri: &plan.provider.redirect_uri,
        resource: &plan.provider.discovered.resource,
        scopes: &plan.scopes,
        parameters: oauth_settings(access).map_or(&none, |settings| &settings.authorize_parameters),
        state,
        verifier,
    }
    .url()
}

/// The scopes of the settings, else those that the server names. What the member has granted before, and what the
/// server has demanded since, comes on top: a provider gives what it is asked for and no more.
fn scopes_to_ask(
    configured: Option<&Vec<String>>,
    discovered: &BTreeSet<String>,
    connection: Option<&Connection>,
) -> BTreeSet<String> {
    let mut scopes = configured.map_or_else(|| discovered.clone(), |scopes| scopes.iter().cloned().collect());
    if let Some(connection) = connection.filter(|connection| !connection.step_up.wanted.is_empty()) {
        if connection.state != ConnectionState::Disconnected {
            scopes.extend(connection.scopes.iter().cloned());
        }
        scopes.extend(connection.step_up.wanted.iter().cloned());
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::domain::Revision;
    use crate::domain::connection::StepUp;
    use crate::domain::ids::{MemberId, ServerId};

    fn set(scopes: &[&str]) -> BTreeSet<String> {
        scopes.iter().map(|scope| (*scope).to_owned()).collect()
    }

    fn connection(state: ConnectionState, granted: &[&str], wanted: &[&str]) -> Connection {
        let (server, owner) = (ServerId::from("srv_1"), ConnectionOwner::Member(MemberId::from("mem_1")));
        Connection {
            id: ConnectionId::of(&server, &owner),
            server,
            owner,
            state,
            binding: Binding { origin: String::new(), issuer: String::new(), client_id: String::new() },
            generation: 1,
            tokens: None,
            scopes: set(granted),
            account: None,
            attempt: None,
            step_up: StepUp { wanted: set(wanted), ..StepUp::default() },
            connected_at: Timestamp(0),
            refreshed_at: Timestamp(0),
            revision: Revision(1),
        }
    }

    #[test]
    fn scopes_come_from_the_settings_the_server_and_what_was_demanded_since() {
        let (configured, discovered) = (vec!["a".to_owned()], set(&["b", "c"]));
        assert_eq!(scopes_to_ask(Some(&configured), &discovered, None), set(&["a"]));
        assert_eq!(scopes_to_ask(None, &discovered, None), discovered);
        assert_eq!(scopes_to_ask(None, &set(&[]), None), set(&[]));
        // Without a demand nothing of an old grant is asked for again.
        let active = connection(ConnectionState::Active, &["x"], &[]);
        assert_eq!(scopes_to_ask(None, &discovered, Some(&active)), discovered);
        let demanding = connection(ConnectionState::Active, &["x"], &["y"]);
        assert_eq!(scopes_to_ask(None, &discovered, Some(&demanding)), set(&["b", "c", "x", "y"]));
        let gone = connection(ConnectionState::Disconnected, &["x"], &["y"]);
        assert_eq!(scopes_to_ask(None, &discovered, Some(&gone)), set(&["b", "c", "y"]));
    }
}
