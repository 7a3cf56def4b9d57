//! What a provider keeps: clients, codes, tokens. The rules of OAuth are here, and nothing of HTTP.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::clients::{Client, INVALID_CLIENT, Shown};
use super::ledger::{Issued, Refusal};
use super::params::Params;
use super::shape::{Refresh, Resource, Shape};

const CODE_LIFETIME: Duration = Duration::from_mins(1);

/// What somebody agreed to. All tokens of a sign-in come from one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) subject: String,
    pub(super) scope: String,
    pub(super) resource: Option<String>,
    pub(super) refreshable: bool,
}

#[derive(Clone, Debug)]
struct Code {
    grant: Grant,
    redirect_uri: String,
    challenge: Option<String>,
    expires_at: Instant,
    /// The family that it was redeemed for.
    redeemed: Option<u64>,
}

/// An access token that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub subject: String,
    /// Counts sign-ins; `None` where that is not told.
    pub sign_in: Option<u64>,
    pub scope: String,
    pub resource: Option<String>,
}

#[derive(Clone, Debug)]
struct AccessToken {
    family: u64,
    scope: String,
    expires_at: Option<Instant>,
}

#[derive(Clone, Debug)]
struct RefreshToken {
    family: u64,
    first_used: Option<Instant>,
}

/// Why there are no tokens, and whose tokens went with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) refusal: Refusal,
    /// The sign-in that was revoked because of a reuse: subject and family.
    pub(super) reuse: Option<(String, u64)>,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, reuse: None }
    }
}

const INVALID_GRANT: Refusal = Refusal::new(400, "invalid_grant", "it is of no use, or no longer");

#[derive(Debug)]
pub(super) struct Books {
    shape: Shape,
    issuer: String,
    clients: HashMap<String, Client>,
    resources: HashSet<String>,
    codes: HashMap<String, Code>,
    /// Grants by family; those revoked are gone.
    families: HashMap<u64, Grant>,
    next_family: u64,
    access: HashMap<String, AccessToken>,
    refresh: HashMap<String, RefreshToken>,
    assertions: HashSet<String>,
}

impl Books {
    pub(super) fn new(shape: Shape, issuer: String) -> Self {
        let clients = shape.clients.iter().map(|client| (client.client_id.clone(), client.clone())).collect();
        Self {
            shape,
            issuer,
            clients,
            resources: HashSet::new(),
            codes: HashMap::new(),
            families: HashMap::new(),
            next_family: 1,
            access: HashMap::new(),
            refresh: HashMap::new(),
            assertions: HashSet::new(),
        }
    }

    pub(super) fn client(&self, client_id: &str) -> Option<&Client> {
        self.clients.get(client_id)
    }

    pub(super) fn client_mut(&mut self, client_id: &str) -> Option<&mut Client> {
        self.clients.get_mut(client_id)
    }

    pub(super) fn add_client(&mut self, client: Client) {
        self.clients.insert(client.client_id.clone(), client);
    }

    pub(super) fn forget_client(&mut self, client_id: &str) {
        self.clients.remove(client_id);
    }

    pub(super) fn allow_resource(&mut self, resource: &str) {
        self.resources.insert(resource.to_owned());
    }

    /// The client that a request shows, if it proves it.
    pub(super) fn authenticate(&mut self, shown: &Shown) -> Result<Client, Refusal> {
        let client = self.clients.get(shown.client_id()).ok_or(INVALID_CLIENT)?.clone();
        if let Some(assertion) = shown.proves(&client, &self.issuer)?
            && !self.assertions.insert(assertion)
        {
            return Err(Refusal::new(401, "invalid_client", "this assertion was used before"));
        }
        Ok(client)
    }

    /// The resource that a request names, as tokens will carry it.
    pub(super) fn resource(&self, params: &Params) -> Result<Option<String>, Refusal> {
        match (self.shape.resource, params.get("resource")) {
            (Resource::Ignored, _) => Ok(None),
            (Resource::Required, Some(resource)) if self.resources.contains(resource) => {
                Ok(Some(resource.to_owned()))
            }
            (Resource::Required, _) => {
                Err(Refusal::new(400, "invalid_target", "resource must name a resource of this server"))
            }
        }
    }

    /// The scope that a request asks for, or the first that there is.
    pub(super) fn scope(&self, params: &Params) -> Result<String, Refusal> {
        let Some(asked) = params.get("scope") else {
            return Ok(self.shape.scopes.first().copied().unwrap_or_default().to_owned());
        };
        if asked.split(' ').all(|scope| self.shape.scopes.contains(&scope)) {
            return Ok(asked.to_owned());
        }
        Err(Refusal::new(400, "invalid_scope", "scope names one that there is not"))
    }

    /// A code for what somebody has just agreed to.
    pub(super) fn issue_code(
        &mut self,
        grant: Grant,
        redirect_uri: &str,
        challenge: Option<&str>,
        now: Instant,
    ) -> String {
        let code = random("code");
        let entry = Code {
            grant,
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.map(str::to_owned),
            expires_at: now + CODE_LIFETIME,
            redeemed: None,
        };
        self.codes.insert(code.clone(), entry);
        code
    }

    /// RFC 6749, section 4.1.3: each code once, by its client, with its redirect URI and verifier.
    pub(super) fn redeem(
        &mut self,
        client: &Client,
        params: &Params,
        now: Instant,
    ) -> Result<Issued, Denied> {
        let text = params.require("code", "code is missing")?;
        let code = self.codes.get(text).cloned().ok_or(INVALID_GRANT)?;
        if let Some(family) = code.redeemed {
            return Err(self.reused(family));
        }
        let verified = match (&code.challenge, params.get("code_verifier")) {
            (Some(challenge), Some(verifier)) => *challenge == s256(verifier),
            (None, None) => true,
            _ => false,
        };
        let fits = code.grant.client_id == client.client_id
            && params.get("redirect_uri") == Some(&code.redirect_uri)
            && now < code.expires_at;
        if !verified || !fits {
            return Err(INVALID_GRANT.into());
        }
        if self.resource(params)? != code.grant.resource {
            return Err(Refusal::new(400, "invalid_target", "not the resource that was agreed to").into());
        }
        let family = self.new_family(code.grant.clone());
        if let Some(entry) = self.codes.get_mut(text) {
            entry.redeemed = Some(family);
        }
        let refresh_token = code.grant.refreshable.then(|| self.new_refresh_token(family));
        Ok(self.issue(family, &code.grant, refresh_token, None, now))
    }

    /// RFC 6749, section 6, with the rotation of the shape.
    pub(super) fn refresh(
        &mut self,
        client: &Client,
        params: &Params,
        now: Instant,
    ) -> Result<Issued, Denied> {
        let text = params.require("refresh_token", "refresh_token is missing")?;
        let entry = self.refresh.get(text).cloned().ok_or(INVALID_GRANT)?;
        let grant = self.families.get(&entry.family).cloned().ok_or(INVALID_GRANT)?;
        if grant.client_id != client.client_id {
            return Err(INVALID_GRANT.into());
        }
        if self.resource(params)? != grant.resource {
            return Err(Refusal::new(400, "invalid_target", "not the resource that was agreed to").into());
        }
        let scope = params.get("scope").map(str::to_owned);
        if let Some(scope) = &scope
            && !scope.split(' ').all(|scope| grant.scope.split(' ').any(|granted| granted == scope))
        {
            return Err(Refusal::new(400, "invalid_scope", "more than was agreed to").into());
        }
        let refresh_token = match self.shape.refresh {
            Refresh::Rotated { grace } => {
                if let Some(first) = entry.first_used
                    && grace.is_none_or(|grace| now > first + grace)
                {
                    return Err(self.reused(entry.family));
                }
                if let Some(entry) = self.refresh.get_mut(text) {
                    entry.first_used.get_or_insert(now);
                }
                self.new_refresh_token(entry.family)
            }
            Refresh::Kept { .. } | Refresh::Never => text.to_owned(),
        };
        Ok(self.issue(entry.family, &grant, Some(refresh_token), scope, now))
    }

    /// RFC 6749, section 4.4.
    pub(super) fn client_credentials(
        &mut self,
        client: &Client,
        params: &Params,
        now: Instant,
    ) -> Result<Issued, Denied> {
        if !client.may_act_for_itself {
            return Err(Refusal::new(400, "unauthorized_client", "not this client").into());
        }
        let grant = Grant {
            client_id: client.client_id.clone(),
            subject: client.client_id.clone(),
            scope: self.scope(params)?,
            resource: self.resource(params)?,
            refreshable: false,
        };
        let family = self.new_family(grant.clone());
        Ok(self.issue(family, &grant, None, None, now))
    }

    /// RFC 7009: a token of this client ends with all that came of the same sign-in. Whose it was.
    pub(super) fn revoke(&mut self, client: &Client, token: &str) -> Option<String> {
        let family = match self.refresh.get(token) {
            Some(entry) => entry.family,
            None => self.access.get(token)?.family,
        };
        let grant = self.families.get(&family).filter(|grant| grant.client_id == client.client_id)?;
        let subject = grant.subject.clone();
        self.families.remove(&family);
        Some(subject)
    }

    /// All that somebody agreed to ends, as if it had been withdrawn on the provider's own pages.
    pub(super) fn withdraw(&mut self, subject: &str) {
        self.families.retain(|_, grant| grant.subject != subject);
    }

    /// Every access token has expired, as if time had passed; refresh tokens have not.
    pub(super) fn expire_access_tokens(&mut self) {
        self.access.clear();
    }

    /// The newest sign-in of somebody that is not revoked.
    pub(super) fn sign_in_of(&self, subject: &str) -> Option<u64> {
        let theirs = self.families.iter().filter(|(_, grant)| grant.subject == subject);
        theirs.map(|(family, _)| *family).max()
    }

    /// Every access token of somebody has expired; refresh tokens have not.
    pub(super) fn expire_access_tokens_of(&mut self, subject: &str) {
        let families = &self.families;
        self.access
            .retain(|_, token| families.get(&token.family).is_none_or(|grant| grant.subject != subject));
    }

    /// What an access token is good for.
    pub(super) fn look_up(&self, token: &str, now: Instant) -> Option<Access> {
        let entry = self.access.get(token)?;
        let grant = self.families.get(&entry.family)?;
        if entry.expires_at.is_some_and(|end| now >= end) {
            return None;
        }
        Some(Access {
            subject: grant.subject.clone(),
            sign_in: Some(entry.family),
            scope: entry.scope.clone(),
            resource: grant.resource.clone(),
        })
    }

    fn new_family(&mut self, grant: Grant) -> u64 {
        let family = self.next_family;
        self.next_family += 1;
        self.families.insert(family, grant);
        family
    }

    fn new_refresh_token(&mut self, family: u64) -> String {
        let token = random("refresh");
        self.refresh.insert(token.clone(), RefreshToken { family, first_used: None });
        token
    }

    fn issue(
        &mut self,
        family: u64,
        grant: &Grant,
        refresh_token: Option<String>,
        narrower: Option<String>,
        now: Instant,
    ) -> Issued {
        let access_token = random("access");
        let scope = narrower.unwrap_or_else(|| grant.scope.clone());
        let expires_at = self.shape.access_lifetime.map(|lifetime| now + lifetime);
        let entry = AccessToken { family, scope: scope.clone(), expires_at };
        self.access.insert(access_token.clone(), entry);
        Issued {
            subject: grant.subject.clone(),
            family,
            access_token,
            refresh_token,
            scope,
            resource: grant.resource.clone(),
        }
    }

    fn reused(&mut self, family: u64) -> Denied {
        let reuse = self.families.remove(&family).map(|grant| (grant.subject, family));
        Denied { refusal: INVALID_GRANT, reuse }
    }
}

/// RFC 7636, section 4.2.
pub(super) fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// A fresh secret whose kind can be told, for whoever finds it where it should not be.
pub(crate) fn random(kind: &str) -> String {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes).unwrap_or_else(|error| panic!("no entropy: {error}"));
    format!("double-{kind}-{}", URL_SAFE_NO_PAD.encode(bytes))
}
