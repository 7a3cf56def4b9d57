//! People, workspaces, servers: what the soak runs on, and what is true of it at each moment.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};

use anyhow::Context as _;
use serde_json::{Map, json};
use tokio::sync::Mutex;

use super::fact::{Clock, Fact};
use super::plan::Size;
use super::upstreams::{Credential, Endpoint, SHORT_LIFE, Upstreams};
use crate::admin::Admin;
use crate::postgres::{self, Database};
use crate::provider::Provider;
use crate::seed::{self, GRACE, IssuedKey, Member};
use crate::stack::{Asked, Builder, Stack};

/// Slugs; and what people call them.
pub(super) const WORKSPACES: [&str; 2] = ["core", "ops"];
pub(super) const WORKSPACE_NAMES: [&str; 2] = ["Core", "Operations"];
/// How many keys each member has.
const KEYS: usize = 2;
/// Besides the first token-service.
const REPLICAS: usize = 2;
pub(super) const WORKERS: u32 = 2;
/// A filter in each worker and one in the main thread.
pub(super) const FILTERS: usize = WORKERS as usize + 1;

const ADA: Member = Member { subject: seed::SUBJECT, name: "Ada Lovelace" };
const BARBARA: Member = Member { subject: "barbara", name: "Barbara Liskov" };
const EDSGER: Member = Member { subject: "edsger", name: "Edsger Dijkstra" };
const MARGARET: Member = Member { subject: "margaret", name: "Margaret Hamilton" };
const ALAN: Member = Member { subject: "alan", name: "Alan Turing" };

/// Further members of `core`, whom the stack seeds beside Ada.
const CORE: [Member; 3] = [GRACE, BARBARA, EDSGER];
/// Ada is in both workspaces.
const OPS: [Member; 3] = [ADA, MARGARET, ALAN];

/// One person as a member of one workspace.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) person: Member,
    /// Index into [`WORKSPACES`].
    pub(super) workspace: usize,
    member: std::sync::Mutex<String>,
    keys: Vec<std::sync::Mutex<Arc<Key>>>,
    /// By server; what is connected there.
    pub(super) accounts: Vec<Fact<Option<Arc<Account>>>>,
    /// By server; whether a token may be refused there that was good a moment ago.
    pub(super) refused: Vec<Fact<bool>>,
    /// How many accounts were made up for it.
    made_up: AtomicU64,
    /// Held while something about this seat changes.
    pub(super) changing: Mutex<()>,
}

/// An API key. It is never valid again once it is not.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) issued: IssuedKey,
    pub(super) valid: Fact<bool>,
}

/// An account at a provider, as it was connected once.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) subject: String,
    /// Sign-ins of this subject up to here were others.
    after: u64,
    /// Known once the connection is made.
    sign_in: OnceLock<u64>,
    /// Whether its token was refused before, so that a further refusal may end the connection.
    pub(super) was_refused: AtomicBool,
}

/// The whole.
#[derive(Debug)]
pub struct World {
    pub(super) clock: Clock,
    pub(super) seats: Vec<Seat>,
    pub(super) endpoints: Vec<Endpoint>,
    /// Whether the token-service may be gone.
    pub(super) outage: Fact<bool>,
    /// Ids of the workspaces.
    pub(super) workspaces: Vec<String>,
    pub(super) admin: Admin,
    /// Of every token-service.
    pub(super) admins: Vec<Admin>,
    /// Where the token-services are several.
    pub(super) database: Option<Database>,
    pub(super) public_url: String,
    /// Locked while the token-service is restarted.
    pub(super) stack: Mutex<Stack>,
}

impl World {
    /// Starts everything: with a database of PostgreSQL three token-services on it, otherwise one. Nobody has connected
    /// anything yet.
    pub async fn start(database: Option<Database>) -> anyhow::Result<Self> {
        let clock = Clock::default();
        let upstreams = Upstreams::start().await?;
        let builder = Builder {
            concurrency: WORKERS,
            scripted: false,
            servers: upstreams.servers(),
            members: CORE.to_vec(),
            explained: false,
            ..Builder::default()
        };
        let builder = match &database {
            Some(database) => Builder {
                replicas: REPLICAS,
                asked: Asked::All,
                sections: Map::from_iter([("store".to_owned(), postgres::store(database))]),
                ..builder
            },
            None => builder,
        };
        let stack = Stack::build(builder).await?;
        let admin = stack.admin();
        let services = std::iter::once(&stack.service).chain(&stack.replicas);
        let admins = services.map(|service| service.admin.clone()).collect();
        let ops =
            admin.post("/v1/workspaces", json!({"slug": WORKSPACES[1], "name": WORKSPACE_NAMES[1]})).await?;
        let workspaces = vec![
            stack.seeded.workspace.clone(),
            ops["id"].as_str().context("a workspace without an id")?.to_owned(),
        ];
        let endpoints = upstreams.endpoints(&clock, &stack);
        let mut seats = Vec::new();
        let seeded = &stack.seeded;
        let core = std::iter::once((ADA, seeded.member.clone(), seeded.key.clone())).chain(
            CORE.into_iter()
                .zip(&seeded.others)
                .map(|(person, other)| (person, other.id.clone(), other.key.clone())),
        );
        for (person, member, key) in core {
            seats.push(
                Seat::new(&clock, &stack, &workspaces, (person, 0), member, key, endpoints.len()).await?,
            );
        }
        for person in OPS {
            let made = seed::member(admin, &workspaces[1], person).await?;
            seats.push(
                Seat::new(&clock, &stack, &workspaces, (person, 1), made.id, made.key, endpoints.len())
                    .await?,
            );
        }
        Ok(Self {
            outage: Fact::new(&clock, false),
            clock,
            seats,
            endpoints,
            workspaces,
            admin: stack.admin().clone(),
            admins,
            database,
            public_url: stack.public_url(),
            stack: Mutex::new(stack),
        })
    }

    pub fn size(&self) -> Size {
        let personal = |endpoint: &&Endpoint| matches!(endpoint.credential, Credential::Personal(_));
        Size {
            seats: self.seats.len(),
            keys: KEYS,
            personal: self.endpoints.iter().filter(personal).count(),
            servers: self.endpoints.len(),
            workspaces: WORKSPACES.len(),
        }
    }
}

impl Seat {
    async fn new(
        clock: &Clock,
        stack: &Stack,
        workspaces: &[String],
        (person, workspace): (Member, usize),
        member: String,
        first_key: IssuedKey,
        servers: usize,
    ) -> anyhow::Result<Self> {
        let mut keys = vec![Key::new(clock, first_key)];
        for _ in 1..KEYS {
            let issued = seed::member_key(stack.admin(), &workspaces[workspace], &member, "another").await?;
            keys.push(Key::new(clock, issued));
        }
        Ok(Self {
            person,
            workspace,
            member: std::sync::Mutex::new(member),
            keys: keys.into_iter().map(std::sync::Mutex::new).collect(),
            accounts: (0..servers).map(|_| Fact::new(clock, None)).collect(),
            refused: (0..servers).map(|_| Fact::new(clock, false)).collect(),
            made_up: AtomicU64::new(0),
            changing: Mutex::default(),
        })
    }

    pub(super) fn key(&self, slot: usize) -> Arc<Key> {
        Arc::clone(&self.keys[slot].lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn keys(&self) -> Vec<Arc<Key>> {
        (0..self.keys.len()).map(|slot| self.key(slot)).collect()
    }

    pub(super) fn replace_key(&self, slot: usize, key: Arc<Key>) {
        *self.keys[slot].lock().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// The member's id, which changes when the person is removed and added again.
    pub(super) fn member(&self) -> String {
        self.member.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace_member(&self, id: String) {
        *self.member.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }

    /// An account that nobody has had before.
    pub(super) fn another_account(&self, slug: &str, provider: &Provider) -> Arc<Account> {
        let number = self.made_up.fetch_add(1, Ordering::Relaxed);
        let subject = format!("{}-{}-{number}@{slug}", self.person.subject, WORKSPACES[self.workspace]);
        Account::connecting(subject, provider)
    }
}

/// Whose account it is, of those that [`Seat::another_account`] makes up.
pub(super) fn seat_of(subject: Option<&str>) -> Option<&str> {
    subject?.rsplit_once('-').map(|(seat, _)| seat)
}

impl Key {
    pub(super) fn new(clock: &Clock, issued: IssuedKey) -> Arc<Self> {
        Arc::new(Self { issued, valid: Fact::new(clock, true) })
    }
}

impl Account {
    /// Before it is connected (again).
    pub(super) fn connecting(subject: String, provider: &Provider) -> Arc<Self> {
        let after = provider.sign_in_of(&subject).unwrap_or_default();
        // Where tokens are renewed by themselves, nobody here knows when the last time was.
        let was_refused = AtomicBool::new(provider.shape().access_lifetime == Some(SHORT_LIFE));
        Arc::new(Self { subject, after, sign_in: OnceLock::new(), was_refused })
    }

    /// After it was connected.
    pub(super) fn connected(&self, provider: &Provider) {
        if let Some(sign_in) = provider.sign_in_of(&self.subject) {
            let _ = self.sign_in.set(sign_in);
        }
    }

    /// Whether a token of this subject and sign-in is one of this connection.
    pub(super) fn is(&self, subject: &str, sign_in: Option<u64>) -> bool {
        let Some(sign_in) = sign_in else { return false };
        self.subject == subject && self.sign_in.get().map_or(sign_in > self.after, |known| sign_in == *known)
    }
}
