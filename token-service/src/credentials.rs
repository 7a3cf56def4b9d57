//! Sealing and opening a server's credential headers.

use portcullis_wire::lease::CredentialHeader;
use portcullis_wire::secret::SecretText;
use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::header::HeaderName;
use crate::domain::ids::ServerId;
use crate::domain::server::{SealedHeader, Server, ServerAuth};
use crate::domain::url::ServerUrl;
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

fn open_one(
    vault: &Vault,
    id: &ServerId,
    url: &ServerUrl,
    header: &SealedHeader,
) -> Result<SecretString, UnsealError> {
    vault.unseal(&Place::server_header(id, url, &header.name, header.generation), &header.value)
}
