//! What is remembered of a batch beside its rows (contract, 10.3): the files that came in, and rows that could not be
//! read.

use offtake_model::Fault;
use offtake_model::batch::{BadRow, BatchState, InputFile};

use crate::identity::Caller;
use crate::service::Service;

/// What is remembered of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchMeta {
    /// The files that were uploaded; while it takes files, those that are there so far.
    pub input_files: Vec<InputFile>,
    /// Rows that could not be read, the first of them.
    pub bad_rows: Vec<BadRow>,
}

impl Service {
    /// What is remembered of the batch of that id.
    pub async fn batch_meta(&self, caller: &Caller, id: &str) -> Result<BatchMeta, Fault> {
        let batch = self.batch(caller, id).await?;
        let input_files = match batch.state {
            BatchState::Loading => {
                let files = self.uploads.list(&batch.tenant, &batch.id).await?;
                files.into_iter().map(InputFile::from).collect()
            }
            BatchState::Loaded
            | BatchState::Staging
            | BatchState::Success
            | BatchState::Failed
            | BatchState::Aborted
            | BatchState::Inactive => batch.details.input_files,
        };
        Ok(BatchMeta {
            input_files,
            bad_rows: batch.details.bad_rows,
        })
    }
}
