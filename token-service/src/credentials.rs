//! Sealing and opening the secrets of a server's settings: credential headers, and the OAuth client's secret or key.

use portcullis_wire::lease::CredentialHeader;
use portcullis_wire::secret::SecretText;
use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::header::HeaderName;
use crate::domain::ids::ServerId;
use crate::domain::server::{
    AuthorizationServerSettings, ClientAuthentication, SealedHeader, SealedSecret, Server, ServerAuth,
};
use crate::domain::url::ServerUrl;
use crate::oauth::{Authentication, Client};
use crate::vault::{Place, UnsealError, Vault};

/// Opens all headers of a server, ready to be sent.
pub fn open(vault: &Vault, server: &Server) -> Result<Vec<CredentialHeader>, UnsealError> {
    sealed(&server.settings.auth)
        .iter()
        .map(|header| {
            let value = open_one(vault, &server.id, &server.settings.url, header)?;
            let value = SecretText::new(value.expose_secret().to_owned());
            Ok(CredentialHeader { name: header.name.to_string(), value })
        })
        .collect()
}

/// Seals `value` for a server at `url`. `present` is the server as it is kept, if it is: a header that has this very
/// value already is left as it is, so that writing the same again changes nothing.
pub fn seal(
    vault: &Vault,
    id: &ServerId,
    url: &ServerUrl,
    name: &HeaderName,
    value: &SecretString,
    present: Option<&Server>,
) -> SealedHeader {
    let kept = present.and_then(|server| {
        let header = sealed(&server.settings.auth).iter().find(|header| header.name == *name)?;
        Some((header, server.settings.url.origin() == url.origin()))
    });
    if let Some((header, true)) = kept {
        let same = open_one(vault, id, url, header)
            .is_ok_and(|present| present.expose_secret() == value.expose_secret());
        if same {
            return header.clone();
        }
    }
    let generation = kept.map_or(1, |(header, _)| header.generation.saturating_add(1));
    let place = Place::server_header(id, url, name, generation);
    SealedHeader { name: name.clone(), generation, value: vault.seal(&place, value) }
}

/// The sealed headers of a server; none for those without.
pub fn sealed(auth: &ServerAuth) -> &[SealedHeader] {
    match auth {
        ServerAuth::None | ServerAuth::OAuth(_) | ServerAuth::ClientCredentials(_) => &[],
        ServerAuth::Headers(headers) => headers,
    }
}

/// Whether there is anything to seal or open.
pub fn has_secrets(auth: &ServerAuth) -> bool {
    let secret = auth.client().and_then(|(client, _)| client.authentication.secret());
    !sealed(auth).is_empty() || secret.is_some()
}

fn open_one(
    vault: &Vault,
    id: &ServerId,
    url: &ServerUrl,
    header: &SealedHeader,
) -> Result<SecretString, UnsealError> {
    vault.unseal(&Place::server_header(id, url, &header.name, header.generation), &header.value)
}

/// Where a server's client secret is kept: the server, and everything that decides where the secret is sent.
#[derive(Clone, Copy)]
pub struct ClientPlace<'a> {
    pub server: &'a ServerId,
    pub url: &'a ServerUrl,
    pub authorization_server: &'a AuthorizationServerSettings,
    pub client_id: &'a str,
}

impl ClientPlace<'_> {
    fn generation(self, generation: u64) -> Place {
        Place::client_secret(self.server, self.url, self.authorization_server, self.client_id, generation)
    }

    /// What is kept in this very place, if `present` is the server as it is kept.
    pub fn kept(self, present: Option<&Server>) -> Option<&SealedSecret> {
        let present = present?;
        let (client, authorization_server) = present.settings.auth.client()?;
        let same = present.settings.url.origin() == self.url.origin()
            && authorization_server == self.authorization_server
            && client.client_id == self.client_id;
        client.authentication.secret().filter(|_| same)
    }
}

/// Opens the client that an administrator gave a server; `None` if there is none.
pub fn open_client(vault: &Vault, server: &Server) -> Result<Option<Client>, UnsealError> {
    let Some((client, authorization_server)) = server.settings.auth.client() else { return Ok(None) };
    let client_id = client.client_id.as_str();
    let place =
        ClientPlace { server: &server.id, url: &server.settings.url, authorization_server, client_id };
    let open = |secret: &SealedSecret| vault.unseal(&place.generation(secret.generation), &secret.value);
    let authentication = match &client.authentication {
        ClientAuthentication::None => Authentication::None,
        ClientAuthentication::SecretBasic(secret) => Authentication::SecretBasic(open(secret)?),
        ClientAuthentication::SecretPost(secret) => Authentication::SecretPost(open(secret)?),
        ClientAuthentication::PrivateKeyJwt { key, key_id } => {
            Authentication::PrivateKeyJwt { key: open(key)?, key_id: key_id.clone() }
        }
    };
    Ok(Some(Client { client_id: client.client_id.clone(), authentication }))
}

/// Seals a client secret. As with headers, the very value that is kept already is left as it is.
pub fn seal_client_secret(
    vault: &Vault,
    place: ClientPlace<'_>,
    value: &SecretString,
    present: Option<&Server>,
) -> SealedSecret {
    if let Some(kept) = place.kept(present) {
        let same = vault
            .unseal(&place.generation(kept.generation), &kept.value)
            .is_ok_and(|kept| kept.expose_secret() == value.expose_secret());
        if same {
            return kept.clone();
        }
    }
    let before = present.and_then(|server| server.settings.auth.client()?.0.authentication.secret());
    let generation = before.map_or(1, |secret| secret.generation.saturating_add(1));
    SealedSecret { generation, value: vault.seal(&place.generation(generation), value) }
}
