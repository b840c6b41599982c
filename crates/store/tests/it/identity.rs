use std::sync::Arc;

use offtake_model::{ClientId, ErrorCode, OrgId, Quotas, Role, RoleBinding, SandboxName};
use offtake_ports::testing::ManualClock;
use offtake_ports::{ClientRecord, IdentityStore, Organisation, Sandbox};
use offtake_store::Store;

use crate::bed::{Bed, START, actor};

fn organisation(digit: char) -> Organisation {
    Organisation {
        id: OrgId(format!("{}@AdobeOrg", digit.to_string().repeat(24))),
        name: "Example".to_owned(),
        created_at: START,
        quotas: Quotas::default(),
    }
}

fn sandbox(org: &OrgId) -> Sandbox {
    Sandbox {
        id: format!("sandbox of {org}"),
        org: org.clone(),
        name: SandboxName("prod".to_owned()),
        title: "Production".to_owned(),
        is_default: true,
        created_at: START,
    }
}

pub(crate) fn client(org: &OrgId, id: &str) -> ClientRecord {
    ClientRecord {
        id: ClientId(id.to_owned()),
        org: org.clone(),
        name: "first".to_owned(),
        secret_sha256: [7; 32],
        former_secret: None,
        subject: None,
        created_at: START,
        enabled: true,
        roles: vec![
            RoleBinding::everywhere(Role::Viewer),
            RoleBinding {
                sandbox: Some(SandboxName("dev".to_owned())),
                role: Role::Admin,
            },
        ],
    }
}

#[tokio::test]
async fn only_the_first_bootstrap_makes_an_organisation() {
    let bed = Bed::new();
    let store = bed.store().await;
    let org = organisation('A');
    let (sandbox, client) = (sandbox(&org.id), client(&org.id, "one"));
    assert_eq!(
        store.bootstrap(&org, &sandbox, &client, &actor()).await,
        Ok(true)
    );
    let other = organisation('B');
    assert_eq!(
        store.bootstrap(&other, &sandbox, &client, &actor()).await,
        Ok(false)
    );
    drop(store);
    let store = bed.store().await;
    assert_eq!(store.organisations().await, Ok(vec![org.clone()]));
    assert_eq!(store.client(&client.id).await, Ok(Some(client)));
    let found = store.sandbox(&org.id, &sandbox.name).await;
    assert_eq!(found, Ok(Some(sandbox.clone())));
    assert_eq!(store.sandbox(&other.id, &sandbox.name).await, Ok(None));
}

#[tokio::test]
async fn a_client_needs_an_organisation_and_a_new_id() {
    let bed = Bed::new();
    let store = bed.store().await;
    let org = organisation('A');
    let first = client(&org.id, "one");
    assert!(store.add_client(&first, &actor()).await.is_err());
    assert_eq!(
        store
            .bootstrap(&org, &sandbox(&org.id), &first, &actor())
            .await,
        Ok(true)
    );
    assert!(store.add_client(&first, &actor()).await.is_err());
    assert_eq!(
        store.add_client(&client(&org.id, "two"), &actor()).await,
        Ok(())
    );
    assert_eq!(store.client(&ClientId("three".to_owned())).await, Ok(None));
}

#[tokio::test]
async fn a_client_is_replaced_with_its_roles_and_listed_with_its_organisation() {
    let bed = Bed::new();
    let store = bed.store().await;
    let (one, two) = (organisation('A'), organisation('B'));
    let mut first = client(&one.id, "one");
    assert_eq!(
        store
            .bootstrap(&one, &sandbox(&one.id), &first, &actor())
            .await,
        Ok(true)
    );
    let second = client(&two.id, "two");
    assert_eq!(
        store
            .add_organisation(&two, &sandbox(&two.id), &second, &actor())
            .await,
        Ok(())
    );
    first.enabled = false;
    first.secret_sha256 = [9; 32];
    first.roles = vec![RoleBinding::everywhere(Role::Exporter)];
    assert_eq!(store.replace_client(&first, &actor()).await, Ok(()));
    assert_eq!(store.client(&first.id).await, Ok(Some(first.clone())));
    assert_eq!(store.clients(&one.id).await, Ok(vec![first]));
    assert_eq!(store.clients(&two.id).await, Ok(vec![second]));
}

#[tokio::test]
async fn a_sandbox_name_is_taken_once_per_organisation() {
    let bed = Bed::new();
    let store = bed.store().await;
    let org = organisation('A');
    let prod = sandbox(&org.id);
    assert_eq!(
        store
            .bootstrap(&org, &prod, &client(&org.id, "one"), &actor())
            .await,
        Ok(true)
    );
    let mut dev = sandbox(&org.id);
    dev.id = "another id".to_owned();
    dev.is_default = false;
    assert_eq!(store.add_sandbox(&dev, &actor()).await, Ok(false));
    dev.name = SandboxName("dev".to_owned());
    assert_eq!(store.add_sandbox(&dev, &actor()).await, Ok(true));
    let mut names: Vec<_> = store.sandboxes(&org.id).await.unwrap();
    names.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    assert_eq!(names, [dev, prod]);
}

#[tokio::test]
async fn a_worker_reads_beside_the_service_and_cannot_write() {
    let bed = Bed::new();
    let service = bed.store().await;
    let worker = Store::read_only(bed.path(), Arc::new(ManualClock::new(START)));
    assert!(worker.organisations().await.unwrap().is_empty());

    let org = organisation('A');
    let (sandbox, client) = (sandbox(&org.id), client(&org.id, "first"));
    assert_eq!(
        service.bootstrap(&org, &sandbox, &client, &actor()).await,
        Ok(true)
    );
    assert_eq!(worker.organisations().await, Ok(vec![org]));

    let refused = worker.add_client(&client, &actor()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::StoreUnavailable);
}
