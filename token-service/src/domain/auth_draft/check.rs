//! From a draft to settings.

use super::fault::Faults;
use super::{
    AuthDraft, AuthorizationServerDraft, CheckedAuth, ClientDraft, ClientMethod, DraftKind, Fault, Field,
    GivenSecret,
};
use crate::domain::auth_text as text;
use crate::domain::server::{
    AuthorizationServerSettings, ClientAuthentication, ClientCredentialsSettings, ClientSettings,
    OAuthSettings,
};

impl<Secret: GivenSecret> AuthDraft<Secret> {
    /// The settings, or everything that is wrong.
    pub fn check(self) -> Result<CheckedAuth<Secret>, Vec<Fault>> {
        let mut faults = Faults::default();
        self.check_texts(&mut faults);
        let authorization_server = authorization_server(&mut faults, self.kind, self.authorization_server);
        let client_given = self.client.is_some();
        let client = self.client.and_then(|client| checked_client(&mut faults, self.kind, client));
        if !client_given && self.kind == DraftKind::ClientCredentials {
            let remedy = "give the id and the secret or private key of a client that the provider knows";
            faults.add(Field::of(&["client"]), "is missing", remedy);
        }
        match (self.kind, client) {
            _ if !faults.0.is_empty() => Err(faults.0),
            (DraftKind::ClientCredentials, Some(client)) => {
                Ok(CheckedAuth::ClientCredentials(ClientCredentialsSettings {
                    client,
                    scopes: self.scopes,
                    token_parameters: self.token_parameters,
                    authorization_server: authorization_server.unwrap_or_default(),
                }))
            }
            (_, client) => Ok(CheckedAuth::OAuth(OAuthSettings {
                preset: self.preset,
                client,
                scopes: self.scopes,
                authorize_parameters: self.authorize_parameters,
                authorization_server: authorization_server.unwrap_or_default(),
                assume_pkce: self.assume_pkce.unwrap_or(false),
            })),
        }
    }

    fn check_texts(&self, faults: &mut Faults) {
        self.check_fit(faults);
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
    }

    /// Notes settings that the kind has no use for.
    fn check_fit(&self, faults: &mut Faults) {
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
        ("authorization_endpoint", &draft.authorization_endpoint, kind == DraftKind::OAuth),
        ("token_endpoint", &draft.token_endpoint, true),
        ("registration_endpoint", &draft.registration_endpoint, false),
        ("revocation_endpoint", &draft.revocation_endpoint, false),
    ];
    if endpoints.iter().all(|(_, endpoint, _)| endpoint.is_none()) {
        return Some(AuthorizationServerSettings::Issuer { issuer: draft.issuer });
    }
    for (name, endpoint, required) in endpoints {
        match endpoint {
            Some(endpoint) => {
                faults.take(field(name), text::check_endpoint(endpoint), "write the provider's https URL");
            }
            None if required => {
                let remedy = "give it too, or give the issuer alone to have its metadata read";
                faults.add(field(name), "is missing next to the other endpoints", remedy);
            }
            None => {}
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

/// `None` if a fault was noted.
fn checked_client<Secret: GivenSecret>(
    faults: &mut Faults,
    kind: DraftKind,
    draft: ClientDraft<Secret>,
) -> Option<ClientSettings<Secret>> {
    let method = draft.method.unwrap_or(match (&draft.secret, &draft.private_key) {
        (Some(_), _) => ClientMethod::ClientSecretBasic,
        (None, Some(_)) => ClientMethod::PrivateKeyJwt,
        (None, None) => ClientMethod::None,
    });
    check_client_texts(faults, &draft);
    check_client_fit(faults, kind, method, &draft);
    let missing = |faults: &mut Faults, name: &str, remedy: &str| {
        faults.add(Field::of(&["client", name]), "is missing", remedy);
    };
    let authentication = match (method, draft.secret, draft.private_key) {
        (ClientMethod::None, ..) => ClientAuthentication::None,
        (ClientMethod::ClientSecretBasic, Some(secret), _) => ClientAuthentication::SecretBasic(secret),
        (ClientMethod::ClientSecretPost, Some(secret), _) => ClientAuthentication::SecretPost(secret),
        (ClientMethod::PrivateKeyJwt, _, Some(key)) => {
            ClientAuthentication::PrivateKeyJwt { key, key_id: draft.key_id }
        }
        (ClientMethod::ClientSecretBasic | ClientMethod::ClientSecretPost, None, _) => {
            missing(faults, "secret", "give the secret that the provider shows");
            return None;
        }
        (ClientMethod::PrivateKeyJwt, _, None) => {
            missing(faults, "private_key", "give the key whose public half the provider has");
            return None;
        }
    };
    Some(ClientSettings { client_id: draft.id, authentication })
}

fn check_client_texts<Secret: GivenSecret>(faults: &mut Faults, draft: &ClientDraft<Secret>) {
    let field = |name: &str| Field::of(&["client", name]);
    let copy = "copy it from the provider's settings";
    faults.take(field("id"), text::check_client_id(&draft.id), copy);
    if let Some(secret) = draft.secret.as_ref().and_then(GivenSecret::text) {
        faults.take(field("secret"), text::check_client_secret(secret), copy);
    }
    if let Some(key) = draft.private_key.as_ref().and_then(GivenSecret::text) {
        let remedy = "give it in PEM as PKCS #8, such as `openssl genpkey -algorithm EC -pkeyopt \
                      ec_paramgen_curve:P-256` makes it";
        faults.take(field("private_key"), text::check_private_key(key), remedy);
    }
    if let Some(key_id) = &draft.key_id {
        faults.take(field("key_id"), text::check_client_id(key_id), "write it as the provider knows the key");
    }
}

fn check_client_fit<Secret>(
    faults: &mut Faults,
    kind: DraftKind,
    method: ClientMethod,
    draft: &ClientDraft<Secret>,
) {
    let mut unfitting = |wrong: bool, name: &str, problem: &str, remedy: &str| {
        if wrong {
            faults.add(Field::of(&["client", name]), problem, remedy);
        }
    };
    let no_key = method != ClientMethod::PrivateKeyJwt;
    unfitting(
        draft.secret.is_some() && !method.takes_secret(),
        "secret",
        "the method has no use for a secret",
        "remove it, or choose the method",
    );
    unfitting(
        draft.private_key.is_some() && no_key,
        "private_key",
        "the method has no use for a private key",
        "remove it, or write method: private_key_jwt",
    );
    unfitting(
        draft.key_id.is_some() && no_key,
        "key_id",
        "there is no private key that it could name",
        "remove it",
    );
    unfitting(
        method == ClientMethod::None && kind == DraftKind::ClientCredentials,
        "method",
        "client_credentials needs a client that can authenticate",
        "give the client's secret or private key",
    );
}
