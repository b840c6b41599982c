//! A backup: the database, the key files and what else a data directory holds that nobody else has, in a directory of
//! its own with a list that says what belongs to it.
//!
//! Delivered files, and tables that others write, are not part of it.
//!
//! The one law: the list is written last, so what has one is complete.

mod copying;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Component, Path};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use offtake_core::calendar;
use offtake_model::resource::Connection;
use offtake_model::{ErrorCode, Fault, ResourceBody, ResourceKind, Tenant};
use offtake_ports::{Clock, IdentityStore, PageRequest, ResourceQuery, ResourceStore, Secrets};
use offtake_service::secrets_place;
use offtake_store::{
    Copied, KeyFileSecrets, Restoring, Store, check_copy, copy_database, former_keys,
};
use serde::{Deserialize, Serialize};

use crate::command::verify::sha256;
use crate::system::SystemClock;
use crate::wire::told;

use copying::{Copying, copy, create, private_folder, sync_folders};

/// The list of what belongs to a backup.
const LIST: &str = "backup.json";

const DATABASE: &str = "offtake.db";
const KEY: &str = "offtake.key";

/// Single files beside database and key, taken along when they are there.
const FILES: [&str; 3] = ["offtake.toml", "credentials.json", "sftp_known_hosts"];

/// Folders of what was sent in: tables that offtake keeps, and uploads that are not in them yet.
const FOLDERS: [&str; 2] = ["uploads", "managed"];

const FORMAT_VERSION: u32 = 1;

/// The list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BackupList {
    /// Version of this form.
    pub(crate) format_version: u32,
    /// The software that took the backup.
    pub(crate) producer: String,
    /// When the database was copied.
    pub(crate) taken_at: String,
    /// What tells the database from every other.
    pub(crate) incarnation: String,
    /// The newest migration in the database.
    pub(crate) schema_version: i64,
    /// Flows in it.
    pub(crate) flows: u64,
    /// Whether what was sent in is part of the backup.
    pub(crate) data: bool,
    /// Everything in it, in the order it was copied.
    pub(crate) files: Vec<Listed>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Listed {
    /// Path below the backup.
    pub(crate) path: String,
    /// Bytes.
    pub(crate) size: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub(crate) sha256: String,
}

impl BackupList {
    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// Takes a backup of a data directory, whether a service runs on it or not, and checks it.
pub(crate) async fn take(data_dir: &Path, into: &Path, data: bool) -> Result<BackupList> {
    make_empty(into)?;
    let taken_at = SystemClock.now();
    copy_database(data_dir, &into.join(DATABASE))
        .await
        .map_err(told)?;
    let mut copying = Copying {
        from: data_dir,
        into,
        files: vec![listed(into, DATABASE)?],
    };
    if !copying.file(KEY)? {
        bail!("{} has no {KEY}", data_dir.display());
    }
    // After the database: what it has sealed was sealed with one of these.
    for path in former_keys(data_dir).map_err(told)? {
        if let Some(name) = path.file_name().and_then(OsStr::to_str) {
            copying.file(name)?;
        }
    }
    for name in FILES {
        copying.file(name)?;
    }
    if data {
        for folder in FOLDERS {
            // A log is copied before the files it names, so that every one it names is there to be copied.
            copying.folder(folder, true)?;
            copying.folder(folder, false)?;
        }
    }
    let copied = check_content(into).await?;
    let list = BackupList {
        format_version: FORMAT_VERSION,
        producer: concat!("offtake ", env!("CARGO_PKG_VERSION")).to_owned(),
        taken_at: calendar::rfc3339(taken_at),
        incarnation: copied.incarnation,
        schema_version: copied.schema_version,
        flows: copied.flows,
        data,
        files: copying.files,
    };
    let text = serde_json::to_string_pretty(&list).context("writing the list")?;
    let mut file = create(&into.join(LIST))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    sync_folders(into)?;
    Ok(list)
}

/// Checks that a backup is complete and that its key opens its secrets.
pub(crate) async fn verify(backup: &Path) -> Result<BackupList> {
    let path = backup.join(LIST);
    let text = fs::read_to_string(&path)
        .map_err(|error| unusable(format!("{} cannot be read: {error}", path.display())))?;
    let list: BackupList = serde_json::from_str(&text).map_err(|error| {
        unusable(format!(
            "{} is no list of a backup: {error}",
            path.display()
        ))
    })?;
    if list.format_version != FORMAT_VERSION {
        return Err(unusable(format!(
            "the backup has form {}, this program reads {FORMAT_VERSION}",
            list.format_version
        )));
    }
    for file in &list.files {
        let found = plain(&file.path).and_then(|()| listed(backup, &file.path));
        let same = found.is_ok_and(|it| it.size == file.size && it.sha256 == file.sha256);
        if !same {
            return Err(unusable(format!(
                "`{}` is missing or has other bytes than the backup was taken with",
                file.path
            )));
        }
    }
    let copied = check_content(backup).await?;
    if copied.incarnation != list.incarnation {
        return Err(unusable("its database is another one's".to_owned()));
    }
    Ok(list)
}

/// Makes a data directory of a backup. Answers how many flows wait until they are reconciled.
pub(crate) async fn restore(backup: &Path, list: &BackupList, data_dir: &Path) -> Result<u64> {
    let restoring = Restoring::begin(data_dir).map_err(told)?;
    let mut copying = Copying {
        from: backup,
        into: data_dir,
        files: Vec::new(),
    };
    for file in list.files.iter().filter(|it| it.path != DATABASE) {
        if !copying.file(&file.path)? {
            return Err(unusable(format!("`{}` is missing", file.path)));
        }
    }
    let mut database = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(restoring.database())?;
    let copied = copy(&mut File::open(backup.join(DATABASE))?, &mut database)?;
    copying.files.push(Listed {
        path: DATABASE.to_owned(),
        ..copied
    });
    for file in &list.files {
        if !copying.files.contains(file) {
            let what = format!("`{}` changed while it was restored", file.path);
            return Err(unusable(what));
        }
    }
    sync_folders(data_dir)?;
    restoring.finish(Arc::new(SystemClock)).await.map_err(told)
}

fn listed(root: &Path, path: &str) -> Result<Listed> {
    let mut file = File::open(root.join(path))?;
    Ok(Listed {
        path: path.to_owned(),
        size: file.metadata()?.len(),
        sha256: sha256(&mut file)?,
    })
}

/// Refuses paths that leave the backup.
fn plain(path: &str) -> Result<()> {
    let mut parts = Path::new(path).components();
    if parts.all(|part| matches!(part, Component::Normal(_))) {
        return Ok(());
    }
    Err(unusable(format!("its list names `{path}`")))
}

/// The database is whole, and the key opens what is sealed in it.
async fn check_content(dir: &Path) -> Result<Copied> {
    let copied = check_copy(&dir.join(DATABASE)).await.map_err(told)?;
    if !dir.join(KEY).is_file() {
        return Err(unusable(format!("`{KEY}` is missing")));
    }
    let keys = KeyFileSecrets::open(dir).map_err(told)?;
    let store = Store::read_only(dir, Arc::new(SystemClock));
    let opened = open_a_secret(&store, &keys).await;
    store.close().await;
    opened.map_err(|fault| {
        told(Fault {
            code: ErrorCode::BackupUnusable,
            message: format!(
                "the backup's key does not open its secrets: {}",
                fault.message
            ),
            cause: fault.cause,
        })
    })?;
    Ok(copied)
}

async fn open_a_secret(store: &Store, keys: &KeyFileSecrets) -> Result<(), Fault> {
    for organisation in store.organisations().await? {
        for sandbox in store.sandboxes(&organisation.id).await? {
            let tenant = Tenant {
                org: organisation.id.clone(),
                sandbox: sandbox.name,
            };
            if open_a_secret_of(store, keys, &tenant).await? {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn open_a_secret_of(
    store: &Store,
    keys: &KeyFileSecrets,
    tenant: &Tenant,
) -> Result<bool, Fault> {
    let mut page = PageRequest {
        limit: 100,
        after: None,
        offset: 0,
    };
    loop {
        let found = store
            .list(
                tenant,
                ResourceKind::Connection,
                &ResourceQuery::default(),
                &page,
            )
            .await?;
        for resource in &found.items {
            if let ResourceBody::Connection(Connection {
                auth: Some(auth), ..
            }) = &resource.body
                && let Some(sealed) = &auth.sealed
            {
                let place = secrets_place(resource.id.as_str());
                let _secret = keys.reveal(tenant, &place, sealed).await?;
                return Ok(true);
            }
        }
        match found.next {
            Some(next) => page.after = Some(next),
            None => return Ok(false),
        }
    }
}

fn make_empty(path: &Path) -> Result<()> {
    private_folder(path)?;
    let mut entries =
        fs::read_dir(path).with_context(|| format!("looking into {}", path.display()))?;
    if entries.next().is_some() {
        bail!(
            "{} is not empty; name a directory that is, or that does not exist",
            path.display()
        );
    }
    Ok(())
}

fn unusable(what: String) -> anyhow::Error {
    told(Fault::new(ErrorCode::BackupUnusable, what))
}
