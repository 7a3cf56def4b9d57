//! What somebody writes about how to be authorised by a server, checked as a whole and turned into settings.
//!
//! `portcullis.yaml`, the admin API and presets all come through here, so that each takes and refuses the same. Every
//! fault is found at once and says where it is and what to do.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use super::auth_text::{self as text, TextError};
use super::server::{
    AuthorizationServerSettings, ClientAuthentication, ClientCredentialsSettings, ClientSettings,
    OAuthSettings, SealedSecret, ServerAuth,
};

/// As written. `Secret` is how a secret is given: its text, or the wish to keep the present one.
#[derive(Clone, Debug)]
pub struct AuthDraft<Secret> {
    pub kind: DraftKind,
    pub preset: Option<String>,
    pub client: Option<ClientDraft<Secret>>,
    pub scopes: Option<Vec<String>>,
    pub authorize_parameters: BTreeMap<String, String>,
    pub token_parameters: BTreeMap<String, String>,
    pub authorization_server: Option<AuthorizationServerDraft>,
    pub assume_pkce: Option<bool>,
}

/// The two kinds of [`ServerAuth`] that speak OAuth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftKind {
    OAuth,
    ClientCredentials,
}

#[derive(Clone, Debug)]
pub struct ClientDraft<Secret> {
    pub id: String,
    pub secret: Option<Secret>,
    /// PEM.
    pub private_key: Option<Secret>,
    pub key_id: Option<String>,
    /// If absent, it follows from what is given.
    pub method: Option<ClientMethod>,
}

/// The name of a way to authenticate at the token endpoint (RFC 7591, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientMethod {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationServerDraft {
    pub issuer: String,
    pub authorization_endpoint: Option<String>,
    pub token_endpoint: Option<String>,
    pub registration_endpoint: Option<String>,
    pub revocation_endpoint: Option<String>,
}

/// Something that is wrong with a draft. Never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub field: Field,
    pub problem: String,
    pub remedy: String,
}

/// Where in a draft: `client.secret`, `scopes[2]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field(pub Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// A secret on its way in.
pub trait GivenSecret {
    /// `None` where the present one is kept: it was checked when it came.
    fn text(&self) -> Option<&str>;
}

/// A draft without faults.
#[derive(Clone, Debug)]
pub enum CheckedAuth<Secret> {
    OAuth(OAuthSettings<Secret>),
    ClientCredentials(ClientCredentialsSettings<Secret>),
}

impl GivenSecret for SecretString {
    fn text(&self) -> Option<&str> {
        Some(self.expose_secret())
    }
}

impl GivenSecret for Option<SecretString> {
    fn text(&self) -> Option<&str> {
        self.as_ref().map(|secret| secret.expose_secret())
    }
}

impl ClientMethod {
    pub const NAMES: &'static str = "none, client_secret_basic, client_secret_post or private_key_jwt";

    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "client_secret_basic" => Some(Self::ClientSecretBasic),
            "client_secret_post" => Some(Self::ClientSecretPost),
            "private_key_jwt" => Some(Self::PrivateKeyJwt),
            _ => None,
        }
    }

    pub fn takes_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

impl<Secret> From<&ClientAuthentication<Secret>> for ClientMethod {
    fn from(authentication: &ClientAuthentication<Secret>) -> Self {
        match authentication {
            ClientAuthentication::None => Self::None,
            ClientAuthentication::SecretBasic(_) => Self::ClientSecretBasic,
            ClientAuthentication::SecretPost(_) => Self::ClientSecretPost,
            ClientAuthentication::PrivateKeyJwt { .. } => Self::PrivateKeyJwt,
        }
    }
}

impl<Secret> AuthDraft<Secret> {
    /// Nothing but the kind.
    pub fn new(kind: DraftKind) -> Self {
        Self {
            kind,
            preset: None,
            client: None,
            scopes: None,
            authorize_parameters: BTreeMap::new(),
            token_parameters: BTreeMap::new(),
            authorization_server: None,
            assume_pkce: None,
        }
    }
}

impl<Secret: GivenSecret> AuthDraft<Secret> {
    /// The settings, or everything that is wrong.
    pub fn check(self) -> Result<CheckedAuth<Secret>, Vec<Fault>> {
        let mut faults = Faults::default();
        self.unfitting(&mut faults);
        for (index, scope) in self.scopes.iter().flatten().enumerate() {
            let field = Field::of(&["scopes"]).index(index);
            faults.take(field, text::check_scope(scope), "write each scope as the provider spells it");
        }
        for (name, parameters) in [
            ("authorize_parameters", &self.authorize_parameters),
            ("token_parameters", &self.token_parameters),
        ] {
            for (key, value) in parameters {
                let remedy = "leave it out, or give it by its own setting if there is one";
                faults.take(Field::of(&[name]).key(key), text::check_parameter(key, value), remedy);
            }
        }
        let authorization_server = authorization_server(&mut faults, self.kind, self.authorization_server);
        let client = self.client.and_then(|client| checked_client(&mut faults, self.kind, client));
        if !faults.0.is_empty() {
            return Err(faults.0);
        }
        let authorization_server = authorization_server.unwrap_or_default();
        match (self.kind, client) {
            (DraftKind::OAuth, client) => Ok(CheckedAuth::OAuth(OAuthSettings {
                preset: self.preset,
                client,
                scopes: self.scopes,
                authorize_parameters: self.authorize_parameters,
                authorization_server,
                assume_pkce: self.assume_pkce.unwrap_or(false),
            })),
            (DraftKind::ClientCredentials, Some(client)) => {
                Ok(CheckedAuth::ClientCredentials(ClientCredentialsSettings {
                    client,
                    scopes: self.scopes,
                    token_parameters: self.token_parameters,
                    authorization_server,
                }))
            }
            (DraftKind::ClientCredentials, None) => {
                faults.add(
                    Field::of(&["client"]),
                    "is missing",
                    "give the id and the secret or private key of a client that the provider has registered",
                );
                Err(faults.0)
            }
        }
    }

    /// Settings that the kind has no use for.
    fn unfitting(&self, faults: &mut Faults) {
        let mut unfitting = |given: bool, name: &str, kind: &str| {
            if given {
                faults.add(Field::of(&[name]), format!("type {kind} has no use for it"), "remove it");
            }
        };
        match self.kind {
            DraftKind::OAuth => unfitting(!self.token_parameters.is_empty(), "token_parameters", "oauth"),
            DraftKind::ClientCredentials => {
                let kind = "client_credentials";
                unfitting(!self.authorize_parameters.is_empty(), "authorize_parameters", kind);
                unfitting(self.assume_pkce.is_some(), "assume_pkce", kind);
                unfitting(self.preset.is_some(), "preset", kind);
            }
        }
    }
}

/// `None` where nothing was given, or where a fault was noted.
fn authorization_server(
    faults: &mut Faults,
    kind: DraftKind,
    draft: Option<AuthorizationServerDraft>,
) -> Option<AuthorizationServerSettings> {
    let draft = draft?;
    let field = |name: &str| Field::of(&["authorization_server", name]);
    let issuer_remedy = "write it byte for byte as the provider's metadata have it";
    faults.take(field("issuer"), text::check_issuer(&draft.issuer), issuer_remedy);
    let endpoints = [
        ("authorization_endpoint", &draft.authorization_endpoint),
        ("token_endpoint", &draft.token_endpoint),
        ("registration_endpoint", &draft.registration_endpoint),
        ("revocation_endpoint", &draft.revocation_endpoint),
    ];
    for (name, endpoint) in endpoints {
        if let Some(endpoint) = endpoint {
            faults.take(field(name), text::check_endpoint(endpoint), "write the provider's https URL");
        }
    }
    if endpoints.iter().all(|(_, endpoint)| endpoint.is_none()) {
        return Some(AuthorizationServerSettings::Issuer { issuer: draft.issuer });
    }
    let mut required = vec![("token_endpoint", &draft.token_endpoint)];
    if kind == DraftKind::OAuth {
        required.push(("authorization_endpoint", &draft.authorization_endpoint));
    }
    for (name, endpoint) in required {
        if endpoint.is_none() {
            let remedy = "give it too, or give the issuer alone to have its metadata read";
            faults.add(field(name), "is missing next to the other endpoints", remedy);
        }
    }
    Some(AuthorizationServerSettings::Fixed {
        issuer: draft.issuer,
        authorization_endpoint: draft.authorization_endpoint,
        token_endpoint: draft.token_endpoint?,
        registration_endpoint: draft.registration_endpoint,
        revocation_endpoint: draft.revocation_endpoint,
    })
}

fn checked_client<Secret: GivenSecret>(
    faults: &mut Faults,
    kind: DraftKind,
    draft: ClientDraft<Secret>,
) -> Option<ClientSettings<Secret>> {
    let field = |name: &str| Field::of(&["client", name]);
    faults.take(field("id"), text::check_client_id(&draft.id), "copy it from the provider's settings");
    if let Some(secret) = draft.secret.as_ref().and_then(GivenSecret::text) {
        let remedy = "copy it from the provider's settings";
        faults.take(field("secret"), text::check_client_secret(secret), remedy);
    }
    if let Some(key) = draft.private_key.as_ref().and_then(GivenSecret::text) {
        let remedy = "give it in PEM as PKCS #8, such as `openssl genpkey -algorithm EC -pkeyopt \
                      ec_paramgen_curve:P-256` makes it";
        faults.take(field("private_key"), text::check_private_key(key), remedy);
    }
    if let Some(key_id) = &draft.key_id {
        faults.take(field("key_id"), text::check_client_id(key_id), "write it as the provider knows the key");
    }
    let method = draft.method.unwrap_or(match (&draft.secret, &draft.private_key) {
        (Some(_), _) => ClientMethod::ClientSecretBasic,
        (None, Some(_)) => ClientMethod::PrivateKeyJwt,
        (None, None) => ClientMethod::None,
    });
    if draft.secret.is_some() && !method.takes_secret() {
        faults.add(field("secret"), "the method has no use for a secret", "remove it, or choose the method");
    }
    if draft.private_key.is_some() && method != ClientMethod::PrivateKeyJwt {
        let remedy = "remove it, or write method: private_key_jwt";
        faults.add(field("private_key"), "the method has no use for a private key", remedy);
    }
    if draft.key_id.is_some() && method != ClientMethod::PrivateKeyJwt {
        faults.add(field("key_id"), "there is no private key that it could name", "remove it");
    }
    if method == ClientMethod::None && kind == DraftKind::ClientCredentials {
        let remedy = "give the client's secret or private key";
        faults.add(field("method"), "client_credentials needs a client that can authenticate", remedy);
    }
    let authentication = match method {
        ClientMethod::None => ClientAuthentication::None,
        ClientMethod::ClientSecretBasic | ClientMethod::ClientSecretPost => {
            let Some(secret) = draft.secret else {
                faults.add(field("secret"), "is missing", "give the secret that the provider shows");
                return None;
            };
            if method == ClientMethod::ClientSecretPost {
                ClientAuthentication::SecretPost(secret)
            } else {
                ClientAuthentication::SecretBasic(secret)
            }
        }
        ClientMethod::PrivateKeyJwt => {
            let Some(key) = draft.private_key else {
                faults.add(
                    field("private_key"),
                    "is missing",
                    "give the key whose public half the provider has",
                );
                return None;
            };
            ClientAuthentication::PrivateKeyJwt { key, key_id: draft.key_id }
        }
    };
    Some(ClientSettings { client_id: draft.id, authentication })
}

impl<Secret> CheckedAuth<Secret> {
    pub fn client(&self) -> Option<&ClientSettings<Secret>> {
        match self {
            Self::OAuth(oauth) => oauth.client.as_ref(),
            Self::ClientCredentials(shared) => Some(&shared.client),
        }
    }

    /// What the store keeps. `seal` is told whom the secret is for.
    pub fn try_seal<E>(
        self,
        seal: impl FnOnce(&AuthorizationServerSettings, &str, Secret) -> Result<SealedSecret, E>,
    ) -> Result<ServerAuth, E> {
        let sealed = |server: &AuthorizationServerSettings, client: ClientSettings<Secret>| {
            let id = client.client_id.clone();
            client.try_map(|secret| seal(server, &id, secret))
        };
        Ok(match self {
            Self::OAuth(oauth) => ServerAuth::OAuth(Box::new(OAuthSettings {
                client: match oauth.client {
                    Some(client) => Some(sealed(&oauth.authorization_server, client)?),
                    None => None,
                },
                preset: oauth.preset,
                scopes: oauth.scopes,
                authorize_parameters: oauth.authorize_parameters,
                authorization_server: oauth.authorization_server,
                assume_pkce: oauth.assume_pkce,
            })),
            Self::ClientCredentials(shared) => {
                ServerAuth::ClientCredentials(Box::new(ClientCredentialsSettings {
                    client: sealed(&shared.authorization_server, shared.client)?,
                    scopes: shared.scopes,
                    token_parameters: shared.token_parameters,
                    authorization_server: shared.authorization_server,
                }))
            }
        })
    }
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: Field, problem: impl fmt::Display, remedy: &str) {
        self.0.push(Fault { field, problem: problem.to_string(), remedy: remedy.to_owned() });
    }

    fn take(&mut self, field: Field, result: Result<(), TextError>, remedy: &str) {
        if let Err(error) = result {
            self.add(field, error, remedy);
        }
    }
}

impl Field {
    pub fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Step::Key((*key).to_owned())).collect())
    }

    fn key(mut self, key: &str) -> Self {
        self.0.push(Step::Key(key.to_owned()));
        self
    }

    fn index(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }
}

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => formatter.write_str(key)?,
                Step::Key(key) => write!(formatter, ".{key}")?,
                Step::Index(index) => write!(formatter, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
