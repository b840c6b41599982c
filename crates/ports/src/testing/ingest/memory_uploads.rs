//! Uploaded bytes in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::batch::UploadedFile;
use offtake_model::{BatchId, ErrorCode, Fault, OrgId, SandboxName, Tenant};

use crate::intake::{Part, Upload, Uploads};

/// Organisation, sandbox, batch.
type Key = (String, String, String);

type Files = BTreeMap<String, Held>;

/// Keeps uploads while it lives. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryUploads {
    kept: Arc<Mutex<BTreeMap<Key, Files>>>,
}

/// What there is of a file: its parts by first and last byte.
#[derive(Clone, Debug, Default)]
struct Held {
    parts: BTreeMap<(u64, u64), Vec<u8>>,
    total: Option<u64>,
    complete: bool,
}

impl Held {
    /// The bytes that are there without a gap.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for ((start, _), part) in &self.parts {
            if *start == bytes.len() as u64 {
                bytes.extend(part);
            }
        }
        bytes
    }

    fn shown(&self, name: &str) -> UploadedFile {
        UploadedFile {
            name: name.to_owned(),
            bytes: self.bytes().len() as u64,
            complete: self.complete,
        }
    }

    fn check(&self, start: u64, end: u64, total: u64) -> Result<(), Fault> {
        let overlaps = self
            .parts
            .keys()
            .any(|other| *other != (start, end) && start < other.1 && other.0 < end);
        if start >= end || end > total || overlaps || self.total.is_some_and(|it| it != total) {
            return Err(range_invalid());
        }
        Ok(())
    }
}

fn key(tenant: &Tenant, batch: &BatchId) -> Key {
    (
        tenant.org.as_str().to_owned(),
        tenant.sandbox.as_str().to_owned(),
        batch.as_str().to_owned(),
    )
}

fn range_invalid() -> Fault {
    Fault::new(
        ErrorCode::UploadRangeInvalid,
        "the part does not fit the file",
    )
}

impl MemoryUploads {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<Key, Files>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of each file of a batch, by name.
    pub fn bytes(&self, tenant: &Tenant, batch: &BatchId) -> Vec<(String, Vec<u8>)> {
        let kept = self.kept();
        let files = kept.get(&key(tenant, batch)).into_iter().flatten();
        files
            .map(|(name, held)| (name.clone(), held.bytes()))
            .collect()
    }
}

#[async_trait]
impl Uploads for MemoryUploads {
    async fn begin(
        &self,
        tenant: &Tenant,
        batch: &BatchId,
        file: &str,
        part: Part,
    ) -> Result<Box<dyn Upload>, Fault> {
        let key = key(tenant, batch);
        if file.is_empty() {
            return Err(Fault::new(
                ErrorCode::FieldInvalid,
                "a file must have a name",
            ));
        }
        if let Part::Range { start, end, total } = part {
            let kept = self.kept();
            let held = kept.get(&key).and_then(|files| files.get(file));
            held.ok_or_else(range_invalid)?.check(start, end, total)?;
        }
        Ok(Box::new(MemoryUpload {
            uploads: self.clone(),
            key,
            file: file.to_owned(),
            part,
            bytes: Vec::new(),
        }))
    }

    async fn initialize(
        &self,
        tenant: &Tenant,
        batch: &BatchId,
        file: &str,
    ) -> Result<bool, Fault> {
        let mut kept = self.kept();
        let files = kept.entry(key(tenant, batch)).or_default();
        let new = files.get(file).is_none_or(|held| held.complete);
        if new {
            files.insert(file.to_owned(), Held::default());
        }
        Ok(new)
    }

    async fn complete(
        &self,
        tenant: &Tenant,
        batch: &BatchId,
        file: &str,
    ) -> Result<UploadedFile, Fault> {
        let mut kept = self.kept();
        let files = kept.get_mut(&key(tenant, batch));
        let held = files.and_then(|files| files.get_mut(file)).ok_or_else(|| {
            Fault::new(
                ErrorCode::ResourceNotFound,
                format!("files not found with id = [{file}]"),
            )
        })?;
        if held
            .total
            .is_none_or(|total| (held.bytes().len() as u64) < total)
        {
            return Err(Fault::new(
                ErrorCode::UploadIncomplete,
                format!("file `{file}` has a gap"),
            ));
        }
        held.complete = true;
        Ok(held.shown(file))
    }

    async fn list(&self, tenant: &Tenant, batch: &BatchId) -> Result<Vec<UploadedFile>, Fault> {
        let kept = self.kept();
        let files = kept.get(&key(tenant, batch)).into_iter().flatten();
        Ok(files.map(|(name, held)| held.shown(name)).collect())
    }

    async fn remove(&self, tenant: &Tenant, batch: &BatchId) -> Result<(), Fault> {
        self.kept().remove(&key(tenant, batch));
        Ok(())
    }

    async fn batches(&self) -> Result<Vec<(Tenant, BatchId)>, Fault> {
        let kept = self.kept();
        let keys = kept.keys().cloned();
        let named = keys.map(|(org, sandbox, batch)| {
            let tenant = Tenant {
                org: OrgId(org),
                sandbox: SandboxName(sandbox),
            };
            (tenant, BatchId(batch))
        });
        Ok(named.collect())
    }
}

struct MemoryUpload {
    uploads: MemoryUploads,
    key: Key,
    file: String,
    part: Part,
    bytes: Vec<u8>,
}

#[async_trait]
impl Upload for MemoryUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        self.bytes.extend(bytes);
        match self.part {
            Part::Range { start, end, .. } if self.bytes.len() as u64 > end - start => {
                Err(range_invalid())
            }
            Part::Range { .. } | Part::Whole => Ok(()),
        }
    }

    async fn finish(self: Box<Self>) -> Result<bool, Fault> {
        if self.bytes.is_empty() {
            return Err(Fault::new(ErrorCode::FileEmpty, "the file has no bytes"));
        }
        let length = self.bytes.len() as u64;
        let mut kept = self.uploads.kept();
        let files = kept.entry(self.key).or_default();
        match self.part {
            Part::Whole => {
                let whole = Held {
                    parts: BTreeMap::from([((0, length), self.bytes)]),
                    total: Some(length),
                    complete: true,
                };
                Ok(files.insert(self.file, whole).is_some())
            }
            Part::Range { start, end, total } => {
                if length != end - start {
                    return Err(range_invalid());
                }
                let held = files.entry(self.file).or_default();
                held.total = Some(total);
                held.parts.insert((start, end), self.bytes);
                Ok(false)
            }
        }
    }
}
