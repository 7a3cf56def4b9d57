//! The transactions that everything else runs in.

use std::sync::Arc;

use portcullis_wire::watch::Invalidation;
use sqlx::any::Any;
use sqlx::pool::PoolConnection;
use sqlx::{AnyConnection, AnyPool, Transaction};
use tokio::sync::watch;
use tokio::time::Instant;

use super::audit::{self, Attribution};
use super::convert::{from_database, to_database};
use super::sqlite::Pools;
use super::{Engine, SqlStore, postgres, sqlite};
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::measure;
use crate::store::Result;
use crate::store::changes::MAX_INVALIDATIONS;

impl Engine {
    /// A transaction that may write.
    pub(crate) async fn begin(self, writer: &AnyPool) -> Result<Transaction<'static, Any>> {
        Ok(match self {
            Self::Sqlite => writer.begin_with(sqlite::BEGIN).await?,
            Self::Postgres => writer.begin().await?,
        })
    }
}

impl SqlStore {
    pub(super) async fn over(
        engine: Engine,
        Pools { writer, readers }: Pools,
        commits: watch::Sender<Revision>,
        listener: Option<postgres::Listener>,
    ) -> Result<Self> {
        let attribution = Attribution::default();
        let store = Self { engine, writer, readers, commits, _listener: listener.map(Arc::new), attribution };
        let current = current_revision(&mut *store.read().await?).await?;
        store.announce(current);
        Ok(store)
    }

    /// A connection for one reading statement.
    pub(super) async fn read(&self) -> Result<PoolConnection<Any>> {
        let begun = Instant::now();
        let connection = self.readers.acquire().await?;
        measure::store_wait("read", begun.elapsed());
        Ok(connection)
    }

    /// A snapshot for several reading statements.
    pub(super) async fn snapshot(&self) -> Result<Transaction<'static, Any>> {
        let begun = Instant::now();
        let transaction = self.readers.begin().await?;
        measure::store_wait("read", begun.elapsed());
        Ok(transaction)
    }

    /// A transaction that may write, while no other one that came by this way does, and takes no revision.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>> {
        let begun = Instant::now();
        let mut transaction = self.transaction().await?;
        if self.engine == Engine::Postgres {
            postgres::await_turn(&mut transaction).await?;
        }
        measure::store_wait("write", begun.elapsed());
        Ok(transaction)
    }

    /// A transaction that may write, in no order with others. See [`conditional`](super::conditional).
    pub(super) async fn begin_unordered(&self) -> Result<Transaction<'static, Any>> {
        let begun = Instant::now();
        let transaction = self.transaction().await?;
        measure::store_wait("write", begun.elapsed());
        Ok(transaction)
    }

    async fn transaction(&self) -> Result<Transaction<'static, Any>> {
        self.engine.begin(&self.writer).await
    }

    /// A transaction that may write. It has taken the next revision, and gives it back unless it is finished.
    pub(super) async fn write(&self) -> Result<Write> {
        // Taking the revision is waiting for one's turn.
        let begun = Instant::now();
        let write = self.write_within(self.transaction().await?).await?;
        measure::store_wait("write", begun.elapsed());
        Ok(write)
    }

    /// As [`Self::write`], for a transaction that turned out to need a revision.
    pub(super) async fn write_within(&self, mut transaction: Transaction<'static, Any>) -> Result<Write> {
        let next: i64 = sqlx::query_scalar("UPDATE revisions SET current = current + 1 RETURNING current")
            .fetch_one(&mut *transaction)
            .await?;
        Ok(Write {
            transaction,
            begun: Instant::now(),
            revision: Revision(from_database(next)),
            attribution: self.attribution.clone(),
            records: Vec::new(),
            unrecorded: false,
            registry: false,
            invalidations: Vec::new(),
        })
    }

    /// Commits what a transaction has changed; ends it without a trace if that is nothing.
    pub(super) async fn finish(&self, mut write: Write) -> Result<Revision> {
        let revision = write.outcome();
        if write.is_changed() {
            write.write_records().await?;
            write.record_changes().await?;
            if self.engine == Engine::Postgres {
                postgres::notify(write.connection(), revision).await?;
            }
            let Write { transaction, records, begun, .. } = write;
            transaction.commit().await?;
            measure::store_write(begun.elapsed());
            for (action, _) in records {
                measure::change(action);
            }
            self.announce(revision);
        } else {
            write.transaction.rollback().await?;
        }
        Ok(revision)
    }

    /// Tells those who wait about a commit that is durable.
    pub(super) fn announce(&self, revision: Revision) {
        announce(&self.commits, revision);
    }
}

pub(super) fn announce(commits: &watch::Sender<Revision>, revision: Revision) {
    commits.send_if_modified(|known| {
        let newer = revision > *known;
        *known = revision.max(*known);
        newer
    });
}

/// A writing transaction and what it has changed so far. Dropping it undoes everything.
pub(super) struct Write {
    transaction: Transaction<'static, Any>,
    begun: Instant,
    pub(super) revision: Revision,
    attribution: Attribution,
    /// What was done to which object.
    records: Vec<(&'static str, String)>,
    /// There is a change that the audit log leaves out.
    unrecorded: bool,
    registry: bool,
    invalidations: Vec<Invalidation>,
}

impl Write {
    pub(super) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    /// Something was done, such as `server.create`, to the object of that id. Each change says so for the audit log:
    /// one that says nothing is not committed.
    pub(super) fn record(&mut self, action: &'static str, object: impl std::fmt::Display) {
        self.records.push((action, object.to_string()));
    }

    /// On whose behalf it is done, and when.
    pub(super) fn attribution(&self) -> &Attribution {
        &self.attribution
    }

    /// Something was done that nobody decided, such as the renewal of a token: a commit, and not for the audit log.
    pub(super) fn leave_unrecorded(&mut self) {
        self.unrecorded = true;
    }

    fn is_changed(&self) -> bool {
        self.unrecorded || !self.records.is_empty()
    }

    /// Servers or issuers changed.
    pub(super) fn touch_registry(&mut self) {
        self.registry = true;
    }

    /// Leases have to be forgotten.
    pub(super) fn invalidate(&mut self, invalidation: Invalidation) {
        if !self.invalidations.contains(&invalidation) && self.invalidations.len() <= MAX_INVALIDATIONS {
            self.invalidations.push(invalidation);
        }
    }

    /// When the change is made, as the audit log will say.
    pub(super) fn now(&self) -> Timestamp {
        self.attribution.at
    }

    /// The revision after this transaction.
    pub(super) fn outcome(&self) -> Revision {
        if self.is_changed() { self.revision } else { self.previous() }
    }

    /// The revision before this transaction.
    pub(super) fn previous(&self) -> Revision {
        Revision(self.revision.0.saturating_sub(1))
    }

    async fn write_records(&mut self) -> Result<()> {
        for record in &self.records {
            audit::append(&mut self.transaction, &self.attribution, self.revision, record).await?;
        }
        Ok(())
    }

    async fn record_changes(&mut self) -> Result<()> {
        let mut changes: Vec<(&'static str, String)> = Vec::new();
        if self.registry {
            changes.push(("registry", String::new()));
        }
        if self.invalidations.len() > MAX_INVALIDATIONS || self.invalidations.contains(&Invalidation::All) {
            changes.push(("all", String::new()));
        } else {
            changes.extend(std::mem::take(&mut self.invalidations).into_iter().map(spell));
        }
        for (position, (kind, subject)) in (0_i64..).zip(changes) {
            sqlx::query("INSERT INTO changes (revision, position, kind, subject) VALUES ($1, $2, $3, $4)")
                .bind(to_database(self.revision.0))
                .bind(position)
                .bind(kind)
                .bind(subject)
                .execute(&mut *self.transaction)
                .await?;
        }
        Ok(())
    }
}

fn spell(invalidation: Invalidation) -> (&'static str, String) {
    match invalidation {
        Invalidation::Member(id) => ("member", id),
        Invalidation::Key(id) => ("key", id),
        Invalidation::Session(id) => ("session", id),
        Invalidation::Workspace(id) => ("workspace", id),
        Invalidation::Server(id) => ("server", id),
        Invalidation::Connection(id) => ("connection", id),
        Invalidation::All => ("all", String::new()),
    }
}

pub(super) async fn current_revision(connection: &mut AnyConnection) -> Result<Revision> {
    let current: i64 = sqlx::query_scalar("SELECT current FROM revisions").fetch_one(connection).await?;
    Ok(Revision(from_database(current)))
}
