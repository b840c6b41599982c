//! Batch ingestion (contract, 10.2).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use offtake_api_types::batch::UploadPreview;
use offtake_api_types::{Batch, UploadedFile};
use offtake_model::{ErrorCode, Fault};
use offtake_service::{
    BatchAction, Caller, PREVIEW_OPTIONS, Part, Service, UploadPreviewQuery, UploadTarget,
};
use tokio::time::timeout;

use crate::IMPORT;
use crate::body::JsonBody;
use crate::document::bodies;
use crate::document::says::{Says, header, query, says};
use crate::gate::Who;
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::reply::Reply;
use crate::routes::{needs, once};
use crate::table::Routes;
use crate::wire;

/// Longest path and query of an upload (contract, 10.2).
const URI_CHARS_MAX: usize = 2_000;

/// Longest silence while bytes arrive.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// Kinds of body that are taken as they are.
const BYTES: [&str; 7] = [
    "application/octet-stream",
    "application/json",
    "application/x-ndjson",
    "application/parquet",
    "application/vnd.apache.parquet",
    "text/csv",
    "text/plain",
];

pub(super) fn routes() -> Routes {
    of_batches().merge(of_files())
}

fn of_batches() -> Routes {
    let batches = format!("{IMPORT}/batches");
    let batch = format!("{batches}/{{id}}");
    Routes::default()
        .post(&batches, needs::MANAGE_DATASETS, create)
        .says(
            says("createBatch", "Makes a batch for a managed dataset")
                .note("The same `externalId` names the same batch.")
                .takes(bodies::NEW_BATCH)
                .once()
                .gives::<Batch>(201, "The batch.")
                .fails(&[ErrorCode::DatasetUnknown, ErrorCode::DatasetNotManaged])
                .fails(&[ErrorCode::InputFormatInvalid, ErrorCode::ResourceNotFound]),
        )
        .get(&batch, needs::VIEW_DATASETS, read)
        .says(
            says("getBatch", "Reads a batch")
                .gives::<Batch>(200, "The batch.")
                .fails(&[ErrorCode::ResourceNotFound]),
        )
        .post(&batch, needs::MANAGE_DATASETS, act)
        .says(
            says("actOnBatch", "Completes, gives up or takes back a batch")
                .with(&[query("action", "What to do.")
                    .words(&["COMPLETE", "ABORT", "FAIL", "REVERT"])
                    .required()])
                .gives::<Batch>(200, "The batch.")
                .fails(&[ErrorCode::ActionUnknown, ErrorCode::ResourceNotFound])
                .fails(&[ErrorCode::BatchStateInvalid, ErrorCode::UploadIncomplete]),
        )
}

fn of_files() -> Routes {
    let dataset = format!("{IMPORT}/batches/{{batch}}/datasets/{{dataset}}");
    let file = format!("{dataset}/files/{{*file}}");
    Routes::default()
        .get(&format!("{dataset}/preview"), needs::VIEW_DATASETS, preview)
        .says(
            says(
                "previewUploads",
                "Shows the first rows of the files that a batch has so far",
            )
            .note("The options are of CSV files, and stand in for the batch's own. Rows that cannot be read are left out.")
            .with(&PREVIEW_OPTIONS.map(|name| query(name, "How CSV files are written.")))
            .with(&[
                query("header", "Whether CSV files begin with the names of their columns, in any case."),
                query("nrow", "Rows, 5 when absent.").number(1, 9),
            ])
            .gives::<UploadPreview>(200, "The rows.")
            .fails(&[ErrorCode::ResourceNotFound, ErrorCode::BatchStateInvalid])
            .fails(&[ErrorCode::InputFormatInvalid, ErrorCode::PageInvalid])
            .fails(&[ErrorCode::BatchRowsInvalid, ErrorCode::CsvHeaderEmpty]),
        )
        .put(&file, needs::MANAGE_DATASETS, put_file)
        .says(
            upload("putBatchFile", "Uploads a file")
                .takes(bodies::FILE)
                .gives_nothing(201, "Taken.")
                .gives_nothing(200, "Taken in the place of another."),
        )
        .post(&file, needs::MANAGE_DATASETS, act_on_file)
        .says(
            upload(
                "actOnBatchFile",
                "Begins or completes a file that comes in parts",
            )
            .with(&[query("action", "What to do.")
                .words(&["INITIALIZE", "COMPLETE"])
                .required()])
            .gives_nothing(201, "Begun.")
            .gives::<UploadedFile>(200, "Completed; without a body when it was begun before.")
            .fails(&[ErrorCode::ActionUnknown]),
        )
        .patch(&file, needs::MANAGE_DATASETS, patch_file)
        .says(
            upload("patchBatchFile", "Uploads a part of a file")
                .with(&[header("Content-Range", "`bytes FIRST-LAST/TOTAL`.").required()])
                .takes(bodies::FILE)
                .gives::<UploadedFile>(200, "What is there without a gap."),
        )
        .head(&file, needs::VIEW_DATASETS, progress)
        .says(
            upload(
                "readBatchFileProgress",
                "Says in the header `Range` which bytes are there without a gap",
            )
            .gives_nothing(200, "The file is there or begun."),
        )
}

/// What may become of a request about a file.
fn upload(id: &'static str, summary: &'static str) -> Says {
    says(id, summary)
        .fails(&[ErrorCode::ResourceNotFound, ErrorCode::RouteNotFound])
        .fails(&[ErrorCode::BatchStateInvalid, ErrorCode::FieldInvalid])
        .fails(&[ErrorCode::UploadRangeInvalid, ErrorCode::UploadIncomplete])
        .fails(&[ErrorCode::UploadTooLarge, ErrorCode::UploadInterrupted])
        .fails(&[ErrorCode::FileEmpty, ErrorCode::MediaTypeUnsupported])
        .fails(&[ErrorCode::UriTooLong])
}

/// The file that a path names.
struct Target(UploadTarget);

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let length = parts.uri.path_and_query().map_or(0, |it| it.as_str().len());
        if length > URI_CHARS_MAX {
            return Err(Refusal::new(
                ErrorCode::UriTooLong,
                format!("path and query have {length} characters"),
            ));
        }
        let named = Path::<(String, String, String)>::from_request_parts(parts, state).await;
        let Path((batch, dataset, file)) = named.map_err(|_| {
            Refusal::new(
                ErrorCode::RouteNotFound,
                "the path names no file of a batch",
            )
        })?;
        Ok(Self(UploadTarget {
            batch,
            dataset,
            file,
        }))
    }
}

async fn create(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Reply {
    let batch = service.create_batch(&caller, once(&headers, &body)).await?;
    Ok((StatusCode::CREATED, Json(wire::batch::batch(batch))).into_response())
}

async fn read(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
) -> Reply {
    let batch = service.batch(&caller, &id).await?;
    Ok(Json(wire::batch::batch(batch)).into_response())
}

async fn act(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path(id): Path<String>,
    query: Pairs,
) -> Reply {
    let action = BatchAction::parse(query.first("action"))?;
    let batch = service.act_on_batch(&caller, &id, action).await?;
    Ok(Json(wire::batch::batch(batch)).into_response())
}

async fn preview(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Path((batch, dataset)): Path<(String, String)>,
    query: Pairs,
) -> Reply {
    let target = UploadTarget {
        batch,
        dataset,
        file: String::new(),
    };
    let asked = UploadPreviewQuery {
        options: PREVIEW_OPTIONS.map(|name| query.owned(name)),
        header: query.owned("header"),
        rows: query.owned("nrow"),
    };
    let (options, rows) = service.preview_uploads(&caller, &target, &asked).await?;
    Ok(Json(wire::batch::preview(options, rows)).into_response())
}

async fn put_file(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Target(target): Target,
    request: Request,
) -> Reply {
    let replaced = receive(&service, &caller, &target, Part::Whole, request).await?;
    Ok(if replaced {
        StatusCode::OK.into_response()
    } else {
        StatusCode::CREATED.into_response()
    })
}

async fn patch_file(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Target(target): Target,
    request: Request,
) -> Reply {
    let part = content_range(request.headers())?;
    receive(&service, &caller, &target, part, request).await?;
    let file = service.uploaded_file(&caller, &target).await?;
    Ok(Json(wire::batch::uploaded(file)).into_response())
}

async fn act_on_file(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Target(target): Target,
    query: Pairs,
) -> Reply {
    let word = query.first("action").unwrap_or_default();
    match word.to_ascii_uppercase().as_str() {
        "INITIALIZE" => {
            let new = service.initialize_file(&caller, &target).await?;
            let status = if new {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            Ok(status.into_response())
        }
        "COMPLETE" => {
            let file = service.complete_file(&caller, &target).await?;
            Ok(Json(wire::batch::uploaded(file)).into_response())
        }
        _ => Err(Refusal::new(
            ErrorCode::ActionUnknown,
            format!("action must be INITIALIZE or COMPLETE, not [{word}]"),
        )),
    }
}

async fn progress(
    State(service): State<Arc<Service>>,
    Who(caller): Who,
    Target(target): Target,
) -> Reply {
    let file = service.uploaded_file(&caller, &target).await?;
    let mut response = Response::new(Body::empty());
    if let Some(last) = file.bytes.checked_sub(1)
        && let Ok(value) = HeaderValue::from_str(&format!("bytes=0-{last}"))
    {
        response.headers_mut().insert(RANGE, value);
    }
    Ok(response)
}

/// Writes the body down as it arrives; nothing of it is held longer.
async fn receive(
    service: &Service,
    caller: &Caller,
    target: &UploadTarget,
    part: Part,
    request: Request,
) -> Result<bool, Refusal> {
    check_content_type(request.headers())?;
    let mut upload = service.begin_upload(caller, target, part).await?;
    let mut body = request.into_body().into_data_stream();
    loop {
        let Ok(next) = timeout(SILENCE_MAX, body.next()).await else {
            return Err(Refusal::new(
                ErrorCode::UploadInterrupted,
                format!("no byte of file `{}` came for a minute", target.file),
            ));
        };
        match next {
            None => break,
            Some(Ok(bytes)) => upload.write(bytes).await?,
            Some(Err(error)) => {
                let fault = Fault::new(
                    ErrorCode::UploadInterrupted,
                    format!("the bytes of file `{}` stopped", target.file),
                );
                return Err(Refusal(fault.because(&error)));
            }
        }
    }
    Ok(service.finish_upload(caller, target, upload).await?)
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    if BYTES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(essence))
    {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::MediaTypeUnsupported,
        "Content-Type must be application/octet-stream",
    ))
}

/// `bytes a-b/total`.
fn content_range(headers: &HeaderMap) -> Result<Part, Fault> {
    let invalid = || {
        Fault::new(
            ErrorCode::UploadRangeInvalid,
            "Content-Range must be `bytes FIRST-LAST/TOTAL`",
        )
    };
    let text = headers
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(invalid)?;
    let rest = text.trim().strip_prefix("bytes").ok_or_else(invalid)?;
    let rest = rest.trim_start_matches([' ', '=']);
    let (range, total) = rest.split_once('/').ok_or_else(invalid)?;
    let (first, last) = range.split_once('-').ok_or_else(invalid)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| invalid());
    Ok(Part::Range {
        start: number(first)?,
        end: number(last)?.checked_add(1).ok_or_else(invalid)?,
        total: number(total)?,
    })
}
