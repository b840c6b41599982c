//! Batches on their way in: fakes of the ports that keep them, and what every adapter promises.

pub mod batches;
pub mod intake;
pub mod memory_batches;
pub mod memory_intake;
pub mod memory_uploads;
pub mod uploads;

pub use memory_batches::MemoryBatches;
pub use memory_intake::MemoryIntake;
pub use memory_uploads::MemoryUploads;

use offtake_model::batch::{Batch, BatchDetails, BatchState, InputFormat};
use offtake_model::resource::Audit;
use offtake_model::{
    Actor, BatchId, ClientId, DatasetId, Millis, OrgId, Revision, SandboxName, Tenant,
};

/// A tenant of the suites: two organisations and two sandboxes make four of them.
pub fn tenant(org: &str, sandbox: &str) -> Tenant {
    Tenant {
        org: OrgId(org.to_owned()),
        sandbox: SandboxName(sandbox.to_owned()),
    }
}

/// Whoever writes in the suites.
pub fn actor() -> Actor {
    Actor {
        tenant: tenant("A@AdobeOrg", "prod"),
        client: ClientId("client".to_owned()),
        operation: "a test".to_owned(),
        address: None,
    }
}

/// A batch that takes JSON lines, made at that instant.
pub fn batch(tenant: &Tenant, id: &str, at: i64) -> Batch {
    let client = || "client".to_owned();
    Batch {
        id: BatchId(id.to_owned()),
        tenant: tenant.clone(),
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
        external_id: None,
        details: BatchDetails::new(InputFormat::Json { multi_line: false }),
    }
}

#[cfg(test)]
mod tests {
    use super::{MemoryBatches, MemoryIntake, MemoryUploads, batches, intake, uploads};

    #[tokio::test]
    async fn the_fakes_keep_the_promises() {
        batches::keeps_batches(&MemoryBatches::default()).await;
        uploads::keeps_uploads(&MemoryUploads::default()).await;
        let kept = MemoryUploads::default();
        intake::makes_rows(&MemoryIntake::new(kept.clone()), &kept).await;
    }
}
