//! What every store of batches promises.

use offtake_model::batch::{Batch, BatchQuery, BatchState};
use offtake_model::{DatasetId, Millis, Revision, Tenant};

use super::{actor, batch, tenant};
use crate::batches::{BatchStore, Inserted};
use crate::resources::{PageRequest, Replaced};

/// The store, empty, keeps every promise of the port.
///
/// # Panics
/// When it breaks one.
pub async fn keeps_batches(store: &dyn BatchStore) {
    external_ids(store).await;
    revisions(store).await;
    lists(store).await;
    queues(store).await;
}

async fn insert(store: &dyn BatchStore, it: &Batch) {
    let inserted = store.insert(it, &actor()).await.unwrap();
    assert_eq!(inserted, Inserted::New, "{} is new", it.id);
}

/// An external id names one batch of a dataset, until that one is given up or taken back.
async fn external_ids(store: &dyn BatchStore) {
    let prod = tenant("external@AdobeOrg", "prod");
    let named = |id: &str, at: i64| Batch {
        external_id: Some("x".to_owned()),
        ..batch(&prod, id, at)
    };
    let mut first = named("E1", 1);
    insert(store, &first).await;
    for state in [BatchState::Loading, BatchState::Loaded, BatchState::Success] {
        first.state = state;
        let revision = first.revision;
        let replaced = store.replace(&first, revision, None).await.unwrap();
        assert_eq!(replaced, Replaced::Done);
        first.revision = Revision(revision.0 + 1);
        let again = store.insert(&named("E2", 2), &actor()).await.unwrap();
        assert_eq!(again, Inserted::Known(Box::new(first.clone())), "{state:?}");
    }
    assert_eq!(store.get(&prod, &named("E2", 2).id).await.unwrap(), None);
    for (other, why) in [
        (
            Batch {
                dataset: DatasetId("d2".to_owned()),
                ..named("E3", 3)
            },
            "another dataset",
        ),
        (
            Batch {
                tenant: tenant("external@AdobeOrg", "dev"),
                ..named("E4", 4)
            },
            "another sandbox",
        ),
        (
            Batch {
                external_id: None,
                ..named("E5", 5)
            },
            "no external id",
        ),
        (
            Batch {
                external_id: None,
                ..named("E6", 6)
            },
            "no external id, like the one before",
        ),
    ] {
        let inserted = store.insert(&other, &actor()).await.unwrap();
        assert_eq!(inserted, Inserted::New, "{why}");
    }
    let mut last = first;
    for (n, state) in [
        BatchState::Failed,
        BatchState::Aborted,
        BatchState::Inactive,
    ]
    .into_iter()
    .enumerate()
    {
        last.state = state;
        let replaced = store.replace(&last, last.revision, None).await.unwrap();
        assert_eq!(replaced, Replaced::Done);
        last = named(&format!("E7{n}"), 7);
        insert(store, &last).await;
    }
}

/// A batch is changed only as its writer saw it, and only by its tenant.
async fn revisions(store: &dyn BatchStore) {
    let prod = tenant("revisions@AdobeOrg", "prod");
    let made = batch(&prod, "R1", 1);
    insert(store, &made).await;
    assert_eq!(
        store.get(&prod, &made.id).await.unwrap(),
        Some(made.clone())
    );
    let mut next = made.clone();
    next.state = BatchState::Loaded;
    next.details.started_at = Some(Millis(2));
    next.audit.updated_at = Millis(2);
    "other".clone_into(&mut next.audit.updated_by);
    // What cannot be changed is not changed by being sent.
    next.audit.created_at = Millis(99);
    next.dataset = DatasetId("d9".to_owned());
    let by = actor();
    let replaced = store.replace(&next, Revision(1), Some(&by)).await.unwrap();
    assert_eq!(replaced, Replaced::Done);
    let found = store.get(&prod, &made.id).await.unwrap().unwrap();
    assert_eq!(
        (found.revision, found.state),
        (Revision(2), BatchState::Loaded)
    );
    assert_eq!(found.details.started_at, Some(Millis(2)));
    assert_eq!(
        (
            found.audit.created_at,
            found.audit.updated_at,
            found.dataset.as_str()
        ),
        (Millis(1), Millis(2), "d1")
    );
    assert_eq!(found.audit.updated_by, "other");
    let strangers = [
        (next.clone(), Revision(1), "an old revision"),
        (
            next.clone(),
            Revision(3),
            "a revision that is not there yet",
        ),
        (
            Batch {
                tenant: tenant("revisions@AdobeOrg", "dev"),
                ..next.clone()
            },
            Revision(2),
            "another sandbox",
        ),
        (
            Batch {
                tenant: tenant("other@AdobeOrg", "prod"),
                ..next.clone()
            },
            Revision(2),
            "another organisation",
        ),
    ];
    for (stranger, expected, why) in strangers {
        let replaced = store.replace(&stranger, expected, None).await.unwrap();
        assert_eq!(replaced, Replaced::Conflict, "{why}");
        if stranger.tenant != prod {
            assert_eq!(store.get(&stranger.tenant, &made.id).await.unwrap(), None);
        }
    }
    let now = store.get(&prod, &made.id).await.unwrap().unwrap();
    assert_eq!(now.revision, Revision(2), "a conflict changes nothing");
}

fn ids(batches: &[Batch]) -> Vec<&str> {
    batches.iter().map(|it| it.id.as_str()).collect()
}

/// More pages than any list here has.
const PAGES_MAX: usize = 20;

async fn walked(
    store: &dyn BatchStore,
    tenant: &Tenant,
    query: &BatchQuery,
    limit: u32,
) -> Vec<String> {
    let mut walked = Vec::new();
    let mut page = PageRequest {
        limit,
        after: None,
        offset: 0,
    };
    for _ in 0..PAGES_MAX {
        let found = store.list(tenant, query, &page).await.unwrap();
        assert!(
            found.items.len() <= limit as usize,
            "a page is no longer than asked for"
        );
        walked.extend(ids(&found.items).into_iter().map(str::to_owned));
        match found.next {
            None => return walked,
            after => page.after = after,
        }
    }
    panic!("the list does not end")
}

/// Lists are newest first, page by page, and of one tenant.
async fn lists(store: &dyn BatchStore) {
    let prod = tenant("lists@AdobeOrg", "prod");
    // Two of the same instant: the id decides.
    for (id, at, dataset, state) in [
        ("L1", 1, "d1", BatchState::Staging),
        ("L3", 2, "d2", BatchState::Loaded),
        ("L2", 2, "d1", BatchState::Success),
        ("L4", 3, "d1", BatchState::Loading),
    ] {
        let it = Batch {
            dataset: DatasetId(dataset.to_owned()),
            state,
            ..batch(&prod, id, at)
        };
        insert(store, &it).await;
    }
    let all = BatchQuery::default();
    for limit in 1..=5 {
        assert_eq!(
            walked(store, &prod, &all, limit).await,
            ["L4", "L3", "L2", "L1"]
        );
    }
    let of = |dataset: Option<&str>, states: &[BatchState]| BatchQuery {
        dataset: dataset.map(|id| DatasetId(id.to_owned())),
        states: states.to_vec(),
    };
    for (query, expected) in [
        (of(Some("d1"), &[]), vec!["L4", "L2", "L1"]),
        (
            of(None, &[BatchState::Success, BatchState::Loaded]),
            vec!["L3", "L2"],
        ),
        (
            of(Some("d1"), &[BatchState::Success, BatchState::Loaded]),
            vec!["L2"],
        ),
        (of(Some("d3"), &[]), vec![]),
    ] {
        assert_eq!(walked(store, &prod, &query, 1).await, expected, "{query:?}");
    }
    let skipping = PageRequest {
        limit: 2,
        after: None,
        offset: 1,
    };
    let found = store.list(&prod, &all, &skipping).await.unwrap();
    assert_eq!(ids(&found.items), ["L3", "L2"]);
    let stranger = tenant("lists@AdobeOrg", "dev");
    assert!(walked(store, &stranger, &all, 5).await.is_empty());
}

/// What the promoter looks for, over all tenants: what waits longest comes first.
async fn queues(store: &dyn BatchStore) {
    let sandboxes = [
        tenant("queues@AdobeOrg", "prod"),
        tenant("queues@AdobeOrg", "dev"),
    ];
    for (n, tenant) in sandboxes.iter().enumerate() {
        for (id, at, state) in [
            ("Q1", 1_003, BatchState::Staging),
            ("Q2", 1_001, BatchState::Loaded),
            ("Q3", 1_000, BatchState::Success),
            ("Q4", 1_002, BatchState::Loading),
        ] {
            let made = batch(
                tenant,
                &format!("{id}{n}"),
                at + i64::try_from(n).unwrap() * 10,
            );
            insert(store, &Batch { state, ..made }).await;
        }
    }
    let ours = |batches: Vec<Batch>| {
        let ours = batches
            .iter()
            .filter(|it| it.tenant.org.as_str() == "queues@AdobeOrg");
        ours.map(|it| it.id.0.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        ours(store.waiting(100).await.unwrap()),
        ["Q20", "Q10", "Q21", "Q11"]
    );
    assert_eq!(store.waiting(1).await.unwrap().len(), 1);
    assert_eq!(
        ours(store.stale(Millis(1_012), 100).await.unwrap()),
        ["Q40"]
    );
    assert_eq!(
        ours(store.stale(Millis(1_013), 100).await.unwrap()),
        ["Q40", "Q41"]
    );
    assert_eq!(store.stale(Millis(1_013), 1).await.unwrap().len(), 1);
}
