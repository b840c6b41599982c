//! The data landing zone in its two documented shapes.

use axum::Json;
use axum::response::{IntoResponse, Response};
use offtake_api_types::landing_zone as wire;
use offtake_service::{ZoneCredentials, ZoneKeys, ZonePlace, ZoneView, signed_url};
use secrecy::ExposeSecret;

const AMAZON: &str = "Amazon S3";

/// Where the zone is and how long files stay.
pub(crate) fn zone(view: ZoneView) -> Response {
    let days = view.retention_days.unwrap_or(0);
    match view.place {
        ZonePlace::Container { container, .. } => Json(wire::ZoneContainer {
            container,
            ttl: days.to_string(),
        })
        .into_response(),
        ZonePlace::Bucket { bucket, folder } => Json(wire::ZoneFolder {
            dlz_path: path(bucket, folder),
            data_ttl: wire::DataTtl {
                time_unit: "days".to_owned(),
                time_quantity: days,
            },
            dlz_provider: AMAZON.to_owned(),
        })
        .into_response(),
    }
}

/// What lets receivers in.
pub(crate) fn credentials(found: ZoneCredentials) -> Response {
    let (bucket, folder) = match found.place {
        ZonePlace::Container { account, container } => (account, container),
        ZonePlace::Bucket { bucket, folder } => (bucket, folder),
    };
    match found.keys {
        ZoneKeys::Signature {
            url,
            token,
            expires_at,
        } => Json(wire::ZoneSignature {
            uri: signed_url(&url, &token),
            container: folder,
            account: bucket,
            token: token.expose_secret().to_owned(),
            expires_at: expires_at.secs(),
        })
        .into_response(),
        ZoneKeys::Temporary {
            access_key,
            secret_key,
            session_token,
            expires_at,
        } => Json(wire::ZoneAccess {
            credentials: wire::ZoneAwsKeys {
                aws_access_key_id: access_key,
                aws_secret_access_key: secret_key.expose_secret().to_owned(),
                aws_session_token: session_token.expose_secret().to_owned(),
            },
            dlz_path: path(bucket, folder),
            dlz_provider: AMAZON.to_owned(),
            expiry_time: expires_at.secs(),
        })
        .into_response(),
    }
}

fn path(bucket: String, folder: String) -> wire::ZonePath {
    wire::ZonePath {
        bucket_name: bucket,
        dlz_folder: folder,
    }
}
