//! Plans in their two parts: the head in the delivery's row, the tasks in pieces beside it.

use offtake_model::delivery::AbortThen;
use offtake_model::{
    ErrorCode, ExportPlan, Fault, FileSlice, Lease, PlannedTask, Run, RunKind, SourceRef,
    Transition,
};
use offtake_ports::testing::journal::fixture::{
    self, DATASETS, TTL, abort, attempt, flow_id, flow_resource, plan, run_of, winner,
};
use offtake_ports::{
    Applied, DeliveryJournal, DeliveryQueue, Enqueued, Recorded, ResourceStore, RunLog, Tick,
};
use offtake_store::Store;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};

use crate::bed::{Bed, START, actor};

/// A store whose only run is being planned.
async fn planning(bed: &Bed) -> (Store, Run, Lease) {
    let store = bed.store().await;
    let flow = flow_resource(flow_id(1));
    store.insert(&flow, &actor()).await.unwrap();
    let run = run_of(flow_id(1), RunKind::Now, "first", &DATASETS[..1]);
    let tick = Tick {
        run: run.clone(),
        schedule: None,
        by: None,
    };
    assert_eq!(store.enqueue(&tick).await, Ok(Enqueued::Inserted));
    let lease = store.claim("holder", TTL).await.unwrap().unwrap();
    (store, run, lease)
}

/// A plan of so many tasks with one file each.
fn large_plan(lease: &Lease, tasks: u32) -> ExportPlan {
    let slice = |index: u32| FileSlice {
        source: SourceRef {
            root: "lake".to_owned(),
            path: format!("orders/{index:x}.parquet"),
        },
        bytes: 1_000 + u64::from(index),
        rows: Some(3),
        ..plan(lease).tasks[0].slices[0].clone()
    };
    let task = |index: u32| PlannedTask {
        index,
        key: format!("exports/dataset/part-{index}.json"),
        slices: vec![slice(index)],
    };
    ExportPlan {
        tasks: (0..tasks).map(task).collect(),
        ..plan(lease)
    }
}

async fn save(store: &Store, lease: &Lease, plan: &ExportPlan) {
    let transition = Transition::SavePlan(Box::new(plan.clone()));
    let applied = store.apply(lease, &transition).await;
    assert_eq!(applied, Ok(Applied::Done));
}

async fn load(store: &Store, lease: &Lease) -> Result<Option<ExportPlan>, Fault> {
    let record = store.load(lease).await?;
    Ok(record.and_then(|record| record.plan))
}

/// The database beside the store, as another program sees it.
async fn database(bed: &Bed) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(bed.path().join("offtake.db"));
    options.connect().await.unwrap()
}

async fn change(bed: &Bed, statement: &str) {
    let mut db = database(bed).await;
    let done = sqlx::query(AssertSqlSafe(statement.to_owned()))
        .execute(&mut db)
        .await
        .unwrap();
    assert!(done.rows_affected() > 0, "{statement}");
}

async fn count_pieces(bed: &Bed) -> i64 {
    let mut db = database(bed).await;
    sqlx::query_scalar("SELECT count(*) FROM planned_tasks")
        .fetch_one(&mut db)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_plan_of_many_tasks_comes_back_whole() {
    let bed = Bed::new();
    let (store, _, lease) = planning(&bed).await;
    let planned = large_plan(&lease, 2_500);
    save(&store, &lease, &planned).await;
    assert_eq!(load(&store, &lease).await, Ok(Some(planned)));
    assert_eq!(count_pieces(&bed).await, 3, "of a thousand tasks at most");
}

#[tokio::test]
async fn a_plan_that_holds_its_tasks_itself_is_still_read() {
    let bed = Bed::new();
    let (store, run, lease) = planning(&bed).await;
    let planned = plan(&lease);
    save(&store, &lease, &planned).await;
    let mut value = serde_json::to_value(&planned).unwrap();
    value["tasks"] = (0..2)
        .map(|index| serde_json::to_value(planned.file_task(index).unwrap()).unwrap())
        .collect::<Vec<Value>>()
        .into();
    let whole = json!({"version": 1, "value": value});
    change(
        &bed,
        &format!("UPDATE delivery SET plan = '{whole}', planned_rows = NULL"),
    )
    .await;
    change(&bed, "DELETE FROM planned_tasks").await;
    assert_eq!(load(&store, &lease).await, Ok(Some(planned)));
    let view = RunLog::get(&store, &fixture::tenant(), run.id).await;
    assert_eq!(view.unwrap().unwrap().deliveries[0].planned_rows, None);
}

#[tokio::test]
async fn a_plan_with_a_piece_missing_or_damaged_is_refused() {
    for damage in [
        "DELETE FROM planned_tasks WHERE first_task = 1000",
        "DELETE FROM planned_tasks WHERE first_task = 2000",
        "UPDATE planned_tasks SET tasks = substr(tasks, 1, length(tasks) - 1) WHERE first_task = 1000",
        "UPDATE planned_tasks SET tasks = substr(tasks, 1, length(tasks) / 2) WHERE first_task = 2000",
    ] {
        let bed = Bed::new();
        let (store, _, lease) = planning(&bed).await;
        save(&store, &lease, &large_plan(&lease, 2_500)).await;
        change(&bed, damage).await;
        let refused = load(&store, &lease).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Internal, "{damage}");
        assert!(refused.message.contains("plan of delivery"), "{refused}");
    }
}

#[tokio::test]
async fn the_view_of_a_run_under_way_reads_no_plan() {
    let bed = Bed::new();
    let (store, run, lease) = planning(&bed).await;
    save(&store, &lease, &large_plan(&lease, 2_500)).await;
    change(&bed, "UPDATE delivery SET plan = 'unreadable'").await;
    change(&bed, "UPDATE planned_tasks SET tasks = x'00'").await;
    for task in [0, 999, 1_000, 2_499] {
        let begun = attempt(&lease, task, task);
        let applied = store.begin_attempt(&lease, &begun).await;
        assert_eq!(applied, Ok(Applied::Done));
        let won = winner(lease.delivery, task, begun.id);
        assert_eq!(store.record(&lease, &won).await, Ok(Recorded::Won));
    }
    let view = RunLog::get(&store, &fixture::tenant(), run.id).await;
    let delivery = view.unwrap().unwrap().deliveries.remove(0);
    assert_eq!(delivery.planned_rows, Some(7_500));
    let metrics = delivery.metrics;
    assert_eq!((metrics.input_files, metrics.output_files), (4, 4));
    assert_eq!(metrics.input_bytes, 4_000 + 999 + 1_000 + 2_499);
    assert_eq!((metrics.input_rows, metrics.output_rows), (40, 28));
}

#[tokio::test]
async fn rows_are_planned_only_where_every_slice_is_counted() {
    let bed = Bed::new();
    let (store, run, lease) = planning(&bed).await;
    let mut planned = large_plan(&lease, 3);
    planned.tasks[1].slices[0].rows = None;
    save(&store, &lease, &planned).await;
    let view = RunLog::get(&store, &fixture::tenant(), run.id).await;
    assert_eq!(view.unwrap().unwrap().deliveries[0].planned_rows, None);
}

#[tokio::test]
async fn a_forgotten_run_takes_its_plan_along() {
    let bed = Bed::new();
    let (store, run, lease) = planning(&bed).await;
    save(&store, &lease, &plan(&lease)).await;
    for transition in [abort(AbortThen::Failed), Transition::FinishAbort] {
        let applied = store.apply(&lease, &transition).await;
        assert_eq!(applied, Ok(Applied::Done));
    }
    change(&bed, "DELETE FROM resource WHERE kind = 'flow'").await;
    let later = START.plus_millis(1);
    assert_eq!(RunLog::purge(&store, later, 10).await, Ok(1));
    let gone = RunLog::get(&store, &fixture::tenant(), run.id).await;
    assert_eq!(gone, Ok(None));
    assert_eq!(count_pieces(&bed).await, 0);
}
