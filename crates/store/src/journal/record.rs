//! Reading a delivery back: its record, its flow's cursor, what an ended one may have left behind.
//!
//! The one law: a record is read in one transaction, so its parts fit together.

use offtake_model::delivery::{AbortThen, Cursor, Leftover};
use offtake_model::{
    Attempt, DatasetId, DeliveryId, DeliveryRecord, ExportPlan, Fault, FlowId, Lease, Millis, Run,
    SealedFile, Winner,
};
use sqlx::{FromRow, SqliteConnection};

use super::planned;
use crate::failure::{Attempting, corrupt};
use crate::rows::run::RunRow;
use crate::rows::{counter, from_json, parse_id, parse_state, signed};

pub(super) async fn load(
    db: &mut SqliteConnection,
    lease: &Lease,
) -> Result<Option<DeliveryRecord>, Fault> {
    let row: Option<RecordRow> = sqlx::query_as(
        "SELECT id, run_id, dataset_id, state, rev, resume, abort_then, attempt, credential_waits, claims_lost,
                cancel_requested, plan, task_count, manifest, fault
         FROM delivery WHERE id = ? AND lease_epoch = ? AND lease_owner = ?",
    )
    .bind(lease.delivery.to_string())
    .bind(signed(lease.epoch))
    .bind(&lease.owner)
    .fetch_optional(&mut *db)
    .await
    .attempting(format_args!("read delivery {}", lease.delivery))?;
    let Some(row) = row else {
        return Ok(None);
    };
    let run = run(db, &row.run_id).await?;
    let attempts = attempts(db, &row.id).await?;
    let winners = winners(db, &row.id).await?;
    let plan = match &row.plan {
        Some(head) => Some(planned::load(db, lease.delivery, head, row.task_count).await?),
        None => None,
    };
    row.into_record(run, plan, attempts, winners).map(Some)
}

pub(crate) async fn cursor(
    db: &mut SqliteConnection,
    flow: FlowId,
    dataset: &DatasetId,
) -> Result<Option<Cursor>, Fault> {
    let row: Option<(String, i64)> =
        sqlx::query_as("SELECT position, seq FROM cursor WHERE flow_id = ? AND dataset_id = ?")
            .bind(flow.to_string())
            .bind(dataset.as_str())
            .fetch_optional(db)
            .await
            .attempting(format_args!(
                "read the cursor of flow {flow} and dataset {dataset}"
            ))?;
    row.map(|(position, seq)| {
        Ok(Cursor {
            position: from_json(&position, "position")?,
            seq: counter(seq, "cursor number")?,
        })
    })
    .transpose()
}

pub(super) async fn plan(
    db: &mut SqliteConnection,
    delivery: DeliveryId,
) -> Result<Option<ExportPlan>, Fault> {
    let row: Option<(String, Option<i64>)> = sqlx::query_as(
        "SELECT plan, task_count FROM delivery WHERE id = ? AND state = 'succeeded'",
    )
    .bind(delivery.to_string())
    .fetch_optional(&mut *db)
    .await
    .attempting(format_args!("read the plan of delivery {delivery}"))?;
    match row {
        Some((head, count)) => planned::load(db, delivery, &head, count).await.map(Some),
        None => Ok(None),
    }
}

pub(super) async fn leftovers(
    db: &mut SqliteConnection,
    before: Millis,
    limit: u32,
) -> Result<Vec<Leftover>, Fault> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT d.id, d.run_id FROM delivery d
         WHERE d.completed_at < ?
           AND d.id IN (SELECT delivery_id FROM attempt WHERE state = 'staged')
         ORDER BY d.completed_at, d.n LIMIT ?",
    )
    .bind(before.0)
    .bind(limit)
    .fetch_all(&mut *db)
    .await
    .attempting("list ended deliveries with staged files")?;
    let mut found = Vec::with_capacity(rows.len());
    for (id, run_id) in rows {
        let run = run(db, &run_id).await?;
        let attempts = staged(db, &id).await?;
        found.push(Leftover {
            delivery: parse_id(&id, "delivery")?,
            run: run.id,
            sink: run.spec.sink,
            attempts,
        });
    }
    Ok(found)
}

async fn run(db: &mut SqliteConnection, id: &str) -> Result<Run, Fault> {
    let row: RunRow = sqlx::query_as("SELECT * FROM run WHERE id = ?")
        .bind(id)
        .fetch_one(db)
        .await
        .attempting(format_args!("read run {id}"))?;
    row.try_into()
}

async fn attempts(db: &mut SqliteConnection, delivery: &str) -> Result<Vec<Attempt>, Fault> {
    let rows: Vec<AttemptRow> =
        sqlx::query_as("SELECT * FROM attempt WHERE delivery_id = ? ORDER BY rowid")
            .bind(delivery)
            .fetch_all(db)
            .await
            .attempting(format_args!("read the attempts of delivery {delivery}"))?;
    rows.into_iter().map(Attempt::try_from).collect()
}

async fn staged(db: &mut SqliteConnection, delivery: &str) -> Result<Vec<Attempt>, Fault> {
    let rows: Vec<AttemptRow> = sqlx::query_as(
        "SELECT * FROM attempt WHERE delivery_id = ? AND state = 'staged' ORDER BY rowid",
    )
    .bind(delivery)
    .fetch_all(db)
    .await
    .attempting(format_args!(
        "read the staged attempts of delivery {delivery}"
    ))?;
    rows.into_iter().map(Attempt::try_from).collect()
}

async fn winners(db: &mut SqliteConnection, delivery: &str) -> Result<Vec<Winner>, Fault> {
    let rows: Vec<(u32, String, String)> = sqlx::query_as(
        "SELECT task, attempt_id, file FROM winner WHERE delivery_id = ? ORDER BY task",
    )
    .bind(delivery)
    .fetch_all(db)
    .await
    .attempting(format_args!("read the winners of delivery {delivery}"))?;
    rows.into_iter()
        .map(|(task, attempt, file)| {
            Ok(Winner {
                task,
                attempt: parse_id(&attempt, "attempt")?,
                file: from_json::<SealedFile>(&file, "sealed file")?,
            })
        })
        .collect()
}

#[derive(FromRow)]
struct RecordRow {
    id: String,
    run_id: String,
    dataset_id: String,
    state: String,
    rev: i64,
    resume: Option<String>,
    abort_then: Option<String>,
    attempt: i64,
    credential_waits: i64,
    claims_lost: i64,
    cancel_requested: bool,
    plan: Option<String>,
    task_count: Option<i64>,
    manifest: Option<Vec<u8>>,
    fault: Option<String>,
}

impl RecordRow {
    fn into_record(
        self,
        run: Run,
        plan: Option<ExportPlan>,
        attempts: Vec<Attempt>,
        winners: Vec<Winner>,
    ) -> Result<DeliveryRecord, Fault> {
        Ok(DeliveryRecord {
            id: parse_id(&self.id, "delivery")?,
            run,
            dataset: DatasetId(self.dataset_id),
            state: parse_state(&self.state)?,
            rev: counter(self.rev, "freeze revision")?,
            resume: self.resume.as_deref().map(parse_state).transpose()?,
            abort_then: self.abort_then.as_deref().map(parse_ending).transpose()?,
            attempt: counter(self.attempt, "attempt count")?,
            credential_waits: counter(self.credential_waits, "count of waits for credentials")?,
            claims_lost: counter(self.claims_lost, "count of lost claims")?,
            cancel_requested: self.cancel_requested,
            plan,
            attempts,
            winners,
            manifest: self.manifest,
            fault: self
                .fault
                .map(|fault| from_json(&fault, "fault"))
                .transpose()?,
        })
    }
}

fn parse_ending(name: &str) -> Result<AbortThen, Fault> {
    match name {
        "failed" => Ok(AbortThen::Failed),
        "cancelled" => Ok(AbortThen::Cancelled),
        _ => Err(corrupt(format_args!("no abort ends as {name:?}"))),
    }
}

#[derive(FromRow)]
struct AttemptRow {
    id: String,
    task: u32,
    epoch: i64,
    handle: Option<String>,
    state: String,
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = Fault;

    fn try_from(row: AttemptRow) -> Result<Self, Fault> {
        Ok(Self {
            task: row.task,
            id: parse_id(&row.id, "attempt")?,
            epoch: counter(row.epoch, "lease epoch")?,
            handle: row
                .handle
                .map(|handle| from_json(&handle, "stage handle"))
                .transpose()?,
            discarded: row.state == "discarded",
        })
    }
}
