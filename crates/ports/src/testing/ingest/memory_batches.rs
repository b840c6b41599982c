//! Batches in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use offtake_model::batch::{Batch, BatchQuery, BatchState};
use offtake_model::{Actor, BatchId, ErrorCode, Fault, Millis, Revision, Tenant};

use crate::batches::{BatchStore, Inserted};
use crate::resources::{Page, PageRequest, Replaced};

/// Keeps batches while it lives. Nothing is written down with a change: there is no log here.
#[derive(Debug, Default)]
pub struct MemoryBatches {
    kept: Mutex<Vec<Batch>>,
}

impl MemoryBatches {
    fn kept(&self) -> MutexGuard<'_, Vec<Batch>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of_state(&self, limit: u32, wanted: impl Fn(&Batch) -> bool) -> Vec<Batch> {
        let mut found: Vec<Batch> = self
            .kept()
            .iter()
            .filter(|it| wanted(it))
            .cloned()
            .collect();
        found.sort_by(|a, b| (a.audit.updated_at, &a.id.0).cmp(&(b.audit.updated_at, &b.id.0)));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        found
    }
}

/// Where a batch stands in lists.
fn place(batch: &Batch) -> (i64, String) {
    (batch.audit.created_at.0, batch.id.0.clone())
}

#[async_trait]
impl BatchStore for MemoryBatches {
    async fn insert(&self, batch: &Batch, _by: &Actor) -> Result<Inserted, Fault> {
        let mut kept = self.kept();
        let known = kept.iter().find(|it| {
            it.external_id.is_some()
                && it.external_id == batch.external_id
                && (&it.tenant, &it.dataset) == (&batch.tenant, &batch.dataset)
                && !matches!(
                    it.state,
                    BatchState::Failed | BatchState::Aborted | BatchState::Inactive
                )
        });
        if let Some(known) = known {
            return Ok(Inserted::Known(Box::new(known.clone())));
        }
        if kept.iter().any(|it| it.id == batch.id) {
            return Err(Fault::new(
                ErrorCode::StoreUnavailable,
                format!("batch {} is there already", batch.id),
            ));
        }
        kept.push(Batch {
            revision: Revision(1),
            ..batch.clone()
        });
        Ok(Inserted::New)
    }

    async fn get(&self, tenant: &Tenant, id: &BatchId) -> Result<Option<Batch>, Fault> {
        let kept = self.kept();
        let mut found = kept.iter().filter(|it| it.tenant == *tenant);
        Ok(found.find(|it| it.id == *id).cloned())
    }

    async fn list(
        &self,
        tenant: &Tenant,
        query: &BatchQuery,
        page: &PageRequest,
    ) -> Result<Page<Batch>, Fault> {
        let mut found: Vec<Batch> = self
            .kept()
            .iter()
            .filter(|it| {
                it.tenant == *tenant
                    && query.dataset.as_ref().is_none_or(|id| *id == it.dataset)
                    && (query.states.is_empty() || query.states.contains(&it.state))
            })
            .cloned()
            .collect();
        found.sort_by_key(|it| std::cmp::Reverse(place(it)));
        if let Some(after) = &page.after {
            found.retain(|it| place(it) < *after);
        }
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let skipped = usize::try_from(page.offset).unwrap_or(usize::MAX);
        let mut items: Vec<Batch> = found.into_iter().skip(skipped).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(place);
        Ok(Page { items, next })
    }

    async fn replace(
        &self,
        batch: &Batch,
        expected: Revision,
        _by: Option<&Actor>,
    ) -> Result<Replaced, Fault> {
        let mut kept = self.kept();
        let mut found = kept.iter_mut().filter(|it| it.tenant == batch.tenant);
        match found.find(|it| it.id == batch.id && it.revision == expected) {
            None => Ok(Replaced::Conflict),
            Some(stored) => {
                stored.revision = Revision(expected.0.saturating_add(1));
                stored.state = batch.state;
                stored.details = batch.details.clone();
                stored.audit.updated_at = batch.audit.updated_at;
                stored.audit.updated_by.clone_from(&batch.audit.updated_by);
                stored
                    .audit
                    .updated_client
                    .clone_from(&batch.audit.updated_client);
                Ok(Replaced::Done)
            }
        }
    }

    async fn waiting(&self, limit: u32) -> Result<Vec<Batch>, Fault> {
        let waits = |it: &Batch| matches!(it.state, BatchState::Loaded | BatchState::Staging);
        Ok(self.of_state(limit, waits))
    }

    async fn stale(&self, before: Millis, limit: u32) -> Result<Vec<Batch>, Fault> {
        let forgotten =
            |it: &Batch| it.state == BatchState::Loading && it.audit.updated_at < before;
        Ok(self.of_state(limit, forgotten))
    }
}
