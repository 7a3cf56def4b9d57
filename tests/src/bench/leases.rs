//! What a lease costs in a large organization: the facts out of the store, and the decision.

use std::path::Path;

use anyhow::{Context as _, ensure};
use portcullis_token_service::clock::Timestamp;
use portcullis_token_service::domain::resolve::{LeaseFacts, Resolution, resolve};
use portcullis_token_service::store::{SqlStore, Store as _};
use portcullis_wire::digest::Digest;
use portcullis_wire::lease::{CallerProof, LeaseRequest};
use portcullis_wire::names::Slug;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{Extent, median};
use crate::figures::Figures;

/// A lease from the large store may take as much more than from the small one.
const MOST_SLOPE: f64 = 1.5;

const SERVERS: u32 = 100;
const WORKSPACES: u32 = 50;

/// How large an organization is.
#[derive(Clone, Copy, Debug)]
struct Size {
    members: u32,
    servers: u32,
    workspaces: u32,
}

/// Adds what a lease takes from a store with ten members and from one with very many.
///
/// # Errors
/// If a store cannot be made, or grants no lease.
pub async fn measure(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let few = Organization::found(Size { members: 10, servers: 1, workspaces: 1 }).await?;
    let size = Size { members: extent.members, servers: SERVERS, workspaces: WORKSPACES };
    let many = Organization::found(size).await?;
    let both = [few, many];
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..extent.rounds * 10 {
        for (organization, took) in both.iter().zip(&mut took) {
            let begun = Instant::now();
            organization.lease(u32::try_from(round)?).await?;
            took.push(begun.elapsed());
        }
    }
    let [few, many] = took.map(median);
    let microseconds = |took: std::time::Duration| (took.as_secs_f64() * 1e6).round();
    figures.note("lease_of_10_members", microseconds(few), "µs");
    figures.note(&format!("lease_of_{}_members", extent.members), microseconds(many), "µs");
    figures.ratio("lease_slope", many.as_secs_f64() / few.as_secs_f64(), MOST_SLOPE);
    Ok(())
}

struct Organization {
    store: SqlStore,
    size: Size,
    _directory: TempDir,
}

impl Organization {
    /// Every member has a key, and rules of its own on the first server; every workspace has all servers, and rules on
    /// them.
    async fn found(size: Size) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("portcullis.db");
        let store = SqlStore::open_sqlite(&path).await?;
        fill(&path, size).await?;
        Ok(Self { store, size, _directory: directory })
    }

    /// A lease for one of the members on the server on which all have rules.
    async fn lease(&self, number: u32) -> anyhow::Result<()> {
        // A prime, so that all members have their turn in no order that a cache could like.
        let member = number.wrapping_mul(7_919) % self.size.members;
        let request = request(member)?;
        let facts = self.store.lease_facts(&request).await?;
        let Resolution::Granted(grant) =
            resolve(&request, &facts, "https://gateway.example/server0/mcp", Timestamp(1))
        else {
            anyhow::bail!("no lease for member {member}");
        };
        ensure!(grant.policy.levels.len() == 3, "organization, workspace and member have rules");
        Ok(())
    }
}

/// A request with the only member's key, what is known about it, and the key's digest.
pub(super) async fn one_member() -> anyhow::Result<(LeaseRequest, LeaseFacts, Digest)> {
    let organization = Organization::found(Size { members: 1, servers: 1, workspaces: 1 }).await?;
    let request = request(0)?;
    let facts = organization.store.lease_facts(&request).await?;
    Ok((request, facts, digest()))
}

fn request(member: u32) -> anyhow::Result<LeaseRequest> {
    let proof = CallerProof::ApiKey { id: format!("key{member}"), digest: digest() };
    let server = Slug::parse("server0").map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(LeaseRequest { server, workspace: None, proof, rejected: None, wait_ms: None })
}

fn digest() -> Digest {
    Digest::of("bench", &[b"key"])
}

/// Fills the tables that leases are made of, which through the store's own functions would take hours.
async fn fill(path: &Path, size: Size) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let Size { members, servers, workspaces } = size;
    let numbers = |count: u32| {
        format!("WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count} - 1)")
    };
    let rules = r#"'{"tools":{"deny":["delete_*"]}}'"#;
    let digest = digest();
    let statements = [
        format!(
            "{} INSERT INTO workspaces (id, slug, name, origin, revision)
             SELECT 'workspace' || i, 'workspace' || i, 'Workspace', 'api', 1 FROM n",
            numbers(workspaces)
        ),
        format!(
            "{} INSERT INTO members (id, workspace_id, issuer, subject, name, disabled, origin, revision)
             SELECT 'member' || i, 'workspace' || (i % {workspaces}), 'https://idp.example', i, 'Ada', 0, 'api', 1 FROM n",
            numbers(members)
        ),
        format!(
            "{} INSERT INTO api_keys (id, digest, workspace_id, member_id, name, disabled, created_at, revision)
             SELECT 'key' || i, '{digest}', 'workspace' || (i % {workspaces}), 'member' || i, 'laptop', 0, 0, 1 FROM n",
            numbers(members)
        ),
        format!(
            "{} INSERT INTO servers
                 (id, slug, name, url, auth, payload, provision_new_workspaces, origin, revision)
             SELECT 'server' || i, 'server' || i, 'Server', 'https://mcp.example/mcp', 'none', 'off', 0, 'api', 1 FROM n",
            numbers(servers)
        ),
        "INSERT INTO provisions (server_id, workspace_id) SELECT servers.id, workspaces.id FROM servers, workspaces".into(),
        format!(
            "INSERT INTO policies (server_id, rules, origin, revision) SELECT id, {rules}, 'api', 1 FROM servers"
        ),
        format!(
            "INSERT INTO policies (server_id, workspace_id, rules, origin, revision)
             SELECT servers.id, workspaces.id, {rules}, 'api', 1 FROM servers, workspaces"
        ),
        format!(
            "INSERT INTO policies (server_id, member_id, rules, origin, revision)
             SELECT 'server0', id, {rules}, 'api', 1 FROM members"
        ),
    ];
    let mut transaction = connection.begin().await?;
    for statement in statements {
        let query = sqlx::query(sqlx::AssertSqlSafe(statement.clone()));
        query.execute(&mut *transaction).await.with_context(|| statement)?;
    }
    transaction.commit().await?;
    connection.close().await?;
    Ok(())
}
