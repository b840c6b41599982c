//! Batches: made, filled with files, completed or given up (contract, 10.2).
//!
//! What becomes of a completed batch is in `promotion`.
//!
//! The one law: a file is taken only while its batch is loading, by the batch's state after its bytes are durable.

use offtake_core::validate;
use offtake_model::batch::{Batch, BatchDetails, BatchState, InputFile, UploadedFile};
use offtake_model::resource::Dataset;
use offtake_model::{BatchId, DatasetId, ErrorCode, Fault, Millis, ResourceKind, Revision};
use offtake_ports::{Inserted, Part, Replaced, Upload};

use crate::entity::{self, Entity};
use crate::identity::Caller;
use crate::once::Once;
use crate::service::{Service, not_found};

mod listing;
mod meta;
mod preview;
mod promotion;

pub use listing::BatchListQuery;
pub use meta::BatchMeta;
pub use preview::{PREVIEW_OPTIONS, UploadPreviewQuery};

/// Most files of a batch (contract, 13).
const FILES_MAX: usize = 1_500;

/// Most bytes of a batch (contract, 13).
const BATCH_BYTES_MAX: u64 = 100_000_000_000;

/// Tries of a change that others make at the same time.
const CHANGES_MAX: usize = 8;

/// What a client asks of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchAction {
    /// All files are there: promote it.
    Complete,
    /// Give it up.
    Abort,
    /// Mark it as failed.
    Fail,
    /// Take its rows back.
    Revert,
}

impl BatchAction {
    /// The action of that word.
    pub fn parse(word: Option<&str>) -> Result<Self, Fault> {
        let word = word.unwrap_or_default();
        match word.to_ascii_uppercase().as_str() {
            "COMPLETE" => Ok(Self::Complete),
            "ABORT" => Ok(Self::Abort),
            "FAIL" => Ok(Self::Fail),
            "REVERT" => Ok(Self::Revert),
            _ => Err(Fault::new(
                ErrorCode::ActionUnknown,
                format!("action must be COMPLETE, ABORT, FAIL or REVERT, not [{word}]"),
            )),
        }
    }
}

/// The file of a batch that a request is about, as the path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadTarget {
    /// The batch.
    pub batch: String,
    /// The batch's dataset.
    pub dataset: String,
    /// The file's name.
    pub file: String,
}

impl Service {
    /// Makes a batch for a managed dataset, or answers the one that has its external id already.
    pub async fn create_batch(&self, caller: &Caller, once: Once<'_>) -> Result<Batch, Fault> {
        let draft = validate::batch(once.body)?;
        self.managed_dataset(caller, &draft.dataset).await?;
        let now = self.clock.now();
        let fresh = self.new_batch_id(now).0;
        let id = self.id_once(caller, "batches", once, fresh).await?;
        let id = BatchId(id);
        if once.key.is_some()
            && let Some(made) = self.batches.get(&caller.tenant, &id).await?
        {
            return Ok(made);
        }
        let batch = Batch {
            id,
            tenant: caller.tenant.clone(),
            dataset: draft.dataset,
            revision: Revision(1),
            audit: Self::audit(caller, now),
            state: BatchState::Loading,
            external_id: draft.external_id,
            details: BatchDetails {
                given_format: draft.given_format,
                tags: draft.tags,
                ..BatchDetails::new(draft.format)
            },
        };
        match self.batches.insert(&batch, &caller.actor()).await? {
            Inserted::New => Ok(batch),
            Inserted::Known(known) => Ok(*known),
        }
    }

    /// The batch of that id.
    pub async fn batch(&self, caller: &Caller, id: &str) -> Result<Batch, Fault> {
        let found = self
            .batches
            .get(&caller.tenant, &BatchId(id.to_owned()))
            .await?;
        found.ok_or_else(|| not_found("batches", id))
    }

    /// Completes, gives up or takes back a batch. Asked again, it does nothing more.
    pub async fn act_on_batch(
        &self,
        caller: &Caller,
        id: &str,
        action: BatchAction,
    ) -> Result<Batch, Fault> {
        for _ in 0..CHANGES_MAX {
            let mut batch = self.batch(caller, id).await?;
            let target = match (action, batch.state) {
                (
                    BatchAction::Complete,
                    BatchState::Loaded | BatchState::Staging | BatchState::Success,
                )
                | (BatchAction::Abort, BatchState::Aborted)
                | (BatchAction::Fail, BatchState::Failed)
                | (BatchAction::Revert, BatchState::Inactive) => return Ok(batch),
                (BatchAction::Complete, BatchState::Loading) => {
                    batch.details.input_files = self.whole_files(&batch).await?;
                    BatchState::Loaded
                }
                (BatchAction::Abort, BatchState::Loading) => BatchState::Aborted,
                (BatchAction::Fail, BatchState::Loading) => BatchState::Failed,
                (BatchAction::Revert, BatchState::Success) => {
                    self.take_back(caller, &batch).await?;
                    BatchState::Inactive
                }
                (_, state) => {
                    return Err(Fault::new(
                        ErrorCode::BatchStateInvalid,
                        format!("batch {id} is {}; that action is not allowed", state.name()),
                    ));
                }
            };
            if let Some(changed) = self.move_batch(caller, &batch, target).await? {
                return Ok(changed);
            }
        }
        Err(busy(id))
    }

    async fn move_batch(
        &self,
        caller: &Caller,
        batch: &Batch,
        state: BatchState,
    ) -> Result<Option<Batch>, Fault> {
        let now = self.clock.now();
        let mut next = batch.clone();
        next.state = state;
        next.audit.updated_at = now;
        next.audit.updated_by = caller.client.to_string();
        next.audit.updated_client = caller.client.to_string();
        if state == BatchState::Loaded {
            next.details.started_at = Some(now);
        } else {
            next.details.ended_at = Some(now);
        }
        let by = caller.actor();
        match self
            .batches
            .replace(&next, batch.revision, Some(&by))
            .await?
        {
            Replaced::Conflict => return Ok(None),
            Replaced::Done => next.revision = Revision(batch.revision.0 + 1),
        }
        match state {
            BatchState::Loaded => self.nudge_promoter(),
            BatchState::Aborted | BatchState::Failed => {
                self.uploads.remove(&batch.tenant, &batch.id).await?;
            }
            BatchState::Loading
            | BatchState::Staging
            | BatchState::Success
            | BatchState::Inactive => {}
        }
        Ok(Some(next))
    }

    /// Begins to take the bytes of a file or of a part of it.
    pub async fn begin_upload(
        &self,
        caller: &Caller,
        target: &UploadTarget,
        part: Part,
    ) -> Result<Box<dyn Upload>, Fault> {
        let batch = self.loading(caller, target).await?;
        let files = self.uploads.list(&batch.tenant, &batch.id).await?;
        let known = files.iter().any(|file| file.name == target.file);
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        if (!known && files.len() >= FILES_MAX) || bytes > BATCH_BYTES_MAX {
            return Err(Fault::new(
                ErrorCode::UploadTooLarge,
                format!(
                    "batch {} has {} files of {bytes} bytes",
                    batch.id,
                    files.len()
                ),
            ));
        }
        self.uploads
            .begin(&batch.tenant, &batch.id, &target.file, part)
            .await
    }

    /// Makes the bytes of an upload part of the batch; true when they replaced a whole file.
    pub async fn finish_upload(
        &self,
        caller: &Caller,
        target: &UploadTarget,
        upload: Box<dyn Upload>,
    ) -> Result<bool, Fault> {
        self.write_down(caller, "files", format!("{}/{}", target.batch, target.file))
            .await?;
        let replaced = upload.finish().await?;
        // A batch that was completed meanwhile may have been read without these bytes: they don't count.
        self.loading(caller, target).await?;
        Ok(replaced)
    }

    /// Prepares a file that comes in parts; true when it is new.
    pub async fn initialize_file(
        &self,
        caller: &Caller,
        target: &UploadTarget,
    ) -> Result<bool, Fault> {
        let batch = self.loading(caller, target).await?;
        self.write_down(caller, "files", format!("{}/{}", target.batch, target.file))
            .await?;
        self.uploads
            .initialize(&batch.tenant, &batch.id, &target.file)
            .await
    }

    /// Marks a file that came in parts as finished.
    pub async fn complete_file(
        &self,
        caller: &Caller,
        target: &UploadTarget,
    ) -> Result<UploadedFile, Fault> {
        let batch = self.loading(caller, target).await?;
        self.write_down(caller, "files", format!("{}/{}", target.batch, target.file))
            .await?;
        self.uploads
            .complete(&batch.tenant, &batch.id, &target.file)
            .await
    }

    /// How much of a file is there.
    pub async fn uploaded_file(
        &self,
        caller: &Caller,
        target: &UploadTarget,
    ) -> Result<UploadedFile, Fault> {
        let batch = self.batch_of(caller, target).await?;
        let files = self.uploads.list(&batch.tenant, &batch.id).await?;
        files
            .into_iter()
            .find(|file| file.name == target.file)
            .ok_or_else(|| not_found("files", &target.file))
    }

    pub(crate) async fn batch_of(
        &self,
        caller: &Caller,
        target: &UploadTarget,
    ) -> Result<Batch, Fault> {
        let batch = self.batch(caller, &target.batch).await?;
        if batch.dataset.as_str() == target.dataset {
            return Ok(batch);
        }
        Err(not_found("dataSets", &target.dataset))
    }

    async fn loading(&self, caller: &Caller, target: &UploadTarget) -> Result<Batch, Fault> {
        let batch = self.batch_of(caller, target).await?;
        if batch.state == BatchState::Loading {
            return Ok(batch);
        }
        Err(Fault::new(
            ErrorCode::BatchStateInvalid,
            format!(
                "batch {} is {} and takes no files",
                batch.id,
                batch.state.name()
            ),
        ))
    }

    /// The batch's files, all of which must be whole.
    async fn whole_files(&self, batch: &Batch) -> Result<Vec<InputFile>, Fault> {
        let files = self.uploads.list(&batch.tenant, &batch.id).await?;
        let incomplete = |message: String| Err(Fault::new(ErrorCode::UploadIncomplete, message));
        if files.is_empty() {
            return incomplete(format!("batch {} has no files", batch.id));
        }
        match files.iter().find(|file| !file.complete) {
            Some(file) => incomplete(format!(
                "file `{}` of batch {} was begun and not completed",
                file.name, batch.id
            )),
            None => Ok(files.into_iter().map(InputFile::from).collect()),
        }
    }

    pub(crate) async fn managed_dataset(
        &self,
        caller: &Caller,
        id: &DatasetId,
    ) -> Result<Entity<Dataset>, Fault> {
        let found = self
            .find(caller, ResourceKind::Dataset, id.as_str())
            .await?
            .ok_or_else(|| {
                Fault::new(
                    ErrorCode::DatasetUnknown,
                    format!("dataSets not found with id = [{id}]"),
                )
            })?;
        let dataset = entity::dataset(found)?;
        if self.intake.manages(&dataset.body.location) {
            return Ok(dataset);
        }
        Err(Fault::new(
            ErrorCode::DatasetNotManaged,
            format!("dataset {id} is a table that others write; batches cannot be sent to it"),
        ))
    }

    async fn take_back(&self, caller: &Caller, batch: &Batch) -> Result<(), Fault> {
        let Some(version) = batch.details.version else {
            return Ok(());
        };
        let dataset = self.managed_dataset(caller, &batch.dataset).await?;
        self.intake
            .revert(&dataset.body.location, &batch.id, version)
            .await
    }

    /// An id that sorts by time: 48 bits of the instant and 80 random ones, in Crockford's alphabet.
    fn new_batch_id(&self, now: Millis) -> BatchId {
        const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let time = u128::from(now.0.cast_unsigned()) << 80;
        let random = u128::from_be_bytes(self.ids.bytes16()) & ((1 << 80) - 1);
        let bits = time | random;
        let letter = |place: u32| {
            let index = usize::try_from((bits >> (5 * place)) & 31).unwrap_or_default();
            LETTERS.get(index).copied().map_or('0', char::from)
        };
        BatchId((0..26).rev().map(letter).collect())
    }
}

fn busy(id: &str) -> Fault {
    Fault::new(
        ErrorCode::ServiceBusy,
        format!("batch {id} is being changed by others"),
    )
}
