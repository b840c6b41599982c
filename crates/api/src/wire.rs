//! Views of the service as the wire shows them. Conversions only; the shapes are in `api-types`.

use offtake_api_types::Object;
use offtake_api_types::entity::{Common, ConnectionRef, SpecInfo};
use offtake_model::resource::SpecRef;
use offtake_service::{Caller, ConnectionHead, Entity};
use serde_json::Value;

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod batch;
pub(crate) mod blob;
pub(crate) mod connection;
pub(crate) mod dataset;
pub(crate) mod flow;
pub(crate) mod keys;
pub(crate) mod landing_zone;
pub(crate) mod meta;
pub(crate) mod preview;
pub(crate) mod recovery;
pub(crate) mod run;

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
