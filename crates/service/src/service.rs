//! The service and what it needs.

use std::sync::Arc;

use offtake_model::resource::Audit;
use offtake_model::{
    DestinationKind, ErrorCode, Fault, Millis, Resource, ResourceId, ResourceKind, Revision,
};
use offtake_ports::{
    AuditLog, BatchStore, Catalog, Clock, DeliveryQueue, Explorer, IdentityStore, Ids, Intake,
    KeySetSource, Keys, Lake, LakeRoots, Page, PageRequest, RecoveryStore, Replaced, RequestKeys,
    ResourceQuery, ResourceStore, RunLog, Secrets, Sinks, Sources, Uploads,
};
use uuid::Uuid;

use crate::etag;
use crate::identity::Caller;
use crate::landing_zone::{LandingZone, Zone};
use crate::listing::Listing;
use crate::oidc::{Oidc, OidcSettings};
use crate::token::Tokens;

/// The ports behind the service.
pub struct Deps {
    /// Keeps resources.
    pub resources: Arc<dyn ResourceStore>,
    /// Keeps organisations, sandboxes and clients.
    pub identity: Arc<dyn IdentityStore>,
    /// Keeps the audit log.
    pub audit: Arc<dyn AuditLog>,
    /// Remembers the keys of requests.
    pub keys: Arc<dyn RequestKeys>,
    /// Reads runs.
    pub runs: Arc<dyn RunLog>,
    /// Takes runs on demand.
    pub queue: Arc<dyn DeliveryQueue>,
    /// Seals credentials.
    pub secrets: Arc<dyn Secrets>,
    /// Looks at tables.
    pub catalog: Arc<dyn Catalog>,
    /// Resolves locations.
    pub roots: Arc<dyn LakeRoots>,
    /// Opens sinks, to try connections out.
    pub sinks: Arc<dyn Sinks>,
    /// Looks into destinations.
    pub explorer: Arc<dyn Explorer>,
    /// The destinations that can be delivered to.
    pub destinations: Vec<DestinationKind>,
    /// Keeps batches.
    pub batches: Arc<dyn BatchStore>,
    /// Keeps uploaded bytes.
    pub uploads: Arc<dyn Uploads>,
    /// Keeps managed datasets.
    pub intake: Arc<dyn Intake>,
    /// Opens data files.
    pub sources: Arc<dyn Sources>,
    /// What datasets hold.
    pub lake: Arc<dyn Lake>,
    /// Flows that a restore holds back.
    pub recovery: Arc<dyn RecoveryStore>,
    /// Opens sinks, to read manifests back: with more patience than for a trial.
    pub archive: Arc<dyn Sinks>,
    /// The landing zone, for whoever receives files.
    pub landing_zone: LandingZone,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub ids: Arc<dyn Ids>,
    /// The keys behind secrets and tokens.
    pub key_ring: Arc<dyn Keys>,
    /// An issuer outside whose tokens are accepted beside our own, and where its keys are.
    pub oidc: Option<(OidcSettings, Arc<dyn KeySetSource>)>,
    /// Wakes the scheduler after something became due. A hint: without it the scheduler comes by itself.
    pub nudge: Arc<dyn Fn() + Send + Sync>,
    /// Wakes the promoter after a batch was completed. A hint, too.
    pub nudge_promoter: Arc<dyn Fn() + Send + Sync>,
}

/// Every use-case, by tenant. Methods are grouped by resource, one module each.
pub struct Service {
    pub(crate) resources: Arc<dyn ResourceStore>,
    pub(crate) identity: Arc<dyn IdentityStore>,
    pub(crate) audit_log: Arc<dyn AuditLog>,
    pub(crate) keys: Arc<dyn RequestKeys>,
    pub(crate) runs: Arc<dyn RunLog>,
    pub(crate) queue: Arc<dyn DeliveryQueue>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) roots: Arc<dyn LakeRoots>,
    pub(crate) sinks: Arc<dyn Sinks>,
    pub(crate) explorer: Arc<dyn Explorer>,
    pub(crate) destinations: Vec<DestinationKind>,
    pub(crate) batches: Arc<dyn BatchStore>,
    pub(crate) uploads: Arc<dyn Uploads>,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) sources: Arc<dyn Sources>,
    pub(crate) lake: Arc<dyn Lake>,
    pub(crate) recovery: Arc<dyn RecoveryStore>,
    pub(crate) archive: Arc<dyn Sinks>,
    pub(crate) zone: Zone,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) tokens: Tokens,
    pub(crate) oidc: Option<Oidc>,
    pub(crate) key_ring: Arc<dyn Keys>,
    nudge: Arc<dyn Fn() + Send + Sync>,
    nudge_promoter: Arc<dyn Fn() + Send + Sync>,
}

/// A resource that was made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its id.
    pub id: String,
    /// Its etag now.
    pub etag: String,
}

impl Changed {
    pub(crate) fn of(resource: &Resource) -> Self {
        Self {
            id: resource.id.to_string(),
            etag: etag::etag(resource),
        }
    }
}

impl Service {
    /// Puts the service together.
    pub fn new(deps: Deps) -> Self {
        Self {
            resources: deps.resources,
            identity: deps.identity,
            audit_log: deps.audit,
            keys: deps.keys,
            runs: deps.runs,
            queue: deps.queue,
            secrets: deps.secrets,
            catalog: deps.catalog,
            roots: deps.roots,
            sinks: deps.sinks,
            explorer: deps.explorer,
            destinations: deps.destinations,
            batches: deps.batches,
            uploads: deps.uploads,
            intake: deps.intake,
            sources: deps.sources,
            lake: deps.lake,
            recovery: deps.recovery,
            archive: deps.archive,
            zone: Zone::new(deps.landing_zone, Arc::clone(&deps.key_ring)),
            clock: deps.clock,
            ids: deps.ids,
            tokens: Tokens::new(Arc::clone(&deps.key_ring)),
            oidc: deps
                .oidc
                .map(|(settings, source)| Oidc::new(settings, source)),
            key_ring: deps.key_ring,
            nudge: deps.nudge,
            nudge_promoter: deps.nudge_promoter,
        }
    }

    /// The instant now, by the service's clock.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Answers when the metadata store does.
    pub async fn ready(&self) -> Result<(), Fault> {
        self.identity.organisations().await.map(drop)
    }

    pub(crate) fn nudge(&self) {
        (self.nudge)();
    }

    pub(crate) fn nudge_promoter(&self) {
        (self.nudge_promoter)();
    }

    pub(crate) fn new_uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.ids.bytes16()).into_uuid()
    }

    pub(crate) fn audit(caller: &Caller, now: Millis) -> Audit {
        let client = caller.client.to_string();
        Audit {
            created_at: now,
            updated_at: now,
            created_by: client.clone(),
            updated_by: client.clone(),
            created_client: client.clone(),
            updated_client: client,
        }
    }

    /// The resource as its caller would have it after one more write.
    pub(crate) fn touched(caller: &Caller, before: &Resource, now: Millis) -> Resource {
        let mut after = before.clone();
        after.revision = Revision(before.revision.0.saturating_add(1));
        after.audit.updated_at = now;
        after.audit.updated_by = caller.client.to_string();
        after.audit.updated_client = caller.client.to_string();
        after
    }

    /// Stores the changed resource, unless somebody else changed it since it was read.
    pub(crate) async fn replace(
        &self,
        caller: &Caller,
        before: &Resource,
        after: &Resource,
    ) -> Result<Changed, Fault> {
        let by = caller.actor();
        match self.resources.replace(after, before.revision, &by).await? {
            Replaced::Done => Ok(Changed::of(after)),
            Replaced::Conflict => Err(etag::conflict(&etag::etag(before), "changed meanwhile")),
        }
    }

    pub(crate) async fn find(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: &str,
    ) -> Result<Option<Resource>, Fault> {
        self.resources
            .get(&caller.tenant, kind, &ResourceId(id.to_owned()))
            .await
    }

    pub(crate) async fn page(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        query: &ResourceQuery,
        request: &PageRequest,
    ) -> Result<Page<Resource>, Fault> {
        let tenant = &caller.tenant;
        self.resources.list(tenant, kind, query, request).await
    }

    /// How many there are, when that is all a list asks for and the store can tell.
    pub(crate) async fn plain_count(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        query: &ResourceQuery,
        listing: &Listing,
    ) -> Result<Option<u64>, Fault> {
        if !listing.plain_count() {
            return Ok(None);
        }
        let count = self.resources.count(&caller.tenant, kind, query).await?;
        Ok(Some(count))
    }

    pub(crate) async fn must_find(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: &str,
    ) -> Result<Resource, Fault> {
        let found = self.find(caller, kind, id).await?;
        found.ok_or_else(|| not_found(kind.collection(), id))
    }
}

impl Service {
    /// Deletes a connection, unless flows use it.
    pub(crate) async fn delete_unused(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: &str,
        in_use: ErrorCode,
    ) -> Result<(), Fault> {
        let found = self.must_find(caller, kind, id).await?;
        let users = self
            .resources
            .flows_using(&caller.tenant, kind, &found.id)
            .await?;
        if let Some(first) = users.first() {
            let (collection, count) = (kind.collection(), users.len());
            return Err(Fault::new(
                in_use,
                format!("{collection} [{id}] is used by {count} flow(s), the newest is [{first}]"),
            ));
        }
        self.resources
            .delete(&caller.tenant, kind, &found.id, &caller.actor())
            .await
            .map(drop)
    }
}

/// The documented text of a 404 (contract, 3).
pub(crate) fn not_found(collection: &str, id: &str) -> Fault {
    Fault::new(
        ErrorCode::ResourceNotFound,
        format!("{collection} not found with id = [{id}]"),
    )
}
