//! From a code to a session, and from one refresh token to the next.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_wire::digest::Digest;
use portcullis_wire::secret::SecretText;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::OAuthError;
use super::keys::{AccessClaims, AccessToken, open_all, open_signer};
use crate::clock::{Timestamp, random};
use crate::domain::client_session::{Authorization, ClientSession, Extent, IDLE, Successor};
use crate::domain::ids::{ClientSessionId, MemberId};
use crate::domain::resource::ResourcePath;
use crate::state::Service;
use crate::store::authorization::Refreshed;
use crate::store::{Actor, StoreError};
use crate::vault::Place;

/// How long a code is good.
const CODE_LIFE: Duration = Duration::from_mins(1);

/// How refresh tokens begin, so that one that got about is recognised.
const REFRESH_PREFIX: &str = "pcr_";

const NO_CODE: OAuthError =
    OAuthError::InvalidGrant("the code is unknown, used, over, or not for this request");
const NO_TOKEN: OAuthError =
    OAuthError::InvalidGrant("the refresh token is unknown, used or over; sign in again");
const NO_ACCESS: OAuthError = OAuthError::InvalidGrant("the member may no longer use this server");

/// A token request with a code. The client has shown who it is.
pub struct CodeGrant<'a> {
    pub client_id: &'a str,
    pub code: &'a str,
    pub redirect_uri: &'a str,
    pub verifier: &'a str,
    pub resource: Option<&'a str>,
}

/// A token request with a refresh token. The client has shown who it is.
pub struct RefreshGrant<'a> {
    pub client_id: &'a str,
    pub token: &'a str,
    pub scope: Option<&'a str>,
    pub resource: Option<&'a str>,
}

/// What a client gets.
#[derive(Debug)]
pub struct Answer {
    pub access: SecretText,
    /// Seconds.
    pub expires_in: u64,
    pub refresh: SecretText,
    pub extent: Extent,
}

fn code_digest(code: &str) -> Digest {
    Digest::of("portcullis-authorization-code-v1", &[code.as_bytes()])
}

fn refresh_digest(token: &str) -> Digest {
    Digest::of("portcullis-refresh-token-v1", &[token.as_bytes()])
}

impl Service {
    /// A code for what was agreed to, once; `None` if it was given before.
    pub async fn authorization_code(&self, request: &Digest) -> Result<Option<SecretText>, StoreError> {
        let code = SecretText::new(URL_SAFE_NO_PAD.encode(random::<32>(&*self.entropy)));
        let expires_at = self.clock.now().plus(CODE_LIFE);
        let shown = self.store.show_code(request, &code_digest(code.expose()), expires_at).await?;
        Ok(shown.then_some(code))
    }

    /// A code that does not fit is used up: whoever tries one has it from somewhere, and gets no second try.
    pub async fn redeem_code(&self, grant: &CodeGrant<'_>) -> Result<Answer, OAuthError> {
        let now = self.clock.now();
        let digest = code_digest(grant.code);
        let store = self.store.on_behalf_of(Actor::Member, now);
        let shown = store.code(&digest).await?.ok_or(NO_CODE)?;
        let fits = fits(grant, &shown.authorization, &self.settings.public_url);
        if shown.is_used || fits.is_err() {
            store.spoil_code(&digest, now).await?;
            return Err(fits.err().unwrap_or(NO_CODE));
        }
        let Authorization { member, server, resource, client, extent, .. } = shown.authorization;
        if !self.may_use(&member, &resource).await? {
            return Err(NO_ACCESS);
        }
        let session = ClientSession {
            id: ClientSessionId::new(&*self.entropy),
            member,
            server,
            resource,
            client,
            extent,
            created_at: now,
            last_used_at: now,
            expires_at: now.plus(IDLE),
        };
        let refresh = self.new_refresh_token();
        // Signed first: a code that nothing came of could not be tried again.
        let access = self.access_token(&session, extent, now).await?;
        if !store.redeem_code(&digest, &session, &refresh_digest(refresh.expose())).await? {
            return Err(NO_CODE);
        }
        Ok(self.token_answer(access, refresh, extent))
    }

    /// Rotates. Who lost the answer, or asked several times at once, gets the same token again; see
    /// [`Refreshed`] for when that is and when it is theft.
    pub async fn refresh_session(&self, grant: &RefreshGrant<'_>) -> Result<Answer, OAuthError> {
        let now = self.clock.now();
        let digest = refresh_digest(grant.token);
        let session = self.store.session_of_refresh_token(&digest).await?;
        let session = session.filter(|session| session.client.id == grant.client_id).ok_or(NO_TOKEN)?;
        check_target(grant.resource, &session.resource, &self.settings.public_url)?;
        let extent = match grant.scope {
            None => session.extent,
            scope => Extent::parse(scope)
                .filter(|asked| *asked <= session.extent)
                .ok_or(OAuthError::InvalidScope)?,
        };
        if !self.may_use(&session.member, &session.resource).await? {
            return Err(NO_ACCESS);
        }
        let next = self.new_refresh_token();
        let place = Place::refresh_token(&digest, &session.id);
        let successor = Successor {
            digest: refresh_digest(next.expose()),
            sealed: self.vault.seal(&place, &SecretString::from(next.expose())),
        };
        let refreshed = self.store.refresh(&digest, &successor, now, now.plus(IDLE)).await?;
        let (session, refresh) = match refreshed {
            Refreshed::Rotated(session) => (session, next),
            Refreshed::Repeated(session, successor) => {
                let token = self.vault.unseal(&place, &successor.sealed).map_err(|error| {
                    tracing::error!(session = session.id.as_str(), %error, "a refresh token cannot be opened");
                    OAuthError::Server
                })?;
                (session, SecretText::new(token.expose_secret().to_owned()))
            }
            Refreshed::Stolen(session) => {
                tracing::warn!(
                    session = session.as_str(),
                    "a refresh token was used again; the client's sign-in has ended"
                );
                return Err(NO_TOKEN);
            }
            Refreshed::Unknown => return Err(NO_TOKEN),
        };
        let access = self.access_token(&session, extent, now).await?;
        Ok(self.token_answer(access, refresh, extent))
    }

    /// The session that one of our tokens is of, be it an access or a refresh token; `None` if it is good for nothing.
    pub async fn session_of_token(
        &self,
        token: &str,
    ) -> Result<Option<(ClientSession, Option<AccessFacts>)>, StoreError> {
        let now = self.clock.now();
        if token.starts_with(REFRESH_PREFIX) {
            let session = self.store.session_of_refresh_token(&refresh_digest(token)).await?;
            return Ok(session.filter(|session| now < session.expires_at).map(|session| (session, None)));
        }
        let keys = open_all(&self.vault, &self.store.signing_keys().await?);
        let verified = keys.iter().find_map(|key| key.verify(token, &self.settings.public_url, now));
        let Some(claims) = verified else { return Ok(None) };
        let session = self.store.client_session(&claims.custom.sid.as_str().into()).await?;
        let facts = AccessFacts {
            scope: claims.custom.scope,
            issued_at: claims.issued_at.map_or(0, |time| time.as_secs()),
            expires_at: claims.expires_at.map_or(0, |time| time.as_secs()),
        };
        Ok(session.filter(|session| now < session.expires_at).map(|session| (session, Some(facts))))
    }

    async fn access_token(
        &self,
        session: &ClientSession,
        extent: Extent,
        now: Timestamp,
    ) -> Result<SecretText, OAuthError> {
        let key = open_signer(&self.vault, &self.store.signing_keys().await?, now)?;
        let token = AccessToken {
            issuer: self.settings.public_url.clone(),
            audience: session.resource.url(&self.settings.public_url),
            subject: session.member.to_string(),
            id: URL_SAFE_NO_PAD.encode(random::<16>(&*self.entropy)),
            issued_at: now,
            life: self.settings.authorization.access_token_life.as_secs(),
            claims: AccessClaims {
                sid: session.id.to_string(),
                client_id: session.client.id.clone(),
                scope: extent.scope(),
            },
        };
        Ok(key.sign(token)?)
    }

    fn token_answer(&self, access: SecretText, refresh: SecretText, extent: Extent) -> Answer {
        Answer {
            access,
            expires_in: self.settings.authorization.access_token_life.as_secs(),
            refresh,
            extent,
        }
    }

    fn new_refresh_token(&self) -> SecretText {
        SecretText::new(format!("{REFRESH_PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>(&*self.entropy))))
    }

    /// Whether the member may (still) use the server, by the very rules of a lease.
    async fn may_use(&self, member: &MemberId, resource: &ResourcePath) -> Result<bool, StoreError> {
        let Some(member) = self.store.member(member).await? else { return Ok(false) };
        let usable = self.usable(&member.identity, &resource.server).await?;
        Ok(usable.iter().any(|access| access.member.id == member.id))
    }
}

/// What an access token says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessFacts {
    pub scope: String,
    /// Seconds since the epoch.
    pub issued_at: u64,
    pub expires_at: u64,
}

/// Whether the request is of the client, the browser and the program that the code is for.
fn fits(grant: &CodeGrant<'_>, agreed: &Authorization, public_url: &str) -> Result<(), OAuthError> {
    if grant.client_id != agreed.client.id || grant.redirect_uri != agreed.redirect_uri {
        return Err(NO_CODE);
    }
    if !is_verifier(grant.verifier) || !is_challenge_of(&agreed.challenge, grant.verifier) {
        return Err(NO_CODE);
    }
    check_target(grant.resource, &agreed.resource, public_url)
}

/// A token request need not repeat the resource, but it cannot name another.
fn check_target(named: Option<&str>, resource: &ResourcePath, public_url: &str) -> Result<(), OAuthError> {
    match named {
        Some(named) if named != resource.url(public_url) => Err(OAuthError::InvalidTarget),
        _ => Ok(()),
    }
}

/// RFC 7636, section 4.1.
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

fn is_challenge_of(challenge: &str, verifier: &str) -> bool {
    let made = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    made.as_bytes().ct_eq(challenge.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkce_as_in_the_appendix_of_rfc_7636() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(is_challenge_of("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", verifier));
        assert!(!is_challenge_of(verifier, verifier), "plain");
        assert!(!is_challenge_of("", ""));
        for (length, good) in [(0, false), (42, false), (43, true), (128, true), (129, false)] {
            assert_eq!(is_verifier(&"a".repeat(length)), good, "{length}");
        }
        assert!(!is_verifier(&" ".repeat(50)));
    }
}
