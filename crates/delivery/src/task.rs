//! One attempt at one task: journaled before it starts, its handle journaled as soon as there is one.
//!
//! It publishes nothing and records no winner; it hands in what was sealed.
//!
//! The one law: nothing is staged that the journal has not heard of first.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use offtake_core::delivery::DeliveryEvent;
use offtake_model::{
    Attempt, AttemptId, AttemptTag, DeliveryRecord, ErrorCode, Fault, FileTask, SealedFile,
    StageHandle, Winner,
};
use offtake_ports::{Applied, TaskEvent, TaskRequest};
use uuid::Builder;

use crate::failpoint::failpoint;
use crate::hands::Hands;

/// The task of that ordinal in the record's plan.
pub(crate) fn find(record: &DeliveryRecord, index: u32) -> Option<FileTask> {
    record.plan.as_ref()?.file_task(index)
}

/// Runs the task once.
pub(crate) async fn run(hands: Arc<Hands>, index: u32, task: Option<FileTask>) -> DeliveryEvent {
    let Some(task) = task else {
        let what = format!(
            "run task {index} of delivery {}: not in its plan",
            hands.lease.delivery
        );
        return failed(index, Fault::new(ErrorCode::Internal, what));
    };
    attempt(&hands, task)
        .await
        .unwrap_or_else(DeliveryEvent::JournalFailed)
}

/// An `Err` is the journal's.
async fn attempt(hands: &Hands, task: FileTask) -> Result<DeliveryEvent, Fault> {
    let waiting = hands.pulse.wait();
    let _slot = tokio::select! {
        biased;
        () = hands.stop.cancelled() => {
            return Ok(DeliveryEvent::TaskNotStarted { task: task.index });
        }
        slot = hands.context.tasks.acquire() => slot,
    };
    drop(waiting);
    let journal = &hands.context.deps.journal;
    let mut attempt = begun(hands, &task);
    if journal.begin_attempt(&hands.lease, &attempt).await? == Applied::Fenced {
        return Ok(DeliveryEvent::Fenced);
    }
    failpoint!("after-attempt-row");
    let request = TaskRequest {
        task,
        attempt: attempt.id,
    };
    let mut events = hands.context.deps.engine.run(request.clone()).await;
    while let Some(event) = next(hands, &mut events).await {
        hands.pulse.moved(hands.context.deps.clock.now());
        match event {
            TaskEvent::Begun { handle } => {
                failpoint!("after-upload-create");
                if keep(hands, &mut attempt, handle).await? == Applied::Fenced {
                    return Ok(DeliveryEvent::Fenced);
                }
            }
            TaskEvent::Progress { .. } => failpoint!("mid-part"),
            TaskEvent::Sealed(file) => {
                failpoint!("after-seal");
                return sealed(hands, &request, &mut attempt, *file).await;
            }
            TaskEvent::Failed(fault) => return Ok(failed(attempt.task, fault)),
        }
    }
    let what = format!(
        "run task {} of delivery {}: the engine fell silent",
        attempt.task, hands.lease.delivery
    );
    Ok(failed(
        attempt.task,
        Fault::new(ErrorCode::WorkerLost, what),
    ))
}

/// The next event. An engine that says nothing for the time in which a delivery must move counts as silent for good:
/// dropping its stream ends the task, and another attempt gets the slot.
async fn next(hands: &Hands, events: &mut BoxStream<'static, TaskEvent>) -> Option<TaskEvent> {
    let patience = hands.context.settings.progress_max;
    tokio::time::timeout(patience, events.next())
        .await
        .ok()
        .flatten()
}

/// A new attempt. Its handle says where the upload will be, so that the upload can be discarded even if nothing was
/// heard of it any more after this.
fn begun(hands: &Hands, task: &FileTask) -> Attempt {
    let id = AttemptId(Builder::from_random_bytes(hands.context.deps.ids.bytes16()).into_uuid());
    let handle = StageHandle {
        key: task.key.clone(),
        tag: AttemptTag {
            delivery: hands.lease.delivery,
            task: task.index,
            attempt: id,
        },
        detail: String::new(),
    };
    Attempt {
        task: task.index,
        id,
        epoch: hands.lease.epoch,
        handle: Some(handle),
        discarded: false,
    }
}

/// Journals the handle.
async fn keep(hands: &Hands, attempt: &mut Attempt, handle: StageHandle) -> Result<Applied, Fault> {
    failpoint!("before-handle-save");
    let journal = &hands.context.deps.journal;
    let applied = journal
        .save_handle(&hands.lease, attempt.id, &handle)
        .await?;
    attempt.handle = Some(handle);
    Ok(applied)
}

/// Hands the file in, when it is this attempt's at this task's key.
async fn sealed(
    hands: &Hands,
    request: &TaskRequest,
    attempt: &mut Attempt,
    file: SealedFile,
) -> Result<DeliveryEvent, Fault> {
    let handle = &file.token.handle;
    let ours = handle.key == request.task.key
        && handle.tag.delivery == hands.lease.delivery
        && handle.tag.task == attempt.task
        && handle.tag.attempt == attempt.id;
    if !ours {
        let what = format!(
            "seal file {}: the engine handed in {}",
            request.task.key, handle.key
        );
        return Ok(failed(attempt.task, Fault::new(ErrorCode::Internal, what)));
    }
    if attempt.handle.as_ref() != Some(handle)
        && keep(hands, attempt, handle.clone()).await? == Applied::Fenced
    {
        return Ok(DeliveryEvent::Fenced);
    }
    let winner = Winner {
        task: attempt.task,
        attempt: attempt.id,
        file,
    };
    Ok(DeliveryEvent::TaskSealed(Box::new(winner)))
}

fn failed(task: u32, fault: Fault) -> DeliveryEvent {
    tracing::warn!(task.id = task, %fault, "attempt failed");
    DeliveryEvent::TaskFailed { task, fault }
}
