//! The landing zone as whoever receives files sees it: what lies there, its bytes, and who may look.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use offtake_model::{Actor, Fault, Millis, Tenant};
use secrecy::SecretString;

use crate::lake::RangeReader;

/// The landing zone in a folder of this machine, read for callers who have no file system in common with it.
///
/// Only visible files exist here: what is staged is neither listed nor opened.
#[async_trait]
pub trait ZoneFiles: Send + Sync {
    /// A page of the tenant's files, in the order of their keys' bytes.
    async fn page(&self, tenant: &Tenant, query: &ZoneQuery) -> Result<ZonePage, Fault>;

    /// Opens a file of the tenant's zone. A key that no file can have finds none.
    async fn open(&self, tenant: &Tenant, key: &str) -> Result<Option<OpenZoneFile>, Fault>;
}

/// Which files to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneQuery {
    /// What keys begin with.
    pub prefix: String,
    /// The key or folder after which the page begins.
    pub after: Option<String>,
    /// How folders are shown.
    pub depth: Depth,
    /// Most entries of the page; at least 1.
    pub limit: usize,
}

/// How folders are shown in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Not at all: every file below is listed.
    Deep,
    /// By their names: what lies behind the first slash after the prefix is left out.
    Shallow,
}

/// A page of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZonePage {
    /// Files and folders.
    pub entries: Vec<ZoneEntry>,
    /// Where the next page begins, when there is one.
    pub next: Option<String>,
}

/// Something that is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneEntry {
    /// A folder, by its key with a slash at the end.
    Folder(String),
    /// A file.
    File(ZoneFile),
}

impl ZoneEntry {
    /// Its key.
    pub fn key(&self) -> &str {
        match self {
            Self::Folder(key) => key,
            Self::File(file) => &file.key,
        }
    }
}

/// A visible file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneFile {
    /// Its key from the top of the tenant's zone.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// When it became what it is.
    pub modified_at: Millis,
    /// Changes whenever its bytes do; plain letters and digits.
    pub etag: String,
}

/// A visible file, open for reading.
#[derive(Clone)]
pub struct OpenZoneFile {
    /// The file.
    pub file: ZoneFile,
    /// Its bytes.
    pub reader: Arc<dyn RangeReader>,
}

/// Keeps the generation of each tenant's signatures: those of an earlier one are void.
#[async_trait]
pub trait ZoneGrants: Send + Sync {
    /// The generation that is good now; 1 before the first renewal.
    async fn generation(&self, tenant: &Tenant) -> Result<u64, Fault>;

    /// Begins the next generation and answers it.
    async fn renew(&self, tenant: &Tenant, by: &Actor) -> Result<u64, Fault>;
}

/// The landing zone in a store, whose own credentials let receivers in.
#[async_trait]
pub trait ZoneIssuer: Send + Sync {
    /// Where the tenant's files lie.
    fn place(&self, tenant: &Tenant) -> ZonePlace;

    /// Credentials that list and read the tenant's files, and nothing else, for `lifetime` or less.
    async fn issue(&self, tenant: &Tenant, lifetime: Duration) -> Result<ZoneKeys, Fault>;
}

/// Where a tenant's files lie in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZonePlace {
    /// Below a folder of a bucket.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The folder, without slashes around it.
        folder: String,
    },
    /// In a container of their own.
    Container {
        /// The storage account.
        account: String,
        /// The container.
        container: String,
    },
}

/// Credentials of a store.
#[derive(Clone, Debug)]
pub enum ZoneKeys {
    /// Short-lived keys.
    Temporary {
        /// The access key.
        access_key: String,
        /// Its secret.
        secret_key: SecretString,
        /// The token that goes with both.
        session_token: SecretString,
        /// When they end.
        expires_at: Millis,
    },
    /// A shared access signature.
    Signature {
        /// Address of the container, without a query.
        url: String,
        /// The query that lets in.
        token: SecretString,
        /// When it ends.
        expires_at: Millis,
    },
}
