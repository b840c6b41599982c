//! Keys by which clients repeat requests, in their table.
//!
//! The one law: of requests with the same key at the same time, one takes it.

use async_trait::async_trait;
use offtake_model::{ClientId, Fault, Millis, Tenant};
use offtake_ports::{RequestKey, RequestKeys};
use sqlx::FromRow;

use crate::failure::{Attempting, corrupt};
use crate::store::{Store, commit};

/// How long a key is remembered.
const KEPT_MILLIS: i64 = 7 * 24 * 60 * 60 * 1_000;

/// Most keys forgotten at a time.
const FORGOTTEN_MAX: i64 = 100;

#[async_trait]
impl RequestKeys for Store {
    async fn take(
        &self,
        tenant: &Tenant,
        wanted: &RequestKey,
    ) -> Result<Option<RequestKey>, Fault> {
        let mut tx = self.write().await?;
        sqlx::query(
            "DELETE FROM request_key WHERE (org, sandbox, client, collection, key) IN (
                 SELECT org, sandbox, client, collection, key FROM request_key WHERE taken_at < ?
                 ORDER BY taken_at LIMIT ?)",
        )
        .bind(wanted.taken_at.0.saturating_sub(KEPT_MILLIS))
        .bind(FORGOTTEN_MAX)
        .execute(&mut *tx)
        .await
        .attempting("forget old request keys")?;
        let known: Option<KeyRow> = sqlx::query_as(
            "SELECT request_sha256, made, taken_at FROM request_key
             WHERE org = ? AND sandbox = ? AND client = ? AND collection = ? AND key = ?",
        )
        .bind(tenant.org.as_str())
        .bind(tenant.sandbox.as_str())
        .bind(wanted.client.as_str())
        .bind(&wanted.collection)
        .bind(&wanted.key)
        .fetch_optional(&mut *tx)
        .await
        .attempting("read a request key")?;
        if let Some(known) = known {
            return known.into_key(wanted).map(Some);
        }
        sqlx::query(
            "INSERT INTO request_key (org, sandbox, client, collection, key, request_sha256, made, taken_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(tenant.org.as_str())
        .bind(tenant.sandbox.as_str())
        .bind(wanted.client.as_str())
        .bind(&wanted.collection)
        .bind(&wanted.key)
        .bind(&wanted.request_sha256[..])
        .bind(&wanted.made)
        .bind(wanted.taken_at.0)
        .execute(&mut *tx)
        .await
        .attempting("take a request key")?;
        commit(tx).await?;
        Ok(None)
    }
}

#[derive(FromRow)]
struct KeyRow {
    request_sha256: Vec<u8>,
    made: String,
    taken_at: i64,
}

impl KeyRow {
    fn into_key(self, wanted: &RequestKey) -> Result<RequestKey, Fault> {
        let request_sha256 = self
            .request_sha256
            .try_into()
            .map_err(|_| corrupt("stored digest of a request is none"))?;
        Ok(RequestKey {
            client: ClientId(wanted.client.as_str().to_owned()),
            collection: wanted.collection.clone(),
            key: wanted.key.clone(),
            request_sha256,
            made: self.made,
            taken_at: Millis(self.taken_at),
        })
    }
}
