//! The files of landing zones that lie in a folder of this machine, for whoever shows a signature.
//!
//! Listing and download have the shapes of Azure's blob service, so that its clients take the signed address as it is:
//! `ContainerClient.from_container_url(SASUri)`. Without the protocol's parameters the listing is JSON.
//!
//! The one law: nothing is answered before the signature was found good, and nothing here writes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH, LAST_MODIFIED, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use offtake_api_types::landing_zone::{ListedFile, ZoneListing};
use offtake_model::{ErrorCode, Fault};
use offtake_service::{
    Depth, OpenZoneFile, Service, ShownSignature, ZONES, ZoneEntry, ZonePage, ZoneQuery,
    ZoneReader, http_date,
};

use crate::document::says::{Parameter, header, query, says};
use crate::problem::Refusal;
use crate::query::Pairs;
use crate::ranges;
use crate::table::{Needs, Routes};
use crate::wire::blob;

/// Most entries of one page.
const PAGE_MAX: usize = 5_000;

const MS_BLOB_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-type");
const MS_RANGE: HeaderName = HeaderName::from_static("x-ms-range");

pub(super) fn routes() -> Routes {
    let container = format!("{ZONES}/{{account}}/{{container}}");
    Routes::default()
        .get(&container, Needs::Signature, list)
        .says(
            says("listZoneFiles", "Lists a landing zone to whoever shows its signature")
                .note("With `comp=list` the answer is XML as the blob service's; its failures are XML always.")
                .with(&SIGNATURE)
                .with(&[
                    query("comp", "Asks for XML.").words(&["list"]),
                    query("prefix", "What names begin with."),
                    query("delimiter", "Shows folders by their names.").words(&["/"]),
                    query("marker", "From the page before."),
                    query("maxresults", "Most entries; 5,000 when absent or more.").number(1, u32::MAX),
                ])
                .gives::<ZoneListing>(200, "A page.")
                .fails(&OF_ZONE)
                .or_xml_from(200),
        )
        .get(
            &format!("{container}/{{*blob}}"),
            Needs::Signature,
            download,
        )
        .says(
            says("downloadZoneFile", "Sends a file of a landing zone to whoever shows its signature")
                .note("Answers HEAD, too.")
                .with(&SIGNATURE)
                .with(&[
                    header("Range", "`bytes=FIRST-LAST`: only these; answered 206."),
                    header("If-Match", "The file's tag: another file is refused."),
                ])
                .gives_bytes(200, "The file.", "application/octet-stream")
                .gives_bytes(206, "The part asked for.", "application/octet-stream")
                .fails(&OF_ZONE)
                .fails(&[ErrorCode::RangeNotSatisfiable, ErrorCode::VersionConflict])
                .or_xml_from(400),
        )
}

/// The parts of a signature; all are needed.
const SIGNATURE: [Parameter; 6] = [
    query("sv", "Version of the signature's form."),
    query("sr", "What is signed."),
    query("sp", "What it allows."),
    query("se", "When it ends."),
    query("si", "Its generation."),
    query("sig", "The signature."),
];

/// What can go wrong at every request.
const OF_ZONE: [ErrorCode; 8] = [
    ErrorCode::SignatureInvalid,
    ErrorCode::SignatureExpired,
    ErrorCode::ResourceNotFound,
    ErrorCode::FieldInvalid,
    ErrorCode::DestinationConflict,
    ErrorCode::DestinationDenied,
    ErrorCode::DestinationUnreachable,
    ErrorCode::DestinationFull,
];

async fn list(
    State(service): State<Arc<Service>>,
    Path((account, container)): Path<(String, String)>,
    query: Pairs,
) -> Response {
    let listed = async {
        let zone = open(&service, &account, &container, &query).await?;
        let asked = asked(&query)?;
        let page = zone.page(&asked).await?;
        Ok::<_, Fault>(if query.first("comp").is_some() {
            let body = blob::listing(&container, &asked, &page);
            ([(CONTENT_TYPE, blob::XML)], body).into_response()
        } else {
            Json(plain(page)).into_response()
        })
    };
    spoken(listed.await)
}

async fn download(
    State(service): State<Arc<Service>>,
    Path((account, container, key)): Path<(String, String, String)>,
    query: Pairs,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let sent = async {
        let zone = open(&service, &account, &container, &query).await?;
        let OpenZoneFile { file, reader } = zone.file(&key).await?;
        let etag = format!("\"{}\"", file.etag);
        check(&headers, &etag)?;
        let range = headers.get(MS_RANGE).or_else(|| headers.get(RANGE));
        let mut response = ranges::answer(reader, range, &method)?;
        let headers = response.headers_mut();
        for (name, value) in [(ETAG, etag), (LAST_MODIFIED, http_date(file.modified_at))] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        headers.insert(MS_BLOB_TYPE, HeaderValue::from_static(blob::KIND));
        Ok::<_, Fault>(response)
    };
    spoken(sent.await)
}

async fn open(
    service: &Service,
    account: &str,
    container: &str,
    query: &Pairs,
) -> Result<ZoneReader, Fault> {
    let shown = ShownSignature {
        version: query.first("sv"),
        resource: query.first("sr"),
        permissions: query.first("sp"),
        expiry: query.first("se"),
        identifier: query.first("si"),
        signature: query.first("sig"),
    };
    service.open_zone(account, container, &shown).await
}

/// Which page is asked for.
fn asked(query: &Pairs) -> Result<ZoneQuery, Fault> {
    let invalid = |message: &str| Fault::new(ErrorCode::FieldInvalid, message);
    if query.first("comp").is_some_and(|comp| comp != "list")
        || (query.first("restype").is_some() && query.first("comp").is_none())
    {
        return Err(invalid(
            "a signature of a landing zone lists and downloads: `comp` must be list",
        ));
    }
    let depth = match query.first("delimiter") {
        None | Some("") => Depth::Deep,
        Some("/") => Depth::Shallow,
        Some(_) => return Err(invalid("`delimiter` must be /")),
    };
    let limit = match query.first("maxresults") {
        None => PAGE_MAX,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| *limit >= 1)
            .ok_or_else(|| invalid("`maxresults` must be a number from 1"))?,
    };
    Ok(ZoneQuery {
        prefix: query.owned("prefix").unwrap_or_default(),
        after: query.owned("marker").filter(|marker| !marker.is_empty()),
        depth,
        limit: limit.min(PAGE_MAX),
    })
}

/// A download in pieces wants all of them from one file.
fn check(headers: &HeaderMap, etag: &str) -> Result<(), Fault> {
    match headers.get(IF_MATCH) {
        Some(wanted) if wanted != etag && wanted != "*" => Err(Fault::new(
            ErrorCode::VersionConflict,
            "the file is not the one that `If-Match` names",
        )),
        Some(_) | None => Ok(()),
    }
}

fn plain(page: ZonePage) -> ZoneListing {
    let mut listing = ZoneListing {
        files: Vec::new(),
        folders: Vec::new(),
        next_marker: page.next,
    };
    for entry in page.entries {
        match entry {
            ZoneEntry::Folder(name) => listing.folders.push(name),
            ZoneEntry::File(file) => listing.files.push(ListedFile {
                name: file.key,
                size: file.bytes,
                modified_at: file.modified_at.0,
                etag: file.etag,
            }),
        }
    }
    listing
}

/// The answer in the protocol, which names its version.
fn spoken(answer: Result<Response, Fault>) -> Response {
    let mut response = answer.unwrap_or_else(|fault| Refusal(fault).into_blob_response());
    response
        .headers_mut()
        .insert(blob::VERSION_HEADER, blob::VERSION);
    response
}
