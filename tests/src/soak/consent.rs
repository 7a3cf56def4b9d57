//! Connecting and disconnecting accounts, as people do it in a browser.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::Soak;
use super::judge::Outcome;
use super::plan::{Call, Way};
use super::upstreams::Credential;
use super::world::{Account, FILTERS, Seat, WORKSPACE_NAMES};
use crate::admin::Admin;
use crate::patience::poll;
use crate::person::{Page, Person};
use crate::provider::Provider;

/// A membership is removed and made again rarely enough.
const MOST_LOOKS: u32 = 3;

/// Where a person begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At the link in the answer to a call.
    Link,
    /// On the page of all connections.
    Connections,
}

impl Soak {
    /// Connects `account` for a seat in the place of whatever was there.
    pub(super) async fn connect(
        &self,
        (seat, server): (usize, usize),
        account: Arc<Account>,
        start: Start,
    ) -> anyhow::Result<()> {
        let provider = self.provider(server)?;
        let fact = &self.world.seats[seat].accounts[server];
        let link = match start {
            Start::Link => self.link(seat, server).await,
            Start::Connections => None,
        };
        fact.begin(Some(Arc::clone(&account)));
        let (person, there) = self.at_provider(seat, server, link.as_deref()).await?;
        let agreed = there.form("Allow")?.with("subject", &account.subject);
        let connected = person.submit(agreed).await?;
        if connected.status != 200 || !connected.text().contains("Connected") {
            bail!("not connected: {} {}", connected.status, connected.text());
        }
        account.connected(provider);
        self.everybody_knows().await?;
        fact.settle();
        Ok(())
    }

    /// Ends a connection on the page of all connections.
    pub(super) async fn disconnect_by_page(&self, seat: usize, server: usize) -> anyhow::Result<()> {
        let (person, page) = self.connections(seat).await?;
        let page = person.press(&page, &self.button("Disconnect", seat, server)).await?;
        if page.status != 200 {
            bail!("not disconnected: {} {}", page.status, page.text());
        }
        self.everybody_knows().await
    }

    /// Calls until the seat is asked to connect, which is with the first call, and takes the link if there is one:
    /// whoever asks too often is sent to the page of all connections.
    async fn link(&self, seat: usize, server: usize) -> Option<String> {
        let (outcome, reply) = self.call_with(plain(seat, server), self.world.seats[seat].key(0)).await;
        (outcome == Outcome::Ask).then(|| link_in(&reply.body)).flatten()
    }

    /// By the link in an answer, or, without one, from the page of all connections.
    async fn at_provider(
        &self,
        seat: usize,
        server: usize,
        link: Option<&str>,
    ) -> anyhow::Result<(Person, Page)> {
        if let Some(link) = link {
            let person = Person::new();
            let consent = sign_in(&person, link, &self.world.seats[seat]).await?;
            let page = person.press(&consent, "Continue to").await?;
            return Ok((person, page));
        }
        let (person, page) = self.connections(seat).await?;
        let labels = ["Connect", "Reconnect"].map(|label| self.button(label, seat, server));
        let form = labels.iter().find_map(|label| page.form(label).ok());
        let page = person.submit(form.with_context(|| page.text())?).await?;
        Ok((person, page))
    }

    async fn connections(&self, seat: usize) -> anyhow::Result<(Person, Page)> {
        let person = Person::new();
        let url = format!("{}/connections", self.world.public_url);
        let page = sign_in(&person, &url, &self.world.seats[seat]).await?;
        Ok((person, page))
    }

    /// What the button for this server is called where there are several.
    fn button(&self, label: &str, seat: usize, server: usize) -> String {
        let workspace = WORKSPACE_NAMES[self.world.seats[seat].workspace];
        format!("{label} {} in {workspace}", self.world.endpoints[server].slug)
    }

    pub(super) fn provider(&self, server: usize) -> anyhow::Result<&Provider> {
        match &self.world.endpoints[server].credential {
            Credential::Personal(provider) => Ok(provider),
            Credential::Machine(_) | Credential::Header { .. } => bail!("nobody connects an account there"),
        }
    }

    /// Waits until all filters have heard of everything that is committed.
    pub(super) async fn everybody_knows(&self) -> anyhow::Result<()> {
        let all = poll(async || all_are_current(&self.world.admins).await).await;
        all.context("the filters do not hear of what is committed")
    }
}

/// Each filter has told one of the token-services that it has come as far as all of them.
async fn all_are_current(admins: &[Admin]) -> Option<()> {
    let (mut newest, mut cursors) = (0, BTreeMap::<String, u64>::new());
    for admin in admins {
        let status = admin.get("/v1/status").await.ok()?;
        newest = newest.max(status["revision"].as_u64()?);
        for filter in status["filters"].as_array()?.iter().filter(|filter| filter["connected"] == true) {
            let cursor = cursors.entry(filter["filter"].as_str()?.to_owned()).or_default();
            *cursor = filter["cursor"].as_u64()?.max(*cursor);
        }
    }
    (cursors.values().filter(|cursor| **cursor >= newest).count() == FILTERS).then_some(())
}

/// The plainest call there is.
pub(super) fn plain(seat: usize, server: usize) -> Call {
    Call { seat, key: 0, server, way: Way::Short, legacy: None, stolen_from: None }
}

/// The page shows each person once, by one of their memberships. That may be removed before it is chosen; then the
/// person is not let in and looks again.
async fn sign_in(person: &Person, url: &str, seat: &Seat) -> anyhow::Result<Page> {
    for _ in 0..MOST_LOOKS {
        let page = person.open(url).await?;
        let inside = person.press(&page, seat.person.name).await?;
        if inside.status != 403 || inside.url.path() != "/sign-in" {
            return Ok(inside);
        }
    }
    bail!("{} cannot sign in", seat.person.name)
}

fn link_in(text: &str) -> Option<String> {
    let start = text[..text.find("/connect/")?].rfind("http")?;
    let link = &text[start..];
    let end = link.find(|end: char| !(end.is_ascii_alphanumeric() || "-_.:/".contains(end)));
    Some(link[..end.unwrap_or(link.len())].trim_end_matches('.').to_owned())
}
