//! Lists a Delta table, plans its first delivery, saves the plan and reads it again: `plan <root> <table> <data>`.
//!
//! The store is a real one in the folder `data`, made anew. Says of each step its seconds and the most memory that the
//! process held during it, as JSON.

use std::env;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use offtake_core::plan::{Limits, Subject, plan_export};
use offtake_lake::{LakeRoot, Lakes};
use offtake_model::plan::PlanMode;
use offtake_model::resource::TableFormat;
use offtake_model::{DatasetId, ExportPlan, Lease, Run, RunKind, Transition};
use offtake_ports::testing::ManualClock;
use offtake_ports::testing::journal::fixture::{
    DATASETS, START, TTL, actor, flow_id, flow_resource, run_of, tenant,
};
use offtake_ports::{
    Applied, DeliveryJournal, DeliveryQueue, Lake, LakeRoots, ResourceStore, RunLog, Tick,
};
use offtake_store::Store;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
#[expect(
    clippy::print_stdout,
    reason = "a program for measuring prints its figures"
)]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [root, table, data] = args.as_slice() else {
        anyhow::bail!("usage: plan <root> <table> <data>");
    };
    let run = run_of(flow_id(1), RunKind::Now, "first", &DATASETS[..1]);
    let (store, lease) = claimed(Path::new(data), &run).await?;

    let mut steps = Steps::default();
    let lakes = Lakes::new(vec![LakeRoot::folder("main", root)])?;
    let source = lakes.resolve(&tenant().org, &format!("lake://main/{table}"))?;
    let set = lakes.snapshot(&source, TableFormat::Delta, None).await?;
    let files = set.slices.len();
    steps.end("list")?;

    let dataset = DatasetId(DATASETS[0].to_owned());
    let subject = Subject {
        delivery: lease.delivery,
        run: &run,
        dataset: &dataset,
        dataset_name: "dataset",
        organisation_name: "organisation",
        cursor: None,
    };
    let plan = plan_export(&subject, PlanMode::Full, set, &Limits::default())?;
    let tasks = plan.tasks.len();
    steps.end("plan")?;

    save(&store, &lease, plan).await?;
    steps.end("save")?;

    let view = RunLog::get(&store, &tenant(), run.id).await?;
    anyhow::ensure!(view.is_some(), "the run is not there");
    steps.end("view")?;

    let planned = load(&store, &lease).await?;
    anyhow::ensure!(planned.tasks.len() == tasks, "tasks are missing");
    steps.end("load")?;
    println!(
        "{}",
        json!({"files": files, "tasks": tasks, "steps": steps.ended, "store_bytes": size(Path::new(data))?})
    );
    Ok(())
}

/// A new store in which the run's only delivery is being planned.
async fn claimed(data: &Path, run: &Run) -> anyhow::Result<(Store, Lease)> {
    let _absent = fs::remove_dir_all(data);
    let store = Store::open(data, Arc::new(ManualClock::new(START))).await?;
    store.insert(&flow_resource(flow_id(1)), &actor()).await?;
    let tick = Tick {
        run: run.clone(),
        schedule: None,
        by: None,
    };
    let _inserted = store.enqueue(&tick).await?;
    let lease = store.claim("holder", TTL).await?;
    Ok((
        store,
        lease.ok_or_else(|| anyhow::anyhow!("nothing to claim"))?,
    ))
}

/// The plan is gone from memory afterwards, as in a delivery.
async fn save(store: &Store, lease: &Lease, plan: ExportPlan) -> anyhow::Result<()> {
    let saved = Transition::SavePlan(Box::new(plan));
    anyhow::ensure!(store.apply(lease, &saved).await? == Applied::Done);
    Ok(())
}

async fn load(store: &Store, lease: &Lease) -> anyhow::Result<ExportPlan> {
    let record = store.load(lease).await?;
    let plan = record.and_then(|record| record.plan);
    plan.ok_or_else(|| anyhow::anyhow!("there is no plan"))
}

/// What the steps took so far.
struct Steps {
    began: Instant,
    ended: Vec<Value>,
}

impl Default for Steps {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            ended: Vec::new(),
        }
    }
}

impl Steps {
    fn end(&mut self, step: &str) -> anyhow::Result<()> {
        let seconds = (self.began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        self.ended
            .push(json!({"step": step, "seconds": seconds, "peak_bytes": peak_bytes()?}));
        // Has the kernel count the peak from here.
        fs::write("/proc/self/clear_refs", "5")?;
        self.began = Instant::now();
        Ok(())
    }
}

/// The most memory that the process has held since it was last told to count anew.
fn peak_bytes() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: u64 = kibibytes
        .ok_or_else(|| anyhow::anyhow!("the kernel does not tell the peak"))?
        .parse()?;
    Ok(kibibytes * 1024)
}

fn size(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
