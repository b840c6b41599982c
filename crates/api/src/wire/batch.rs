//! Batches and their files as the wire shows them.

use offtake_api_types::batch::{
    BadRow, BatchError, BatchMetrics, DataPage, PreviewedRows, RelatedObject, SelfLinks,
    UploadPreview,
};
use offtake_api_types::{
    Batch, Batches, DataFile, DataOf, DownloadableFile, Link, Object, UploadedFile,
};
use offtake_model::batch;
use offtake_service::DataFileView;

use crate::EXPORT;

/// Most items of a list of data access.
const LISTED_MAX: usize = 100;

/// Batches keyed by id.
pub(crate) fn keyed(batches: Vec<batch::Batch>) -> Batches {
    batches
        .into_iter()
        .map(|batch| (batch.id.0.clone(), self::batch(batch)))
        .collect()
}

/// One batch.
pub(crate) fn batch(batch: batch::Batch) -> Batch {
    let details = batch.details;
    let metrics = details.metrics;
    let rows = details.bad_rows.into_iter().map(|row| BadRow {
        file: row.file,
        line: row.line,
        reason: row.reason,
    });
    let rows: Vec<BadRow> = rows.collect();
    Batch {
        id: batch.id.0,
        ims_org: batch.tenant.org.0,
        status: batch.state.name().to_owned(),
        created: batch.audit.created_at.0,
        updated: batch.audit.updated_at.0,
        started: details.started_at.map(|at| at.0),
        completed: details.ended_at.map(|at| at.0),
        related_objects: vec![RelatedObject {
            kind: "dataSet".to_owned(),
            id: batch.dataset.0,
        }],
        version: format!("1.0.{}", batch.revision.0.saturating_sub(1)),
        tags: details.tags,
        created_user: batch.audit.created_by,
        updated_user: batch.audit.updated_by,
        created_client: batch.audit.created_client,
        input_format: details.given_format,
        external_id: batch.external_id,
        metrics: BatchMetrics {
            input_byte_size: metrics.input_bytes,
            input_record_count: metrics.input_rows,
            input_file_count: metrics.input_files,
            output_byte_size: metrics.output_bytes,
            output_record_count: metrics.output_rows,
            output_file_count: metrics.output_files,
            partition_count: 1,
            failed_record_count: metrics.failed_rows,
        },
        errors: details
            .fault
            .into_iter()
            .map(|fault| BatchError {
                code: fault.code.name().to_owned(),
                advice: fault.code.advice().to_owned(),
                description: fault.message,
                rows: rows.clone(),
            })
            .collect(),
    }
}

/// An uploaded file.
pub(crate) fn uploaded(file: batch::UploadedFile) -> UploadedFile {
    UploadedFile {
        name: file.name,
        size_in_bytes: file.bytes,
    }
}

/// The first rows of a batch's uploads, with the options that they were read by.
pub(crate) fn preview(options: Object, preview: batch::UploadPreview) -> UploadPreview {
    let rows = preview.rows.into_iter();
    UploadPreview {
        format_params: options,
        preview: PreviewedRows {
            columns: preview.columns,
            rows: rows.map(|row| row.into_iter().collect()).collect(),
        },
    }
}

/// The files of a batch.
pub(crate) fn files(views: Vec<DataFileView>) -> DataOf<DataFile> {
    data(views.into_iter().map(file).collect())
}

/// One file of a batch.
pub(crate) fn file(view: DataFileView) -> DataFile {
    let ended = view.batch.details.ended_at;
    DataFile {
        links: link(format!("{EXPORT}/files/{}", view.id)),
        data_set_file_id: view.id,
        data_set_view_id: view.batch.dataset.0,
        version: "1.0.0".to_owned(),
        created: view.batch.audit.created_at.0.to_string(),
        updated: ended.unwrap_or(view.batch.audit.updated_at).0.to_string(),
        records: view.file.rows.to_string(),
        size: view.file.bytes.to_string(),
        is_valid: false,
    }
}

/// What can be downloaded of a file.
pub(crate) fn downloadable(view: DataFileView) -> DataOf<DownloadableFile> {
    let href = format!("{EXPORT}/files/{}?path={}", view.id, view.name);
    data(vec![DownloadableFile {
        name: view.name,
        length: view.file.bytes.to_string(),
        links: link(href),
    }])
}

/// A list of data access.
pub(crate) fn data<T>(items: Vec<T>) -> DataOf<T> {
    DataOf {
        page: DataPage {
            limit: LISTED_MAX,
            count: items.len(),
        },
        data: items,
        links: Object::new(),
    }
}

fn link(href: String) -> SelfLinks {
    SelfLinks { own: Link { href } }
}
