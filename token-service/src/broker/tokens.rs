//! The tokens of connections, sealed and opened.

use secrecy::SecretString;

use super::schedule::renew_at;
use crate::clock::{Entropy, Timestamp};
use crate::domain::connection::{Binding, Connection, ConnectionOwner, SealedTokens};
use crate::domain::ids::ServerId;
use crate::oauth::token::Tokens;
use crate::vault::{Place, UnsealError, Vault};

pub(super) const ACCESS: &str = "access_token";
pub(super) const REFRESH: &str = "refresh_token";

/// Whose tokens they are, and which in the order of those that the connection has had.
#[derive(Clone, Copy, Debug)]
pub struct TokenPlace<'a> {
    pub server: &'a ServerId,
    pub owner: &'a ConnectionOwner,
    pub binding: &'a Binding,
    pub generation: u64,
}

impl<'a> TokenPlace<'a> {
    /// Where the tokens of a connection are now.
    pub fn of(connection: &'a Connection) -> Self {
        let Connection { server, owner, binding, generation, .. } = connection;
        Self { server, owner, binding, generation: *generation }
    }

    /// Where those will be that take their place.
    #[must_use]
    pub fn next(self) -> Self {
        Self { generation: self.generation.saturating_add(1), ..self }
    }

    fn column(self, column: &'static str) -> Place {
        Place::tokens(self.server, self.owner, self.binding, column, self.generation)
    }

    /// Seals what the token endpoint gave at `now`, and plans the renewal.
    pub fn seal(self, vault: &Vault, entropy: &dyn Entropy, tokens: &Tokens, now: Timestamp) -> SealedTokens {
        // One that can only be renewed by a person is not due before.
        let renewable = tokens.refresh.is_some() || *self.owner == ConnectionOwner::Shared;
        SealedTokens {
            access: vault.seal(&self.column(ACCESS), &tokens.access),
            refresh: tokens.refresh.as_ref().map(|refresh| vault.seal(&self.column(REFRESH), refresh)),
            expires_at: tokens.expires_in.map(|life| now.plus(life)),
            refresh_at: tokens.expires_in.filter(|_| renewable).map(|life| renew_at(entropy, now, life)),
        }
    }

    /// What the shared connection holds before anything was fetched: a token that has always been expired.
    pub(super) fn seal_nothing(self, vault: &Vault) -> SealedTokens {
        SealedTokens {
            access: vault.seal(&self.column(ACCESS), &SecretString::from("")),
            refresh: None,
            expires_at: Some(Timestamp::default()),
            refresh_at: Some(Timestamp::default()),
        }
    }

    pub fn open_access(self, vault: &Vault, tokens: &SealedTokens) -> Result<SecretString, UnsealError> {
        vault.unseal(&self.column(ACCESS), &tokens.access)
    }

    pub fn open_refresh(
        self,
        vault: &Vault,
        tokens: &SealedTokens,
    ) -> Result<Option<SecretString>, UnsealError> {
        tokens.refresh.as_ref().map(|refresh| vault.unseal(&self.column(REFRESH), refresh)).transpose()
    }
}

/// Whether nothing was fetched yet for this shared connection.
pub(super) fn holds_nothing(tokens: &SealedTokens) -> bool {
    tokens.expires_at == Some(Timestamp::default())
}
