//! Copies of the database: taken while it is in use, checked, and made into the database of a restored store.
//!
//! It knows the one file that is a database. What else belongs to a backup is the caller's business.
//!
//! The one law: a restored database holds every flow back before anything can read it as a store's.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use offtake_model::{ErrorCode, Fault};
use offtake_ports::Clock;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use crate::data_dir::{self, DataDir, RESTORING_NAME};
use crate::failure::Attempting;
use crate::store::{MIGRATIONS, options};

/// What a copy of a database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// What tells the database from others that began as the same.
    pub incarnation: String,
    /// The newest migration in it.
    pub schema_version: i64,
    /// How many flows it holds.
    pub flows: u64,
}

/// Copies the database of a data directory, as it is at one instant, into a file that does not exist yet. The process
/// that holds the directory's lock may go on meanwhile.
///
/// # Errors
/// `STORE_UNAVAILABLE` when there is no database, or the copy cannot be written.
pub async fn copy_database(dir: &Path, into: &Path) -> Result<(), Fault> {
    let from = data_dir::database_in(dir);
    if !from.is_file() {
        return Err(Fault::new(
            ErrorCode::StoreUnavailable,
            format!(
                "failed to copy {}: there is no such database",
                from.display()
            ),
        ));
    }
    let target = into.to_str().ok_or_else(|| {
        Fault::new(
            ErrorCode::StoreUnavailable,
            format!("failed to copy the database: {} is no text", into.display()),
        )
    })?;
    data_dir::private_new(into).map_err(|error| data_dir::unusable(dir, "back up", &error))?;
    let mut db = connect(options(&from).read_only(true)).await?;
    // An empty file is what SQLite takes for a database to be made; this one has its mode already.
    sqlx::query("VACUUM INTO ?")
        .bind(target)
        .execute(&mut db)
        .await
        .attempting("copy everything")?;
    close(db).await?;
    let synced = File::open(into).and_then(|file| file.sync_all());
    synced.map_err(|error| data_dir::unusable(dir, "back up", &error))
}

/// Checks that a copy is whole and of a version that this program reads, and says what it is.
///
/// # Errors
/// `BACKUP_UNUSABLE` when it is not.
pub async fn check_copy(file: &Path) -> Result<Copied, Fault> {
    let mut db = connect(options(file).read_only(true))
        .await
        .map_err(unusable)?;
    let copied = check(&mut db).await;
    close(db).await.map_err(unusable)?;
    copied
}

async fn check(db: &mut SqliteConnection) -> Result<Copied, Fault> {
    let problems: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(3)")
        .fetch_all(&mut *db)
        .await
        .attempting("check the copy")
        .map_err(unusable)?;
    if problems != ["ok"] {
        return Err(damaged(&problems.join("; ")));
    }
    let strangers: i64 = sqlx::query_scalar("SELECT count(*) FROM pragma_foreign_key_check")
        .fetch_one(&mut *db)
        .await
        .attempting("check the copy's references")
        .map_err(unusable)?;
    if strangers > 0 {
        return Err(damaged(&format!(
            "{strangers} rows refer to others that are missing"
        )));
    }
    let (incarnation, schema_version, flows): (String, i64, i64) = sqlx::query_as(
        "SELECT (SELECT id FROM incarnation), (SELECT max(version) FROM _sqlx_migrations WHERE success),
                (SELECT count(*) FROM resource WHERE kind = 'flow' AND hidden = 0)",
    )
    .fetch_one(&mut *db)
    .await
    .attempting("read what the copy is")
    .map_err(unusable)?;
    let newest = MIGRATIONS.iter().map(|it| it.version).max().unwrap_or(0);
    if schema_version > newest {
        return Err(Fault::new(
            ErrorCode::BackupUnusable,
            format!(
                "the backup's database has version {schema_version}, this program reads {newest}: it was taken by a \
                 newer version"
            ),
        ));
    }
    Ok(Copied {
        incarnation,
        schema_version,
        flows: u64::try_from(flows).unwrap_or(0),
    })
}

/// A data directory that is being restored: locked, and empty but for what the restore has put there.
#[derive(Debug)]
pub struct Restoring {
    dir: DataDir,
}

impl Restoring {
    /// Takes the lock of a directory that is empty or does not exist.
    ///
    /// # Errors
    /// `BACKUP_UNUSABLE` when anything is in it, `DATA_DIR_IN_USE` when another process holds it.
    pub fn begin(path: &Path) -> Result<Self, Fault> {
        let dir = DataDir::lock_any(path)?;
        if let Some(name) = dir.first_entry()? {
            return Err(Fault::new(
                ErrorCode::BackupUnusable,
                format!(
                    "restore into {}: it is not empty, there is `{name}`",
                    path.display()
                ),
            ));
        }
        // From here on no service starts on what may be half a restore.
        data_dir::private_new(&dir.path().join(RESTORING_NAME))
            .map_err(|error| data_dir::unusable(path, "restore into", &error))?;
        Ok(Self { dir })
    }

    /// Where a copy of the database belongs before [`finish`](Self::finish).
    pub fn database(&self) -> std::path::PathBuf {
        self.dir.path().join(RESTORING_NAME)
    }

    /// Makes the copy the directory's database, with a new incarnation and every flow held back. Answers how many
    /// flows that are.
    pub async fn finish(self, clock: Arc<dyn Clock>) -> Result<u64, Fault> {
        let file = self.database();
        let prepared = options(&file)
            .journal_mode(SqliteJournalMode::Delete)
            .synchronous(SqliteSynchronous::Full);
        let mut db = connect(prepared).await?;
        MIGRATIONS.run(&mut db).await.map_err(|error| {
            Fault::new(
                ErrorCode::StoreUnavailable,
                "failed to bring the restored database up to date",
            )
            .because(&error)
        })?;
        let held = hold(&mut db, clock.now().0).await?;
        close(db).await?;
        let path = self.dir.path();
        std::fs::rename(&file, data_dir::database_in(path))
            .and_then(|()| File::open(path)?.sync_all())
            .map_err(|error| data_dir::unusable(path, "finish the restore of", &error))?;
        Ok(held)
    }
}

async fn hold(db: &mut SqliteConnection, now: i64) -> Result<u64, Fault> {
    let mut tx = db.begin().await.attempting("begin to mark the restore")?;
    sqlx::query("UPDATE incarnation SET id = lower(hex(randomblob(16))), restored_at = ?")
        .bind(now)
        .execute(&mut *tx)
        .await
        .attempting("mark the restore")?;
    let held = sqlx::query(
        "INSERT INTO held_flow (flow_id, org, sandbox)
         SELECT id, org, sandbox FROM resource WHERE kind = 'flow' AND hidden = 0 ON CONFLICT DO NOTHING",
    )
    .execute(&mut *tx)
    .await
    .attempting("hold the flows back")?;
    // Their commits may stand in the tables that were restored beside the database; a second try looks for them.
    sqlx::query(
        "UPDATE batch SET details = json_set(details, '$.value.attempts', max(1, details ->> '$.value.attempts'))
         WHERE state IN ('loading', 'loaded', 'staging')",
    )
    .execute(&mut *tx)
    .await
    .attempting("mark the open batches")?;
    tx.commit()
        .await
        .attempting("keep the marks of the restore")?;
    Ok(held.rows_affected())
}

async fn connect(options: SqliteConnectOptions) -> Result<SqliteConnection, Fault> {
    options.connect().await.attempting("open a copy")
}

async fn close(db: SqliteConnection) -> Result<(), Fault> {
    db.close().await.attempting("close a copy")
}

fn unusable(fault: Fault) -> Fault {
    Fault {
        code: ErrorCode::BackupUnusable,
        ..fault
    }
}

fn damaged(what: &str) -> Fault {
    Fault::new(
        ErrorCode::BackupUnusable,
        format!("the backup's database is damaged: {what}"),
    )
}
