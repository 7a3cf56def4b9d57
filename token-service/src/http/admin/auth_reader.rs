//! Reading how the gateway is to authenticate to a server: faults are found, secrets are sealed or kept.

use std::collections::BTreeSet;

use portcullis_wire::secret::SecretText;
use secrecy::SecretString;

use super::auth_body::{AuthBody, ClientBody, HeaderBody};
use super::check::Problems;
use crate::credentials::{self, ClientPlace};
use crate::domain::auth_draft::{AuthDraft, CheckedAuth, ClientDraft, ClientMethod, DraftKind, Fault};
use crate::domain::header::{HeaderName, check_value};
use crate::domain::ids::ServerId;
use crate::domain::server::{SealedHeader, SealedSecret, Server, ServerAuth};
use crate::domain::url::ServerUrl;
use crate::presets;
use crate::vault::Vault;

const MOST_HEADERS: usize = 16;

/// What is needed to read an `auth`: who seals, for which server, and what is kept of it so far.
#[derive(Clone, Copy)]
pub(super) struct AuthReader<'a> {
    pub(super) vault: &'a Vault,
    pub(super) id: &'a ServerId,
    pub(super) present: Option<&'a Server>,
}

/// A secret that is given, or that is to stay as it is.
type Given = Option<SecretString>;

/// An `auth` whose preset has been looked up.
pub(super) enum Opened {
    None,
    Headers(Vec<HeaderBody>),
    Draft(Box<AuthDraft<Given>>),
}

impl AuthReader<'_> {
    /// `None` if a fault was noted. Answers the preset's URL besides.
    pub(super) fn open(
        &self,
        problems: &mut Problems,
        body: AuthBody,
    ) -> Option<(Opened, Option<&'static str>)> {
        let mut draft = match body {
            AuthBody::None {} => return Some((Opened::None, None)),
            AuthBody::Headers { headers } => return Some((Opened::Headers(headers), None)),
            AuthBody::Oauth(body) => AuthDraft {
                preset: body.preset,
                client: body.client.map(|client| self.client(client)),
                scopes: body.scopes,
                authorize_parameters: body.authorize_parameters,
                authorization_server: body.authorization_server.map(Into::into),
                assume_pkce: body.assume_pkce,
                ..AuthDraft::new(DraftKind::OAuth)
            },
            AuthBody::ClientCredentials(body) => AuthDraft {
                client: Some(self.client(body.client)),
                scopes: body.scopes,
                token_parameters: body.token_parameters,
                authorization_server: body.authorization_server.map(Into::into),
                ..AuthDraft::new(DraftKind::ClientCredentials)
            },
        };
        match presets::complete(&mut draft) {
            Ok(url) => Some((Opened::Draft(Box::new(draft)), url)),
            Err(fault) => {
                add(problems, fault);
                None
            }
        }
    }

    /// `None` if a fault was noted, or if there is no URL to seal for.
    pub(super) fn finish(
        &self,
        problems: &mut Problems,
        url: Option<&ServerUrl>,
        opened: Opened,
    ) -> Option<ServerAuth> {
        match opened {
            Opened::None => Some(ServerAuth::None),
            Opened::Headers(headers) => self.headers(problems, url, headers),
            Opened::Draft(draft) => match draft.check() {
                Ok(checked) => self.sealed(problems, url?, checked),
                Err(faults) => {
                    for fault in faults {
                        add(problems, fault);
                    }
                    None
                }
            },
        }
    }

    /// What stays as it is, unless it holds secrets and moves to another origin.
    pub(super) fn kept(
        &self,
        problems: &mut Problems,
        url: Option<&ServerUrl>,
        auth: ServerAuth,
    ) -> Option<ServerAuth> {
        if credentials::has_secrets(&auth) && self.moves_to_another_origin(url?) {
            add_moved(problems, "auth");
            return None;
        }
        Some(auth)
    }

    fn client(&self, body: ClientBody) -> ClientDraft<Given> {
        let present = self.present.and_then(|server| server.settings.auth.client());
        let method = body.method.map(ClientMethod::from).or_else(|| {
            let (client, _) = present.filter(|(client, _)| client.client_id == body.id)?;
            let method = ClientMethod::from(&client.authentication);
            let fits = (body.secret.is_none() || method.takes_secret())
                && (body.private_key.is_none() || method == ClientMethod::PrivateKeyJwt);
            fits.then_some(method)
        });
        // A change that leaves out what the method needs keeps it, if there is a change at all.
        let kept = |needed: bool| (needed && self.present.is_some()).then_some(None);
        let given = |text: SecretText| Some(SecretString::from(text.expose()));
        let takes_secret = method.is_some_and(ClientMethod::takes_secret);
        ClientDraft {
            id: body.id,
            secret: body.secret.map(given).or_else(|| kept(takes_secret)),
            private_key: body
                .private_key
                .map(given)
                .or_else(|| kept(method == Some(ClientMethod::PrivateKeyJwt))),
            key_id: body.key_id,
            method,
        }
    }

    fn sealed(
        &self,
        problems: &mut Problems,
        url: &ServerUrl,
        checked: CheckedAuth<Given>,
    ) -> Option<ServerAuth> {
        let method = checked.client().map(|client| ClientMethod::from(&client.authentication));
        let field = if method == Some(ClientMethod::PrivateKeyJwt) { "private_key" } else { "secret" };
        let field = format!("auth.client.{field}");
        let sealed = checked.try_seal(|authorization_server, client_id, given| {
            let place = ClientPlace { server: self.id, url, authorization_server, client_id };
            match given {
                Some(value) => Ok(credentials::seal_client_secret(self.vault, place, &value, self.present)),
                None => self.kept_secret(place, method),
            }
        });
        sealed
            .map_err(|kept| match kept {
                NotKept::Nothing => {
                    problems.add(field, "is absent, and there is none to keep", "give it");
                }
                NotKept::Moved => problems.add(
                    field,
                    "would be sent elsewhere than it was given for",
                    "give it together with the new URL, client id or authorization server",
                ),
            })
            .ok()
    }

    fn kept_secret(
        &self,
        place: ClientPlace<'_>,
        method: Option<ClientMethod>,
    ) -> Result<SealedSecret, NotKept> {
        let present = self.present.and_then(|server| server.settings.auth.client());
        // A private key must not go out as a secret.
        let is_key = |method| method == Some(ClientMethod::PrivateKeyJwt);
        let present = present.map(|(client, _)| Some(ClientMethod::from(&client.authentication)));
        match present {
            Some(kind) if is_key(kind) == is_key(method) => {
                place.kept(self.present).cloned().ok_or(NotKept::Moved)
            }
            _ => Err(NotKept::Nothing),
        }
    }

    fn headers(
        &self,
        problems: &mut Problems,
        url: Option<&ServerUrl>,
        headers: Vec<HeaderBody>,
    ) -> Option<ServerAuth> {
        if !(1..=MOST_HEADERS).contains(&headers.len()) {
            problems.add(
                "auth.headers",
                format!("has {} headers", headers.len()),
                "give 1 to 16, or use the type `none`",
            );
            return None;
        }
        let mut names = BTreeSet::new();
        let sealed: Vec<Option<SealedHeader>> = headers
            .into_iter()
            .enumerate()
            .map(|(index, header)| {
                let place = format!("auth.headers[{index}]");
                let remedy = "use the name that the server's documentation gives, such as `authorization`";
                let name = problems.take(format!("{place}.name"), HeaderName::parse(&header.name), remedy)?;
                if !names.insert(name.clone()) {
                    let field = format!("{place}.name");
                    problems.add(field, "is there twice", "give each header once");
                    return None;
                }
                self.header(problems, &format!("{place}.value"), url, &name, header.value)
            })
            .collect();
        sealed.into_iter().collect::<Option<Vec<_>>>().map(ServerAuth::Headers)
    }

    fn header(
        &self,
        problems: &mut Problems,
        field: &str,
        url: Option<&ServerUrl>,
        name: &HeaderName,
        value: Option<SecretText>,
    ) -> Option<SealedHeader> {
        let Some(value) = value else {
            return self.kept_header(problems, field, url, name);
        };
        let checked = check_value(value.expose());
        problems.take(field, checked, "give the value exactly as the server expects it")?;
        let value = SecretString::from(value.expose());
        Some(credentials::seal(self.vault, self.id, url?, name, &value, self.present))
    }

    fn kept_header(
        &self,
        problems: &mut Problems,
        field: &str,
        url: Option<&ServerUrl>,
        name: &HeaderName,
    ) -> Option<SealedHeader> {
        let kept = self.present.and_then(|server| {
            credentials::sealed(&server.settings.auth).iter().find(|header| header.name == *name)
        });
        let Some(kept) = kept else {
            problems.add(field, "is absent, and there is no value to keep", "give the value");
            return None;
        };
        if self.moves_to_another_origin(url?) {
            add_moved(problems, field);
            return None;
        }
        Some(kept.clone())
    }

    /// A credential is for one origin: otherwise whoever may change a URL could have it sent to a host of its own.
    fn moves_to_another_origin(&self, url: &ServerUrl) -> bool {
        self.present.is_some_and(|server| server.settings.url.origin() != url.origin())
    }
}

/// Why a secret that was left out cannot stay.
enum NotKept {
    Nothing,
    Moved,
}

fn add(problems: &mut Problems, fault: Fault) {
    problems.add(format!("auth.{}", fault.field), fault.problem, fault.remedy);
}

fn add_moved(problems: &mut Problems, field: &str) {
    let problem = "would be sent to another host, port or scheme than it was given for";
    problems.add(field, problem, "give the value of every credential together with the new URL");
}
