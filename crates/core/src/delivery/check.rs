//! Explores every state that the shipped machine can reach together with a tiny store, a tiny destination, two
//! coordinators and a hostile world, and asserts the protocol's invariants in each of them.
//!
//! The world may let a lease run out at any instant, kill a coordinator between any two steps, lose replies,
//! make staged files vanish, claim that one vanished when it did not, fail calls and cancel. Each mutant drops
//! one rule, and the same assertions must catch it.
//!
//! `OFFTAKE_DEEP=1` explores larger bounds.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the world names the commands it plays"
)]

use std::collections::btree_map::Entry;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use offtake_model::AttemptId;

use super::fixture::{
    attempt as tried, attempt_id, handle, numbers, permanent, plan, record as blank, transient,
    winner,
};
use super::*;

const TASKS: usize = 2;

type Slot = u8;
type Files = [Slot; TASKS];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    None,
    TasksPublish,
    RestageWithoutDiscard,
    FencedCleansUp,
    ManifestBeforePoint,
    FinalsWithoutSources,
    CancelAfterPoint,
}

/// What the world may still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Budget {
    vanish: u8,
    false_lost: u8,
    cancel: u8,
    faults: u8,
    lost_replies: u8,
}

#[derive(Clone, Copy)]
struct Bounds {
    epochs: u8,
    attempts: usize,
    parallel: usize,
    budget: Budget,
    states_max: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Row {
    epoch: u8,
    state: DeliveryState,
    resume: Option<DeliveryState>,
    cancelled: bool,
    rev: u8,
    waits: u8,
    cancel: bool,
    /// Attempt numbers per task with whether nothing of it remains.
    attempts: [Vec<bool>; TASKS],
    winners: Files,
    manifest: Option<Vec<u8>>,
    commits: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Shore {
    staged: BTreeSet<(Slot, Slot)>,
    dead: BTreeSet<(Slot, Slot)>,
    visible: Files,
    documented: bool,
    manifest: Option<Vec<u8>>,
    first_manifest: Option<Vec<u8>>,
}

/// A call that was started and has not answered.
#[derive(Clone, Debug, PartialEq)]
enum Call {
    Command(DeliveryCommand),
    Stage(u32, u32),
}

/// What an order comes to.
enum Done {
    Now(Box<DeliveryEvent>),
    Nothing,
    Started(Call),
}

#[derive(Clone, Debug)]
struct Coordinator {
    epoch: u8,
    machine: DeliveryMachine,
    orders: VecDeque<DeliveryCommand>,
    calls: Vec<Call>,
    key: u64,
}

#[derive(Clone, Debug)]
struct World {
    row: Row,
    shore: Shore,
    coordinators: [Option<Arc<Coordinator>>; 2],
    budget: Budget,
}

impl Coordinator {
    fn new(row: &Row, bounds: &Bounds) -> Self {
        let policy = Policy {
            attempts_max: 2,
            tasks_parallel: bounds.parallel,
            calls_parallel: bounds.parallel,
            freezes_max: 8,
            ..Policy::default()
        };
        let mut it = Self {
            epoch: row.epoch,
            machine: DeliveryMachine::new(record_of(row), policy),
            orders: VecDeque::new(),
            calls: Vec::new(),
            key: 0,
        };
        it.hear(DeliveryEvent::Claimed);
        it
    }

    fn hear(&mut self, event: DeliveryEvent) {
        self.orders.extend(self.machine.handle(Millis(0), event));
    }

    /// The machine's record follows from the row it was read from, so its varying parts are enough.
    fn seal(mut self) -> Arc<Self> {
        let mut hasher = DefaultHasher::new();
        let record = self.machine.record();
        let tokens: Vec<(u32, u32)> = record
            .winners
            .iter()
            .map(|it| numbers(it.attempt))
            .collect();
        let kept: Vec<(AttemptIdBits, bool)> = record
            .attempts
            .iter()
            .map(|it| (it.id.0.as_u128(), it.discarded))
            .collect();
        (
            self.epoch,
            record.state,
            record.rev,
            record.attempt,
            tokens,
            kept,
        )
            .hash(&mut hasher);
        let DeliveryMachine {
            phase,
            cancel,
            leaving,
            pauses,
            ..
        } = &self.machine;
        format!(
            "{phase:?}{cancel}{leaving}{pauses}{:?}{:?}",
            self.orders, self.calls
        )
        .hash(&mut hasher);
        self.key = hasher.finish();
        Arc::new(self)
    }
}

type AttemptIdBits = u128;

fn record_of(row: &Row) -> DeliveryRecord {
    let mut record = blank(row.state, u32::try_from(TASKS).unwrap(), 0);
    record.rev = u32::from(row.rev);
    record.attempt = u32::from(row.waits);
    record.cancel_requested = row.cancel;
    record.abort_then = Some(if row.cancelled {
        AbortThen::Cancelled
    } else {
        AbortThen::Failed
    });
    record.manifest.clone_from(&row.manifest);
    for (task, attempts) in (0_u32..).zip(&row.attempts) {
        for (n, gone) in (1_u32..).zip(attempts) {
            let mut attempt = tried(task, n);
            attempt.discarded = *gone;
            record.attempts.push(attempt);
        }
    }
    for (task, won) in (0_u32..).zip(row.winners) {
        if won > 0 {
            record.winners.push(winner(task, u32::from(won)));
        }
    }
    record
}

/// Takes a fixed set of next worlds for one world.
struct Explorer {
    bounds: Bounds,
    mutant: Mutant,
}

type Successors = Vec<(String, World)>;

impl Explorer {
    fn start(&self) -> World {
        World {
            row: Row {
                epoch: 0,
                state: DeliveryState::Queued,
                resume: None,
                cancelled: false,
                rev: 0,
                waits: 0,
                cancel: false,
                attempts: Default::default(),
                winners: [0; TASKS],
                manifest: None,
                commits: 0,
            },
            shore: Shore {
                staged: BTreeSet::new(),
                dead: BTreeSet::new(),
                visible: [0; TASKS],
                documented: false,
                manifest: None,
                first_manifest: None,
            },
            coordinators: [None, None],
            budget: self.bounds.budget,
        }
    }

    fn next(&self, world: &World) -> Successors {
        let mut out = Successors::new();
        self.environment(world, &mut out);
        for i in 0..world.coordinators.len() {
            match &world.coordinators[i] {
                None => self.claim(world, i, &mut out),
                Some(it) => {
                    let mut dead = world.clone();
                    dead.coordinators[i] = None;
                    out.push((format!("crash {i}"), dead));
                    self.work(world, i, it, &mut out);
                }
            }
        }
        out
    }

    fn environment(&self, world: &World, out: &mut Successors) {
        if world.budget.vanish > 0 {
            for token in &world.shore.staged {
                let mut next = world.clone();
                next.budget.vanish -= 1;
                next.shore.staged.remove(token);
                out.push((format!("vanish {token:?}"), next));
            }
        }
        if world.budget.cancel > 0 && !world.row.state.terminal() {
            let mut next = world.clone();
            next.budget.cancel -= 1;
            next.row.cancel = true;
            if self.mutant == Mutant::CancelAfterPoint
                && world.row.state == DeliveryState::Manifesting
            {
                next.row.state = DeliveryState::Aborting;
                next.row.cancelled = true;
            }
            out.push(("cancel".to_owned(), next));
        }
    }

    /// A lease may have run out at any instant, so any idle coordinator may claim at any instant.
    fn claim(&self, world: &World, i: usize, out: &mut Successors) {
        let claimable =
            !world.row.state.terminal() && world.row.state != DeliveryState::Quarantined;
        if world.row.epoch >= self.bounds.epochs || !claimable {
            return;
        }
        let mut next = world.clone();
        next.row.epoch += 1;
        next.row.state = match next.row.state {
            DeliveryState::Queued => DeliveryState::Planning,
            DeliveryState::RetryWait => next.row.resume.take().unwrap(),
            other => other,
        };
        next.coordinators[i] = Some(Coordinator::new(&next.row, &self.bounds).seal());
        out.push((format!("claim {i}"), next));
    }

    fn work(&self, world: &World, i: usize, it: &Coordinator, out: &mut Successors) {
        if it.epoch == world.row.epoch && world.row.cancel && !it.machine.cancel {
            Self::step(world, i, "told to cancel", out, |_, me| {
                me.hear(DeliveryEvent::CancelRequested);
            });
        }
        if let Some(order) = it.orders.front().cloned() {
            self.order(world, i, order, out);
            return;
        }
        for place in 0..it.calls.len() {
            let call = it.calls[place].clone();
            if matches!(&call, Call::Stage(_, n) if usize::try_from(*n).unwrap() > self.bounds.attempts)
            {
                continue;
            }
            Self::step(world, i, &name(&call), out, |world, me| {
                me.calls.remove(place);
                let event = self.answer(world, me, &call);
                me.hear(event);
            });
            self.spoiled(world, i, place, &call, out);
        }
    }

    /// The same call again, but answered falsely or not at all.
    fn spoiled(&self, world: &World, i: usize, place: usize, call: &Call, out: &mut Successors) {
        if world.budget.lost_replies > 0 && failing(call, transient()).is_some() {
            Self::step(
                world,
                i,
                &format!("reply lost: {}", name(call)),
                out,
                |world, me| {
                    world.budget.lost_replies -= 1;
                    me.calls.remove(place);
                    let _ = self.answer(world, me, call);
                    me.hear(failing(call, transient()).unwrap());
                },
            );
        }
        if world.budget.faults > 0 {
            for fault in [transient(), permanent()] {
                if fault == permanent() && only_forward(call) {
                    continue;
                }
                let Some(event) = failing(call, fault) else {
                    continue;
                };
                Self::step(
                    world,
                    i,
                    &format!("fault: {}", name(call)),
                    out,
                    |world, me| {
                        world.budget.faults -= 1;
                        me.calls.remove(place);
                        me.hear(event);
                    },
                );
            }
        }
        if let Call::Command(DeliveryCommand::Publish { task, .. }) = call
            && world.budget.false_lost > 0
        {
            Self::step(world, i, "falsely lost", out, |world, me| {
                world.budget.false_lost -= 1;
                me.calls.remove(place);
                me.hear(DeliveryEvent::Published {
                    task: *task,
                    answer: Ok(PublishAnswer::Lost),
                });
            });
        }
    }

    fn step(
        world: &World,
        i: usize,
        what: &str,
        out: &mut Successors,
        act: impl FnOnce(&mut World, &mut Coordinator),
    ) {
        let mut next = world.clone();
        let Some(me) = next.coordinators[i].take() else {
            return;
        };
        let mut me = Coordinator::clone(&me);
        act(&mut next, &mut me);
        next.coordinators[i] = Some(me.seal());
        out.push((format!("{i}: {what}"), next));
    }

    fn order(&self, world: &World, i: usize, order: DeliveryCommand, out: &mut Successors) {
        let what = name(&Call::Command(order.clone()));
        if let DeliveryCommand::Stop(reason) = &order {
            let mut next = world.clone();
            let me = next.coordinators[i].take().unwrap();
            if self.mutant == Mutant::FencedCleansUp && *reason == StopReason::Fenced {
                clean_up(&mut next.shore, me.machine.record());
            }
            out.push((format!("{i}: {what}"), next));
            return;
        }
        Self::step(world, i, &what, out, |world, me| {
            me.orders.pop_front();
            match self.perform(world, me, order) {
                Done::Now(event) => me.hear(*event),
                Done::Nothing => {}
                Done::Started(call) => me.calls.push(call),
            }
        });
    }

    /// Performs an order of the journal, or gives back the call that it starts.
    fn perform(&self, world: &mut World, me: &mut Coordinator, order: DeliveryCommand) -> Done {
        let own = me.epoch == world.row.epoch;
        let event = match order {
            DeliveryCommand::Load if own => DeliveryEvent::Loaded(Box::new(record_of(&world.row))),
            DeliveryCommand::Apply(transition) => {
                self.before(world, &transition);
                if own {
                    apply(&mut world.row, me, &transition)
                } else {
                    DeliveryEvent::Fenced
                }
            }
            DeliveryCommand::Record(won) if own && world.row.state == DeliveryState::Executing => {
                let (task, n) = numbers(won.attempt);
                let place = &mut world.row.winners[usize::try_from(task).unwrap()];
                let answer = if *place == 0 {
                    RecordAnswer::Won
                } else {
                    RecordAnswer::Lost
                };
                if answer == RecordAnswer::Won {
                    *place = Slot::try_from(n).unwrap();
                }
                DeliveryEvent::Recorded {
                    winner: won,
                    answer,
                }
            }
            DeliveryCommand::RunTask(task)
                if own && world.row.state == DeliveryState::Executing =>
            {
                let attempts = &mut world.row.attempts[usize::try_from(task).unwrap()];
                if attempts.len() <= self.bounds.attempts {
                    attempts.push(false);
                }
                return Done::Started(Call::Stage(task, u32::try_from(attempts.len()).unwrap()));
            }
            DeliveryCommand::Load | DeliveryCommand::Record(_) | DeliveryCommand::RunTask(_) => {
                DeliveryEvent::Fenced
            }
            DeliveryCommand::StopTasks => {
                me.calls.retain(|call| !matches!(call, Call::Stage(..)));
                return Done::Nothing;
            }
            DeliveryCommand::BuildManifest { .. } => {
                let winners = &me.machine.record().winners;
                let bytes = winners
                    .iter()
                    .map(|it| Slot::try_from(numbers(it.attempt).1).unwrap());
                DeliveryEvent::ManifestBuilt(Ok(ManifestBytes {
                    bytes: bytes.collect(),
                    sha256: String::new(),
                }))
            }
            slow => return Done::Started(Call::Command(slow)),
        };
        Done::Now(Box::new(event))
    }

    fn before(&self, world: &mut World, transition: &Transition) {
        if self.mutant == Mutant::ManifestBeforePoint
            && let Transition::PointOfNoReturn { manifest, .. } = transition
        {
            put(&mut world.shore, manifest);
        }
    }

    fn answer(&self, world: &mut World, me: &Coordinator, call: &Call) -> DeliveryEvent {
        let command = match call {
            Call::Stage(task, n) => return self.stage(world, *task, *n),
            Call::Command(command) => command,
        };
        match command {
            DeliveryCommand::Plan => {
                DeliveryEvent::Planned(Ok(Box::new(plan(u32::try_from(TASKS).unwrap()))))
            }
            DeliveryCommand::Publish { task, token } => {
                let answer = publish(&mut world.shore, token.handle.tag.attempt);
                DeliveryEvent::Published {
                    task: *task,
                    answer: Ok(answer),
                }
            }
            DeliveryCommand::Look { task, token } => {
                let (place, n) = at(token.handle.tag.attempt);
                let sight = match world.shore.visible[place] {
                    0 => Sight::Absent,
                    seen if seen == n => Sight::Ours {
                        bytes: token.bytes,
                        etag: None,
                    },
                    _ => Sight::Foreign,
                };
                DeliveryEvent::Looked {
                    task: *task,
                    answer: Ok(sight),
                }
            }
            DeliveryCommand::Discard { attempt, .. } => self.discard(world, me, *attempt),
            DeliveryCommand::Retract { attempt, .. } => {
                let (place, n) = at(*attempt);
                if world.shore.visible[place] == n {
                    world.shore.visible[place] = 0;
                }
                if me.epoch != world.row.epoch {
                    return DeliveryEvent::Fenced;
                }
                gone(&mut world.row, *attempt);
                DeliveryEvent::Retracted {
                    attempt: *attempt,
                    answer: Ok(()),
                }
            }
            DeliveryCommand::PutFileManifest { .. } => {
                world.shore.documented = true;
                DeliveryEvent::ManifestPut(Ok(()))
            }
            DeliveryCommand::PutManifest { bytes, .. } => {
                put(&mut world.shore, bytes);
                DeliveryEvent::ManifestPut(Ok(()))
            }
            DeliveryCommand::Pause { .. } => DeliveryEvent::Woken,
            other => unreachable!("{other:?} is not a call"),
        }
    }

    fn stage(&self, world: &mut World, task: u32, n: u32) -> DeliveryEvent {
        let (place, slot) = at(attempt_id(task, n));
        let token = (Slot::try_from(place).unwrap(), slot);
        if self.mutant == Mutant::TasksPublish {
            world.shore.visible[place] = slot;
        } else if !world.shore.dead.contains(&token) {
            world.shore.staged.insert(token);
        }
        DeliveryEvent::TaskSealed(Box::new(winner(task, n)))
    }

    fn discard(&self, world: &mut World, me: &Coordinator, attempt: AttemptId) -> DeliveryEvent {
        let (place, n) = at(attempt);
        let token = (Slot::try_from(place).unwrap(), n);
        let restaging = me.machine.record().state == DeliveryState::Publishing;
        let spare = match self.mutant {
            Mutant::RestageWithoutDiscard => restaging,
            Mutant::FinalsWithoutSources => !restaging,
            Mutant::None
            | Mutant::TasksPublish
            | Mutant::FencedCleansUp
            | Mutant::ManifestBeforePoint
            | Mutant::CancelAfterPoint => false,
        };
        if !spare {
            world.shore.staged.remove(&token);
            world.shore.dead.insert(token);
        }
        if world.shore.visible[place] == n {
            return DeliveryEvent::Discarded {
                attempt,
                answer: Ok(DiscardAnswer::WasPublished),
            };
        }
        if me.epoch != world.row.epoch {
            return DeliveryEvent::Fenced;
        }
        gone(&mut world.row, attempt);
        DeliveryEvent::Discarded {
            attempt,
            answer: Ok(DiscardAnswer::Gone),
        }
    }
}

fn name(call: &Call) -> String {
    format!("{call:?}").chars().take(48).collect()
}

fn at(attempt: AttemptId) -> (usize, Slot) {
    let (task, n) = numbers(attempt);
    (usize::try_from(task).unwrap(), Slot::try_from(n).unwrap())
}

fn gone(row: &mut Row, attempt: AttemptId) {
    let (place, n) = at(attempt);
    row.attempts[place][usize::from(n) - 1] = true;
}

fn put(shore: &mut Shore, bytes: &[u8]) {
    shore.manifest = Some(bytes.to_vec());
    shore.first_manifest.get_or_insert_with(|| bytes.to_vec());
}

fn publish(shore: &mut Shore, attempt: AttemptId) -> PublishAnswer {
    let (place, n) = at(attempt);
    let token = (Slot::try_from(place).unwrap(), n);
    if shore.visible[place] == n {
        return PublishAnswer::Done;
    }
    if !shore.staged.contains(&token) {
        return if shore.visible[place] == 0 {
            PublishAnswer::Lost
        } else {
            PublishAnswer::Conflict
        };
    }
    // As stores that overwrite do: nothing here may help the protocol.
    shore.staged.remove(&token);
    shore.visible[place] = n;
    PublishAnswer::Done
}

fn clean_up(shore: &mut Shore, record: &DeliveryRecord) {
    for attempt in &record.attempts {
        let (place, n) = at(attempt.id);
        shore.staged.remove(&(Slot::try_from(place).unwrap(), n));
        if shore.visible[place] == n {
            shore.visible[place] = 0;
        }
    }
}

fn apply(row: &mut Row, me: &Coordinator, transition: &Transition) -> DeliveryEvent {
    let then = Some(if row.cancelled {
        AbortThen::Cancelled
    } else {
        AbortThen::Failed
    });
    let Some(to) = target(row.state, transition, then) else {
        return DeliveryEvent::Fenced;
    };
    match transition {
        Transition::Freeze => row.rev += 1,
        Transition::Restage { task } => row.winners[usize::try_from(*task).unwrap()] = 0,
        Transition::PointOfNoReturn { rev, manifest, .. } => {
            if *rev != u32::from(row.rev) {
                return DeliveryEvent::Fenced;
            }
            row.manifest = Some(manifest.clone());
        }
        Transition::Commit { .. } => row.commits += 1,
        Transition::Wait { .. } => {
            row.resume = Some(row.state);
            row.waits += 1;
        }
        Transition::StartAbort { then, .. } => row.cancelled = *then == AbortThen::Cancelled,
        Transition::SavePlan(_) | Transition::FinishAbort | Transition::Quarantine { .. } => {}
    }
    assert_eq!(me.epoch, row.epoch);
    row.state = to;
    DeliveryEvent::Applied
}

/// The event of a call that failed, for calls that can.
fn failing(call: &Call, fault: Fault) -> Option<DeliveryEvent> {
    Some(match call {
        Call::Stage(task, _) => DeliveryEvent::TaskFailed { task: *task, fault },
        Call::Command(DeliveryCommand::Plan) => DeliveryEvent::Planned(Err(fault)),
        Call::Command(DeliveryCommand::Publish { task, .. }) => DeliveryEvent::Published {
            task: *task,
            answer: Err(fault),
        },
        Call::Command(DeliveryCommand::Look { task, .. }) => DeliveryEvent::Looked {
            task: *task,
            answer: Err(fault),
        },
        Call::Command(DeliveryCommand::Discard { attempt, .. }) => DeliveryEvent::Discarded {
            attempt: *attempt,
            answer: Err(fault),
        },
        Call::Command(DeliveryCommand::Retract { attempt, .. }) => DeliveryEvent::Retracted {
            attempt: *attempt,
            answer: Err(fault),
        },
        Call::Command(
            DeliveryCommand::PutManifest { .. } | DeliveryCommand::PutFileManifest { .. },
        ) => DeliveryEvent::ManifestPut(Err(fault)),
        Call::Command(_) => return None,
    })
}

/// Calls after which a permanent fault is for a person, which is right but no end.
const fn only_forward(call: &Call) -> bool {
    matches!(
        call,
        Call::Command(
            DeliveryCommand::PutManifest { .. }
                | DeliveryCommand::PutFileManifest { .. }
                | DeliveryCommand::Discard { .. }
                | DeliveryCommand::Retract { .. }
        )
    )
}

/// The broken invariants, with whether each is.
fn invariants(world: &World) -> [(&'static str, bool); 6] {
    use DeliveryState as S;
    let World { row, shore, .. } = world;
    let listed = shore.manifest.as_deref();
    let wrong = listed.is_some_and(|files| files != shore.visible);
    let bare = row.state == S::Succeeded && (listed.is_none() || !shore.documented);
    let ended_badly = matches!(row.state, S::Failed | S::Cancelled);
    let undone = (ended_badly || row.state == S::Aborting) && listed.is_some();
    [
        (
            "I1 the manifest lists a file that is missing or another attempt's",
            wrong,
        ),
        (
            "I2 the manifest changed",
            shore.manifest != shore.first_manifest,
        ),
        ("I3 the cursor moved twice", row.commits > 1),
        ("I4 succeeded without its manifests", bare),
        ("I5 an aborted delivery has a manifest", undone),
        (
            "I6 a file of an aborted delivery is visible",
            ended_badly && shore.visible != [0; TASKS],
        ),
    ]
}

/// The first broken one of the invariants whose names begin like this.
fn broken_in(world: &World, wanted: &str) -> Option<&'static str> {
    let found = invariants(world)
        .into_iter()
        .find(|(name, broken)| *broken && name.starts_with(wanted));
    Some(found?.0)
}

fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&world.row, &world.shore, world.budget).hash(&mut hasher);
    let keys = world
        .coordinators
        .each_ref()
        .map(|it| it.as_ref().map(|it| it.key));
    // Coordinators are alike: states that differ only in who is who are one.
    let mut keys = keys;
    keys.sort_unstable();
    keys.hash(&mut hasher);
    hasher.finish()
}

struct Report {
    states: usize,
    violation: Option<(&'static str, Vec<String>)>,
    stuck: usize,
    quarantined: usize,
    ends: Vec<DeliveryState>,
}

fn explore(mutant: Mutant, bounds: Bounds, wanted: &str) -> Report {
    let explorer = Explorer { bounds, mutant };
    let start = explorer.start();
    let first = fingerprint(&start);
    let mut parents: BTreeMap<u64, (u64, String)> =
        BTreeMap::from([(first, (first, String::new()))]);
    let mut backward: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut good: Vec<u64> = Vec::new();
    let mut live: Vec<u64> = Vec::new();
    let mut ends = Vec::new();
    let mut quarantined = 0;
    let mut frontier = VecDeque::from([(first, start)]);
    while let Some((key, world)) = frontier.pop_front() {
        if let Some(what) = broken_in(&world, wanted) {
            let violation = Some((what, path(&parents, key)));
            return Report {
                states: parents.len(),
                violation,
                stuck: 0,
                quarantined,
                ends,
            };
        }
        if world.row.state.terminal() {
            good.push(key);
            if !ends.contains(&world.row.state) {
                ends.push(world.row.state);
            }
        }
        quarantined += usize::from(world.row.state == DeliveryState::Quarantined);
        if has_budget(&world, &bounds) {
            live.push(key);
        }
        for (action, next) in explorer.next(&world) {
            let next_key = fingerprint(&next);
            if mutant == Mutant::None {
                backward.entry(next_key).or_default().push(key);
            }
            if let Entry::Vacant(entry) = parents.entry(next_key) {
                entry.insert((key, action));
                frontier.push_back((next_key, next));
            }
        }
        assert!(
            parents.len() <= bounds.states_max,
            "more than {} states",
            bounds.states_max
        );
    }
    let mut reached: BTreeSet<u64> = good.iter().copied().collect();
    while let Some(key) = good.pop() {
        for before in backward.get(&key).into_iter().flatten() {
            if reached.insert(*before) {
                good.push(*before);
            }
        }
    }
    let stuck = live.iter().filter(|key| !reached.contains(key)).count();
    Report {
        states: parents.len(),
        violation: None,
        stuck,
        quarantined,
        ends,
    }
}

/// Whether the bounds still leave room to go on: another claim and another attempt at each task.
fn has_budget(world: &World, bounds: &Bounds) -> bool {
    world.row.state != DeliveryState::Quarantined
        && world.row.epoch < bounds.epochs
        && world
            .row
            .attempts
            .iter()
            .all(|tried| tried.len() < bounds.attempts)
}

fn path(parents: &BTreeMap<u64, (u64, String)>, mut key: u64) -> Vec<String> {
    let mut path = Vec::new();
    while let Some((parent, action)) = parents.get(&key) {
        if *parent == key {
            break;
        }
        path.push(action.clone());
        key = *parent;
    }
    path.reverse();
    path
}

const fn small() -> Bounds {
    Bounds {
        epochs: 2,
        attempts: 2,
        parallel: 1,
        budget: Budget {
            vanish: 0,
            false_lost: 1,
            cancel: 1,
            faults: 0,
            lost_replies: 0,
        },
        states_max: 400_000,
    }
}

fn deep() -> bool {
    std::env::var_os("OFFTAKE_DEEP").is_some()
}

#[track_caller]
fn holds(bounds: Bounds, ends: &[DeliveryState]) {
    let report = explore(Mutant::None, bounds, "I");
    assert_eq!(report.violation, None);
    assert!(report.states > 5_000, "only {} states", report.states);
    assert_eq!(report.quarantined, 0, "states in quarantine");
    assert_eq!(report.stuck, 0, "states from which no end can be reached");
    for end in ends {
        assert!(report.ends.contains(end), "never ended as {}", end.name());
    }
}

#[track_caller]
fn breaks(mutant: Mutant, bounds: Bounds, invariant: &str) {
    let report = explore(mutant, bounds, invariant);
    let (what, path) = report
        .violation
        .unwrap_or_else(|| panic!("{mutant:?} survived {} states", report.states));
    assert!(path.len() > 3, "{mutant:?}: {what}: {path:?}");
}

#[test]
fn the_invariants_hold_under_crashes_zombies_false_losses_and_cancel() {
    holds(
        small(),
        &[DeliveryState::Succeeded, DeliveryState::Cancelled],
    );
}

#[test]
fn the_invariants_hold_when_calls_fail_and_replies_are_lost() {
    let mut bounds = small();
    bounds.budget = Budget {
        vanish: 0,
        false_lost: 0,
        cancel: 0,
        faults: 1,
        lost_replies: 1,
    };
    holds(bounds, &[DeliveryState::Succeeded, DeliveryState::Failed]);
}

#[test]
fn the_invariants_hold_when_staged_files_vanish() {
    let mut bounds = small();
    bounds.budget = Budget {
        vanish: 1,
        false_lost: 0,
        cancel: 0,
        faults: 0,
        lost_replies: 0,
    };
    holds(bounds, &[DeliveryState::Succeeded]);
}

#[test]
fn the_invariants_hold_with_two_zombies() {
    let mut bounds = small();
    bounds.epochs = 3;
    bounds.budget = Budget {
        vanish: 0,
        false_lost: 1,
        cancel: 0,
        faults: 0,
        lost_replies: 0,
    };
    holds(bounds, &[DeliveryState::Succeeded]);
}

#[test]
fn the_invariants_hold_within_larger_bounds() {
    if !deep() {
        return;
    }
    let all = [
        DeliveryState::Succeeded,
        DeliveryState::Failed,
        DeliveryState::Cancelled,
    ];
    let mut everything = small();
    everything.states_max = 20_000_000;
    everything.budget = Budget {
        vanish: 1,
        false_lost: 1,
        cancel: 1,
        faults: 1,
        lost_replies: 0,
    };
    holds(everything, &all);
    let mut side_by_side = small();
    side_by_side.parallel = 2;
    side_by_side.states_max = 20_000_000;
    holds(
        side_by_side,
        &[DeliveryState::Succeeded, DeliveryState::Cancelled],
    );
    let mut zombies = small();
    zombies.epochs = 4;
    zombies.states_max = 20_000_000;
    holds(
        zombies,
        &[DeliveryState::Succeeded, DeliveryState::Cancelled],
    );
}

#[test]
fn without_one_rule_each_the_invariants_break() {
    let mut uncancelled = small();
    uncancelled.budget.cancel = 0;
    breaks(Mutant::TasksPublish, uncancelled, "I1");
    breaks(Mutant::RestageWithoutDiscard, uncancelled, "I1");
    breaks(Mutant::FencedCleansUp, uncancelled, "I1");
    breaks(Mutant::ManifestBeforePoint, small(), "I5");
    breaks(Mutant::FinalsWithoutSources, small(), "I6");
    breaks(Mutant::CancelAfterPoint, small(), "I5");
}

#[test]
fn a_handle_of_the_fixture_names_its_attempt() {
    assert_eq!(numbers(handle(1, 2).tag.attempt), (1, 2));
}
