//! Renewed tokens that could not be committed: kept in memory, and sealed in files beside the database until they are.
//!
//! The provider no longer takes the tokens in the database by then, so losing these would be losing the connection. One
//! file holds one renewal, written whole, synchronised and renamed into place. Whoever starts on this directory commits
//! what it finds under the same fence as the owner would have; that two do so at once does no harm.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::tokens::{ACCESS, REFRESH};
use crate::clock::Timestamp;
use crate::domain::connection::{Connection, ConnectionId, SealedTokens};
use crate::domain::server::Sealed;
use crate::store::connections::Renewed;
use crate::store::{ConnectionStore, StoreError};
use crate::vault::verify::{Unreadable, Verified};
use crate::vault::{Place, Vault};

/// A renewal that is yet to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub connection: ConnectionId,
    /// The fence under which it was made.
    pub attempt: String,
    pub renewed: Renewed,
}

#[derive(Debug)]
pub(super) struct Unsaved {
    directory: PathBuf,
    pending: Mutex<HashMap<ConnectionId, Pending>>,
}

impl Unsaved {
    /// With what is found in the directory, which is made when it is needed.
    pub(super) fn open(directory: PathBuf) -> Self {
        let mut pending = HashMap::new();
        for found in read_directory(&directory) {
            // Of two for one connection the later one holds the tokens that are good.
            let generation = found.renewed.generation;
            let later = pending
                .get(&found.connection)
                .is_none_or(|other: &Pending| other.renewed.generation < generation);
            if later {
                pending.insert(found.connection.clone(), found);
            }
        }
        Self { directory, pending: Mutex::new(pending) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: &ConnectionId) -> Option<Pending> {
        self.lock().get(id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Pending> {
        self.lock().values().cloned().collect()
    }

    /// From now on the connection is what it will be once this is committed.
    pub(super) fn hold(&self, pending: Pending) {
        self.lock().insert(pending.connection.clone(), pending);
    }

    /// Blocks until it is on the disk. `written` is called when only the name is missing.
    pub(super) fn write(&self, pending: &Pending, written: impl FnOnce()) -> io::Result<()> {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        if !self.directory.is_dir() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        }
        let path = self.path(pending);
        let unfinished = path.with_extension("new");
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        serde_json::to_writer(&mut file, &Record::from(pending))?;
        file.flush()?;
        file.sync_all()?;
        written();
        std::fs::rename(&unfinished, &path)?;
        std::fs::File::open(&self.directory)?.sync_all()
    }

    /// It is committed, or of no more use.
    pub(super) fn forget(&self, pending: &Pending) {
        let mut held = self.lock();
        if held.get(&pending.connection) == Some(pending) {
            held.remove(&pending.connection);
        }
        drop(held);
        match std::fs::remove_file(self.path(pending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // It is tried again at the next start, and does no harm until then.
                tracing::warn!(%error, "a file of saved tokens could not be removed");
            }
            _ => {}
        }
    }

    fn path(&self, pending: &Pending) -> PathBuf {
        self.directory.join(file_name(pending))
    }
}

fn file_name(Pending { connection, attempt, renewed }: &Pending) -> String {
    format!("{connection}-{}-{attempt}.json", renewed.generation)
}

/// What the connection is once the pending renewal is committed; as it is if that is of another generation.
pub(super) fn overlaid(mut connection: Connection, pending: Option<Pending>) -> Connection {
    let next = connection.generation.checked_add(1);
    if let Some(Pending { renewed, .. }) = pending
        && Some(renewed.generation) == next
        && connection.tokens.is_some()
    {
        connection.generation = renewed.generation;
        connection.refreshed_at = renewed.now;
        connection.scopes = renewed.scopes.unwrap_or(connection.scopes);
        connection.tokens = Some(renewed.tokens);
    }
    connection
}

/// Files that cannot be read are reported and left alone.
fn read_directory(directory: &Path) -> Vec<Pending> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = |path: &Path| -> io::Result<Pending> {
        let record: Record = serde_json::from_slice(&std::fs::read(path)?)?;
        let pending = Pending::try_from(record).map_err(io::Error::other)?;
        let named_after_it = file_name(&pending) == path.file_name().unwrap_or_default().to_string_lossy();
        if named_after_it { Ok(pending) } else { Err(io::Error::other("the file was renamed")) }
    };
    paths
        .filter_map(|path| {
            let pending = read(&path);
            if let Err(error) = &pending {
                tracing::error!(file = %path.display(), %error, "saved tokens cannot be read");
            }
            pending.ok()
        })
        .collect()
}

/// [`Pending`] as it is written. Tokens are sealed, in standard Base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    connection: String,
    attempt: String,
    generation: u64,
    access: String,
    refresh: Option<String>,
    expires_at: Option<Timestamp>,
    refresh_at: Option<Timestamp>,
    scopes: Option<BTreeSet<String>>,
    now: Timestamp,
}

impl From<&Pending> for Record {
    fn from(pending: &Pending) -> Self {
        let Pending { connection, attempt, renewed: Renewed { generation, tokens, scopes, now } } = pending;
        let encode = |sealed: &Sealed| STANDARD.encode(sealed.as_bytes());
        Self {
            connection: connection.to_string(),
            attempt: attempt.clone(),
            generation: *generation,
            access: encode(&tokens.access),
            refresh: tokens.refresh.as_ref().map(encode),
            expires_at: tokens.expires_at,
            refresh_at: tokens.refresh_at,
            scopes: scopes.clone(),
            now: *now,
        }
    }
}

impl TryFrom<Record> for Pending {
    type Error = base64::DecodeError;

    fn try_from(record: Record) -> Result<Self, Self::Error> {
        let decode = |text: String| STANDARD.decode(text).map(Sealed::new);
        let tokens = SealedTokens {
            access: decode(record.access)?,
            refresh: record.refresh.map(decode).transpose()?,
            expires_at: record.expires_at,
            refresh_at: record.refresh_at,
        };
        let Record { generation, scopes, now, .. } = record;
        Ok(Self {
            connection: record.connection.into(),
            attempt: record.attempt,
            renewed: Renewed { generation, tokens, scopes, now },
        })
    }
}

/// Looks at the renewed tokens that are yet to be committed, as [`verify`](crate::vault::verify::verify) does at those that
/// are.
pub async fn unsaved_tokens(
    vault: &Vault,
    store: &dyn ConnectionStore,
    directory: &Path,
) -> Result<Verified, StoreError> {
    let mut verified = Verified { table: "unsaved", column: "tokens", good: 0, bad: Vec::new() };
    for Pending { connection: id, renewed, .. } in read_directory(directory) {
        // Tokens of a connection that is gone are of no use to anybody.
        let Some(connection) = store.connection(&id).await? else { continue };
        let place = |column| Place::connection(&connection, column, renewed.generation);
        let tokens = std::iter::once((ACCESS, &renewed.tokens.access))
            .chain(renewed.tokens.refresh.as_ref().map(|refresh| (REFRESH, refresh)));
        for (column, sealed) in tokens {
            match vault.unseal(&place(column), sealed) {
                Ok(_) => verified.good += 1,
                Err(error) => {
                    let row = vec![id.to_string(), column.to_owned()];
                    verified.bad.push(Unreadable { row, problem: error.to_string() });
                }
            }
        }
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::broker::test_values::connection;

    fn pending(generation: u64) -> Pending {
        let tokens = SealedTokens {
            access: Sealed::new(vec![0, 255, 1]),
            refresh: Some(Sealed::new(vec![2])),
            expires_at: Some(Timestamp(9)),
            refresh_at: None,
        };
        let scopes = Some(BTreeSet::from(["read".to_owned()]));
        Pending {
            connection: connection().id,
            attempt: "a1".into(),
            renewed: Renewed { generation, tokens, scopes, now: Timestamp(7) },
        }
    }

    #[test]
    fn what_was_written_is_found_at_the_next_start_until_it_is_forgotten() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("unsaved");
        let unsaved = Unsaved::open(path.clone());
        for generation in [6, 8, 7] {
            unsaved.write(&pending(generation), || {}).expect("writes");
        }
        let mode = |path: &Path| std::fs::metadata(path).expect("is there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&unsaved.path(&pending(8)))), (0o700, 0o600));

        std::fs::write(path.join("broken.json"), "{").expect("writes");
        std::fs::write(path.join("unfinished.new"), "{").expect("writes");
        let next = Unsaved::open(path.clone());
        assert_eq!(next.all(), [pending(8)]);
        next.forget(&pending(8));
        assert_eq!((next.all(), next.get(&connection().id)), (vec![], None));
        assert_eq!(Unsaved::open(path).all(), [pending(7)]);
    }

    #[test]
    fn a_file_that_was_not_finished_is_not_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let unsaved = Unsaved::open(directory.path().into());
        let mut names = Vec::new();
        let look = || {
            let entries = std::fs::read_dir(directory.path()).expect("reads");
            names.extend(entries.map(|entry| entry.expect("an entry").path()));
            assert_eq!(Unsaved::open(directory.path().into()).all(), []);
        };
        unsaved.write(&pending(6), look).expect("writes");
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn only_the_very_next_generation_is_laid_over() {
        let present = connection();
        let renewed = overlaid(present.clone(), Some(pending(6)));
        assert_eq!((renewed.generation, renewed.tokens), (6, Some(pending(6).renewed.tokens)));
        for other in [None, Some(pending(5)), Some(pending(7))] {
            assert_eq!(overlaid(present.clone(), other), present);
        }
        let disconnected = Connection { tokens: None, ..present };
        assert_eq!(overlaid(disconnected.clone(), Some(pending(6))), disconnected);
    }
}
