//! Hearing of commits, whoever made them.
//!
//! One connection listens. What it hears is a hint: whoever waits asks what has changed. After it was lost, and every now
//! and then, the newest revision is asked for, so that nothing that was said meanwhile goes by unheard.

use std::convert::Infallible;
use std::time::Duration;

use sqlx::AnyConnection;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::domain::Revision;
use crate::store::Result;
use crate::store::sql::connection::announce;
use crate::store::sql::convert::from_database;

const CHANNEL: &str = "portcullis_commits";
/// Between attempts to connect.
const PAUSE: Duration = Duration::from_secs(1);
/// Also how long a connection can be dead before that is noticed.
const ASK_EVERY: Duration = Duration::from_secs(15);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Says so to all who listen, once the transaction is committed.
pub(in crate::store::sql) async fn notify(connection: &mut AnyConnection, revision: Revision) -> Result<()> {
    sqlx::query("SELECT pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(revision.0.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Listens until it is dropped.
#[derive(Debug)]
pub(in crate::store::sql) struct Listener(JoinHandle<()>);

impl Listener {
    pub(super) fn start(options: PgConnectOptions, commits: watch::Sender<Revision>) -> Self {
        Self(tokio::spawn(async move {
            loop {
                let Err(error) = listen(&options, &commits).await;
                tracing::warn!(%error, "commits of other replicas are heard of later: the database cannot be listened to");
                tokio::time::sleep(PAUSE).await;
            }
        }))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listen(options: &PgConnectOptions, commits: &watch::Sender<Revision>) -> sqlx::Result<Infallible> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(ANSWER_WITHIN)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        let current = sqlx::query_scalar("SELECT current FROM revisions").fetch_one(&mut listener);
        let current: i64 = timeout(ANSWER_WITHIN, current).await.map_err(std::io::Error::from)??;
        announce(commits, Revision(from_database(current)));
        // Until there is nothing for a while, or the connection was lost and is there again.
        while let Ok(heard) = timeout(ASK_EVERY, listener.try_recv()).await {
            let Some(heard) = heard? else { break };
            if let Ok(revision) = heard.payload().parse() {
                announce(commits, Revision(revision));
            }
        }
    }
}
