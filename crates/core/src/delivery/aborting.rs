//! Aborting: every staged file of the delivery is discarded, then every visible one of ours is retracted.
//!
//! The one law: sources first, finals second; a file deleted while its source lives may come back.

use std::collections::{BTreeMap, VecDeque};

use offtake_model::{AttemptId, DeliveryRecord, Fault, StageHandle};

use super::protocol::DiscardAnswer;
use super::table::Finding;
use super::{Commands, DeliveryCommand, Next, Outlook};

/// Progress of the clean-up under this claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Aborting {
    part: Part,
    todo: VecDeque<(AttemptId, StageHandle)>,
    visible: VecDeque<(AttemptId, StageHandle)>,
    busy: BTreeMap<AttemptId, StageHandle>,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Sources,
    Finals,
}

impl Aborting {
    pub(super) fn new(record: &DeliveryRecord) -> Self {
        let staged = record.attempts.iter().filter(|attempt| !attempt.discarded);
        Self {
            part: Part::Sources,
            todo: staged
                .filter_map(|attempt| Some((attempt.id, attempt.handle.clone()?)))
                .collect(),
            visible: VecDeque::new(),
            busy: BTreeMap::new(),
            fault: None,
        }
    }

    pub(super) fn discarded(&mut self, attempt: AttemptId, answer: &Result<DiscardAnswer, Fault>) {
        if self.part != Part::Sources {
            return;
        }
        let Some(handle) = self.busy.remove(&attempt) else {
            return;
        };
        match answer {
            Ok(DiscardAnswer::Gone) => {}
            Ok(DiscardAnswer::WasPublished) => self.visible.push_back((attempt, handle)),
            Err(fault) => self.fault = Some(fault.clone()),
        }
    }

    pub(super) fn retracted(&mut self, attempt: AttemptId, answer: Result<(), Fault>) {
        if self.part != Part::Finals || self.busy.remove(&attempt).is_none() {
            return;
        }
        if let Err(fault) = answer {
            self.fault = Some(fault);
        }
    }

    pub(super) fn advance(&mut self, outlook: &Outlook<'_>, out: &mut Commands) -> Next {
        if self.fault.is_none() && !outlook.leaving {
            self.start(outlook.policy.calls_parallel, out);
        }
        if !self.busy.is_empty() {
            return Next::Wait;
        }
        if let Some(fault) = self.fault.take() {
            return Next::Trouble(fault);
        }
        if !self.todo.is_empty() {
            return Next::Leave;
        }
        match self.part {
            Part::Sources => {
                self.part = Part::Finals;
                self.todo = std::mem::take(&mut self.visible);
                self.advance(outlook, out)
            }
            Part::Finals => Next::Found(Finding::Cleaned),
        }
    }

    fn start(&mut self, parallel: usize, out: &mut Commands) {
        while self.busy.len() < parallel.max(1) {
            let Some((attempt, handle)) = self.todo.pop_front() else {
                return;
            };
            self.busy.insert(attempt, handle.clone());
            out.push(match self.part {
                Part::Sources => DeliveryCommand::Discard { attempt, handle },
                Part::Finals => DeliveryCommand::Retract { attempt, handle },
            });
        }
    }
}
