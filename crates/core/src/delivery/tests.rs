#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each test names the transition it expects"
)]

use std::collections::BTreeMap;

use offtake_model::{ExportPlan, RunKind, Winner};

use super::fixture::{
    attempt, attempt_id, denied, handle, permanent, plan, record, run, transient, winner,
};
use super::*;

const NOW: Millis = Millis(1_000_000);

struct Bench {
    machine: DeliveryMachine,
    last: Vec<DeliveryCommand>,
}

fn claimed(record: DeliveryRecord) -> Bench {
    let policy = Policy {
        tasks_parallel: 2,
        calls_parallel: 2,
        ..Policy::default()
    };
    let mut bench = Bench {
        machine: DeliveryMachine::new(record, policy),
        last: Vec::new(),
    };
    bench.hears(DeliveryEvent::Claimed);
    bench
}

impl Bench {
    fn hears(&mut self, event: DeliveryEvent) -> &mut Self {
        self.last = self.machine.handle(NOW, event);
        self
    }

    #[track_caller]
    fn says(&mut self, commands: &[DeliveryCommand]) -> &mut Self {
        assert_eq!(self.last, commands);
        self
    }

    fn publishes(&mut self, task: u32, answer: PublishAnswer) -> &mut Self {
        self.hears(DeliveryEvent::Published {
            task,
            answer: Ok(answer),
        })
    }

    fn looks(&mut self, task: u32, sight: Sight) -> &mut Self {
        self.hears(DeliveryEvent::Looked {
            task,
            answer: Ok(sight),
        })
    }

    fn discards(&mut self, task: u32, answer: DiscardAnswer) -> &mut Self {
        self.hears(DeliveryEvent::Discarded {
            attempt: attempt_id(task, 1),
            answer: Ok(answer),
        })
    }

    fn wins(&mut self, task: u32) -> &mut Self {
        let winner = Box::new(winner(task, 1));
        self.hears(DeliveryEvent::Recorded {
            winner,
            answer: RecordAnswer::Won,
        })
    }

    fn fails(&mut self, task: u32, fault: Fault) -> &mut Self {
        self.hears(DeliveryEvent::TaskFailed { task, fault })
    }

    #[track_caller]
    fn applies(&self) -> &Transition {
        match self.last.last() {
            Some(DeliveryCommand::Apply(transition)) => transition,
            other => panic!("{other:?} is not a transition"),
        }
    }
}

const fn ours() -> Sight {
    Sight::Ours {
        bytes: 70,
        etag: None,
    }
}

fn publish(task: u32) -> DeliveryCommand {
    DeliveryCommand::Publish {
        task,
        token: winner(task, 1).file.token,
    }
}

fn look(task: u32) -> DeliveryCommand {
    DeliveryCommand::Look {
        task,
        token: winner(task, 1).file.token,
    }
}

fn discard(task: u32) -> DeliveryCommand {
    DeliveryCommand::Discard {
        attempt: attempt_id(task, 1),
        handle: handle(task, 1),
    }
}

fn retract(task: u32) -> DeliveryCommand {
    DeliveryCommand::Retract {
        attempt: attempt_id(task, 1),
        handle: handle(task, 1),
    }
}

fn stop(reason: StopReason) -> DeliveryCommand {
    DeliveryCommand::Stop(reason)
}

fn cancelled() -> Transition {
    Transition::StartAbort {
        then: AbortThen::Cancelled,
        fault: Fault::new(ErrorCode::Cancelled, "cancelled on request"),
    }
}

// Rows of the crash matrix: what the next claimer does.

#[test]
fn rows_1_and_2_a_claimed_delivery_is_planned() {
    claimed(record(DeliveryState::Planning, 0, 0)).says(&[DeliveryCommand::Plan]);
}

#[test]
fn row_3_a_planned_delivery_runs_its_tasks_a_few_at_a_time() {
    let mut bench = claimed(record(DeliveryState::Executing, 3, 0));
    bench.says(&[DeliveryCommand::RunTask(0), DeliveryCommand::RunTask(1)]);
    bench.wins(0).says(&[DeliveryCommand::RunTask(2)]);
}

#[test]
fn rows_4_to_8_only_tasks_without_a_winner_run_again() {
    let mut record = record(DeliveryState::Executing, 3, 2);
    record.attempts.push(attempt(2, 1));
    claimed(record).says(&[DeliveryCommand::RunTask(2)]);
}

#[test]
fn rows_9_and_10_a_frozen_delivery_is_published_again_and_looked_at() {
    let mut bench = claimed(record(DeliveryState::Publishing, 2, 2));
    bench.says(&[publish(0), publish(1)]);
    bench.publishes(0, PublishAnswer::Done).says(&[look(0)]);
    bench.publishes(1, PublishAnswer::Done).says(&[look(1)]);
    bench.looks(1, ours()).says(&[]);
    bench
        .looks(0, ours())
        .says(&[DeliveryCommand::BuildManifest {
            etags: BTreeMap::new(),
        }]);
}

#[test]
fn row_11_the_point_of_no_return_comes_only_after_every_file_was_seen() {
    let mut bench = claimed(record(DeliveryState::Publishing, 1, 1));
    bench.publishes(0, PublishAnswer::Done);
    bench.looks(
        0,
        Sight::Ours {
            bytes: 70,
            etag: Some("e".to_owned()),
        },
    );
    bench.says(&[DeliveryCommand::BuildManifest {
        etags: BTreeMap::from([(0, "e".to_owned())]),
    }]);
    let bytes = ManifestBytes {
        bytes: b"m".to_vec(),
        sha256: "s".to_owned(),
    };
    bench.hears(DeliveryEvent::ManifestBuilt(Ok(bytes)));
    bench.says(&[DeliveryCommand::Apply(Transition::PointOfNoReturn {
        rev: 1,
        manifest: b"m".to_vec(),
        sha256: "s".to_owned(),
    })]);
    bench
        .hears(DeliveryEvent::Applied)
        .says(&[DeliveryCommand::Load]);
}

#[test]
fn rows_12_to_15_after_the_point_of_no_return_the_manifests_are_put_and_committed() {
    let mut bench = claimed(record(DeliveryState::Manifesting, 2, 2));
    bench.says(&[DeliveryCommand::PutFileManifest {
        key: "out/manifest.json".to_owned(),
    }]);
    bench
        .hears(DeliveryEvent::ManifestPut(Ok(())))
        .says(&[DeliveryCommand::PutManifest {
            key: "out/_offtake/m.manifest".to_owned(),
            bytes: b"manifest".to_vec(),
        }]);
    bench.hears(DeliveryEvent::ManifestPut(Ok(())));
    let Transition::Commit { metrics, cursor } = bench.applies() else {
        panic!("no commit");
    };
    assert_eq!(
        (
            metrics.input_rows,
            metrics.output_rows,
            metrics.output_files
        ),
        (18, 14, 2)
    );
    assert_eq!((metrics.input_files, metrics.input_bytes), (3, 120));
    assert_eq!(cursor.as_ref().map(|it| it.seq), Some(1));
    bench
        .hears(DeliveryEvent::Applied)
        .says(&[stop(StopReason::Ended(DeliveryState::Succeeded))]);
}

#[test]
fn row_17_an_abort_discards_every_source_before_it_retracts_a_final() {
    let mut bench = claimed(record(DeliveryState::Aborting, 3, 3));
    bench.says(&[discard(0), discard(1)]);
    bench
        .discards(0, DiscardAnswer::WasPublished)
        .says(&[discard(2)]);
    bench.discards(1, DiscardAnswer::Gone).says(&[]);
    bench
        .discards(2, DiscardAnswer::WasPublished)
        .says(&[retract(0), retract(2)]);
    for task in [0, 2] {
        bench.hears(DeliveryEvent::Retracted {
            attempt: attempt_id(task, 1),
            answer: Ok(()),
        });
    }
    bench.says(&[DeliveryCommand::Apply(Transition::FinishAbort)]);
    bench
        .hears(DeliveryEvent::Applied)
        .says(&[stop(StopReason::Ended(DeliveryState::Failed))]);
}

#[test]
fn row_18_a_fenced_holder_stops_at_once_in_every_state() {
    for state in DeliveryState::ALL {
        let mut bench = claimed(record(state, 1, 1));
        if !bench.last.contains(&stop(StopReason::NothingToDo)) {
            bench
                .hears(DeliveryEvent::Fenced)
                .says(&[stop(StopReason::Fenced)]);
        }
        bench.hears(DeliveryEvent::Woken).says(&[]);
        bench.hears(DeliveryEvent::Fenced).says(&[]);
    }
}

// The way forward.

#[test]
fn a_plan_is_saved_and_the_record_read_again() {
    let mut bench = claimed(record(DeliveryState::Planning, 0, 0));
    let made: Box<ExportPlan> = Box::new(plan(2));
    bench.hears(DeliveryEvent::Planned(Ok(made.clone())));
    bench.says(&[DeliveryCommand::Apply(Transition::SavePlan(made))]);
    bench
        .hears(DeliveryEvent::Applied)
        .says(&[DeliveryCommand::Load]);
    bench.hears(DeliveryEvent::Loaded(Box::new(record(
        DeliveryState::Executing,
        2,
        0,
    ))));
    bench.says(&[DeliveryCommand::RunTask(0), DeliveryCommand::RunTask(1)]);
}

#[test]
fn freeze_comes_only_when_every_task_has_a_winner() {
    let mut bench = claimed(record(DeliveryState::Executing, 2, 0));
    let sealed: Box<Winner> = Box::new(winner(1, 1));
    bench.hears(DeliveryEvent::TaskSealed(sealed.clone()));
    bench.says(&[DeliveryCommand::Record(sealed)]);
    bench.wins(1).says(&[]);
    bench.wins(0);
    assert_eq!(bench.applies(), &Transition::Freeze);
}

#[test]
fn a_delivery_without_tasks_freezes_directly_and_still_gets_its_manifest() {
    let bench = claimed(record(DeliveryState::Executing, 0, 0));
    assert_eq!(bench.applies(), &Transition::Freeze);
    claimed(record(DeliveryState::Publishing, 0, 0)).says(&[DeliveryCommand::BuildManifest {
        etags: BTreeMap::new(),
    }]);
}

#[test]
fn an_attempt_that_came_second_discards_its_own_file_only() {
    let mut bench = claimed(record(DeliveryState::Executing, 2, 0));
    let late = Box::new(winner(0, 1));
    bench.hears(DeliveryEvent::Recorded {
        winner: late,
        answer: RecordAnswer::Lost,
    });
    bench.says(&[discard(0)]);
}

#[test]
fn kinds_that_do_not_move_the_cursor_commit_without_a_move() {
    for (kind, moves) in [
        (RunKind::Scheduled, true),
        (RunKind::Now, true),
        (RunKind::Adhoc, false),
        (RunKind::Replay, false),
    ] {
        let mut record = record(DeliveryState::Manifesting, 1, 1);
        record.run = run(kind);
        record.plan = Some(ExportPlan {
            kind,
            file_manifest_key: None,
            ..plan(1)
        });
        let mut bench = claimed(record);
        bench.hears(DeliveryEvent::ManifestPut(Ok(())));
        let Transition::Commit { cursor, .. } = bench.applies() else {
            panic!("no commit");
        };
        assert_eq!(cursor.is_some(), moves, "{kind:?}");
    }
}

// Files that are lost, strange or uncertain.

#[test]
fn a_lost_file_is_discarded_then_sought_before_its_task_runs_again() {
    let mut bench = claimed(record(DeliveryState::Publishing, 1, 1));
    bench.publishes(0, PublishAnswer::Lost).says(&[discard(0)]);
    bench.discards(0, DiscardAnswer::Gone).says(&[look(0)]);
    bench.looks(0, Sight::Absent);
    assert_eq!(bench.applies(), &Transition::Restage { task: 0 });
}

#[test]
fn a_file_said_to_be_lost_but_seen_counts_as_published() {
    let mut bench = claimed(record(DeliveryState::Publishing, 1, 1));
    bench
        .publishes(0, PublishAnswer::Lost)
        .discards(0, DiscardAnswer::WasPublished);
    bench.says(&[look(0)]);
    bench
        .looks(0, ours())
        .says(&[DeliveryCommand::BuildManifest {
            etags: BTreeMap::new(),
        }]);
}

#[test]
fn files_that_vanish_again_and_again_end_the_delivery() {
    let mut record = record(DeliveryState::Publishing, 1, 1);
    record.rev = Policy::default().freezes_max;
    let mut bench = claimed(record);
    bench
        .publishes(0, PublishAnswer::Lost)
        .discards(0, DiscardAnswer::Gone)
        .looks(0, Sight::Absent);
    let Transition::StartAbort {
        then: AbortThen::Failed,
        fault,
    } = bench.applies()
    else {
        panic!("no abort");
    };
    assert_eq!(fault.code, ErrorCode::RetriesExhausted);
}

#[test]
fn another_writers_file_at_the_name_fails_the_delivery_once_nothing_is_under_way() {
    let mut bench = claimed(record(DeliveryState::Publishing, 3, 3));
    bench.publishes(0, PublishAnswer::Conflict).says(&[]);
    bench.publishes(1, PublishAnswer::Done).says(&[look(1)]);
    bench.looks(1, ours());
    let Transition::StartAbort {
        then: AbortThen::Failed,
        fault,
    } = bench.applies()
    else {
        panic!("no abort");
    };
    assert_eq!(fault.code, ErrorCode::DestinationConflict);
}

#[test]
fn what_cannot_be_told_is_held_for_a_person() {
    let ambiguous = |bench: &Bench| match bench.applies() {
        Transition::Quarantine { fault } => fault.code,
        other => panic!("{other:?}"),
    };
    let mut bench = claimed(record(DeliveryState::Publishing, 1, 1));
    bench.publishes(0, PublishAnswer::Ambiguous);
    assert_eq!(ambiguous(&bench), ErrorCode::DestinationAmbiguous);
    let mut bench = claimed(record(DeliveryState::Publishing, 1, 1));
    bench
        .publishes(0, PublishAnswer::Done)
        .looks(0, Sight::Absent);
    assert_eq!(ambiguous(&bench), ErrorCode::DestinationAmbiguous);
    let mut bench = claimed(record(DeliveryState::Publishing, 1, 1));
    bench.publishes(0, PublishAnswer::Done).looks(
        0,
        Sight::Ours {
            bytes: 69,
            etag: None,
        },
    );
    assert_eq!(ambiguous(&bench), ErrorCode::DestinationAmbiguous);
}

#[test]
fn winners_that_are_not_the_plans_are_never_published() {
    let mut bench = claimed(record(DeliveryState::Publishing, 2, 1));
    assert!(matches!(bench.applies(), Transition::Quarantine { .. }));
    bench
        .hears(DeliveryEvent::Applied)
        .says(&[stop(StopReason::Quarantined)]);
}

// Cancel.

#[test]
fn cancel_is_honoured_before_the_point_of_no_return() {
    let mut bench = claimed(record(DeliveryState::Planning, 0, 0));
    bench
        .hears(DeliveryEvent::CancelRequested)
        .says(&[DeliveryCommand::Apply(cancelled())]);
    let mut bench = claimed(record(DeliveryState::Executing, 2, 0));
    bench.hears(DeliveryEvent::CancelRequested);
    bench.says(&[
        DeliveryCommand::StopTasks,
        DeliveryCommand::Apply(cancelled()),
    ]);
    let mut bench = claimed(record(DeliveryState::Publishing, 1, 1));
    bench.hears(DeliveryEvent::CancelRequested).says(&[]);
    bench.publishes(0, PublishAnswer::Done).says(&[look(0)]);
    bench
        .looks(0, ours())
        .says(&[DeliveryCommand::Apply(cancelled())]);
}

#[test]
fn cancel_comes_too_late_after_the_point_of_no_return_and_during_an_abort() {
    for state in [DeliveryState::Manifesting, DeliveryState::Aborting] {
        let mut bench = claimed(record(state, 1, 1));
        bench.hears(DeliveryEvent::CancelRequested).says(&[]);
    }
}

#[test]
fn a_cancel_asked_for_before_the_claim_is_honoured_at_once() {
    let mut record = record(DeliveryState::Executing, 1, 0);
    record.cancel_requested = true;
    assert_eq!(claimed(record).applies(), &cancelled());
}

// Faults.

#[test]
fn a_task_fault_lets_the_others_finish_and_then_waits_keeping_winners() {
    let mut bench = claimed(record(DeliveryState::Executing, 3, 0));
    bench.fails(0, transient()).says(&[]);
    bench.wins(1);
    assert_eq!(
        bench.applies(),
        &Transition::Wait {
            fault: transient(),
            not_before: NOW.plus_millis(30_000)
        }
    );
    bench
        .hears(DeliveryEvent::Applied)
        .says(&[stop(StopReason::Waiting)]);
}

#[test]
fn a_permanent_task_fault_ends_the_delivery_without_waiting_for_others() {
    let mut bench = claimed(record(DeliveryState::Executing, 3, 0));
    bench.fails(1, permanent());
    assert_eq!(bench.last.first(), Some(&DeliveryCommand::StopTasks));
    assert!(matches!(
        bench.applies(),
        Transition::StartAbort {
            then: AbortThen::Failed,
            ..
        }
    ));
}

#[test]
fn waits_grow_to_half_an_hour_and_the_fifth_try_is_the_last() {
    let expected = [30, 60, 120, 240];
    for (attempt, seconds) in (0_u32..).zip(expected) {
        let mut record = record(DeliveryState::Executing, 1, 0);
        record.attempt = attempt;
        let mut bench = claimed(record);
        bench.fails(0, transient());
        let Transition::Wait { not_before, .. } = bench.applies() else {
            panic!("no wait");
        };
        assert_eq!(not_before.since(NOW), seconds * 1000);
    }
    let mut record = record(DeliveryState::Executing, 1, 0);
    record.attempt = 4;
    let mut bench = claimed(record);
    bench.fails(0, transient());
    let Transition::StartAbort {
        then: AbortThen::Failed,
        fault,
    } = bench.applies()
    else {
        panic!("no abort");
    };
    assert_eq!(fault.code, ErrorCode::RetriesExhausted);
    assert!(
        fault
            .cause
            .as_deref()
            .unwrap()
            .contains("DESTINATION_UNREACHABLE")
    );
}

#[test]
fn refused_credentials_wait_for_a_day() {
    let mut waited = 0;
    for attempt in 0..200 {
        let mut record = record(DeliveryState::Executing, 1, 0);
        record.attempt = attempt + 3;
        record.credential_waits = attempt;
        let mut bench = claimed(record);
        bench.fails(0, denied());
        match bench.applies() {
            Transition::Wait { not_before, .. } => waited += not_before.since(NOW),
            Transition::StartAbort { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    let day = 24 * 3600 * 1000;
    assert!((day..day + 1_800_001).contains(&waited), "{waited} ms");
}

#[test]
fn a_fault_that_follows_a_long_wait_for_credentials_still_gets_its_wait() {
    let mut record = record(DeliveryState::Executing, 1, 0);
    record.attempt = 21;
    record.credential_waits = 20;
    let mut bench = claimed(record);
    bench.fails(0, transient());
    let Transition::Wait { not_before, .. } = bench.applies() else {
        panic!("no wait");
    };
    assert_eq!(not_before.since(NOW), 60_000, "the second of its kind");
}

#[test]
fn claims_that_end_without_a_word_are_counted_and_end_the_delivery() {
    let mut worn = record(DeliveryState::Executing, 1, 0);
    worn.claims_lost = 9;
    claimed(worn).says(&[DeliveryCommand::RunTask(0)]);
    for (state, winners) in [
        (DeliveryState::Planning, 0),
        (DeliveryState::Executing, 0),
        (DeliveryState::Publishing, 1),
    ] {
        let mut worn = record(state, 1, winners);
        worn.claims_lost = 10;
        let bench = claimed(worn);
        let Transition::StartAbort { then, fault } = bench.applies() else {
            panic!("{state:?}: no abort");
        };
        assert_eq!(*then, AbortThen::Failed);
        assert_eq!(fault.code, ErrorCode::RetriesExhausted);
    }
    for state in [DeliveryState::Manifesting, DeliveryState::Aborting] {
        let mut worn = record(state, 1, 1);
        worn.claims_lost = 10;
        let bench = claimed(worn);
        let quarantined = matches!(bench.applies(), Transition::Quarantine { .. });
        assert!(quarantined, "{state:?}");
    }
}

#[test]
fn a_planning_fault_waits_or_fails_by_its_kind() {
    let mut bench = claimed(record(DeliveryState::Planning, 0, 0));
    bench.hears(DeliveryEvent::Planned(Err(transient())));
    assert!(matches!(bench.applies(), Transition::Wait { .. }));
    let mut bench = claimed(record(DeliveryState::Planning, 0, 0));
    bench.hears(DeliveryEvent::Planned(Err(permanent())));
    assert!(matches!(
        bench.applies(),
        Transition::StartAbort {
            then: AbortThen::Failed,
            ..
        }
    ));
}

#[test]
fn a_manifest_that_cannot_be_put_is_tried_for_a_day_and_then_held_for_a_person() {
    let mut bench = claimed(record(DeliveryState::Manifesting, 1, 1));
    let mut pauses = 0;
    let mut waited = Duration::ZERO;
    loop {
        bench.hears(DeliveryEvent::ManifestPut(Err(transient())));
        match bench.last.last() {
            Some(DeliveryCommand::Pause { delay, .. }) => waited += *delay,
            Some(DeliveryCommand::Apply(Transition::Quarantine { .. })) => break,
            other => panic!("{other:?}"),
        }
        pauses += 1;
        bench
            .hears(DeliveryEvent::Woken)
            .says(&[DeliveryCommand::Load]);
        let again = Box::new(record(DeliveryState::Manifesting, 1, 1));
        bench.hears(DeliveryEvent::Loaded(again));
    }
    assert!(
        pauses < 60 && waited >= Duration::from_hours(24),
        "{pauses} {waited:?}"
    );
}

#[test]
fn other_bytes_at_the_manifests_name_are_for_a_person() {
    let mut bench = claimed(record(DeliveryState::Manifesting, 1, 1));
    let fault = Fault::new(ErrorCode::DestinationConflict, "put manifest: other bytes");
    bench.hears(DeliveryEvent::ManifestPut(Err(fault)));
    assert!(matches!(bench.applies(), Transition::Quarantine { .. }));
}

#[test]
fn a_discard_that_fails_retracts_nothing_and_is_tried_again() {
    let mut bench = claimed(record(DeliveryState::Aborting, 2, 2));
    bench.discards(0, DiscardAnswer::WasPublished);
    bench.hears(DeliveryEvent::Discarded {
        attempt: attempt_id(1, 1),
        answer: Err(transient()),
    });
    bench.says(&[DeliveryCommand::Pause {
        fault: transient(),
        delay: Duration::from_secs(30),
    }]);
    bench
        .hears(DeliveryEvent::Woken)
        .says(&[DeliveryCommand::Load]);
}

#[test]
fn an_abort_skips_what_is_known_to_be_gone_or_was_never_staged() {
    let mut record = record(DeliveryState::Aborting, 3, 3);
    record.attempts[0].discarded = true;
    record.attempts[1].handle = None;
    claimed(record).says(&[discard(2)]);
}

#[test]
fn a_failed_journal_ends_the_claim_because_nothing_is_known() {
    let mut bench = claimed(record(DeliveryState::Publishing, 1, 1));
    let fault = Fault::new(ErrorCode::StoreUnavailable, "apply: disk full");
    bench
        .hears(DeliveryEvent::JournalFailed(fault.clone()))
        .says(&[stop(StopReason::Journal(fault))]);
}

#[test]
fn a_commit_that_the_cursor_forbids_is_for_a_person() {
    let refused = || {
        Fault::new(
            ErrorCode::Quarantined,
            "refused to commit: the cursor moved",
        )
    };
    let mut manifesting = record(DeliveryState::Manifesting, 1, 1);
    manifesting.plan = Some(ExportPlan {
        file_manifest_key: None,
        ..plan(1)
    });
    let mut bench = claimed(manifesting);
    bench.hears(DeliveryEvent::ManifestPut(Ok(())));
    assert!(matches!(bench.applies(), Transition::Commit { .. }));
    bench.hears(DeliveryEvent::JournalFailed(refused()));
    assert_eq!(
        *bench.applies(),
        Transition::Quarantine { fault: refused() }
    );
    bench
        .hears(DeliveryEvent::Applied)
        .says(&[stop(StopReason::Quarantined)]);
}

// Shutdown.

#[test]
fn on_shutdown_running_tasks_may_finish_but_none_is_started() {
    let mut bench = claimed(record(DeliveryState::Executing, 3, 0));
    bench.hears(DeliveryEvent::ShutdownRequested).says(&[]);
    bench.wins(0).says(&[]);
    bench.wins(1).says(&[stop(StopReason::Shutdown)]);
}

#[test]
fn on_shutdown_tasks_that_never_got_a_turn_are_not_waited_for() {
    let mut bench = claimed(record(DeliveryState::Executing, 2, 0));
    bench.hears(DeliveryEvent::ShutdownRequested).says(&[]);
    bench
        .hears(DeliveryEvent::TaskNotStarted { task: 0 })
        .says(&[]);
    bench
        .hears(DeliveryEvent::TaskNotStarted { task: 1 })
        .says(&[stop(StopReason::Shutdown)]);
}

#[test]
fn on_shutdown_a_delivery_past_the_point_of_no_return_goes_on() {
    let mut bench = claimed(record(DeliveryState::Manifesting, 1, 1));
    bench.hears(DeliveryEvent::ShutdownRequested).says(&[]);
    bench.hears(DeliveryEvent::ManifestPut(Ok(())));
    assert!(matches!(
        bench.last[..],
        [DeliveryCommand::PutManifest { .. }]
    ));
}

#[test]
fn on_shutdown_a_pause_is_not_waited_for() {
    let mut bench = claimed(record(DeliveryState::Manifesting, 1, 1));
    bench.hears(DeliveryEvent::ManifestPut(Err(transient())));
    bench
        .hears(DeliveryEvent::ShutdownRequested)
        .says(&[stop(StopReason::Shutdown)]);
}

// The table of transitions.

#[test]
#[expect(clippy::too_many_lines, reason = "the whole chart in one place")]
fn every_transition_leads_only_where_the_state_chart_says() {
    use DeliveryState as S;
    let fault = permanent;
    let rows: [(Transition, &[(S, S)]); 9] = [
        (
            Transition::SavePlan(Box::new(plan(1))),
            &[(S::Planning, S::Executing)],
        ),
        (Transition::Freeze, &[(S::Executing, S::Publishing)]),
        (
            Transition::Restage { task: 0 },
            &[(S::Publishing, S::Executing)],
        ),
        (
            Transition::PointOfNoReturn {
                rev: 1,
                manifest: Vec::new(),
                sha256: String::new(),
            },
            &[(S::Publishing, S::Manifesting)],
        ),
        (
            Transition::Commit {
                metrics: offtake_model::RunMetrics::default(),
                cursor: None,
            },
            &[(S::Manifesting, S::Succeeded)],
        ),
        (
            Transition::Wait {
                fault: fault(),
                not_before: NOW,
            },
            &[
                (S::Planning, S::RetryWait),
                (S::Executing, S::RetryWait),
                (S::Publishing, S::RetryWait),
            ],
        ),
        (
            Transition::StartAbort {
                then: AbortThen::Failed,
                fault: fault(),
            },
            &[
                (S::Planning, S::Aborting),
                (S::Executing, S::Aborting),
                (S::Publishing, S::Aborting),
                (S::RetryWait, S::Aborting),
            ],
        ),
        (Transition::FinishAbort, &[(S::Aborting, S::Failed)]),
        (
            Transition::Quarantine { fault: fault() },
            &[
                (S::Planning, S::Quarantined),
                (S::Executing, S::Quarantined),
                (S::Publishing, S::Quarantined),
                (S::Manifesting, S::Quarantined),
                (S::RetryWait, S::Quarantined),
                (S::Aborting, S::Quarantined),
            ],
        ),
    ];
    for (transition, allowed) in rows {
        for from in S::ALL {
            let expected = allowed
                .iter()
                .find(|(state, _)| *state == from)
                .map(|(_, to)| *to);
            assert_eq!(
                target(from, &transition, None),
                expected,
                "{transition:?} from {from:?}"
            );
        }
    }
    let cancelled = target(
        S::Aborting,
        &Transition::FinishAbort,
        Some(AbortThen::Cancelled),
    );
    assert_eq!(cancelled, Some(S::Cancelled));
}
