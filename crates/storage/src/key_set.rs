//! The keys of an issuer of tokens, fetched through the guarded door.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, StatusCode};
use offtake_model::{ErrorCode, Fault};
use offtake_ports::KeySetSource;
use url::Url;

use crate::door::Door;
use crate::network::{Network, unusable};

/// Where an issuer shows its keys.
#[derive(Debug)]
pub struct HttpKeySet {
    door: Door,
    url: Url,
}

impl HttpKeySet {
    /// The keys at that address. Plain HTTP is refused but to networks that the operator names.
    ///
    /// # Errors
    /// `FIELD_INVALID` when the address is none.
    pub fn new(network: &Network, url: &str) -> Result<Self, Fault> {
        let url = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        Ok(Self {
            door: network.door(),
            url: url.ok_or_else(|| {
                unusable("`oidc.jwks_url` is not an address such as https://login.example.com/keys")
            })?,
        })
    }
}

#[async_trait]
impl KeySetSource for HttpKeySet {
    async fn fetch(&self) -> Result<Vec<u8>, Fault> {
        let host = self.url.host_str().unwrap_or_default();
        let request = Request::get(self.url.as_str())
            .header("accept", "application/json")
            .body(Bytes::new())
            .map_err(|error| {
                Fault::new(ErrorCode::Internal, "ask for the keys of an issuer").because(&error)
            })?;
        let answer = self.door.send(request).await.map_err(|none| {
            let fault = none.into_fault();
            tracing::warn!(%fault, "the keys of the issuer of tokens could not be fetched");
            fault
        })?;
        if answer.status() != StatusCode::OK {
            tracing::warn!(
                status = answer.status().as_u16(),
                host,
                "the issuer of tokens shows no keys"
            );
            return Err(Fault::new(
                ErrorCode::SourceUnreachable,
                format!(
                    "{host} answers {} instead of keys",
                    answer.status().as_u16()
                ),
            ));
        }
        Ok(answer.into_body().to_vec())
    }
}
