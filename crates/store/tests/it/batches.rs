//! What the port of batches promises, held by the store.

use offtake_model::batch::{Batch, BatchDetails, BatchQuery, BatchState, InputFormat};
use offtake_model::resource::Audit;
use offtake_model::{BatchId, DatasetId, Millis, Revision};
use offtake_ports::{BatchStore, Inserted, PageRequest, Replaced};

use crate::bed::{Bed, actor, tenant};

fn batch(id: &str, at: i64, external: Option<&str>) -> Batch {
    let client = || "client".to_owned();
    Batch {
        id: BatchId(id.to_owned()),
        tenant: tenant("prod"),
        dataset: DatasetId("d1".to_owned()),
        revision: Revision(1),
        audit: Audit {
            created_at: Millis(at),
            updated_at: Millis(at),
            created_by: client(),
            updated_by: client(),
            created_client: client(),
            updated_client: client(),
        },
        state: BatchState::Loading,
        external_id: external.map(str::to_owned),
        details: BatchDetails::new(InputFormat::Parquet),
    }
}

fn page(limit: u32) -> PageRequest {
    PageRequest {
        limit,
        after: None,
        offset: 0,
    }
}

#[tokio::test]
async fn an_external_id_names_one_batch_until_that_one_is_given_up() {
    let dir = Bed::new();
    let bed = dir.store().await;
    let first = batch("B1", 1, Some("x"));
    assert_eq!(
        BatchStore::insert(&bed, &first, &actor()).await.unwrap(),
        Inserted::New
    );
    let known = BatchStore::insert(&bed, &batch("B2", 2, Some("x")), &actor())
        .await
        .unwrap();
    assert_eq!(known, Inserted::Known(Box::new(first.clone())));
    let mut other = batch("B3", 3, Some("x"));
    other.dataset = DatasetId("d2".to_owned());
    assert_eq!(
        BatchStore::insert(&bed, &other, &actor()).await.unwrap(),
        Inserted::New
    );
    let failed = Batch {
        state: BatchState::Failed,
        ..first
    };
    assert_eq!(
        BatchStore::replace(&bed, &failed, Revision(1), Some(&actor()))
            .await
            .unwrap(),
        Replaced::Done
    );
    let again = BatchStore::insert(&bed, &batch("B4", 4, Some("x")), &actor())
        .await
        .unwrap();
    assert_eq!(again, Inserted::New);
}

#[tokio::test]
async fn a_batch_is_changed_only_as_its_writer_saw_it_and_by_its_tenant() {
    let dir = Bed::new();
    let bed = dir.store().await;
    let mut it = batch("B1", 1, None);
    assert_eq!(
        BatchStore::insert(&bed, &it, &actor()).await.unwrap(),
        Inserted::New
    );
    it.state = BatchState::Loaded;
    assert_eq!(
        BatchStore::replace(&bed, &it, Revision(1), Some(&actor()))
            .await
            .unwrap(),
        Replaced::Done
    );
    assert_eq!(
        BatchStore::replace(&bed, &it, Revision(1), Some(&actor()))
            .await
            .unwrap(),
        Replaced::Conflict
    );
    it.tenant = tenant("dev");
    assert_eq!(
        BatchStore::replace(&bed, &it, Revision(2), Some(&actor()))
            .await
            .unwrap(),
        Replaced::Conflict
    );
    assert_eq!(
        BatchStore::get(&bed, &it.tenant, &it.id).await.unwrap(),
        None
    );
    let found = BatchStore::get(&bed, &tenant("prod"), &it.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.state, found.revision),
        (BatchState::Loaded, Revision(2))
    );
}

#[tokio::test]
async fn lists_are_newest_first_and_waiting_ones_oldest_first() {
    let dir = Bed::new();
    let bed = dir.store().await;
    for (id, at, state) in [
        ("B1", 1, BatchState::Staging),
        ("B2", 2, BatchState::Loaded),
        ("B3", 3, BatchState::Success),
        ("B4", 4, BatchState::Loading),
    ] {
        let mut it = batch(id, at, None);
        it.state = state;
        assert_eq!(
            BatchStore::insert(&bed, &it, &actor()).await.unwrap(),
            Inserted::New
        );
    }
    let ids = |batches: Vec<Batch>| batches.into_iter().map(|it| it.id.0).collect::<Vec<_>>();
    let prod = tenant("prod");
    let all = BatchQuery::default();
    let first = BatchStore::list(&bed, &prod, &all, &page(3)).await.unwrap();
    let rest = PageRequest {
        after: first.next.clone(),
        ..page(3)
    };
    assert_eq!(ids(first.items), ["B4", "B3", "B2"]);
    assert_eq!(
        ids(BatchStore::list(&bed, &prod, &all, &rest)
            .await
            .unwrap()
            .items),
        ["B1"]
    );
    let some = BatchQuery {
        dataset: Some(DatasetId("d1".to_owned())),
        states: vec![BatchState::Success, BatchState::Loading],
    };
    assert_eq!(
        ids(BatchStore::list(&bed, &prod, &some, &page(9))
            .await
            .unwrap()
            .items),
        ["B4", "B3"]
    );
    assert!(
        BatchStore::list(&bed, &tenant("dev"), &all, &page(9))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(ids(bed.waiting(9).await.unwrap()), ["B1", "B2"]);
    assert_eq!(ids(bed.stale(Millis(5), 9).await.unwrap()), ["B4"]);
    assert!(bed.stale(Millis(4), 9).await.unwrap().is_empty());
}
