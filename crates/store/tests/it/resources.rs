use offtake_model::id::ConnectionId;
use offtake_model::resource::{
    Audit, Connection, ConnectionState, SourceConnection, SpecRef, TargetConnection,
};
use offtake_model::{Millis, Resource, ResourceBody, ResourceId, ResourceKind, Revision, Tenant};
use offtake_ports::testing::journal::fixture::flow_resource;
use offtake_ports::{PageRequest, Replaced, ResourceQuery, ResourceStore};

use crate::bed::{Bed, START, actor, tenant};

const KIND: ResourceKind = ResourceKind::Connection;

fn connection(tenant: &Tenant, id: &str, created_at: Millis) -> Resource {
    Resource {
        id: ResourceId(id.to_owned()),
        tenant: tenant.clone(),
        revision: Revision(1),
        audit: Audit {
            created_at,
            updated_at: created_at,
            created_by: "somebody".to_owned(),
            updated_by: "somebody".to_owned(),
            created_client: "client".to_owned(),
            updated_client: "client".to_owned(),
        },
        body: ResourceBody::Connection(Connection {
            name: format!("connection {id}"),
            description: None,
            spec: SpecRef {
                id: "spec".to_owned(),
                version: "1.0".to_owned(),
            },
            auth: None,
            state: ConnectionState::Enabled,
        }),
    }
}

fn page(limit: u32, after: Option<(i64, String)>, offset: u64) -> PageRequest {
    PageRequest {
        limit,
        after,
        offset,
    }
}

#[tokio::test]
async fn a_tenant_sees_and_changes_only_its_own() {
    let bed = Bed::new();
    let store = bed.store().await;
    let (prod, dev) = (tenant("prod"), tenant("dev"));
    let theirs = connection(&prod, "a", START);
    store.insert(&theirs, &actor()).await.unwrap();
    assert_eq!(
        ResourceStore::get(&store, &dev, KIND, &theirs.id).await,
        Ok(None)
    );
    assert_eq!(
        ResourceStore::count(&store, &dev, KIND, &ResourceQuery::default()).await,
        Ok(0)
    );
    let listed = ResourceStore::list(
        &store,
        &dev,
        KIND,
        &ResourceQuery::default(),
        &page(9, None, 0),
    )
    .await
    .unwrap();
    assert_eq!(listed.items, []);
    assert_eq!(
        store.delete(&dev, KIND, &theirs.id, &actor()).await,
        Ok(false)
    );
    let forged = connection(&dev, "a", START);
    assert_eq!(
        store.replace(&forged, Revision(1), &actor()).await,
        Ok(Replaced::Conflict)
    );
    store.insert(&forged, &actor()).await.unwrap();
    assert_eq!(
        store.delete(&dev, KIND, &theirs.id, &actor()).await,
        Ok(true)
    );
    let kept = ResourceStore::get(&store, &prod, KIND, &theirs.id).await;
    assert_eq!(kept, Ok(Some(theirs)));
}

#[tokio::test]
async fn a_stale_revision_replaces_nothing() {
    let bed = Bed::new();
    let store = bed.store().await;
    let prod = tenant("prod");
    let mut resource = connection(&prod, "a", START);
    store.insert(&resource, &actor()).await.unwrap();
    assert!(
        store.insert(&resource, &actor()).await.is_err(),
        "the id is taken"
    );
    resource.audit.updated_by = "another".to_owned();
    assert_eq!(
        store.replace(&resource, Revision(2), &actor()).await,
        Ok(Replaced::Conflict)
    );
    assert_eq!(
        store.replace(&resource, Revision(1), &actor()).await,
        Ok(Replaced::Done)
    );
    assert_eq!(
        store.replace(&resource, Revision(1), &actor()).await,
        Ok(Replaced::Conflict)
    );
    resource.revision = Revision(2);
    let stored = ResourceStore::get(&store, &prod, KIND, &resource.id).await;
    assert_eq!(stored, Ok(Some(resource)));
}

#[tokio::test]
async fn pages_come_newest_first_and_miss_nothing() {
    let bed = Bed::new();
    let store = bed.store().await;
    let prod = tenant("prod");
    for (id, second) in [("a", 1), ("b", 2), ("c", 2), ("d", 2), ("e", 3)] {
        let at = START.plus_millis(second * 1_000);
        store
            .insert(&connection(&prod, id, at), &actor())
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let request = page(2, after.take(), 0);
        let found = ResourceStore::list(&store, &prod, KIND, &ResourceQuery::default(), &request)
            .await
            .unwrap();
        seen.extend(found.items.into_iter().map(|it| it.id.0));
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["e", "d", "c", "b", "a"]);
    let skipped = ResourceStore::list(
        &store,
        &prod,
        KIND,
        &ResourceQuery::default(),
        &page(2, None, 3),
    )
    .await
    .unwrap();
    let ids: Vec<&str> = skipped.items.iter().map(|it| it.id.as_str()).collect();
    assert_eq!((ids, skipped.next), (vec!["b", "a"], None));
}

#[tokio::test]
async fn a_connection_in_use_names_the_flows_that_use_it() {
    let bed = Bed::new();
    let store = bed.store().await;
    let prod = tenant("prod");
    let base = ConnectionId("00000000-0000-0000-0000-000000000001".parse().unwrap());
    let spec = SpecRef {
        id: "spec".to_owned(),
        version: "1.0".to_owned(),
    };
    let mut source = connection(&prod, "source", START);
    source.body = ResourceBody::Source(SourceConnection {
        name: "source".to_owned(),
        description: None,
        spec: spec.clone(),
        datasets: Vec::new(),
        data: None,
        base_connection_id: None,
        state: ConnectionState::Enabled,
    });
    let mut target = connection(&prod, "target", START);
    target.body = ResourceBody::Target(TargetConnection {
        name: "target".to_owned(),
        description: None,
        base_connection_id: base,
        spec,
        params: serde_json::Map::new(),
        state: ConnectionState::Enabled,
    });
    let mut flow = flow_resource(offtake_ports::testing::journal::fixture::flow_id(1));
    flow.tenant = prod.clone();
    for resource in [&source, &target, &flow] {
        store.insert(resource, &actor()).await.unwrap();
    }
    let uses = [
        (ResourceKind::Source, source.id),
        (ResourceKind::Target, target.id),
        (ResourceKind::Connection, base.into()),
    ];
    for (kind, id) in &uses {
        assert_eq!(
            store.flows_using(&prod, *kind, id).await,
            Ok(vec![flow.id.clone()])
        );
        assert_eq!(
            store.flows_using(&tenant("dev"), *kind, id).await,
            Ok(Vec::new())
        );
        let other = ResourceId("other".to_owned());
        assert_eq!(
            store.flows_using(&prod, *kind, &other).await,
            Ok(Vec::new())
        );
    }
    assert_eq!(
        store
            .delete(&prod, ResourceKind::Flow, &flow.id, &actor())
            .await,
        Ok(true)
    );
    for (kind, id) in &uses {
        assert_eq!(store.flows_using(&prod, *kind, id).await, Ok(Vec::new()));
    }
}
