//! Attempts and their winners.
//!
//! The one law: an attempt is in the journal before anything of it can exist outside, and one that was given up
//! never wins.

use offtake_model::{Attempt, AttemptId, DeliveryId, Fault, Lease, StageHandle, Winner};
use offtake_ports::{Applied, Recorded};
use sqlx::SqliteConnection;

use super::guarded;
use crate::failure::{Attempting, corrupt};
use crate::rows::{signed, to_json};

pub(super) async fn begin(
    db: &mut SqliteConnection,
    lease: &Lease,
    attempt: &Attempt,
) -> Result<Applied, Fault> {
    let handle = handle_json(attempt.handle.as_ref())?;
    let done = sqlx::query(
        "INSERT INTO attempt (id, delivery_id, task, epoch, handle, state)
         SELECT ?, id, ?, lease_epoch, ?, 'staged' FROM delivery
         WHERE id = ? AND lease_epoch = ? AND lease_owner = ? AND state = 'executing'",
    )
    .bind(attempt.id.to_string())
    .bind(attempt.task)
    .bind(handle)
    .bind(lease.delivery.to_string())
    .bind(signed(lease.epoch))
    .bind(&lease.owner)
    .execute(db)
    .await
    .attempting(format_args!("journal attempt {}", attempt.id))?;
    Ok(guarded(&done))
}

pub(super) async fn save_handle(
    db: &mut SqliteConnection,
    lease: &Lease,
    attempt: AttemptId,
    handle: &StageHandle,
) -> Result<Applied, Fault> {
    let done = sqlx::query(
        "UPDATE attempt SET handle = ? WHERE id = ? AND delivery_id =
           (SELECT id FROM delivery WHERE id = ? AND lease_epoch = ?)",
    )
    .bind(handle_json(Some(handle))?)
    .bind(attempt.to_string())
    .bind(lease.delivery.to_string())
    .bind(signed(lease.epoch))
    .execute(db)
    .await
    .attempting(format_args!("save the handle of attempt {attempt}"))?;
    Ok(guarded(&done))
}

pub(super) async fn discarded(
    db: &mut SqliteConnection,
    lease: &Lease,
    attempt: AttemptId,
) -> Result<Applied, Fault> {
    let done = sqlx::query(
        "UPDATE attempt SET state = 'discarded' WHERE id = ? AND state <> 'delivered' AND delivery_id =
           (SELECT id FROM delivery WHERE id = ? AND lease_epoch = ?)",
    )
    .bind(attempt.to_string())
    .bind(lease.delivery.to_string())
    .bind(signed(lease.epoch))
    .execute(db)
    .await
    .attempting(format_args!("note that attempt {attempt} was discarded"))?;
    Ok(guarded(&done))
}

pub(super) async fn swept(
    db: &mut SqliteConnection,
    delivery: DeliveryId,
    attempt: AttemptId,
) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE attempt SET state = 'discarded' WHERE id = ? AND state = 'staged' AND delivery_id =
           (SELECT id FROM delivery WHERE id = ? AND completed_at IS NOT NULL)",
    )
    .bind(attempt.to_string())
    .bind(delivery.to_string())
    .execute(db)
    .await
    .attempting(format_args!("note that attempt {attempt} was swept"))?;
    Ok(())
}

pub(super) async fn record(
    db: &mut SqliteConnection,
    lease: &Lease,
    winner: &Winner,
) -> Result<Recorded, Fault> {
    if !executing(db, lease).await? {
        return Ok(Recorded::Fenced);
    }
    let state: Option<String> = sqlx::query_scalar(
        "SELECT state FROM attempt WHERE id = ? AND delivery_id = ? AND task = ?",
    )
    .bind(winner.attempt.to_string())
    .bind(lease.delivery.to_string())
    .bind(winner.task)
    .fetch_optional(&mut *db)
    .await
    .attempting(format_args!("read attempt {}", winner.attempt))?;
    match state.as_deref() {
        Some("staged") => {}
        Some(_) => return Ok(Recorded::Lost),
        None => {
            return Err(corrupt(format_args!(
                "attempt {} was never journaled for task {} of delivery {}",
                winner.attempt, winner.task, lease.delivery
            )));
        }
    }
    insert_winner(db, lease, winner).await?;
    let chosen: String =
        sqlx::query_scalar("SELECT attempt_id FROM winner WHERE delivery_id = ? AND task = ?")
            .bind(lease.delivery.to_string())
            .bind(winner.task)
            .fetch_one(db)
            .await
            .attempting(format_args!("read the winner of task {}", winner.task))?;
    Ok(if chosen == winner.attempt.to_string() {
        Recorded::Won
    } else {
        Recorded::Lost
    })
}

async fn executing(db: &mut SqliteConnection, lease: &Lease) -> Result<bool, Fault> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM delivery
           WHERE id = ? AND lease_epoch = ? AND lease_owner = ? AND state = 'executing')",
    )
    .bind(lease.delivery.to_string())
    .bind(signed(lease.epoch))
    .bind(&lease.owner)
    .fetch_one(db)
    .await
    .attempting(format_args!("read delivery {}", lease.delivery))
}

async fn insert_winner(
    db: &mut SqliteConnection,
    lease: &Lease,
    winner: &Winner,
) -> Result<(), Fault> {
    let file = &winner.file;
    sqlx::query(
        "INSERT INTO winner (delivery_id, task, attempt_id, key, bytes, rows, input_rows, file)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (delivery_id, task) DO NOTHING",
    )
    .bind(lease.delivery.to_string())
    .bind(winner.task)
    .bind(winner.attempt.to_string())
    .bind(&file.token.handle.key)
    .bind(signed(file.bytes))
    .bind(signed(file.rows))
    .bind(signed(file.input_rows))
    .bind(to_json(file, "sealed file")?)
    .execute(db)
    .await
    .attempting(format_args!(
        "record attempt {} as winner of task {}",
        winner.attempt, winner.task
    ))?;
    Ok(())
}

fn handle_json(handle: Option<&StageHandle>) -> Result<Option<String>, Fault> {
    handle
        .map(|handle| to_json(handle, "stage handle"))
        .transpose()
}
