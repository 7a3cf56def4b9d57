//! The token endpoint's answer, sealed for a connection that is yet to be made.

use secrecy::SecretString;

use crate::clock::Timestamp;
use crate::domain::connection::{Binding, ConnectionOwner, SealedTokens};
use crate::domain::ids::ServerId;
use crate::domain::server::Sealed;
use crate::oauth::token::Tokens;
use crate::vault::{Place, Vault};

/// Whose the tokens are and where they may go.
pub(super) struct Destination<'a> {
    pub(super) server: &'a ServerId,
    pub(super) owner: &'a ConnectionOwner,
    pub(super) binding: &'a Binding,
    pub(super) generation: u64,
}

pub(super) fn seal(vault: &Vault, to: &Destination<'_>, tokens: &Tokens, now: Timestamp) -> SealedTokens {
    let seal = |column, secret: &SecretString| -> Sealed {
        vault.seal(&Place::tokens(to.server, to.owner, to.binding, column, to.generation), secret)
    };
    let expires_at = tokens.expires_in.map(|life| now.plus(life));
    SealedTokens {
        access: seal("access_token", &tokens.access),
        refresh: tokens.refresh.as_ref().map(|refresh| seal("refresh_token", refresh)),
        expires_at,
        refresh_at: None,
    }
}
