//! Data access: the files that batches brought, their bytes, and a look at the first rows (contract, 10.3).
//!
//! The one law: a file is reached through a batch of the caller's tenant, never by its place.

use std::sync::Arc;

use offtake_model::batch::{Batch, BatchFile, BatchState, Row};
use offtake_model::{Fault, FileSlice, ResourceKind};
use offtake_ports::RangeReader;

use crate::entity;
use crate::identity::Caller;
use crate::service::{Service, not_found};

/// Rows of a preview.
const PREVIEW_ROWS: usize = 100;

/// A data file of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFileView {
    /// `<batch>-<n>`, counted from 1.
    pub id: String,
    /// The batch that brought it.
    pub batch: Batch,
    /// Its name within the listing of its id.
    pub name: String,
    /// The file.
    pub file: BatchFile,
}

impl Service {
    /// The files that a batch brought; none unless it succeeded.
    pub async fn batch_files(&self, caller: &Caller, id: &str) -> Result<Vec<DataFileView>, Fault> {
        let batch = self.batch(caller, id).await?;
        let (BatchState::Success, Some(version)) = (batch.state, batch.details.version) else {
            return Ok(Vec::new());
        };
        let dataset = self
            .must_find(caller, ResourceKind::Dataset, batch.dataset.as_str())
            .await?;
        let location = entity::dataset(dataset)?.body.location;
        let files = self.intake.files(&location, version).await?;
        let view = |(index, file): (usize, BatchFile)| DataFileView {
            id: format!("{}-{}", batch.id, index + 1),
            batch: batch.clone(),
            name: file_name(&file.source.path).to_owned(),
            file,
        };
        Ok(files.into_iter().enumerate().map(view).collect())
    }

    /// The file of that id.
    pub async fn data_file(&self, caller: &Caller, id: &str) -> Result<DataFileView, Fault> {
        let missing = || not_found("files", id);
        let (batch, _) = id.rsplit_once('-').ok_or_else(missing)?;
        let files = self.batch_files(caller, batch).await?;
        files
            .into_iter()
            .find(|file| file.id == id)
            .ok_or_else(missing)
    }

    /// The bytes of the file of that id and name.
    pub async fn open_data_file(
        &self,
        caller: &Caller,
        id: &str,
        name: &str,
    ) -> Result<Arc<dyn RangeReader>, Fault> {
        let view = self.data_file(caller, id).await?;
        if view.name != name {
            return Err(not_found("files", name));
        }
        let slice = FileSlice {
            source: view.file.source,
            bytes: view.file.bytes,
            etag: None,
            rows: Some(view.file.rows),
            row_groups: None,
            row_range: None,
            known_row_groups: Vec::new(),
            constants: Vec::new(),
            mask: None,
        };
        self.sources.open(&slice).await
    }

    /// The files that the batches of a dataset brought, the newest batch first.
    pub async fn dataset_files(
        &self,
        caller: &Caller,
        dataset: &str,
    ) -> Result<Vec<DataFileView>, Fault> {
        self.must_find(caller, ResourceKind::Dataset, dataset)
            .await?;
        let query = crate::BatchListQuery {
            limit: Some("100".to_owned()),
            dataset: Some(dataset.to_owned()),
            status: Some(BatchState::Success.name().to_owned()),
            ..crate::BatchListQuery::default()
        };
        let mut files = Vec::new();
        for batch in self.list_batches(caller, &query).await?.items {
            files.extend(self.batch_files(caller, batch.id.as_str()).await?);
        }
        Ok(files)
    }

    /// The first rows of a dataset.
    pub async fn preview_dataset(&self, caller: &Caller, id: &str) -> Result<Vec<Row>, Fault> {
        let found = self.must_find(caller, ResourceKind::Dataset, id).await?;
        let dataset = entity::dataset(found)?;
        self.intake
            .preview(&dataset.body.location, PREVIEW_ROWS)
            .await
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
