//! `/ims/token/v3` with a form, `/ims/token/v2` with a form or query parameters (contract, 2.4).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use offtake_api_types::TokenResponse;
use offtake_model::ErrorCode;
use offtake_service::{Grant, Service};
use secrecy::{ExposeSecret, SecretString};

use crate::body;
use crate::document::bodies;
use crate::document::says::says;
use crate::query::Pairs;
use crate::reply::Reply;
use crate::table::{Needs, Routes};

pub(super) fn routes() -> Routes {
    let token = |id, summary| {
        says(id, summary)
            .takes(bodies::TOKEN)
            .gives::<TokenResponse>(200, "A token for a day.")
            .fails(&[ErrorCode::ClientAuthInvalid, ErrorCode::GrantTypeInvalid])
    };
    Routes::default()
        .post("/ims/token/v3", Needs::Nothing, by_form)
        .says(token("getToken", "Gives a client a token for its secret"))
        .post("/ims/token/v2", Needs::Nothing, by_form_or_query)
        .says(token(
            "getTokenV2",
            "The same, also with the form's values as query parameters",
        ))
}

async fn by_form(State(service): State<Arc<Service>>, request: Request) -> Reply {
    let form = Pairs::parse(&body::read(request).await?);
    issue(&service, &form).await
}

async fn by_form_or_query(
    State(service): State<Arc<Service>>,
    query: Pairs,
    request: Request,
) -> Reply {
    let form = Pairs::parse(&body::read(request).await?);
    let given = if form.first("grant_type").is_some() {
        form
    } else {
        query
    };
    issue(&service, &given).await
}

async fn issue(service: &Service, given: &Pairs) -> Reply {
    let grant = Grant {
        grant_type: given.owned("grant_type").unwrap_or_default(),
        client_id: given.owned("client_id").unwrap_or_default(),
        client_secret: SecretString::from(given.owned("client_secret").unwrap_or_default()),
    };
    let issued = service.issue_token(&grant).await?;
    let answer = TokenResponse {
        access_token: issued.token.expose_secret().to_owned(),
        token_type: "bearer".to_owned(),
        expires_in: issued.expires_in,
    };
    Ok(Json(answer).into_response())
}
