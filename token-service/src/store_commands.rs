//! The commands about the database itself: `portcullis migrate`, `portcullis store copy` and `portcullis verify`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use serde_json::json;
use thiserror::Error;

use crate::broker::unsaved_tokens;
use crate::clock::{Entropy, SystemEntropy};
use crate::config::{Environment, ServiceConfig};
use crate::record_store;
use crate::store::{Copied, PostgresUrl, SqlStore, StoreError, Tables, copy, migrate, unsaved};
use crate::vault::verify::{Verified, verify};
use crate::vault::{RootKeys, Vault, VaultError};

/// Where `store copy` looks for its target.
const TARGET: &str = "PORTCULLIS_DATABASE_URL";

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Copies a database of SQLite into an empty one of PostgreSQL, whole or not at all. Stop the services on it first. The
    /// records of requests stay where they are.
    Copy {
        /// The file of `store.sqlite`.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Such as `postgres://user@host/database`, without a password: that comes from `PGPASSWORD` or `PGPASSFILE`, or
        /// the whole URL from the variable `PORTCULLIS_DATABASE_URL`.
        #[arg(long, value_name = "URL")]
        to: Option<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Why a command did nothing.
#[derive(Debug, Error)]
pub enum CommandError {
    #[error("{0}: write postgres://user@host/database")]
    Target(String),
    #[error("a password on the command line can be seen by others: set PGPASSWORD, PGPASSFILE or {TARGET}")]
    Password,
    #[error("no target: give --to, or set {TARGET}")]
    NoTarget,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StoreCommand {
    /// Answers what to print.
    pub async fn run(self, environment: &Environment<'_>) -> Result<String, CommandError> {
        let Self::Copy { from, to, json } = self;
        let to = target(to.as_deref(), environment(TARGET).as_deref())?;
        let copied = copy(&from, &to).await?;
        Ok(if json { format!("{}\n", json!({"tables": copied})) } else { table(&copied, &to) })
    }
}

fn target(argument: Option<&str>, variable: Option<&str>) -> Result<PostgresUrl, CommandError> {
    let text = argument.or(variable).ok_or(CommandError::NoTarget)?;
    let url = PostgresUrl::parse(text).map_err(|problem| CommandError::Target(problem.to_string()))?;
    if argument.is_some() && url.has_password() {
        return Err(CommandError::Password);
    }
    Ok(url)
}

fn table(copied: &[Copied], to: &PostgresUrl) -> String {
    let mut text = String::new();
    for Copied { table, rows } in copied {
        let _ = writeln!(text, "{rows:>10} {table}");
    }
    let rows: u64 = copied.iter().map(|one| one.rows).sum();
    let _ = writeln!(text, "{rows:>10} rows are in {to}");
    text
}

/// Brings the tables up to date, those of the records too where there are some; answers what to print.
pub async fn migrate_command(service: &ServiceConfig, json: bool) -> Result<String, StoreError> {
    let mut applied = migrate(&service.store.location()).await?;
    if service.records.is_some() {
        let of_records = record_store::migrate(&service.store.location_of_records()).await?;
        applied.extend(of_records.into_iter().map(|name| format!("{name} of the records")));
    }
    if json {
        return Ok(format!("{}\n", json!({"applied": applied})));
    }
    let mut text = String::new();
    for name in &applied {
        let _ = writeln!(text, "applied {name}");
    }
    text += "the tables are up to date\n";
    Ok(text)
}

/// What `portcullis verify` has found.
#[derive(Debug)]
pub struct Verdict {
    /// What to print.
    pub text: String,
    /// Whether everything opens.
    pub is_good: bool,
}

/// Opens every sealed value where it is, with the root keys of the configuration. Changes nothing, and may be run while
/// services are.
pub async fn verify_command(service: &ServiceConfig, json: bool) -> Result<Verdict, VaultError> {
    let store = SqlStore::open(&service.store.location(), Tables::Required).await?;
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let roots = RootKeys::load(&service.root_keys, &entropy)?;
    let vault = Vault::open_existing(roots, &store, entropy).await?;
    let mut verified = verify(&vault, &store).await?;
    verified.push(unsaved_tokens(&vault, &store, &unsaved(&service.store.beside())).await?);
    let is_good = verified.iter().all(|column| column.bad.is_empty());
    let text = if json { format!("{}\n", json!({"columns": verified})) } else { findings(&verified) };
    Ok(Verdict { text, is_good })
}

fn findings(verified: &[Verified]) -> String {
    let mut text = String::new();
    for Verified { table, column, good, bad } in verified {
        let _ = writeln!(text, "{good:>10} open, {:>3} do not  {table}.{column}", bad.len());
        for found in bad {
            let _ = writeln!(text, "           {}: {}", found.row.join(" "), found.problem);
        }
    }
    let bad: usize = verified.iter().map(|column| column.bad.len()).sum();
    text += match bad {
        0 => "everything that is sealed opens where it is\n",
        _ => "restore these rows from a backup, or have their owners give the secrets again\n",
    };
    text
}
