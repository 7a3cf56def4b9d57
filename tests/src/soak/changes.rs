//! What changes under the callers' feet. Each change says what may be true before it begins, and what is true alone once
//! everybody has to know.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::Soak;
use super::consent::{Start, plain};
use super::judge::Outcome;
use super::plan::Change;
use super::upstreams::{Credential, header_value};
use super::world::{Account, Key, WORKSPACES};
use crate::patience::poll;
use crate::seed;

impl Soak {
    /// Makes a change, and everything usable again.
    pub(super) async fn change(&self, change: Change) -> anyhow::Result<()> {
        let _running = self.running.read().await;
        match change {
            Change::ExpireOne { seat, server } => self.expire_one(seat, server).await,
            Change::ExpireAll { server } => self.expire_all(server).await,
            Change::Withdraw { seat, server } => self.withdraw(seat, server).await,
            Change::Disconnect { seat, server, by_page } => self.disconnect(seat, server, by_page).await,
            Change::Switch { seat, server } => self.switch(seat, server).await,
            Change::RevokeKey { seat, key } => self.revoke_key(seat, key).await,
            Change::RemoveMember { seat } => self.remove_member(seat).await,
            Change::Withhold { server, workspace } => self.withhold(server, workspace).await,
            Change::Rotate => self.rotate().await,
        }
    }

    /// Stops the token-service as an administrator does, and starts it again.
    pub(super) async fn restart(&self) -> anyhow::Result<()> {
        let _alone = self.running.write().await;
        let mut stack = self.world.stack.lock().await;
        self.world.outage.begin(true);
        // In their turn, where there are several.
        let number = usize::try_from(self.restarts.load(Ordering::SeqCst))? % (1 + stack.replicas.len());
        let service = match number.checked_sub(1) {
            None => &mut stack.service,
            Some(number) => &mut stack.replicas[number],
        };
        service.process.stop()?;
        service.restart().await?;
        // A service that has just started knows of no filter, and so waits for none.
        self.everybody_knows().await?;
        self.world.outage.set(false);
        Ok(())
    }

    /// Connects an account for every seat at every server that wants one.
    pub(super) async fn connect_everybody(&self) -> anyhow::Result<()> {
        let size = self.world.size();
        for seat in 0..size.seats {
            for server in 0..size.personal {
                let account =
                    self.world.seats[seat].another_account(self.slug(server), self.provider(server)?);
                self.connect((seat, server), account, Start::Link).await?;
            }
        }
        Ok(())
    }

    async fn expire_one(&self, seat: usize, server: usize) -> anyhow::Result<()> {
        let _changing = self.world.seats[seat].changing.lock().await;
        let _steady = self.world.endpoints[server].steady.read().await;
        let provider = self.provider(server)?;
        let account = self.world.seats[seat].accounts[server].latest().context("nothing is connected")?;
        self.refuse(seat, server, &account);
        provider.expire_access_tokens_of(&account.subject);
        self.as_good_as_before(seat, server).await
    }

    async fn expire_all(&self, server: usize) -> anyhow::Result<()> {
        if let Credential::Machine(provider) = &self.world.endpoints[server].credential {
            // One that is refused right after it was fetched is for an administrator to look at, so this is done
            // rarely enough.
            if self.machine_rest.is_over() {
                self.tally.change("expire the shared token");
                self.world.seats.iter().for_each(|seat| seat.refused[server].begin(true));
                provider.expire_access_tokens();
                self.call(plain(0, server)).await;
                self.world.seats.iter().for_each(|seat| seat.refused[server].set(false));
            }
            return Ok(());
        }
        let provider = self.provider(server)?;
        let mut changing = Vec::new();
        for seat in &self.world.seats {
            changing.push(seat.changing.lock().await);
        }
        let _steady = self.world.endpoints[server].steady.read().await;
        for (number, seat) in self.world.seats.iter().enumerate() {
            if let Some(account) = seat.accounts[server].latest() {
                self.refuse(number, server, &account);
            }
        }
        provider.expire_access_tokens();
        for seat in 0..self.world.seats.len() {
            self.as_good_as_before(seat, server).await?;
        }
        Ok(())
    }

    /// The token of a connection is about to be refused. A connection whose token is refused again soon after it was
    /// renewed may end; after the first time it may not.
    fn refuse(&self, seat: usize, server: usize, account: &Account) {
        let place = &self.world.seats[seat];
        place.refused[server].begin(true);
        if account.was_refused.swap(true, Ordering::SeqCst) {
            place.accounts[server].begin(None);
        }
    }

    /// Finds out whether a connection has ended, and connects the account again if it has.
    async fn as_good_as_before(&self, seat: usize, server: usize) -> anyhow::Result<()> {
        let fact = &self.world.seats[seat].accounts[server];
        let before = fact.all_now().into_iter().flatten().next().context("nothing is connected")?;
        // That it cannot be told now is no news of the connection, which may have ended in that very moment.
        let news = poll(async || {
            let outcome = self.call(plain(seat, server)).await;
            matches!(outcome, Outcome::Served(_) | Outcome::Ask).then_some(outcome)
        });
        if news.await.context("neither served nor asked to connect")? == Outcome::Ask {
            fact.settle();
            let again = Account::connecting(before.subject.clone(), self.provider(server)?);
            self.connect((seat, server), again, Start::Link).await?;
        } else if fact.all_now().len() > 1 {
            fact.set(Some(before));
        }
        self.world.seats[seat].refused[server].set(false);
        Ok(())
    }

    async fn withdraw(&self, seat: usize, server: usize) -> anyhow::Result<()> {
        let _changing = self.world.seats[seat].changing.lock().await;
        let _steady = self.world.endpoints[server].steady.read().await;
        let provider = self.provider(server)?;
        let fact = &self.world.seats[seat].accounts[server];
        let account = fact.latest().context("nothing is connected")?;
        fact.begin(None);
        self.world.seats[seat].refused[server].begin(true);
        provider.withdraw(&account.subject);
        fact.settle();
        let again = Account::connecting(account.subject.clone(), provider);
        self.connect((seat, server), again, Start::Link).await?;
        self.world.seats[seat].refused[server].set(false);
        Ok(())
    }

    async fn disconnect(&self, seat: usize, server: usize, by_page: bool) -> anyhow::Result<()> {
        let place = &self.world.seats[seat];
        let _changing = place.changing.lock().await;
        let _steady = self.world.endpoints[server].steady.read().await;
        let fact = &place.accounts[server];
        fact.begin(None);
        if by_page {
            self.disconnect_by_page(seat, server).await?;
        } else {
            let connection = self.connection(seat, server).await?;
            self.applied(
                self.world.admin.delete(&format!("/v1/connections/{connection}?wait=applied")).await,
            )
            .await?;
        }
        fact.settle();
        self.call(plain(seat, server)).await;
        let start = if by_page { Start::Connections } else { Start::Link };
        let account = place.another_account(self.slug(server), self.provider(server)?);
        self.connect((seat, server), account, start).await
    }

    async fn switch(&self, seat: usize, server: usize) -> anyhow::Result<()> {
        let place = &self.world.seats[seat];
        let _changing = place.changing.lock().await;
        let _steady = self.world.endpoints[server].steady.read().await;
        let account = place.another_account(self.slug(server), self.provider(server)?);
        self.connect((seat, server), account, Start::Connections).await
    }

    async fn revoke_key(&self, seat: usize, slot: usize) -> anyhow::Result<()> {
        let place = &self.world.seats[seat];
        let _changing = place.changing.lock().await;
        let key = place.key(slot);
        key.valid.begin(false);
        let path = format!("/v1/keys/{}?wait=applied", key.issued.id);
        self.applied(self.world.admin.delete(&path).await).await?;
        key.valid.settle();
        self.refused_everywhere(seat, &key).await;
        let workspace = &self.world.workspaces[place.workspace];
        let issued = seed::member_key(&self.world.admin, workspace, &place.member(), "another").await?;
        place.replace_key(slot, Key::new(&self.world.clock, issued));
        Ok(())
    }

    async fn remove_member(&self, seat: usize) -> anyhow::Result<()> {
        let place = &self.world.seats[seat];
        let _changing = place.changing.lock().await;
        let keys = place.keys();
        for key in &keys {
            key.valid.begin(false);
        }
        place.accounts.iter().for_each(|account| account.begin(None));
        let path = format!("/v1/members/{}?wait=applied", place.member());
        self.applied(self.world.admin.delete(&path).await).await?;
        for key in &keys {
            key.valid.settle();
        }
        place.accounts.iter().for_each(super::fact::Fact::settle);
        for key in &keys {
            self.refused_everywhere(seat, key).await;
        }
        let workspace = &self.world.workspaces[place.workspace];
        let made = seed::member(&self.world.admin, workspace, place.person).await?;
        let mut issued = vec![made.key];
        while issued.len() < keys.len() {
            issued.push(seed::member_key(&self.world.admin, workspace, &made.id, "another").await?);
        }
        place.replace_member(made.id);
        for (slot, issued) in issued.into_iter().enumerate() {
            place.replace_key(slot, Key::new(&self.world.clock, issued));
        }
        for server in 0..self.world.size().personal {
            let _steady = self.world.endpoints[server].steady.read().await;
            let account = place.another_account(self.slug(server), self.provider(server)?);
            self.connect((seat, server), account, Start::Link).await?;
        }
        Ok(())
    }

    async fn withhold(&self, server: usize, workspace: usize) -> anyhow::Result<()> {
        let endpoint = &self.world.endpoints[server];
        let _steady = endpoint.steady.write().await;
        let offered = &endpoint.offered[workspace];
        let path = format!(
            "/v1/servers/{}/workspaces/{}?wait=applied",
            endpoint.id, self.world.workspaces[workspace]
        );
        offered.begin(false);
        self.applied(self.world.admin.delete(&path).await).await?;
        offered.settle();
        let members = self.world.seats.iter().enumerate().filter(|(_, seat)| seat.workspace == workspace);
        for (seat, _) in members.clone() {
            self.call(plain(seat, server)).await;
        }
        offered.begin(true);
        self.applied(self.world.admin.put_nothing(&path).await).await?;
        offered.settle();
        for (seat, _) in members {
            self.call(plain(seat, server)).await;
        }
        Ok(())
    }

    async fn rotate(&self) -> anyhow::Result<()> {
        let server = self.world.endpoints.len() - 1;
        let endpoint = &self.world.endpoints[server];
        let Credential::Header { keys, value } = &endpoint.credential else { return Ok(()) };
        let _steady = endpoint.steady.write().await;
        let number = value.latest() + 1;
        keys.add(&header_value(number), super::upstreams::HEADER_OWNER, number);
        value.begin(number);
        let bearer = format!("Bearer {}", header_value(number));
        let change = json!({"auth": seed::headers(&[("authorization", &bearer)])});
        let path = format!("/v1/servers/{}?wait=applied", endpoint.id);
        self.applied(self.world.admin.patch(&path, change).await).await?;
        // The value before stays good at the server, so a call that still carries it is found out.
        value.settle();
        for seat in 0..self.world.seats.len() {
            self.call(plain(seat, server)).await;
        }
        Ok(())
    }

    /// Calls every server with a key that is not valid any more; the judge knows what has to come of it.
    async fn refused_everywhere(&self, seat: usize, key: &Arc<Key>) {
        self.line.forget(key);
        for server in 0..self.world.endpoints.len() {
            self.call_with(plain(seat, server), Arc::clone(key)).await;
        }
    }

    async fn connection(&self, seat: usize, server: usize) -> anyhow::Result<String> {
        let path = format!("/v1/members/{}/connections", self.world.seats[seat].member());
        let listed = self.world.admin.get(&path).await?;
        let connections = listed["connections"].as_array().cloned().unwrap_or_default();
        let id = &self.world.endpoints[server].id;
        let found = connections.iter().find(|connection| connection["server"] == **id);
        let found = found
            .with_context(|| format!("{} has no connection", WORKSPACES[self.world.seats[seat].workspace]))?;
        Ok(found["id"].as_str().context("a connection without an id")?.to_owned())
    }

    fn slug(&self, server: usize) -> &'static str {
        self.world.endpoints[server].slug
    }

    /// What `?wait=applied` answered. On a machine that is too busy it may give up waiting, and says so; then the
    /// change is made all the same, and is waited for in another way.
    async fn applied(&self, answer: anyhow::Result<Value>) -> anyhow::Result<()> {
        let Err(error) = answer else { return Ok(()) };
        ensure!(format!("{error:#}").contains("504"), "{error:#}");
        self.tally.late();
        self.everybody_knows().await
    }
}
