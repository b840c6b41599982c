//! Data access: listing, downloading and previewing what batches brought (contract, 10.3).

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use offtake_api_types::batch::BadRow;
use offtake_api_types::{DataFile, DataOf, DownloadableFile};
use offtake_model::{ErrorCode, Fault};
use offtake_service::{RangeReader, Service};
use serde_json::Value;

use crate::EXPORT;
use crate::document::says::{header, query, says};
use crate::gate::Who;
use crate::query::Pairs;
use crate::reply::Reply;
use crate::routes::needs;
use crate::table::Routes;
use crate::wire;

/// Bytes read at a time while a file is sent.
const CHUNK_BYTES: u64 = 512 * 1024;

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
    let size = reader.size();
    let asked = headers.get(RANGE).filter(|_| method != Method::HEAD);
    let range = asked
        .map(|value| part(value.to_str().unwrap_or_default(), size))
        .transpose()?;
    let (start, end) = range.unwrap_or((0, size));
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        sent(reader, start, end)
    };
    let mut response = Response::new(body);
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let text = format!("bytes {start}-{}/{size}", end.saturating_sub(1));
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(CONTENT_RANGE, value);
        }
    }
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(end - start));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PARQUET));
    Ok(response)
}

fn sent(reader: Arc<dyn RangeReader>, start: u64, end: u64) -> Body {
    let chunks = stream::unfold((reader, start), move |(reader, at)| async move {
        if at >= end {
            return None;
        }
        let next = end.min(at + CHUNK_BYTES);
        let bytes = reader.read(at..next).await;
        Some((bytes, (reader, next)))
    });
    Body::from_stream(chunks)
}

/// One range of a file: first byte and one after the last.
fn part(text: &str, size: u64) -> Result<(u64, u64), Fault> {
    let invalid = || {
        Fault::new(
            ErrorCode::RangeNotSatisfiable,
            format!("range [{text}] is no single range of a file of {size} bytes"),
        )
    };
    let range = text.strip_prefix("bytes=").ok_or_else(invalid)?;
    let (first, last) = range.split_once('-').ok_or_else(invalid)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| invalid());
    let (start, end) = match (first.trim(), last.trim()) {
        ("", suffix) => (size.saturating_sub(number(suffix)?), size),
        (first, "") => (number(first)?, size),
        (first, last) => (number(first)?, number(last)?.saturating_add(1).min(size)),
    };
    if start < end {
        return Ok((start, end));
    }
    Err(invalid())
}
