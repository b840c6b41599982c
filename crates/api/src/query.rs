//! Query strings, as they are: repeated parameters, values with `==` in them.

use axum::extract::FromRequestParts;
use http::request::Parts;
use offtake_service::ListParams;
use url::form_urlencoded;

use crate::problem::Refusal;

/// The query's pairs, in order.
#[derive(Default)]
pub(crate) struct Pairs(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Pairs {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        Ok(Self::parse(
            parts.uri.query().unwrap_or_default().as_bytes(),
        ))
    }
}

impl Pairs {
    /// Decodes `a=b&c=d`, as in queries and form bodies.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of that name.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of that name, owned.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.first(name).map(str::to_owned)
    }

    /// Every pair, in order.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Every value of that name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// The parameters of a list (contract, 4.2).
    pub(crate) fn list(&self) -> ListParams {
        ListParams {
            limit: self.owned("limit"),
            order_by: self.owned("orderby").or_else(|| self.owned("orderBy")),
            count: self.owned("count"),
            token: self.owned("continuationToken"),
            properties: self.all("property"),
            search: false,
        }
    }
}
