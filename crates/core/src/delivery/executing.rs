//! Executing: every task without a winner is tried; what was won stays won.
//!
//! A fault ends its own attempt only. Once one has failed nothing new is started, those under way may still
//! win, and the delivery waits as a whole.
//!
//! The one law: freeze only when every task has a winner.

use std::collections::{BTreeSet, VecDeque};

use offtake_model::{DeliveryRecord, Fault, Retry, Winner};

use super::protocol::RecordAnswer;
use super::table::Finding;
use super::{Commands, DeliveryCommand, Next, Outlook, broken};

/// Progress of execution under this claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Executing {
    planned: bool,
    todo: VecDeque<u32>,
    running: BTreeSet<u32>,
    fault: Option<Fault>,
}

impl Executing {
    pub(super) fn new(record: &DeliveryRecord) -> Self {
        let won: BTreeSet<u32> = record.winners.iter().map(|winner| winner.task).collect();
        let tasks = record.plan.as_ref().map(|plan| plan.tasks.as_slice());
        Self {
            planned: tasks.is_some(),
            todo: tasks
                .unwrap_or_default()
                .iter()
                .map(|task| task.index)
                .filter(|index| !won.contains(index))
                .collect(),
            running: BTreeSet::new(),
            fault: None,
        }
    }

    pub(super) fn sealed(&self, winner: Box<Winner>, out: &mut Commands) {
        if self.running.contains(&winner.task) {
            out.push(DeliveryCommand::Record(winner));
        }
    }

    pub(super) fn recorded(&mut self, winner: &Winner, answer: RecordAnswer, out: &mut Commands) {
        if !self.running.remove(&winner.task) {
            return;
        }
        match answer {
            RecordAnswer::Won => {}
            RecordAnswer::Lost => out.push(DeliveryCommand::Discard {
                attempt: winner.attempt,
                handle: winner.file.token.handle.clone(),
            }),
        }
    }

    pub(super) fn returned(&mut self, task: u32) {
        if self.running.remove(&task) {
            self.todo.push_front(task);
        }
    }

    pub(super) fn failed(&mut self, task: u32, fault: Fault) {
        if !self.running.remove(&task) {
            return;
        }
        let worse =
            |known: &Fault| known.retry() != Retry::Permanent && fault.retry() == Retry::Permanent;
        if self.fault.as_ref().is_none_or(worse) {
            self.fault = Some(fault);
        }
    }

    pub(super) fn advance(&mut self, outlook: &Outlook<'_>, out: &mut Commands) -> Next {
        if !self.planned {
            return Next::Found(broken(outlook.record, "it has no plan"));
        }
        if outlook.cancel {
            return Next::Found(Finding::Cancel);
        }
        if let Some(fault) = &self.fault {
            let hopeless = fault.retry() == Retry::Permanent;
            return if hopeless || self.running.is_empty() {
                Next::Trouble(fault.clone())
            } else {
                Next::Wait
            };
        }
        if outlook.leaving {
            return if self.running.is_empty() && !self.todo.is_empty() {
                Next::Leave
            } else {
                self.rest()
            };
        }
        while self.running.len() < outlook.policy.tasks_parallel.max(1) {
            let Some(task) = self.todo.pop_front() else {
                break;
            };
            self.running.insert(task);
            out.push(DeliveryCommand::RunTask(task));
        }
        self.rest()
    }

    fn rest(&self) -> Next {
        if self.running.is_empty() && self.todo.is_empty() {
            return Next::Found(Finding::AllWon);
        }
        Next::Wait
    }
}
