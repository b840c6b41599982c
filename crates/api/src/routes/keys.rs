//! The keys behind secrets and tokens. An extension.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use offtake_api_types::keys::Keys;
use offtake_service::Service;

use crate::document::says::says;
use crate::gate::Who;
use crate::reply::Reply;
use crate::routes::needs;
use crate::table::Routes;
use crate::wire;

const KEYS: &str = "/offtake/v1/keys";

pub(super) fn routes() -> Routes {
    Routes::default()
        .get(KEYS, needs::MANAGE_SERVER, list)
        .says(
            says("listKeys", "Lists the keys behind secrets and tokens")
                .gives::<Keys>(200, "All of them."),
        )
        .post(&format!("{KEYS}/rotate"), needs::MANAGE_SERVER, rotate)
        .says(
            says(
                "rotateKeys",
                "Seals with a new key from now on, and anew what is sealed",
            )
            .gives::<Keys>(200, "The keys."),
        )
        .post(&format!("{KEYS}/retire"), needs::MANAGE_SERVER, retire)
        .says(
            says("retireKeys", "Removes former keys at once")
                .gives::<Keys>(200, "The keys that are left."),
        )
}

async fn list(State(service): State<Arc<Service>>) -> Reply {
    Ok(Json(wire::keys::keys(&service.keys().await?)).into_response())
}

async fn rotate(State(service): State<Arc<Service>>, Who(caller): Who) -> Reply {
    let keys = service.rotate_keys(&caller).await?;
    Ok(Json(wire::keys::keys(&keys)).into_response())
}

async fn retire(State(service): State<Arc<Service>>, Who(caller): Who) -> Reply {
    let keys = service.retire_keys(&caller).await?;
    Ok(Json(wire::keys::keys(&keys)).into_response())
}
