//! Publishing: each frozen file is published and then seen at its name. A resumed delivery does it all again,
//! which a destination answers as if for the first time.
//!
//! A staged file that is said to be lost is discarded first and looked for then; only when it is certain that
//! it is absent and can never appear is its task run again.
//!
//! The one law: only winners that were read in this state are published, and only when nothing is under way
//! any more is anything decided.

use std::collections::{BTreeMap, VecDeque};

use offtake_model::{AttemptId, DeliveryRecord, ErrorCode, Fault, Retry, StageToken, Winner};

use super::protocol::{DiscardAnswer, ManifestBytes, PublishAnswer, Sight};
use super::table::Finding;
use super::{Commands, DeliveryCommand, Next, Outlook, broken, exhausted};

/// Progress of publishing under this claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Publishing {
    sound: bool,
    todo: VecDeque<u32>,
    busy: BTreeMap<u32, Step>,
    seen: BTreeMap<u32, Option<String>>,
    gone: Option<u32>,
    trouble: Option<Fault>,
    manifest: Manifest,
}

/// What is under way for one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Publish was sent.
    Publishing,
    /// It is said to be visible; a look was sent.
    Checking,
    /// It is said to be lost; a discard was sent.
    Killing,
    /// It was discarded; a look was sent.
    Seeking,
}

/// Progress of the manifest's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Manifest {
    Unasked,
    Asked,
    Built(Result<ManifestBytes, Fault>),
}

impl Publishing {
    pub(super) fn new(record: &DeliveryRecord) -> Self {
        Self {
            sound: frozen_whole(record),
            todo: record.winners.iter().map(|winner| winner.task).collect(),
            busy: BTreeMap::new(),
            seen: BTreeMap::new(),
            gone: None,
            trouble: None,
            manifest: Manifest::Unasked,
        }
    }

    pub(super) fn published(
        &mut self,
        record: &DeliveryRecord,
        task: u32,
        answer: Result<PublishAnswer, Fault>,
        out: &mut Commands,
    ) {
        let Some(winner) = self.awaited(record, task, &[Step::Publishing]) else {
            return;
        };
        match answer {
            Ok(PublishAnswer::Done) => self.look(winner, Step::Checking, out),
            Ok(PublishAnswer::Lost) => {
                self.busy.insert(task, Step::Killing);
                out.push(DeliveryCommand::Discard {
                    attempt: winner.attempt,
                    handle: winner.file.token.handle.clone(),
                });
            }
            Ok(PublishAnswer::Conflict) => self.worry(conflict(winner)),
            Ok(PublishAnswer::Ambiguous) => {
                self.worry(ambiguous(
                    winner,
                    "the destination cannot tell whether it is visible",
                ));
            }
            Err(fault) => self.worry(fault),
        }
    }

    pub(super) fn discarded(
        &mut self,
        record: &DeliveryRecord,
        attempt: AttemptId,
        answer: Result<DiscardAnswer, Fault>,
        out: &mut Commands,
    ) {
        let Some(task) = self.killing(record, attempt) else {
            return;
        };
        let Some(winner) = self.awaited(record, task, &[Step::Killing]) else {
            return;
        };
        match answer {
            Ok(DiscardAnswer::Gone) => self.look(winner, Step::Seeking, out),
            Ok(DiscardAnswer::WasPublished) => self.look(winner, Step::Checking, out),
            Err(fault) => self.worry(fault),
        }
    }

    pub(super) fn looked(
        &mut self,
        record: &DeliveryRecord,
        task: u32,
        answer: Result<Sight, Fault>,
    ) {
        let step = self.busy.get(&task).copied();
        let Some(winner) = self.awaited(record, task, &[Step::Checking, Step::Seeking]) else {
            return;
        };
        let staged = winner.file.token.bytes;
        match answer {
            Ok(Sight::Ours { bytes, etag }) if bytes == staged => {
                self.seen.insert(task, etag);
            }
            Ok(Sight::Ours { bytes, .. }) => self.worry(ambiguous(
                winner,
                &format!("it is visible with {bytes} bytes instead of {staged}"),
            )),
            Ok(Sight::Foreign) => self.worry(conflict(winner)),
            Ok(Sight::Absent) if step == Some(Step::Seeking) => self.gone = Some(task),
            Ok(Sight::Absent) => {
                self.worry(ambiguous(
                    winner,
                    "it was published, but is not at its name",
                ));
            }
            Err(fault) => self.worry(fault),
        }
    }

    pub(super) fn built(&mut self, answer: Result<ManifestBytes, Fault>) {
        if self.manifest == Manifest::Asked {
            self.manifest = Manifest::Built(answer);
        }
    }

    pub(super) fn advance(&mut self, outlook: &Outlook<'_>, out: &mut Commands) -> Next {
        if !self.sound {
            return Next::Found(broken(
                outlook.record,
                "its winners are not those of its plan",
            ));
        }
        let settled = self.trouble.is_some() || self.gone.is_some();
        if !settled && !outlook.cancel && !outlook.leaving {
            self.start(outlook, out);
        }
        if !self.busy.is_empty() {
            return Next::Wait;
        }
        self.conclude(outlook, out)
    }

    fn start(&mut self, outlook: &Outlook<'_>, out: &mut Commands) {
        while self.busy.len() < outlook.policy.calls_parallel.max(1) {
            let Some(task) = self.todo.pop_front() else {
                return;
            };
            let Some(winner) = winner_of(outlook.record, task) else {
                continue;
            };
            self.busy.insert(task, Step::Publishing);
            out.push(DeliveryCommand::Publish {
                task,
                token: winner.file.token.clone(),
            });
        }
    }

    /// Decides when nothing is under way. What cannot be told comes first: it must not be cleaned away.
    fn conclude(&mut self, outlook: &Outlook<'_>, out: &mut Commands) -> Next {
        if let Some(fault) = &self.trouble
            && fault.code == ErrorCode::DestinationAmbiguous
        {
            return Next::Found(Finding::Ambiguous(fault.clone()));
        }
        if outlook.cancel {
            return Next::Found(Finding::Cancel);
        }
        if let Some(fault) = self.trouble.take() {
            return Next::Trouble(fault);
        }
        if let Some(task) = self.gone {
            return Next::Found(vanished(outlook, task));
        }
        if !self.todo.is_empty() {
            return Next::Leave;
        }
        match std::mem::replace(&mut self.manifest, Manifest::Asked) {
            Manifest::Unasked => {
                let tags = self
                    .seen
                    .iter()
                    .filter_map(|(task, etag)| Some((*task, etag.clone()?)));
                out.push(DeliveryCommand::BuildManifest {
                    etags: tags.collect(),
                });
                Next::Wait
            }
            Manifest::Asked => Next::Wait,
            Manifest::Built(Ok(manifest)) => Next::Found(Finding::AllPublished(manifest)),
            Manifest::Built(Err(fault)) => Next::Trouble(fault),
        }
    }

    fn look(&mut self, winner: &Winner, step: Step, out: &mut Commands) {
        self.busy.insert(winner.task, step);
        out.push(DeliveryCommand::Look {
            task: winner.task,
            token: winner.file.token.clone(),
        });
    }

    /// Takes the task out of what is under way when it is in one of these steps.
    fn awaited<'a>(
        &mut self,
        record: &'a DeliveryRecord,
        task: u32,
        steps: &[Step],
    ) -> Option<&'a Winner> {
        let step = self.busy.get(&task)?;
        if !steps.contains(step) {
            return None;
        }
        self.busy.remove(&task);
        winner_of(record, task)
    }

    /// The task under way whose frozen file is this attempt's.
    fn killing(&self, record: &DeliveryRecord, attempt: AttemptId) -> Option<u32> {
        self.busy
            .keys()
            .copied()
            .find(|task| winner_of(record, *task).is_some_and(|it| it.attempt == attempt))
    }

    /// Keeps the gravest trouble: what cannot be told, then what will not pass.
    fn worry(&mut self, fault: Fault) {
        let weight = |fault: &Fault| match (fault.code, fault.retry()) {
            (ErrorCode::DestinationAmbiguous, _) => 3,
            (_, Retry::Permanent) => 2,
            (_, Retry::Credentials) => 1,
            (_, Retry::Transient) => 0,
        };
        if self
            .trouble
            .as_ref()
            .is_none_or(|known| weight(known) < weight(&fault))
        {
            self.trouble = Some(fault);
        }
    }
}

/// Whether there is exactly one winner per planned task, at the planned key.
fn frozen_whole(record: &DeliveryRecord) -> bool {
    let Some(plan) = &record.plan else {
        return false;
    };
    plan.tasks.len() == record.winners.len()
        && plan.tasks.iter().all(|task| {
            winner_of(record, task.index)
                .is_some_and(|winner| winner.file.token.handle.key == task.key)
        })
}

fn winner_of(record: &DeliveryRecord, task: u32) -> Option<&Winner> {
    let place = record
        .winners
        .binary_search_by_key(&task, |winner| winner.task);
    record.winners.get(place.ok()?)
}

fn vanished(outlook: &Outlook<'_>, task: u32) -> Finding {
    if outlook.record.rev < outlook.policy.freezes_max {
        return Finding::TokenGone(task);
    }
    Finding::Fatal(exhausted(&Fault::new(
        ErrorCode::StagedLost,
        format!(
            "publish file {task} of delivery {}: staged files vanish again and again",
            outlook.record.id
        ),
    )))
}

fn conflict(winner: &Winner) -> Fault {
    named(
        ErrorCode::DestinationConflict,
        winner,
        "another writer's file lies at its name",
    )
}

fn ambiguous(winner: &Winner, what: &str) -> Fault {
    named(ErrorCode::DestinationAmbiguous, winner, what)
}

fn named(code: ErrorCode, winner: &Winner, what: &str) -> Fault {
    let StageToken { handle, .. } = &winner.file.token;
    Fault::new(code, format!("publish file {}: {what}", handle.key))
}
