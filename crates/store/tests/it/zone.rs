//! Signatures' generations, and deliveries whose time is over.

use offtake_model::{Millis, OrgId, Quotas};
use offtake_ports::{IdentityStore, Organisation, RetentionLog, Sandbox, ZoneGrants};

use crate::bed::{Bed, START, actor, tenant};

#[tokio::test]
async fn a_generation_grows_for_its_own_sandbox_only() {
    let bed = Bed::new();
    let store = bed.store().await;
    let org = Organisation {
        id: OrgId("0123456789ABCDEF01234567@AdobeOrg".to_owned()),
        name: "Example".to_owned(),
        created_at: START,
        quotas: Quotas::default(),
    };
    let sandbox = |name: &str| Sandbox {
        id: name.to_owned(),
        org: org.id.clone(),
        name: tenant(name).sandbox,
        title: name.to_owned(),
        is_default: name == "prod",
        created_at: START,
    };
    let client = crate::identity::client(&org.id, "one");
    let prod = sandbox("prod");
    assert_eq!(
        store.bootstrap(&org, &prod, &client, &actor()).await,
        Ok(true)
    );
    assert_eq!(store.add_sandbox(&sandbox("dev"), &actor()).await, Ok(true));
    assert_eq!(store.generation(&tenant("prod")).await, Ok(1));
    assert_eq!(store.renew(&tenant("prod"), &actor()).await, Ok(2));
    assert_eq!(store.renew(&tenant("prod"), &actor()).await, Ok(3));
    assert_eq!(store.generation(&tenant("dev")).await, Ok(1));
    drop(store);
    assert_eq!(bed.store().await.generation(&tenant("prod")).await, Ok(3));
}

#[tokio::test]
async fn nothing_is_outdated_where_nothing_was_delivered() {
    let bed = Bed::new();
    let store = bed.store().await;
    assert_eq!(store.outdated(Millis(i64::MAX), 0, 10).await, Ok(vec![]));
}
