//! Data access: listing, downloading and previewing what batches brought (contract, 10.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::header::{CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, Method};
use offtake_api_types::batch::BadRow;
use offtake_api_types::{DataFile, DataOf, DownloadableFile};
use offtake_model::ErrorCode;
use offtake_service::Service;
use serde_json::Value;

use crate::EXPORT;
use crate::document::says::{header, query, says};
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::ranges;
use crate::reply::Reply;
use crate::routes::needs;
use crate::table::Routes;
use crate::wire;
use crate::wire::meta::Meta;

pub(super) fn routes() -> Routes {
    let batch = format!("{EXPORT}/batches/{{id}}");
    let preview_of = format!("{EXPORT}/datasets/{{id}}/preview");
    Routes::default()
        .get(&format!("{batch}/files"), needs::VIEW_DATASETS, batch_files)
        .says(
            says(
                "listBatchFiles",
                "Lists the data files that a batch brought",
            )
            .gives::<DataOf<DataFile>>(200, "The files; none unless the batch succeeded.")
            .fails(&[ErrorCode::ResourceNotFound]),
        )
        .get(&format!("{batch}/failed"), needs::VIEW_DATASETS, failed)
        .says(
            says(
                "listBatchFailures",
                "Lists the rows of a batch that could not be read",
            )
            .gives::<DataOf<BadRow>>(200, "File, line and reason of each.")
            .fails(&[ErrorCode::ResourceNotFound]),
        )
        .get(&format!("{batch}/meta"), needs::VIEW_DATASETS, meta)
        .says(
            says(
                "listBatchMeta",
                "Lists or sends what is remembered of a batch: uploaded files, rows that could not be read",
            )
            .with(&[query(
                "path",
                "A folder or a file of the listing; the topmost folders when absent.",
            )])
            .gives::<DataOf<DownloadableFile>>(
                200,
                "Folders or files; with the path of a file, its lines of JSON.",
            )
            .gives_bytes(200, "", LINES)
            .fails(&[ErrorCode::ResourceNotFound]),
        )
        .get(
            &format!("{EXPORT}/files/{{id}}"),
            needs::VIEW_DATASETS,
            file,
        )
        .says(
            says(
                "getDataFile",
                "Says what of a data file can be downloaded, or sends its bytes",
            )
            .note("Answers HEAD, too.")
            .with(&[
                query("path", "Name of the file to download."),
                header("Range", "`bytes=FIRST-LAST`: only these; answered 206."),
            ])
            .gives::<DataOf<DownloadableFile>>(
                200,
                "What can be downloaded; with `path`, the bytes.",
            )
            .gives_bytes(200, "", PARQUET)
            .gives_bytes(206, "The part asked for.", PARQUET)
            .fails(&[ErrorCode::ResourceNotFound, ErrorCode::RangeNotSatisfiable])
            .fails(&OF_TABLE),
        )
        .get(&preview_of, needs::VIEW_DATASETS, preview)
        .says(
            says("previewDataset", "Shows the first 100 rows of a dataset")
                .gives::<DataOf<Value>>(200, "The rows.")
                .fails(&[ErrorCode::ResourceNotFound])
                .fails(&OF_TABLE),
        )
}

const PARQUET: &str = "application/vnd.apache.parquet";

const LINES: &str = "application/x-ndjson";

/// Why a table or a file of it cannot be read.
const OF_TABLE: [ErrorCode; 8] = [
    ErrorCode::SourceNotFound,
    ErrorCode::SourceChanged,
    ErrorCode::SourceCorrupt,
    ErrorCode::SourceDenied,
    ErrorCode::SourceFeatureUnsupported,
    ErrorCode::SourceOutsideRoot,
    ErrorCode::SourceUnreachable,
    ErrorCode::SourceVanished,
];

async fn batch_files(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let files = service.batch_files(&caller, &id).await?;
    Ok(Json(wire::batch::files(files)).into_response())
}

async fn failed(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let batch = service.batch(&caller, &id).await?;
    let errors = wire::batch::batch(batch).errors;
    let rows = errors.into_iter().flat_map(|error| error.rows).collect();
    Ok(Json(wire::batch::data(rows)).into_response())
}

async fn meta(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    query: Pairs,
) -> Reply {
    let meta = service.batch_meta(&caller, &id).await?;
    let path = query.first("path");
    match wire::meta::at(&id, meta, path) {
        Some(Meta::Folder(listing)) => Ok(Json(listing).into_response()),
        Some(Meta::File(lines)) => Ok(([(CONTENT_TYPE, LINES)], lines).into_response()),
        None => Err(Refusal::new(
            ErrorCode::ResourceNotFound,
            format!(
                "meta files not found with path = [{}]",
                path.unwrap_or_default()
            ),
        )),
    }
}

async fn preview(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let rows = service.preview_dataset(&caller, &id).await?;
    Ok(Json(wire::batch::data(rows)).into_response())
}

async fn file(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    query: Pairs,
    method: Method,
    headers: HeaderMap,
) -> Reply {
    let Some(name) = query.first("path") else {
        let view = service.data_file(&caller, &id).await?;
        return Ok(Json(wire::batch::downloadable(view)).into_response());
    };
    let reader = service.open_data_file(&caller, &id, name).await?;
    let mut response = ranges::answer(reader, headers.get(RANGE), &method)?;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(PARQUET));
    Ok(response)
}
