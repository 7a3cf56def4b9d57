//! What becomes of the connections of a server whose URL has moved to another origin.
//!
//! Their tokens are sealed to the origin that they were obtained for and do not open for another. So that a changed URL
//! alone sends nobody's token anywhere, an administrator decides about them explicitly, and the decision is audited.

use secrecy::SecretString;

use crate::domain::connection::{Binding, Connection, ConnectionId, ConnectionState, SealedTokens};
use crate::domain::server::{Sealed, Server};
use crate::state::Service;
use crate::store::connections::ConnectionFilter;
use crate::store::{Actor, StoreError};
use crate::vault::{Place, UnsealError, Vault};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The new origin belongs to whom the tokens were given for: use them there.
    Release,
    /// It does not, or nobody knows: end the connections.
    Discard,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many it was carried out for.
    pub decided: u64,
    /// Stay in quarantine, because their tokens cannot be opened.
    pub unreadable: Vec<ConnectionId>,
    /// Stay in quarantine for now: a renewal that began before the move is still under way, or the server has moved
    /// again.
    pub busy: Vec<ConnectionId>,
}

const PAGE: u32 = 100;

impl Service {
    /// Carries out `decision` for every quarantined connection of the server. Others may change connections meanwhile;
    /// those that left quarantine by themselves are passed over.
    pub async fn decide_quarantine(
        &self,
        server: &Server,
        decision: Decision,
        actor: &Actor,
    ) -> Result<Outcome, StoreError> {
        let filter = ConnectionFilter { server: Some(server.id.clone()), ..ConnectionFilter::default() };
        let mut outcome = Outcome::default();
        let mut after = None;
        loop {
            let page = self.store.connections(&filter, after.as_ref(), PAGE).await?;
            let Some(last) = page.last().map(|connection| connection.id.clone()) else { return Ok(outcome) };
            for connection in page.iter().filter(|it| it.state == ConnectionState::Quarantined) {
                match decision {
                    Decision::Release => self.release(server, connection, actor, &mut outcome).await?,
                    Decision::Discard => {
                        let ended = self.disconnect(&connection.id, actor.clone()).await?;
                        outcome.decided += u64::from(ended);
                    }
                }
            }
            after = Some(last);
        }
    }

    async fn release(
        &self,
        server: &Server,
        connection: &Connection,
        actor: &Actor,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        let Some(tokens) = &connection.tokens else { return Ok(()) };
        let binding = Binding { origin: server.settings.url.origin(), ..connection.binding.clone() };
        let generation = connection.generation.saturating_add(1);
        match resealed(&self.vault, connection, tokens, &binding, generation) {
            Ok(tokens) => {
                let store = self.store.on_behalf_of(actor.clone(), self.clock.now());
                match store.release(&connection.id, generation, &binding, &tokens).await {
                    Ok(released) => outcome.decided += u64::from(released.is_some()),
                    Err(StoreError::Stale) => outcome.busy.push(connection.id.clone()),
                    Err(error) => return Err(error),
                }
            }
            Err(error) => {
                tracing::error!(connection = %connection.id, %error, "tokens in quarantine cannot be opened");
                outcome.unreadable.push(connection.id.clone());
            }
        }
        Ok(())
    }
}

/// The same tokens, for another binding and generation.
fn resealed(
    vault: &Vault,
    connection: &Connection,
    tokens: &SealedTokens,
    binding: &Binding,
    generation: u64,
) -> Result<SealedTokens, UnsealError> {
    let Connection { server, owner, .. } = connection;
    let moved = |column: &'static str, sealed: &Sealed| {
        let from = Place::connection(connection, column, connection.generation);
        let value: SecretString = vault.unseal(&from, sealed)?;
        Ok(vault.seal(&Place::tokens(server, owner, binding, column, generation), &value))
    };
    Ok(SealedTokens {
        access: moved("access_token", &tokens.access)?,
        refresh: match &tokens.refresh {
            Some(refresh) => Some(moved("refresh_token", refresh)?),
            None => None,
        },
        expires_at: tokens.expires_at,
        refresh_at: tokens.refresh_at,
    })
}
