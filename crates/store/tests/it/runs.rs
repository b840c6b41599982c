use offtake_model::{FlowId, RunKind, Tenant};
use offtake_ports::testing::journal::fixture::{DATASETS, flow_id, flow_resource, run_of};
use offtake_ports::{DeliveryQueue, Enqueued, PageRequest, ResourceStore, RunLog, RunQuery, Tick};
use offtake_store::Store;

use crate::bed::{Bed, START, actor, tenant};

async fn enqueue(store: &Store, tenant: &Tenant, flow: FlowId, trigger: &str, second: i64) {
    let mut run = run_of(flow, RunKind::Adhoc, trigger, &DATASETS);
    run.spec.tenant = tenant.clone();
    run.created_at = START.plus_millis(second * 1_000);
    let tick = Tick {
        run,
        schedule: None,
        by: None,
    };
    assert_eq!(store.enqueue(&tick).await, Ok(Enqueued::Inserted));
}

async fn add_flow(store: &Store, tenant: &Tenant, number: u32) -> FlowId {
    let mut flow = flow_resource(flow_id(number));
    flow.tenant = tenant.clone();
    store.insert(&flow, &actor()).await.unwrap();
    flow_id(number)
}

async fn triggers(store: &Store, tenant: &Tenant, query: &RunQuery, limit: u32) -> Vec<String> {
    let mut seen = Vec::new();
    let mut page = PageRequest {
        limit,
        after: None,
        offset: 0,
    };
    loop {
        let found = RunLog::list(store, tenant, query, &page).await.unwrap();
        seen.extend(found.items.into_iter().map(|view| view.run.trigger_key));
        page.after = found.next;
        if page.after.is_none() {
            return seen;
        }
    }
}

#[tokio::test]
async fn runs_are_listed_newest_first_by_tenant_and_flow() {
    let bed = Bed::new();
    let store = bed.store().await;
    let (prod, dev) = (tenant("prod"), tenant("dev"));
    let one = add_flow(&store, &prod, 1).await;
    let two = add_flow(&store, &prod, 2).await;
    let theirs = add_flow(&store, &dev, 3).await;
    enqueue(&store, &prod, one, "a", 1).await;
    enqueue(&store, &prod, two, "b", 2).await;
    enqueue(&store, &prod, one, "c", 3).await;
    enqueue(&store, &dev, theirs, "d", 4).await;

    let all = RunQuery::default();
    let of_one = RunQuery::of(one);
    assert_eq!(triggers(&store, &prod, &all, 2).await, ["c", "b", "a"]);
    assert_eq!(triggers(&store, &prod, &of_one, 1).await, ["c", "a"]);
    assert_eq!(triggers(&store, &dev, &all, 9).await, ["d"]);
    assert!(triggers(&store, &dev, &of_one, 9).await.is_empty());
    assert_eq!(RunLog::count(&store, &prod, &of_one).await, Ok(2));
    assert_eq!(RunLog::count(&store, &dev, &all).await, Ok(1));

    let latest = store.latest(&prod, &[one, two, theirs]).await.unwrap();
    let latest: Vec<&str> = latest
        .iter()
        .map(|it| it.run.trigger_key.as_str())
        .collect();
    assert_eq!(latest, ["c", "b"], "another tenant's flow has no runs here");
    let foreign = run_of(one, RunKind::Adhoc, "a", &[]).id;
    assert_eq!(RunLog::get(&store, &dev, foreign).await, Ok(None));
}

#[tokio::test]
async fn another_tenant_cannot_enqueue_for_a_flow_it_does_not_own() {
    let bed = Bed::new();
    let store = bed.store().await;
    let flow = add_flow(&store, &tenant("prod"), 1).await;
    let mut run = run_of(flow, RunKind::Now, "now:1", &DATASETS);
    run.spec.tenant = tenant("dev");
    let tick = Tick {
        run,
        schedule: None,
        by: None,
    };
    assert_eq!(store.enqueue(&tick).await, Ok(Enqueued::Stale));
}
