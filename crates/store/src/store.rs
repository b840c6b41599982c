//! The open database: one connection that writes, a few that read.
//!
//! The one law: what a write transaction committed survives power loss, and what it read it read under the
//! write lock.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use offtake_model::{ErrorCode, Fault, Millis};
use offtake_ports::Clock;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use crate::data_dir::{self, DataDir};
use crate::failure::Attempting;

/// Older versions can lose a commit when the write-ahead log is reset.
const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);
const _: () = assert!(libsqlite3_sys::SQLITE_VERSION_NUMBER >= 3_051_003);

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 4;

/// The metadata store. Clones share one open database, which stays locked for this process until the last is gone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// None in a process that only reads beside the one that holds the lock.
    writer: Option<SqlitePool>,
    readers: SqlitePool,
    clock: Arc<dyn Clock>,
    // Declared last: released after the connections are.
    _dir: Option<DataDir>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in a data directory, making both if need be, and brings its tables up to date.
    ///
    /// # Errors
    /// `STORE_UNAVAILABLE` when another process uses the directory, when it cannot be written, or when the
    /// database was written by a newer version.
    pub async fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        let dir = DataDir::lock(dir)?;
        let file = dir.database()?;
        let options = options(&file);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(
                options
                    .clone()
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full),
            )
            .await
            .attempting("open the write connection")?;
        require_sqlite(&writer).await?;
        migrate(&writer).await?;
        let readers = readers()
            .connect_with(options.read_only(true))
            .await
            .attempting("open the read connections")?;
        Ok(Self {
            inner: Arc::new(Inner {
                writer: Some(writer),
                readers,
                clock,
                _dir: Some(dir),
            }),
        })
    }

    /// A view for a worker process, beside the process that holds the lock: it reads what is committed and every
    /// write fails. Nothing is opened before the first read.
    pub fn read_only(dir: &Path, clock: Arc<dyn Clock>) -> Self {
        let options = options(&data_dir::database_in(dir)).read_only(true);
        Self {
            inner: Arc::new(Inner {
                writer: None,
                readers: readers().connect_lazy_with(options),
                clock,
                _dir: None,
            }),
        }
    }

    /// Reads the whole database and says what is wrong with it; nothing when all is well. Takes its time.
    ///
    /// # Errors
    /// `STORE_UNAVAILABLE` when it cannot be read.
    pub async fn check(&self) -> Result<Vec<String>, Fault> {
        let mut tx = self.read().await?;
        let lines: Vec<String> = sqlx::query_scalar("PRAGMA quick_check(20)")
            .fetch_all(&mut *tx)
            .await
            .attempting("check the database")?;
        let wrong = lines.into_iter().filter(|line| line != "ok");
        Ok(wrong.collect())
    }

    /// Waits for transactions under way and closes the database. Later calls on any clone fail.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        if let Some(writer) = &self.inner.writer {
            writer.close().await;
        }
    }

    /// Begins a write transaction that holds the write lock from its first statement.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, Fault> {
        let writer = self.inner.writer.as_ref().ok_or_else(|| {
            Fault::new(
                ErrorCode::StoreUnavailable,
                "begin a write in a store that was opened for reading only",
            )
        })?;
        writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .attempting("begin a write")
    }

    /// Begins a read transaction: everything read in it is of one instant.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, Sqlite>, Fault> {
        self.inner.readers.begin().await.attempting("begin a read")
    }

    /// The store's time, by which leases and waits end.
    pub(crate) fn now(&self) -> Millis {
        self.inner.clock.now()
    }
}

pub(crate) fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .pragma("mmap_size", "0")
}

fn readers() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Commits what a write transaction did.
pub(crate) async fn commit(tx: Transaction<'static, Sqlite>) -> Result<(), Fault> {
    tx.commit().await.attempting("commit a write")
}

async fn require_sqlite(pool: &SqlitePool) -> Result<(), Fault> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(pool)
        .await
        .attempting("read the version of SQLite")?;
    let mut parts = found.split('.').map(|part| part.parse().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    if (part(), part(), part()) >= SQLITE_MIN {
        return Ok(());
    }
    let (major, minor, patch) = SQLITE_MIN;
    Err(Fault::new(
        ErrorCode::StoreUnavailable,
        format!(
            "SQLite {found} is too old: {major}.{minor}.{patch} or later is needed to keep every commit"
        ),
    ))
}

/// Every step from an empty database to today's.
pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!();

async fn migrate(pool: &SqlitePool) -> Result<(), Fault> {
    MIGRATIONS.run(pool).await.map_err(|error| {
        Fault::new(
            ErrorCode::StoreUnavailable,
            "failed to bring the metadata database up to date; a database of a newer version needs that version",
        )
        .because(&error)
    })
}
