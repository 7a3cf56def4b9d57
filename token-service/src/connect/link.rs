//! The link that an agent shows to its person.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_wire::digest::Digest;
use secrecy::{ExposeSecret as _, SecretString};

use crate::clock::{Timestamp, random};
use crate::domain::connecting::Ticket;
use crate::domain::ids::{MemberId, ServerId};
use crate::state::Service;
use crate::store::StoreError;
use crate::text::presentable;
use crate::vault::Place;

/// How long a link is good.
const LIFE: Duration = Duration::from_mins(10);

/// How many links of one member and server are made in an hour. An agent that asks again and again gets the one
/// that is still good.
const MOST: u32 = 30;
const WINDOW_MS: u64 = 60 * 60 * 1000;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum ConnectLinkError {
    #[error("too many links were asked for in the last hour")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the store knows a ticket by.
pub fn ticket_digest(ticket: &str) -> Digest {
    Digest::of("portcullis-connect-ticket-v1", &[ticket.as_bytes()])
}

impl Service {
    /// A link with which `member` can connect an account at `server`. It is single use and good for five to ten
    /// minutes: as long as more than half of its life is left, the same one is given again.
    ///
    /// - `client_name`: what the agent calls itself, to be shown as unverified.
    pub async fn connect_link(
        &self,
        member: &MemberId,
        server: &ServerId,
        client_name: Option<&str>,
    ) -> Result<String, ConnectLinkError> {
        let now = self.clock.now();
        let client_name = client_name.and_then(presentable);
        // Agents do not share a link: its page names the one that asked.
        let live = async |good_until| {
            self.store.live_ticket(member, server, client_name.as_deref(), good_until).await
        };
        let fresh_until = now.plus(LIFE / 2);
        if let Some(link) = live(fresh_until).await?.and_then(|ticket| self.link_of(&ticket)) {
            return Ok(link);
        }
        let since = Timestamp(now.0.saturating_sub(WINDOW_MS));
        if self.store.tickets_since(member, server, since).await? >= MOST {
            // One that is almost over is better than none.
            let known = live(now).await?.and_then(|ticket| self.link_of(&ticket));
            return known.ok_or(ConnectLinkError::TooMany);
        }
        let (made, secret) = self.new_ticket(member, server, client_name.clone(), now);
        // Another replica, or another call, may have been faster.
        let faster = self.store.create_ticket(&made, fresh_until).await?;
        let link = faster.and_then(|ticket| self.link_of(&ticket));
        Ok(link.unwrap_or_else(|| self.spell(secret.expose_secret())))
    }

    fn new_ticket(
        &self,
        member: &MemberId,
        server: &ServerId,
        client_name: Option<String>,
        now: Timestamp,
    ) -> (Ticket, SecretString) {
        let secret = SecretString::from(URL_SAFE_NO_PAD.encode(random::<32>(&*self.entropy)));
        let digest = ticket_digest(secret.expose_secret());
        let place = Place::ticket(&digest, member, server);
        let ticket = Ticket {
            digest,
            member: member.clone(),
            server: server.clone(),
            client_name,
            sealed: Some(self.vault.seal(&place, &secret)),
            created_at: now,
            expires_at: now.plus(LIFE),
        };
        (ticket, secret)
    }

    /// The link of a ticket that is kept; `None` if it cannot be opened.
    fn link_of(&self, ticket: &Ticket) -> Option<String> {
        let place = Place::ticket(&ticket.digest, &ticket.member, &ticket.server);
        let secret = self.vault.unseal(&place, ticket.sealed.as_ref()?).ok()?;
        Some(self.spell(secret.expose_secret()))
    }

    fn spell(&self, ticket: &str) -> String {
        format!("{}/connect/{ticket}", self.settings.public_url)
    }
}
