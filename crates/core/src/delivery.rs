//! The delivery machine: what happens next in a delivery, decided from its record and from what came of the
//! last commands. Pure, total and deterministic; it performs nothing, waits for nothing and reads no clock.
//!
//! The driver feeds a [`DeliveryEvent`] and performs the [`DeliveryCommand`]s it gets back, in their order.
//! Every decision that lasts is one [`Transition`], chosen in the one table of [`table`]; after each the
//! record is read again, so the machine acts on what the journal says and not on what it remembers.
//!
//! The one law: only files that were frozen are published, and only published files reach a manifest.
//!
//! budget: the machine's words, its state and its one entry stand together; what it decides is in the modules below.

mod aborting;
mod executing;
mod manifesting;
mod planning;
mod policy;
mod protocol;
mod publishing;
mod table;
mod tally;

use std::time::Duration;

use offtake_model::delivery::AbortThen;
use offtake_model::{DeliveryRecord, DeliveryState, ErrorCode, Fault, Millis, Retry, Transition};

pub use policy::Policy;
pub use protocol::{
    DeliveryCommand, DeliveryEvent, DiscardAnswer, ManifestBytes, PublishAnswer, RecordAnswer,
    Sight, StopReason,
};
pub use table::target;

use aborting::Aborting;
use executing::Executing;
use manifesting::Manifesting;
use planning::Planning;
use publishing::Publishing;
use table::{Finding, Move, Work, choose};

/// Decides about one delivery, from one claim to the end of that claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryMachine {
    policy: Policy,
    record: DeliveryRecord,
    phase: Phase,
    cancel: bool,
    leaving: bool,
    pauses: u32,
}

/// What the machine is busy with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// The record is to be read.
    Reading,
    /// The plan is being made.
    Planning(Planning),
    /// Tasks run.
    Executing(Executing),
    /// Frozen files become visible.
    Publishing(Publishing),
    /// The manifest is put.
    Manifesting(Manifesting),
    /// Staged files are discarded, then visible ones retracted.
    Aborting(Aborting),
    /// A destination that must be reached is given time.
    Pausing,
    /// A transition was sent; it ends the claim, or the record is read again.
    Deciding(Option<StopReason>),
    /// Nothing more happens under this claim.
    Stopped,
}

/// What a phase found when it was asked to go on.
enum Next {
    /// Answers are outstanding.
    Wait,
    /// Something is certain now.
    Found(Finding),
    /// A command failed.
    Trouble(Fault),
    /// Nothing is outstanding and the process shuts down.
    Leave,
}

/// What every phase may see of the machine.
struct Outlook<'a> {
    policy: &'a Policy,
    record: &'a DeliveryRecord,
    cancel: bool,
    leaving: bool,
}

type Commands = Vec<DeliveryCommand>;

impl DeliveryMachine {
    /// Builds the machine from the record as read under a lease. It waits for [`DeliveryEvent::Claimed`].
    pub fn new(record: DeliveryRecord, policy: Policy) -> Self {
        Self {
            policy,
            record: sorted(record),
            phase: Phase::Reading,
            cancel: false,
            leaving: false,
            pauses: 0,
        }
    }

    /// The record as last read.
    pub const fn record(&self) -> &DeliveryRecord {
        &self.record
    }

    /// Takes an event and says what to do. An event that is late, because the phase it belonged to is over,
    /// changes nothing.
    pub fn handle(&mut self, now: Millis, event: DeliveryEvent) -> Commands {
        let mut out = Commands::new();
        if matches!(self.phase, Phase::Stopped) {
            return out;
        }
        self.absorb(event, &mut out);
        self.advance(now, &mut out);
        out
    }

    fn absorb(&mut self, event: DeliveryEvent, out: &mut Commands) {
        match event {
            DeliveryEvent::Claimed => self.enter(out),
            DeliveryEvent::Loaded(record) => self.read(*record, out),
            DeliveryEvent::Planned(answer) => self.planning(|work| work.planned(answer)),
            DeliveryEvent::TaskSealed(winner) => self.executing(|work| work.sealed(winner, out)),
            DeliveryEvent::TaskNotStarted { task } => self.executing(|work| work.returned(task)),
            DeliveryEvent::TaskFailed { task, fault } => {
                self.executing(|work| work.failed(task, fault));
            }
            DeliveryEvent::Recorded { winner, answer } => {
                self.executing(|work| work.recorded(&winner, answer, out));
            }
            DeliveryEvent::Published { task, answer } => {
                self.publishing(|work, record| work.published(record, task, answer, out));
            }
            DeliveryEvent::Looked { task, answer } => {
                self.publishing(|work, record| work.looked(record, task, answer));
            }
            DeliveryEvent::Discarded { attempt, answer } => {
                self.aborting(|work| work.discarded(attempt, &answer));
                self.publishing(|work, record| work.discarded(record, attempt, answer, out));
            }
            DeliveryEvent::Retracted { attempt, answer } => {
                self.aborting(|work| work.retracted(attempt, answer));
            }
            DeliveryEvent::ManifestBuilt(answer) => self.publishing(|work, _| work.built(answer)),
            DeliveryEvent::ManifestPut(answer) => self.manifesting(|work| work.put(answer)),
            DeliveryEvent::Applied => self.applied(out),
            DeliveryEvent::Woken => self.woken(out),
            DeliveryEvent::CancelRequested => self.cancel = true,
            DeliveryEvent::ShutdownRequested => self.leaving = true,
            DeliveryEvent::Fenced => self.stop(StopReason::Fenced, out),
            DeliveryEvent::JournalFailed(fault) => self.journal_failed(fault, out),
        }
    }

    fn read(&mut self, record: DeliveryRecord, out: &mut Commands) {
        if matches!(self.phase, Phase::Reading) {
            self.record = sorted(record);
            self.enter(out);
        }
    }

    /// Resumes where the record stands: this is the whole of recovery.
    fn enter(&mut self, out: &mut Commands) {
        if !matches!(self.phase, Phase::Reading) {
            return;
        }
        self.cancel |= self.record.cancel_requested;
        self.phase = match self.record.state {
            DeliveryState::Planning => Phase::Planning(Planning::new()),
            DeliveryState::Executing => Phase::Executing(Executing::new(&self.record)),
            DeliveryState::Publishing => Phase::Publishing(Publishing::new(&self.record)),
            DeliveryState::Manifesting => Phase::Manifesting(Manifesting::new()),
            DeliveryState::Aborting => Phase::Aborting(Aborting::new(&self.record)),
            DeliveryState::Queued
            | DeliveryState::RetryWait
            | DeliveryState::Quarantined
            | DeliveryState::Succeeded
            | DeliveryState::Failed
            | DeliveryState::Cancelled
            | DeliveryState::Skipped => return self.stop(StopReason::NothingToDo, out),
        };
    }

    /// A journal that could not answer leaves its outcome unknown. One that refused a commit, because the cursor is not
    /// where the plan began, would refuse it again: that is for a person.
    fn journal_failed(&mut self, fault: Fault, out: &mut Commands) {
        let committing = Phase::Deciding(Some(StopReason::Ended(DeliveryState::Succeeded)));
        if fault.code != ErrorCode::Quarantined || self.phase != committing {
            return self.stop(StopReason::Journal(fault), out);
        }
        self.phase = Phase::Deciding(Some(StopReason::Quarantined));
        out.push(DeliveryCommand::Apply(Transition::Quarantine { fault }));
    }

    /// What is worked on, when something is.
    const fn work(&self) -> Option<Work> {
        match &self.phase {
            Phase::Planning(_) => Some(Work::Planning),
            Phase::Executing(_) => Some(Work::Executing),
            Phase::Publishing(_) => Some(Work::Publishing),
            Phase::Manifesting(_) => Some(Work::Manifesting),
            Phase::Aborting(_) => Some(Work::Aborting),
            Phase::Reading | Phase::Pausing | Phase::Deciding(_) | Phase::Stopped => None,
        }
    }

    /// Lets the phase go on as far as it can and takes the decision it arrives at.
    fn advance(&mut self, now: Millis, out: &mut Commands) {
        if let Some(work) = self.work().filter(|_| self.policy.worn_out(&self.record)) {
            let fault = worn_out(&self.record);
            return self.decide(now, work, Finding::Fatal(fault), out);
        }
        let outlook = Outlook {
            policy: &self.policy,
            record: &self.record,
            cancel: self.cancel,
            leaving: self.leaving,
        };
        let (work, next) = match &mut self.phase {
            Phase::Planning(phase) => (Work::Planning, phase.advance(&outlook, out)),
            Phase::Executing(phase) => (Work::Executing, phase.advance(&outlook, out)),
            Phase::Publishing(phase) => (Work::Publishing, phase.advance(&outlook, out)),
            Phase::Manifesting(phase) => (Work::Manifesting, phase.advance(&outlook, out)),
            Phase::Aborting(phase) => (Work::Aborting, phase.advance(&outlook, out)),
            Phase::Pausing if self.leaving => return self.stop(StopReason::Shutdown, out),
            Phase::Pausing | Phase::Reading | Phase::Deciding(_) | Phase::Stopped => return,
        };
        match next {
            Next::Wait => {}
            Next::Leave => self.stop(StopReason::Shutdown, out),
            Next::Found(finding) => self.decide(now, work, finding, out),
            Next::Trouble(fault) => {
                let finding = self.weigh(work, fault);
                self.decide(now, work, finding, out);
            }
        }
    }

    /// Tells a fault that may pass from one that will not, and counts the patience spent so far.
    fn weigh(&self, work: Work, fault: Fault) -> Finding {
        if fault.code == ErrorCode::DestinationAmbiguous {
            return Finding::Ambiguous(fault);
        }
        let delay = match (work, fault.retry()) {
            (_, Retry::Permanent) => return Finding::Fatal(fault),
            (Work::Manifesting | Work::Aborting, Retry::Transient | Retry::Credentials) => {
                self.policy.pause(self.pauses)
            }
            (Work::Planning | Work::Executing | Work::Publishing, Retry::Transient) => {
                self.policy.wait(&self.record)
            }
            (Work::Planning | Work::Executing | Work::Publishing, Retry::Credentials) => {
                self.policy.wait_for_credentials(&self.record)
            }
        };
        match delay {
            Some(delay) => Finding::Passing { fault, delay },
            None => Finding::Fatal(exhausted(&fault)),
        }
    }

    fn decide(&mut self, now: Millis, work: Work, finding: Finding, out: &mut Commands) {
        let (transition, after) = match choose(work, finding) {
            Move::SavePlan(plan) => (Transition::SavePlan(plan), None),
            Move::Freeze => (Transition::Freeze, None),
            Move::Restage(task) => (Transition::Restage { task }, None),
            Move::PointOfNoReturn(manifest) => (self.point_of_no_return(manifest), None),
            Move::Commit => (
                self.commit(),
                Some(StopReason::Ended(DeliveryState::Succeeded)),
            ),
            Move::Wait { fault, delay } => (wait(now, fault, delay), Some(StopReason::Waiting)),
            Move::StartAbort { then, fault } => (Transition::StartAbort { then, fault }, None),
            Move::FinishAbort => (Transition::FinishAbort, Some(self.end_of_abort())),
            Move::Quarantine(fault) => (
                Transition::Quarantine { fault },
                Some(StopReason::Quarantined),
            ),
            Move::Pause { fault, delay } => return self.pause(fault, delay, out),
            Move::Ignore => return,
        };
        if matches!(self.phase, Phase::Executing(_)) {
            out.push(DeliveryCommand::StopTasks);
        }
        self.phase = Phase::Deciding(after);
        out.push(DeliveryCommand::Apply(transition));
    }

    fn pause(&mut self, fault: Fault, delay: Duration, out: &mut Commands) {
        if self.leaving {
            return self.stop(StopReason::Shutdown, out);
        }
        self.pauses = self.pauses.saturating_add(1);
        self.phase = Phase::Pausing;
        out.push(DeliveryCommand::Pause { fault, delay });
    }

    /// After a pause the row is read again: somebody may have decided in between.
    fn woken(&mut self, out: &mut Commands) {
        if matches!(self.phase, Phase::Pausing) {
            self.phase = Phase::Reading;
            out.push(DeliveryCommand::Load);
        }
    }

    fn applied(&mut self, out: &mut Commands) {
        let Phase::Deciding(after) = &mut self.phase else {
            return;
        };
        if let Some(reason) = after.take() {
            return self.stop(reason, out);
        }
        self.phase = Phase::Reading;
        out.push(DeliveryCommand::Load);
    }

    fn stop(&mut self, reason: StopReason, out: &mut Commands) {
        self.phase = Phase::Stopped;
        out.push(DeliveryCommand::Stop(reason));
    }

    fn point_of_no_return(&self, manifest: ManifestBytes) -> Transition {
        Transition::PointOfNoReturn {
            rev: self.record.rev,
            manifest: manifest.bytes,
            sha256: manifest.sha256,
        }
    }

    fn commit(&self) -> Transition {
        Transition::Commit {
            metrics: tally::metrics(&self.record),
            cursor: tally::cursor(&self.record),
        }
    }

    const fn end_of_abort(&self) -> StopReason {
        StopReason::Ended(match self.record.abort_then {
            Some(AbortThen::Cancelled) => DeliveryState::Cancelled,
            Some(AbortThen::Failed) | None => DeliveryState::Failed,
        })
    }

    fn planning(&mut self, absorb: impl FnOnce(&mut Planning)) {
        if let Phase::Planning(phase) = &mut self.phase {
            absorb(phase);
        }
    }

    fn executing(&mut self, absorb: impl FnOnce(&mut Executing)) {
        if let Phase::Executing(phase) = &mut self.phase {
            absorb(phase);
        }
    }

    fn publishing(&mut self, absorb: impl FnOnce(&mut Publishing, &DeliveryRecord)) {
        if let Phase::Publishing(phase) = &mut self.phase {
            absorb(phase, &self.record);
        }
    }

    fn manifesting(&mut self, absorb: impl FnOnce(&mut Manifesting)) {
        if let Phase::Manifesting(phase) = &mut self.phase {
            absorb(phase);
        }
    }

    fn aborting(&mut self, absorb: impl FnOnce(&mut Aborting)) {
        if let Phase::Aborting(phase) = &mut self.phase {
            absorb(phase);
        }
    }
}

/// Winners in task order, so that the phases can find one quickly.
fn sorted(mut record: DeliveryRecord) -> DeliveryRecord {
    record.winners.sort_by_key(|winner| winner.task);
    record
}

const fn wait(now: Millis, fault: Fault, delay: Duration) -> Transition {
    Transition::Wait {
        fault,
        not_before: now.plus_millis(policy::millis(delay)),
    }
}

fn exhausted(fault: &Fault) -> Fault {
    let cause = match &fault.cause {
        Some(cause) => format!("{fault}: {cause}"),
        None => fault.to_string(),
    };
    Fault {
        code: ErrorCode::RetriesExhausted,
        message: format!("gave up after the last of several tries: {}", fault.message),
        cause: Some(cause),
    }
}

fn worn_out(record: &DeliveryRecord) -> Fault {
    Fault::new(
        ErrorCode::RetriesExhausted,
        format!(
            "gave up delivery {} in state {}: its last {} claims ended without a word and without progress",
            record.id,
            record.state.name(),
            record.claims_lost
        ),
    )
}

fn broken(record: &DeliveryRecord, what: &str) -> Finding {
    Finding::Broken(Fault::new(
        ErrorCode::Quarantined,
        format!(
            "read delivery {} in state {}: {what}",
            record.id,
            record.state.name()
        ),
    ))
}

#[cfg(test)]
mod check;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
