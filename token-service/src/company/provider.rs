//! What the provider says about itself, kept for a while, and redeeming a code there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod, CoreErrorResponseType,
    CoreGrantType, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
    CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType, CoreTokenResponse,
};
use openidconnect::{
    AdditionalProviderMetadata, AuthType, AuthorizationCode, ClientId, ClientSecret, DiscoveryError,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, PkceCodeVerifier, ProviderMetadata,
    RedirectUrl, RequestTokenError, StandardErrorResponse,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::outside::Through;
use super::{CompanyError, Outside};
use crate::clock::Timestamp;
use crate::config::CompanySignIn;
use crate::domain::auth_draft::ClientMethod;
use crate::egress::EgressError;

/// How old what the provider says about itself may be, and how old if it does not answer.
const FRESH: Duration = Duration::from_hours(1);
const STALE: Duration = Duration::from_hours(24);

/// How soon it is asked again for a key that is not among the known ones.
const PAUSE: Duration = Duration::from_secs(10);

pub(super) type Metadata = ProviderMetadata<
    Additional,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

pub(super) type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What the crate does not read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Additional {
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Additional {}

impl Additional {
    pub(super) fn names_itself(&self) -> bool {
        self.authorization_response_iss_parameter_supported
    }
}

/// One at a time asks; the others wait for the answer, a failure included: otherwise each would wait anew for a
/// provider that does not answer, one after the other.
#[derive(Debug, Default)]
pub(super) struct Provider {
    asked: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    /// Of the last time.
    failure: Option<CompanyError>,
}

#[derive(Clone, Debug)]
struct Known {
    metadata: Metadata,
    at: Timestamp,
}

impl Provider {
    pub(super) async fn known(
        &self,
        config: &CompanySignIn,
        outside: Outside<'_>,
    ) -> Result<Metadata, CompanyError> {
        self.younger_than(FRESH, config, outside).await
    }

    /// For a signature of none of the known keys. Whoever sends such cannot have the provider asked all the time.
    pub(super) async fn asked_again(
        &self,
        config: &CompanySignIn,
        outside: Outside<'_>,
    ) -> Result<Metadata, CompanyError> {
        self.younger_than(PAUSE, config, outside).await
    }

    async fn younger_than(
        &self,
        age: Duration,
        config: &CompanySignIn,
        outside: Outside<'_>,
    ) -> Result<Metadata, CompanyError> {
        let asked_before = self.asked.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        let now = outside.clock.now();
        let kept = state.known.as_ref().map(|known| (known.metadata.clone(), known.at.until(now)));
        if let Some((metadata, old)) = &kept
            && *old < age
        {
            return Ok(metadata.clone());
        }
        let failed_meanwhile =
            state.failure.clone().filter(|_| self.asked.load(Ordering::SeqCst) > asked_before);
        let answer = match failed_meanwhile {
            Some(failure) => Err(failure),
            None => ask(config, outside).await,
        };
        self.asked.fetch_add(1, Ordering::SeqCst);
        state.failure = answer.as_ref().err().cloned();
        match (answer, kept) {
            (Ok(metadata), _) => {
                state.known = Some(Known { metadata: metadata.clone(), at: now });
                Ok(metadata)
            }
            (Err(error @ CompanyError::Down(_)), Some((metadata, old))) if old < STALE => {
                tracing::warn!(%error, "the company's sign-in goes on with what the provider said before");
                Ok(metadata)
            }
            (Err(error), _) => Err(error),
        }
    }
}

async fn ask(config: &CompanySignIn, outside: Outside<'_>) -> Result<Metadata, CompanyError> {
    let issuer =
        IssuerUrl::new(config.issuer.clone()).map_err(|_| CompanyError::Unusable("issuer is no URL"))?;
    let metadata =
        Metadata::discover_async(issuer, &Through(outside.egress)).await.map_err(|error| match error {
            DiscoveryError::Request(error) => CompanyError::Down(error),
            DiscoveryError::Response(status, ..) if status.is_server_error() => {
                CompanyError::Down(EgressError::Broken)
            }
            DiscoveryError::Validation(_) => CompanyError::Unusable("metadata are another issuer's"),
            _ => CompanyError::Unusable("metadata or keys cannot be read"),
        })?;
    // The code and the secret go to the one, the browser to the other.
    let token_endpoint =
        metadata.token_endpoint().ok_or(CompanyError::Unusable("metadata name no token endpoint"))?;
    for endpoint in [token_endpoint.url(), metadata.authorization_endpoint().url()] {
        outside
            .egress
            .check(endpoint)
            .map_err(|_| CompanyError::Unusable("endpoints are not public and https"))?;
    }
    Ok(metadata)
}

pub(super) fn client(
    config: &CompanySignIn,
    metadata: Metadata,
    redirect_uri: &str,
) -> Result<Client, CompanyError> {
    let redirect = RedirectUrl::new(redirect_uri.to_owned())
        .map_err(|_| CompanyError::Unusable("way back is no URL; look at public_url and admin_url"))?;
    let secret = config.secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
    let client =
        CoreClient::from_provider_metadata(metadata, ClientId::new(config.client_id.clone()), secret);
    let auth_type = match config.method {
        ClientMethod::ClientSecretBasic => AuthType::BasicAuth,
        ClientMethod::ClientSecretPost | ClientMethod::None | ClientMethod::PrivateKeyJwt => {
            AuthType::RequestBody
        }
    };
    Ok(client.set_auth_type(auth_type).set_redirect_uri(redirect))
}

pub(super) async fn redeem(
    client: &Client,
    outside: Outside<'_>,
    code: &str,
    verifier: &str,
) -> Result<CoreTokenResponse, CompanyError> {
    let request = client
        .exchange_code(AuthorizationCode::new(code.to_owned()))
        .map_err(|_| CompanyError::Unusable("metadata name no token endpoint"))?
        .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()));
    request.request_async(&Through(outside.egress)).await.map_err(|error| match error {
        RequestTokenError::Request(error) => CompanyError::Down(error),
        RequestTokenError::ServerResponse(response) => refusal(&response),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            CompanyError::Unusable("answer to the code cannot be read")
        }
    })
}

fn refusal(response: &StandardErrorResponse<CoreErrorResponseType>) -> CompanyError {
    match response.error() {
        CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient => {
            CompanyError::Unusable("records do not know our client id, secret or method")
        }
        CoreErrorResponseType::InvalidGrant => CompanyError::Refused("invalid_grant"),
        _ => CompanyError::Refused("another error"),
    }
}
