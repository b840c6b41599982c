//! A new key while the service runs.
//!
//! First the new key is on disk and the old one has a name of its own; from then on everything is sealed with the new
//! one, and both open. Then what the old one sealed is sealed anew, row by row. At last, when nothing is left and its
//! time is over, the old key is removed. Cut off anywhere, each step can be taken again.
//!
//! The one law: a key is removed only after the database, asked in that moment, holds nothing sealed with it.

use std::time::Duration;

use async_trait::async_trait;
use offtake_model::{Fault, Millis, OrgId, SandboxName, Tenant};
use offtake_ports::{KeyState, Keys};
use sqlx::FromRow;

use super::{KeyFileSecrets, envelope, key_file, ring};
use crate::failure::{Attempting, corrupt};
use crate::store::{Store, commit};

/// Rows sealed anew in one transaction: a request that writes waits for no more.
const STEP_ROWS: u32 = 20;

/// Steps of one call; what is left over is the next call's.
const STEPS_MAX: u32 = 500;

/// The keys behind the secrets of a store.
#[derive(Clone)]
pub struct StoredKeys {
    store: Store,
    secrets: KeyFileSecrets,
    place: fn(&str) -> String,
}

impl StoredKeys {
    /// The keys of `secrets`, for what is sealed in `store`; `place` says where a connection's secrets belong.
    pub fn new(store: Store, secrets: KeyFileSecrets, place: fn(&str) -> String) -> Self {
        Self {
            store,
            secrets,
            place,
        }
    }

    /// Seals anew some of what other keys sealed. Says how many rows that were.
    async fn step(&self) -> Result<u32, Fault> {
        let current = self.secrets.ring().current().id().to_owned();
        let mut tx = self.store.write().await?;
        let rows: Vec<SealedRow> = sqlx::query_as(
            "SELECT rowid, org, sandbox, id, json_extract(body, '$.value.auth.sealed') AS sealed
             FROM resource WHERE kind = 'connection' AND json_extract(body, '$.value.auth.sealed') IS NOT NULL
               AND json_extract(body, '$.value.auth.sealed') NOT LIKE ? LIMIT ?",
        )
        .bind(sealed_by(&current))
        .bind(STEP_ROWS)
        .fetch_all(&mut *tx)
        .await
        .attempting("look for secrets of former keys")?;
        let mut done = 0;
        for row in rows {
            let text = self.sealed_anew(&row)?;
            sqlx::query(
                "UPDATE resource SET body = json_set(body, '$.value.auth.sealed', ?) WHERE rowid = ?",
            )
            .bind(text)
            .bind(row.rowid)
            .execute(&mut *tx)
            .await
            .attempting(format_args!("seal the secret of connection {} anew", row.id))?;
            done += 1;
        }
        commit(tx).await?;
        Ok(done)
    }

    fn sealed_anew(&self, row: &SealedRow) -> Result<String, Fault> {
        let tenant = Tenant {
            org: OrgId(row.org.clone()),
            sandbox: SandboxName(row.sandbox.clone()),
        };
        let place = (self.place)(&row.id);
        let plain = self.secrets.open_text(&tenant, &place, &row.sealed)?;
        self.secrets.ring().seal(&tenant, &place, &plain)
    }

    async fn count(&self, id: &str) -> Result<u64, Fault> {
        let mut tx = self.store.read().await?;
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM resource
             WHERE kind = 'connection' AND json_extract(body, '$.value.auth.sealed') LIKE ?",
        )
        .bind(sealed_by(id))
        .fetch_one(&mut *tx)
        .await
        .attempting("count the secrets of a key")?;
        u64::try_from(count).map_err(|_| corrupt("a count is negative"))
    }
}

#[async_trait]
impl Keys for StoredKeys {
    fn derive(&self, purpose: &str) -> Vec<offtake_ports::DerivedKey> {
        self.secrets.derive(purpose)
    }

    async fn list(&self) -> Result<Vec<KeyState>, Fault> {
        let ring = self.secrets.ring();
        let current = ring.current().id().to_owned();
        let mut keys = vec![(current, None)];
        for id in ring.former_ids() {
            let since = key_file::since(&ring::former_path(&self.secrets.dir, &id))?;
            keys.push((id, Some(since)));
        }
        let mut states = Vec::with_capacity(keys.len());
        for (id, former_since) in keys {
            states.push(KeyState {
                secrets: self.count(&id).await?,
                id,
                former_since,
            });
        }
        Ok(states)
    }

    async fn rotate(&self) -> Result<String, Fault> {
        key_file::rotate(&self.secrets.dir, self.store.now(), |id| {
            ring::former_path(&self.secrets.dir, id)
        })?;
        let ring = self.secrets.reload()?;
        tracing::info!(
            key = ring.current().id(),
            "seals with a new key from now on"
        );
        Ok(ring.current().id().to_owned())
    }

    async fn reseal(&self) -> Result<u64, Fault> {
        if self.secrets.ring().former_ids().is_empty() {
            return Ok(0);
        }
        let mut resealed = 0;
        for _ in 0..STEPS_MAX {
            let done = self.step().await?;
            resealed += u64::from(done);
            if done < STEP_ROWS {
                break;
            }
        }
        Ok(resealed)
    }

    async fn retire(&self, older_than: Duration) -> Result<Vec<String>, Fault> {
        let mut retired = Vec::new();
        let age = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        let before = Millis(self.store.now().0.saturating_sub(age));
        for id in self.secrets.ring().former_ids() {
            let path = ring::former_path(&self.secrets.dir, &id);
            if key_file::since(&path)? > before {
                continue;
            }
            self.reseal().await?;
            if self.count(&id).await? > 0 {
                continue;
            }
            key_file::remove(&self.secrets.dir, &path)?;
            tracing::info!(key = %id, "retired a former key");
            retired.push(id);
        }
        if !retired.is_empty() {
            self.secrets.reload()?;
        }
        Ok(retired)
    }
}

/// What begins like this was sealed with the key. Ids are hexadecimal, so that none is a pattern.
fn sealed_by(id: &str) -> String {
    format!("{}.{id}.%", envelope::FORM)
}

#[derive(FromRow)]
struct SealedRow {
    rowid: i64,
    org: String,
    sandbox: String,
    id: String,
    sealed: String,
}
