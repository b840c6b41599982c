//! The way into the lake: uploaded bytes, and managed datasets that batches of them become.

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::batch::{Batch, BatchFile, Promoted, Row, UploadPreview, UploadedFile};
use offtake_model::{BatchId, DatasetId, Fault, SourceRef, Tenant};

/// Keeps managed datasets: tables that only offtake writes, in a place that no request can name.
#[async_trait]
pub trait Intake: Send + Sync {
    /// The place of a managed dataset's table.
    fn place(&self, tenant: &Tenant, dataset: &DatasetId) -> SourceRef;

    /// Whether a dataset at that place is a managed one.
    fn manages(&self, location: &SourceRef) -> bool;

    /// Makes the table without columns and rows, unless it is there.
    async fn create(&self, location: &SourceRef) -> Result<(), Fault>;

    /// Turns the batch's uploaded files into rows of the table, in one commit that carries the batch's id.
    /// A batch whose commit is there already is not promoted again: the answer is what was committed.
    async fn promote(&self, location: &SourceRef, batch: &Batch) -> Result<Promoted, Fault>;

    /// Takes the rows of a promoted batch out of the table, in one commit. Done again, it does nothing.
    async fn revert(
        &self,
        location: &SourceRef,
        batch: &BatchId,
        version: u64,
    ) -> Result<(), Fault>;

    /// The data files that the batch brought in that version.
    async fn files(&self, location: &SourceRef, version: u64) -> Result<Vec<BatchFile>, Fault>;

    /// The first rows of the batch's uploaded files, as its format reads them; none without files. Rows that cannot be
    /// read are left out.
    async fn preview_uploads(&self, batch: &Batch, rows: usize) -> Result<UploadPreview, Fault>;

    /// The first rows of a table.
    async fn preview(&self, location: &SourceRef, rows: usize) -> Result<Vec<Row>, Fault>;
}

/// Keeps uploaded bytes until their batch is promoted. What was acknowledged survives power loss.
#[async_trait]
pub trait Uploads: Send + Sync {
    /// Begins to write a part of a file, or the whole file in place of what there is of it.
    async fn begin(
        &self,
        tenant: &Tenant,
        batch: &BatchId,
        file: &str,
        part: Part,
    ) -> Result<Box<dyn Upload>, Fault>;

    /// Prepares a file that comes in parts; true when it is new.
    async fn initialize(&self, tenant: &Tenant, batch: &BatchId, file: &str)
    -> Result<bool, Fault>;

    /// Marks a file that came in parts as finished. Refused while parts are missing.
    async fn complete(
        &self,
        tenant: &Tenant,
        batch: &BatchId,
        file: &str,
    ) -> Result<UploadedFile, Fault>;

    /// The files of a batch, by name.
    async fn list(&self, tenant: &Tenant, batch: &BatchId) -> Result<Vec<UploadedFile>, Fault>;

    /// Removes everything uploaded for a batch; nothing there is fine.
    async fn remove(&self, tenant: &Tenant, batch: &BatchId) -> Result<(), Fault>;

    /// Every batch that has bytes here.
    async fn batches(&self) -> Result<Vec<(Tenant, BatchId)>, Fault>;
}

/// What an upload brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The whole file.
    Whole,
    /// The bytes from `start` up to and without `end`, of `total`.
    Range {
        /// First byte.
        start: u64,
        /// One after the last.
        end: u64,
        /// Bytes of the whole file.
        total: u64,
    },
}

/// One upload under way. Dropped unfinished, it leaves nothing.
#[async_trait]
pub trait Upload: Send {
    /// Takes more bytes.
    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault>;

    /// Makes the bytes durable and part of the file; true when it replaced a whole file.
    async fn finish(self: Box<Self>) -> Result<bool, Fault>;
}
