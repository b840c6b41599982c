//! Views of the service as the wire shows them. Conversions only; the shapes are in `api-types`.

use offtake_api_types::entity::{Common, ConnectionRef, SpecInfo};
use offtake_api_types::{Object, Sandbox};
use offtake_model::resource::SpecRef;
use offtake_service::{Caller, ConnectionHead, Entity, SandboxView};
use serde_json::Value;

pub(crate) mod connection;
pub(crate) mod dataset;
pub(crate) mod flow;
pub(crate) mod run;

/// State of a resource that has only one.
const ENABLED: &str = "enabled";

/// A sandbox (contract, 10.5).
pub(crate) fn sandbox(view: &SandboxView) -> Sandbox {
    Sandbox {
        id: view.sandbox.id.clone(),
        name: view.sandbox.name.to_string(),
        title: view.sandbox.title.clone(),
        state: "active".to_owned(),
        kind: "production".to_owned(),
        region: "local".to_owned(),
        is_default: view.sandbox.is_default,
        etag: 1,
        created_date: view.created_at.clone(),
        last_modified_date: view.created_at.clone(),
        created_by: "offtake".to_owned(),
        modified_by: "offtake".to_owned(),
    }
}

fn common<T>(caller: &Caller, entity: &Entity<T>) -> Common {
    Common {
        id: entity.id.clone(),
        created_at: entity.audit.created_at.0,
        updated_at: entity.audit.updated_at.0,
        created_by: entity.audit.created_by.clone(),
        updated_by: entity.audit.updated_by.clone(),
        created_client: entity.audit.created_client.clone(),
        updated_client: entity.audit.updated_client.clone(),
        sandbox_id: caller.sandbox.id.clone(),
        sandbox_name: caller.sandbox.name.to_string(),
        ims_org_id: caller.tenant.org.to_string(),
    }
}

fn spec(spec: &SpecRef) -> SpecInfo {
    SpecInfo {
        id: spec.id.clone(),
        version: spec.version.clone(),
    }
}

fn head(head: &ConnectionHead) -> ConnectionRef {
    ConnectionRef {
        id: head.id.clone(),
        connection_spec: spec(&head.spec),
    }
}

fn object<const N: usize>(pairs: [(&str, Value); N]) -> Object {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
