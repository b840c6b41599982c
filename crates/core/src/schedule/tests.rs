use offtake_model::resource::{Flow, FlowState, LastOperation, Object, SpecRef};
use offtake_model::{ErrorCode, ExportMode, Millis, Schedule, TimeUnit};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{due_run, first_occurrence, latest_occurrence, next_occurrence, parse};

const START: i64 = 1_675_901_210;

/// How far grids are walked.
const HORIZON: i64 = 6_000_000_000;

fn schedule(unit: TimeUnit, interval: u32, start: i64, end: Option<i64>) -> Schedule {
    Schedule {
        export_mode: ExportMode::FirstFullThenIncremental,
        interval,
        time_unit: unit,
        start: Millis::from_secs(start),
        end: end.map(Millis::from_secs),
    }
}

/// Every occurrence up to `horizon`, one after the other.
fn walk(schedule: &Schedule, horizon: i64) -> Vec<Millis> {
    let step = match schedule.time_unit {
        TimeUnit::Hour => 3_600_000,
        TimeUnit::Day => 86_400_000,
    } * i64::from(schedule.interval);
    let mut all = Vec::new();
    let mut at = schedule.start;
    while at.0 <= horizon && schedule.end.is_none_or(|end| at <= end) {
        all.push(at);
        if step == 0 {
            break;
        }
        at = at.plus_millis(step);
    }
    all
}

fn schedules() -> impl Strategy<Value = Schedule> {
    (
        prop_oneof![
            proptest::sample::select(vec![3u32, 6, 8, 9, 12, 24]).prop_map(|n| (TimeUnit::Hour, n)),
            (0u32..=1).prop_map(|n| (TimeUnit::Day, n)),
        ],
        1i64..2_000_000,
        proptest::option::of(1i64..2_000_000),
    )
        .prop_map(|((unit, interval), start, length)| {
            schedule(unit, interval, start, length.map(|it| start + it))
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn occurrences_agree_with_walking_the_grid(it in schedules(), now in -1_000_000i64..5_000_000_000) {
        let grid = walk(&it, HORIZON);
        let now = Millis(now);
        prop_assert_eq!(next_occurrence(&it, now), grid.iter().copied().find(|at| *at > now));
        let latest = grid.iter().copied().rfind(|at| *at <= now);
        prop_assert_eq!(latest_occurrence(&it, now), latest);
        let ended = it.end.is_some_and(|end| end < now);
        prop_assert_eq!(first_occurrence(&it, now), latest.filter(|_| !ended));
    }

    #[test]
    fn occurrences_on_the_grid_itself_are_exact(it in schedules(), ordinal in 0usize..200) {
        let grid = walk(&it, HORIZON);
        let Some(at) = grid.get(ordinal).copied() else { return Ok(()) };
        prop_assert_eq!(latest_occurrence(&it, at), Some(at));
        let next = next_occurrence(&it, at).filter(|next| next.0 <= HORIZON);
        prop_assert_eq!(next, grid.get(ordinal + 1).copied());
        prop_assert_eq!(next_occurrence(&it, at.plus_millis(-1)), Some(at));
    }

    #[test]
    fn no_instant_overflows(it in schedules(), now in any::<i64>()) {
        let now = Millis(now);
        if let Some(next) = next_occurrence(&it, now) {
            prop_assert!(next > now);
        }
        let _ = latest_occurrence(&it, now);
    }

    #[test]
    fn any_parameters_give_an_answer(unit in "[a-z]{0,5}|hour|day", interval in any::<i64>(), start in any::<i64>()) {
        let _ = parse(&json!({"timeUnit": unit, "interval": interval, "startTime": start}));
    }
}

#[test]
fn a_past_start_runs_at_once_and_then_stays_on_the_grid() {
    let it = schedule(TimeUnit::Hour, 3, START, None);
    let now = Millis::from_secs(START + 4 * 3_600);
    assert_eq!(
        first_occurrence(&it, now),
        Some(Millis::from_secs(START + 3 * 3_600))
    );
    assert_eq!(
        next_occurrence(&it, now),
        Some(Millis::from_secs(START + 6 * 3_600))
    );
}

#[test]
fn once_is_due_at_its_start_and_never_again() {
    let it = schedule(TimeUnit::Day, 0, START, None);
    let later = Millis::from_secs(START + 1_000_000);
    assert_eq!(first_occurrence(&it, later), Some(it.start));
    assert_eq!(next_occurrence(&it, later), None);
    assert_eq!(next_occurrence(&it, Millis(0)), Some(it.start));
}

#[test]
fn the_end_is_inclusive_and_nothing_is_due_after_it() {
    let it = schedule(TimeUnit::Day, 1, START, Some(START + 86_400));
    assert_eq!(next_occurrence(&it, it.start), it.end);
    assert_eq!(
        next_occurrence(&it, Millis::from_secs(START + 86_400)),
        None
    );
    let after = Millis::from_secs(START + 200_000);
    assert_eq!(first_occurrence(&it, after), None);
    assert_eq!(latest_occurrence(&it, after), it.end);
}

fn refused(params: &Value) -> (ErrorCode, String) {
    let fault = parse(params).unwrap_err();
    (fault.code, fault.message)
}

#[test]
fn the_tutorials_schedule_is_read_and_echoed_as_given() {
    let given = json!({"interval": 3, "timeUnit": "hour", "startTime": START});
    let parsed = parse(&given).unwrap();
    assert_eq!(parsed.schedule, schedule(TimeUnit::Hour, 3, START, None));
    assert_eq!(Value::Object(parsed.echo), given);
}

#[test]
fn a_clients_texts_become_numbers_and_its_frequency_is_kept() {
    let parsed = parse(&json!({
        "timeUnit": "day", "interval": "1", "frequency": "day", "exportMode": "FIRST_FULL_THEN_INCREMENTAL",
        "startTime": START, "endTime": null, "folderNameTemplate": "%DESTINATION%_%DATASET_ID%",
    }))
    .unwrap();
    assert_eq!(
        parsed.folder_template.as_deref(),
        Some("%DESTINATION%_%DATASET_ID%")
    );
    assert_eq!(
        Value::Object(parsed.echo),
        json!({
            "timeUnit": "day", "interval": 1, "frequency": "day", "exportMode": "FIRST_FULL_THEN_INCREMENTAL",
            "startTime": START, "foldernameTemplate": "%DESTINATION%_%DATASET_ID%",
        })
    );
}

#[test]
fn every_combination_of_the_set_passes_and_every_other_names_the_set() {
    let modes = [
        None,
        Some("DAILY_FULL_EXPORT"),
        Some("FIRST_FULL_THEN_INCREMENTAL"),
    ];
    for mode in modes {
        for unit in ["hour", "day"] {
            for interval in 0..=30 {
                let mut params =
                    json!({"timeUnit": unit, "interval": interval, "startTime": START});
                if let Some(mode) = mode {
                    params["exportMode"] = json!(mode);
                }
                let allowed = match (unit, mode) {
                    ("hour", None | Some("FIRST_FULL_THEN_INCREMENTAL")) => {
                        [3, 6, 8, 9, 12, 24].contains(&interval)
                    }
                    ("day", Some("DAILY_FULL_EXPORT")) => interval == 0,
                    ("day", _) => interval == 1,
                    _ => false,
                };
                if allowed {
                    assert_eq!(parse(&params).unwrap().schedule.interval, interval);
                    continue;
                }
                let (code, message) = refused(&params);
                assert_eq!(code, ErrorCode::ScheduleInvalid);
                assert!(message.contains("3, 6, 8, 9, 12 or 24"), "{message}");
            }
        }
    }
}

#[test]
fn refusals_name_the_key_and_the_rule() {
    for (key, value, part) in [
        (
            "startTime",
            json!(1_675_901_210_000i64),
            "looks like milliseconds; send seconds, such as 1675901210",
        ),
        ("startTime", json!(-5), "got -5"),
        ("startTime", json!("soon"), "whole number, got \"soon\""),
        ("startTime", Value::Null, "is required"),
        ("endTime", json!(START), "must be after `startTime`"),
        (
            "interval",
            Value::Null,
            "`scheduleParams.interval` is required",
        ),
        ("interval", json!(2.5), "whole number"),
        (
            "timeUnit",
            Value::Null,
            "`scheduleParams.timeUnit` is required",
        ),
        ("timeUnit", json!("week"), "\"week\""),
        ("exportMode", json!("FULL"), "\"FULL\""),
        ("foldernameTemplate", json!("%WHAT%"), "%WHAT%"),
    ] {
        let mut params = json!({"timeUnit": "hour", "interval": 3, "startTime": START});
        params[key] = value;
        let (_, message) = refused(&params);
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn two_different_templates_are_refused() {
    let (code, _) = refused(&json!({
        "timeUnit": "hour", "interval": 3, "startTime": START, "foldernameTemplate": "a", "folderNameTemplate": "b",
    }));
    assert_eq!(code, ErrorCode::FieldInvalid);
}

fn flow(schedule: Schedule, next_due_at: i64, enabled_at: i64) -> Flow {
    Flow {
        name: "f".to_owned(),
        description: None,
        spec: SpecRef {
            id: String::new(),
            version: String::new(),
        },
        source_connection_ids: Vec::new(),
        target_connection_ids: Vec::new(),
        schedule,
        schedule_params: Object::new(),
        transformations: Value::Null,
        state: FlowState::Enabled,
        generation: 3,
        enabled_at: Some(Millis::from_secs(enabled_at)),
        next_due_at: Some(Millis::from_secs(next_due_at)),
        last_operation: LastOperation {
            operation: "enable".to_owned(),
            at: Millis(0),
            ops: Value::Null,
        },
    }
}

#[test]
fn a_run_at_once_is_named_by_generation_and_later_ones_by_their_instant() {
    let daily = schedule(TimeUnit::Day, 1, START, None);
    let noon = START + 43_200;
    let now = Millis::from_secs(noon);
    let at_once = due_run(&flow(daily.clone(), START, noon), now).unwrap();
    assert_eq!(
        (at_once.trigger_key.as_str(), at_once.full),
        ("start:3", false)
    );
    let tomorrow = START + 86_400;
    assert_eq!(at_once.next_due_at, Some(Millis::from_secs(tomorrow)));
    let next = flow(daily, tomorrow, noon);
    assert_eq!(due_run(&next, now), None);
    let run = due_run(&next, Millis::from_secs(tomorrow + 3 * 86_400 + 1)).unwrap();
    assert_eq!(run.occurrence, Millis::from_secs(tomorrow + 3 * 86_400));
    assert_eq!(run.trigger_key, format!("sched:{}", tomorrow + 3 * 86_400));
}

#[test]
fn a_flow_that_never_sends_increments_asks_for_everything() {
    let mut once = schedule(TimeUnit::Day, 0, START, None);
    once.export_mode = ExportMode::DailyFullExport;
    let run = due_run(&flow(once, START, START), Millis::from_secs(START)).unwrap();
    assert_eq!((run.full, run.next_due_at), (true, None));
}
