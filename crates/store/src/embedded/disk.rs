//! The redb file: its tables, how it is opened and closed, and what its errors mean to an operator.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, Table,
    TableDefinition, WriteTransaction,
};

use crate::StoreError;

/// Key → the revision of its newest change, and the revision that created it. Zero for the latter marks
/// a deleted key, which stays until compaction so that reads at older revisions find its versions.
pub(super) const LIVE: TableDefinition<'_, &[u8], (u64, u64)> = TableDefinition::new("live");

/// Revision → the change. Values are kept here only, so each is written once.
pub(super) const LOG: TableDefinition<'_, u64, LogRow> = TableDefinition::new("log");

/// Numbers about the file: [`FORMAT`], [`COMPACTED`], [`SWEPT`].
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Flags, creation revision, revision of the key's change before this one (zero if unknown), key, value.
pub(super) type LogRow = (u8, u64, u64, &'static [u8], &'static [u8]);

/// The change removed the key; its row has no value.
pub(super) const DELETED: u8 = 1;
/// The change is the last of its transaction.
pub(super) const LAST: u8 = 2;

/// The oldest revision that can still be read.
pub(super) const COMPACTED: &str = "compacted";
/// How far rows that compaction made useless have been removed.
pub(super) const SWEPT: &str = "swept";
const FORMAT: &str = "format";
const FORMAT_VERSION: u64 = 1;

/// What can go wrong below the contract, before it is told with the file's name.
#[derive(Debug)]
pub(super) enum Problem {
    /// redb failed.
    Redb(redb::Error),
    /// The rows contradict each other.
    Corrupt(String),
    /// The answer is an error of the contract.
    Answer(StoreError),
}

impl<E: Into<redb::Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::Redb(error.into())
    }
}

impl Problem {
    /// The error a caller sees.
    pub(super) fn tell(self, path: &Path) -> StoreError {
        let path = path.display().to_string();
        match self {
            Self::Answer(error) => error,
            Self::Redb(redb::Error::DatabaseClosed) => StoreError::Closed,
            Self::Redb(redb::Error::DatabaseAlreadyOpen) => StoreError::InUse { path },
            Self::Redb(error) => StoreError::Io {
                path,
                reason: format!("{error}; check the disk and its free space, then restart"),
            },
            Self::Corrupt(what) => StoreError::Io {
                path,
                reason: format!("the file is damaged ({what}); restore it from a backup"),
            },
        }
    }
}

/// The open file.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    database: RwLock<Option<Database>>,
}

impl Disk {
    /// Opens or creates the file and makes sure that it is one of ours.
    pub(super) fn open(path: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        create(path).map_err(|error| Problem::from(DatabaseError::from(error)).tell(path))?;
        let created = Builder::new().set_cache_size(cache_bytes).create(path);
        Self::with(path, created)
    }

    /// Takes an open database, whatever it is stored in.
    pub(super) fn with(
        path: &Path,
        database: Result<Database, DatabaseError>,
    ) -> Result<Self, StoreError> {
        database
            .map_err(Problem::from)
            .and_then(|database| prepare(&database).map(|()| database))
            .map(|database| Self {
                path: path.to_owned(),
                database: RwLock::new(Some(database)),
            })
            .map_err(|problem| problem.tell(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, Problem> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let open = database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        Ok(open.begin_read()?)
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, Problem> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let open = database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        Ok(open.begin_write()?)
    }

    /// Lets go of the file; reads that are under way fail with [`StoreError::Closed`].
    pub(super) fn close(&self) {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = database.take().map(Database::close) {
            tracing::warn!(path = %self.path.display(), %error, "closing the store failed");
        }
    }
}

/// The file, for our eyes only because Secrets are in it, with its name on disk as well: an fsync of the
/// file alone does not promise that its directory still knows it after a power loss (`fsync(2)`).
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options.open(path)?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Creates the tables of a new file; checks the format of an old one.
fn prepare(database: &Database) -> Result<(), Problem> {
    let transaction = database.begin_write()?;
    {
        transaction.open_table(LIVE)?;
        transaction.open_table(LOG)?;
        let mut meta = transaction.open_table(META)?;
        let format = meta.get(FORMAT)?.map(|row| row.value());
        match format {
            Some(FORMAT_VERSION) => {}
            None => drop(meta.insert(FORMAT, FORMAT_VERSION)?),
            Some(other) => {
                return Err(Problem::Corrupt(format!(
                    "its format is {other}, this program knows {FORMAT_VERSION}"
                )));
            }
        }
    }
    Ok(transaction.commit()?)
}

/// The tables, open for writing.
pub(super) struct Tables<'t> {
    pub(super) live: Table<'t, &'static [u8], (u64, u64)>,
    pub(super) log: Table<'t, u64, LogRow>,
    pub(super) meta: Table<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Problem> {
        Ok(Self {
            live: transaction.open_table(LIVE)?,
            log: transaction.open_table(LOG)?,
            meta: transaction.open_table(META)?,
        })
    }
}

/// The newest change and creation of `key`, with deleted keys as they are stored.
pub(super) fn newest(
    live: &impl ReadableTable<&'static [u8], (u64, u64)>,
    key: &[u8],
) -> Result<Option<(u64, u64)>, Problem> {
    Ok(live.get(key)?.map(|row| row.value()))
}
