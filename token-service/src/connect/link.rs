//! The link that an agent shows to its person.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_wire::digest::Digest;
use portcullis_wire::secret::SecretText;

use crate::clock::{Timestamp, random};
use crate::domain::connecting::Ticket;
use crate::domain::ids::{MemberId, ServerId};
use crate::state::Service;
use crate::store::StoreError;
use crate::text::presentable;

/// How long a link is good.
const LIFE: Duration = Duration::from_mins(10);

/// How many links of one member and server are made in an hour. An agent that asks again and again gets the one
/// that is still good.
const MOST: u32 = 30;
const WINDOW_MS: u64 = 60 * 60 * 1000;

/// How many links are remembered at most.
const REMEMBERED: usize = 10_000;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum ConnectLinkError {
    #[error("too many links were asked for in the last hour")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Links that this process has made. The store keeps digests only, so nobody else can repeat a link.
#[derive(Debug, Default)]
pub struct ConnectLinks {
    made: Mutex<HashMap<LinkKey, Link>>,
    /// Held while one is made: agents that ask at once get the same, and not each one that ends another's.
    making: tokio::sync::Mutex<()>,
}

/// Agents do not share a link: its page names the one that asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LinkKey {
    member: MemberId,
    server: ServerId,
    client_name: Option<String>,
}

#[derive(Clone, Debug)]
struct Link {
    ticket: SecretText,
    expires_at: Timestamp,
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
        let key = LinkKey { member: member.clone(), server: server.clone(), client_name };
        let is_fresh = |link: &&Link| now.until(link.expires_at) > LIFE / 2;
        if let Some(link) = self.live_link(&key, now).await?.as_ref().filter(is_fresh) {
            return Ok(self.spell(link));
        }
        let _one_at_a_time = self.links.making.lock().await;
        let known = self.live_link(&key, now).await?;
        if let Some(link) = known.as_ref().filter(is_fresh) {
            return Ok(self.spell(link));
        }
        let since = Timestamp(now.0.saturating_sub(WINDOW_MS));
        if self.store.tickets_since(member, server, since).await? >= MOST {
            // One that is almost over is better than none.
            return known.map(|link| self.spell(&link)).ok_or(ConnectLinkError::TooMany);
        }
        let link = self.new_link(&key, now).await?;
        let address = self.spell(&link);
        self.links.remember(key, link, now);
        Ok(address)
    }

    /// The link made before, unless it is over or was used by now.
    async fn live_link(&self, key: &LinkKey, now: Timestamp) -> Result<Option<Link>, StoreError> {
        let Some(link) = self.links.find(key) else { return Ok(None) };
        let ticket = self.store.ticket(&ticket_digest(link.ticket.expose()), now).await?;
        Ok(ticket.map(|_| link))
    }

    async fn new_link(&self, key: &LinkKey, now: Timestamp) -> Result<Link, StoreError> {
        let ticket = SecretText::new(URL_SAFE_NO_PAD.encode(random::<32>(&*self.entropy)));
        let expires_at = now.plus(LIFE);
        let row = Ticket {
            digest: ticket_digest(ticket.expose()),
            member: key.member.clone(),
            server: key.server.clone(),
            client_name: key.client_name.clone(),
            created_at: now,
            expires_at,
        };
        self.store.create_ticket(&row).await?;
        Ok(Link { ticket, expires_at })
    }

    fn spell(&self, link: &Link) -> String {
        format!("{}/connect/{}", self.settings.public_url, link.ticket.expose())
    }
}

impl ConnectLinks {
    fn find(&self, key: &LinkKey) -> Option<Link> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn remember(&self, key: LinkKey, link: Link, now: Timestamp) {
        let mut links = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() >= REMEMBERED {
            links.retain(|_, link| link.expires_at > now);
        }
        if links.len() >= REMEMBERED {
            // Forgetting costs no more than a further link.
            links.clear();
        }
        links.insert(key, link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let links = ConnectLinks::default();
        let key = |number: usize| LinkKey {
            member: MemberId::from(format!("mem_{number}")),
            server: ServerId::from("srv_1"),
            client_name: None,
        };
        let link = |expires_at| Link { ticket: SecretText::new("t".into()), expires_at };
        for number in 0..REMEMBERED {
            links.remember(key(number), link(Timestamp(if number == 7 { 100 } else { 10 })), Timestamp(0));
        }
        links.remember(key(REMEMBERED), link(Timestamp(100)), Timestamp(50));
        assert!(links.find(&key(7)).is_some() && links.find(&key(REMEMBERED)).is_some());
        assert!(links.find(&key(8)).is_none(), "those that are over go first");
        for number in 0..2 * REMEMBERED {
            links.remember(key(number), link(Timestamp(100)), Timestamp(50));
        }
        assert!(links.made.lock().expect("no panic").len() <= REMEMBERED);
    }
}
