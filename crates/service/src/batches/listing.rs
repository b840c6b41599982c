//! The catalogue's list of batches (contract, 10.1).

use offtake_model::batch::{Batch, BatchQuery, BatchState};
use offtake_model::{DatasetId, Fault, Millis};

use crate::identity::Caller;
use crate::listing::page_invalid;
use crate::service::Service;
use crate::walk::{self, OffsetPage};

/// Parameters of the list, as they stand in the query.
#[derive(Clone, Debug, Default)]
pub struct BatchListQuery {
    /// `limit`.
    pub limit: Option<String>,
    /// `start`.
    pub start: Option<String>,
    /// `dataSet`.
    pub dataset: Option<String>,
    /// `status`: words separated by commas.
    pub status: Option<String>,
    /// `orderBy`: `asc:` or `desc:` and `created` or `updated`.
    pub order_by: Option<String>,
    /// `createdAfter`, `createdBefore`, `startAfter`, `startBefore`, `endAfter`, `endBefore`.
    pub times: [Option<String>; 6],
}

impl Service {
    /// A page of batches, newest first unless asked otherwise.
    pub async fn list_batches(
        &self,
        caller: &Caller,
        query: &BatchListQuery,
    ) -> Result<OffsetPage<Batch>, Fault> {
        let (start, limit) = walk::offsets(query.start.as_deref(), query.limit.as_deref())?;
        let wanted = BatchQuery {
            dataset: query.dataset.clone().map(DatasetId),
            states: states(query.status.as_deref()),
        };
        let times = Times::parse(&query.times)?;
        if query.status.is_some() && wanted.states.is_empty() {
            return Ok(walk::page(Vec::new(), start, limit));
        }
        let mut all = walk::all("batches", |request| {
            let wanted = &wanted;
            async move { self.batches.list(&caller.tenant, wanted, &request).await }
        })
        .await?;
        all.retain(|batch| times.hold(batch));
        order(&mut all, query.order_by.as_deref())?;
        Ok(walk::page(all, start, limit))
    }
}

/// Known states among the words; `active` is what a current success is called, too.
fn states(words: Option<&str>) -> Vec<BatchState> {
    let words = words.unwrap_or_default().split(',').map(str::trim);
    words
        .filter_map(|word| match word.to_ascii_lowercase().as_str() {
            "active" => Some(BatchState::Success),
            "failure" => Some(BatchState::Failed),
            other => BatchState::parse(other),
        })
        .collect()
}

/// Bounds of three instants, after and before each.
struct Times([Option<i64>; 6]);

impl Times {
    fn parse(given: &[Option<String>; 6]) -> Result<Self, Fault> {
        let mut times = [None; 6];
        for (time, text) in times.iter_mut().zip(given) {
            if let Some(text) = text {
                *time = Some(text.parse().map_err(|_| {
                    page_invalid(format!(
                        "a time must be in epoch milliseconds, not [{text}]"
                    ))
                })?);
            }
        }
        Ok(Self(times))
    }

    fn hold(&self, batch: &Batch) -> bool {
        let within = |at: Option<Millis>, after: Option<i64>, before: Option<i64>| {
            let later = after.is_none_or(|after| at.is_some_and(|at| at.0 > after));
            let earlier = before.is_none_or(|before| at.is_some_and(|at| at.0 < before));
            later && earlier
        };
        let [
            after,
            before,
            start_after,
            start_before,
            end_after,
            end_before,
        ] = self.0;
        within(Some(batch.audit.created_at), after, before)
            && within(batch.details.started_at, start_after, start_before)
            && within(batch.details.ended_at, end_after, end_before)
    }
}

fn order(batches: &mut [Batch], given: Option<&str>) -> Result<(), Fault> {
    let Some(given) = given else {
        return Ok(());
    };
    let (direction, field) = given.split_once(':').unwrap_or(("asc", given));
    match field {
        "created" => batches.sort_by_key(|batch| (batch.audit.created_at, batch.id.clone())),
        "updated" => batches.sort_by_key(|batch| (batch.audit.updated_at, batch.id.clone())),
        _ => {
            return Err(page_invalid(format!(
                "orderBy cannot be [{given}]; use asc: or desc: and created or updated"
            )));
        }
    }
    if direction == "desc" {
        batches.reverse();
    }
    Ok(())
}
