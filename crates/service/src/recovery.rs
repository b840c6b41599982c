//! Catching up after a restore: each held flow is compared with what its destination holds, and let go on or not.
//!
//! What the comparison comes to is `core`'s to say. One flow is worked on at a time and decided as a whole: what stops
//! half way leaves the flow held, to be compared again.
//!
//! The one law: a flow goes on only when the store knows of everything that it has delivered.

use std::collections::BTreeSet;
use std::sync::Arc;

use offtake_core::export_spec::{base_of, connections_of, export_spec};
use offtake_core::recovery::{self, Newest, Silence};
use offtake_core::{manifest, naming};
use offtake_model::{
    CatchUp, DatasetId, ErrorCode, ExportSpec, Fault, FlowId, FoundManifest, HeldFlow,
    KnownDataset, KnownManifest, Position, Resource, ResourceBody, ResourceId, ResourceKind, Retry,
    SinkRef, Tenant,
};
use offtake_ports::StagedSink;

use crate::entity;
use crate::identity::Caller;
use crate::service::{Service, not_found};

/// A held flow as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFlowView {
    /// The flow, whose it is, and why it was refused.
    pub held: HeldFlow,
    /// Its name, unless it cannot be read.
    pub name: Option<String>,
}

/// How a flow is reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconcileWish {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Take the store's word where the destination keeps silent: rows may be delivered twice.
    pub accept: bool,
}

/// What became of a held flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconcileVerdict {
    /// The flow.
    pub flow: FlowId,
    /// Whether it may go on.
    pub released: bool,
    /// What was found of each dataset.
    pub datasets: Vec<DatasetVerdict>,
    /// Why the flow could not be compared at all, or not released.
    pub refusal: Option<Fault>,
}

/// What was found of one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetVerdict {
    /// The dataset.
    pub dataset: DatasetId,
    /// How the store catches up, or why it cannot.
    pub outcome: Result<CatchUp, Fault>,
}

/// Where manifests of a flow may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Archive {
    sink: SinkRef,
    path: String,
}

impl Service {
    /// How many flows are held since the store was restored.
    pub async fn held_count(&self) -> Result<usize, Fault> {
        Ok(self.recovery.held().await?.len())
    }

    /// The flows that are held, of all tenants.
    pub async fn held_flows(&self) -> Result<Vec<HeldFlowView>, Fault> {
        let mut views = Vec::new();
        for held in self.recovery.held().await? {
            let flow = self.flow_of(&held).await?;
            let name = flow
                .and_then(|it| entity::flow(it).ok())
                .map(|it| it.body.name);
            views.push(HeldFlowView { held, name });
        }
        Ok(views)
    }

    /// Compares a held flow with its destination and releases it, when that can be.
    pub async fn reconcile(
        &self,
        caller: &Caller,
        flow: &str,
        wish: ReconcileWish,
    ) -> Result<ReconcileVerdict, Fault> {
        let held = self.recovery.held().await?;
        let held = held
            .into_iter()
            .find(|it| it.flow.to_string() == flow)
            .ok_or_else(|| not_found("held-flows", flow))?;
        let mut verdict = ReconcileVerdict {
            flow: held.flow,
            released: false,
            datasets: Vec::new(),
            refusal: None,
        };
        let compared = self.compare(&held, wish, &mut verdict.datasets).await;
        let decided = compared.and_then(|spec| Ok((spec, steps(&verdict.datasets)?)));
        match decided {
            Ok(_) if wish.dry_run => {}
            Ok((spec, steps)) => {
                // Somebody else may have released it meanwhile, with the same outcome.
                let _first = self
                    .recovery
                    .catch_up(&held, &spec, &steps, &caller.actor())
                    .await?;
                verdict.released = true;
                self.nudge();
                self.nudge_promoter();
            }
            Err(fault) => {
                if !wish.dry_run {
                    self.recovery.refuse(held.flow, &fault).await?;
                }
                verdict.refusal = Some(fault);
            }
        }
        Ok(verdict)
    }

    /// Compares every dataset of the flow. The answer is what its runs freeze.
    async fn compare(
        &self,
        held: &HeldFlow,
        wish: ReconcileWish,
        verdicts: &mut Vec<DatasetVerdict>,
    ) -> Result<ExportSpec, Fault> {
        let known = self.recovery.known(held).await?;
        let flow = self
            .flow_of(held)
            .await?
            .ok_or_else(|| not_found("flows", &held.flow.to_string()))?;
        let spec = self.spec_of(&flow).await?;
        let mut archives: Vec<Archive> = Vec::new();
        for wishes in std::iter::once(&spec).chain(&known.specs) {
            let archive = Archive {
                sink: wishes.sink.clone(),
                path: naming::normalise_path(&wishes.path)?,
            };
            if !archives.contains(&archive) {
                archives.push(archive);
            }
        }
        let mut datasets = known.datasets;
        let met: BTreeSet<DatasetId> = datasets.iter().map(|it| it.dataset.clone()).collect();
        let others = spec.datasets.iter().filter(|it| !met.contains(it));
        datasets.extend(others.map(never_delivered));
        for dataset in &datasets {
            let outcome = self.compare_dataset(held, dataset, &archives, wish).await;
            verdicts.push(DatasetVerdict {
                dataset: dataset.dataset.clone(),
                outcome,
            });
        }
        Ok(spec)
    }

    async fn compare_dataset(
        &self,
        held: &HeldFlow,
        known: &KnownDataset,
        archives: &[Archive],
        wish: ReconcileWish,
    ) -> Result<CatchUp, Fault> {
        let silence = if wish.accept {
            Silence::Accepted
        } else {
            Silence::Refuses
        };
        let mut found = Vec::new();
        for archive in archives {
            match self.manifests_in(held.flow, known, archive).await {
                Ok(Some(manifests)) => found.extend(manifests),
                Ok(None) if wish.accept => {}
                Ok(None) => return Err(recovery::unreadable(known)),
                Err(fault) if wish.accept && denied(&fault) => {}
                Err(fault) => return Err(fault),
            }
        }
        let newest = match self.newest(known).await {
            Err(fault) if wish.accept && denied(&fault) => Newest::Unknown,
            newest => newest?,
        };
        let mut step = recovery::catch_up(held.flow, known, &found, newest, silence)?;
        if let Some(cursor) = &mut step.cursor {
            let location = self.location_of(&held.tenant, known).await?;
            match &cursor.to {
                Position::Delta { .. } => {
                    let table = self.catalog.describe(&location).await?;
                    if !recovery::reaches(&table.position, &cursor.to) {
                        return Err(recovery::behind(known));
                    }
                }
                Position::Folder { .. } => {
                    let listing = self.lake.files(&location).await?;
                    let before = self.recovery.seen(held.flow, &known.dataset).await?;
                    cursor.seen = recovery::seen_after(known, before.as_ref(), &found, &listing)?;
                }
            }
        }
        Ok(step)
    }

    /// The manifests that the store does not count among the delivered ones; none when the destination cannot be read.
    async fn manifests_in(
        &self,
        flow: FlowId,
        known: &KnownDataset,
        archive: &Archive,
    ) -> Result<Option<Vec<FoundManifest>>, Fault> {
        let sink = self.archive.open(&archive.sink).await?;
        let folder = naming::manifest_folder(&archive.path, flow, &known.dataset);
        let Some(mut names) = sink.list(&folder).await? else {
            return Ok(None);
        };
        names.sort();
        let delivered: BTreeSet<_> = known.delivered.iter().collect();
        let mut found = Vec::new();
        for name in names {
            let Some(delivery) = naming::delivery_of(&name) else {
                continue;
            };
            if delivered.contains(&delivery) {
                continue;
            }
            let key = format!("{folder}/{name}");
            let manifest = read(&sink, key).await?;
            if manifest.manifest.delivery != delivery {
                return Err(Fault::new(
                    ErrorCode::ManifestInvalid,
                    format!(
                        "failed to read manifest {}: it is that of delivery {}",
                        manifest.key, manifest.manifest.delivery
                    ),
                ));
            }
            found.push(manifest);
        }
        Ok(Some(found))
    }

    /// What became of the newest manifest that the store saw written.
    async fn newest(&self, known: &KnownDataset) -> Result<Newest, Fault> {
        let Some(KnownManifest { sink, key, sha256 }) = &known.newest else {
            return Ok(Newest::Unknown);
        };
        let bytes = self.archive.open(sink).await?.get(key).await?;
        Ok(match bytes {
            None => Newest::Missing,
            Some(bytes) if manifest::sha256_hex(&bytes) == *sha256 => Newest::Stands,
            Some(_) => Newest::Changed,
        })
    }

    async fn flow_of(&self, held: &HeldFlow) -> Result<Option<Resource>, Fault> {
        let id = ResourceId::from(held.flow);
        self.resources
            .get(&held.tenant, ResourceKind::Flow, &id)
            .await
    }

    async fn location_of(
        &self,
        tenant: &Tenant,
        known: &KnownDataset,
    ) -> Result<offtake_model::SourceRef, Fault> {
        let id = ResourceId::from(known.dataset.clone());
        let dataset = self.resource(tenant, ResourceKind::Dataset, &id).await?;
        match dataset.body {
            ResourceBody::Dataset(dataset) => Ok(dataset.location),
            ResourceBody::Connection(_)
            | ResourceBody::Source(_)
            | ResourceBody::Target(_)
            | ResourceBody::Flow(_) => Err(not_found("dataSets", id.as_str())),
        }
    }

    /// What the flow's runs freeze, as it stands.
    async fn spec_of(&self, flow: &Resource) -> Result<ExportSpec, Fault> {
        let (source, target) = connections_of(flow)?;
        let tenant = &flow.tenant;
        let source = self.resource(tenant, ResourceKind::Source, &source).await?;
        let target = self.resource(tenant, ResourceKind::Target, &target).await?;
        let base = base_of(&target)?;
        let base = self
            .resource(tenant, ResourceKind::Connection, &base)
            .await?;
        export_spec(flow, &source, &target, &base)
    }

    async fn resource(
        &self,
        tenant: &Tenant,
        kind: ResourceKind,
        id: &ResourceId,
    ) -> Result<Resource, Fault> {
        let found = self.resources.get(tenant, kind, id).await?;
        found.ok_or_else(|| not_found(kind.collection(), id.as_str()))
    }
}

async fn read(sink: &Arc<dyn StagedSink>, key: String) -> Result<FoundManifest, Fault> {
    let invalid = |fault: Fault| Fault {
        message: format!("manifest {key}: {}", fault.message),
        ..fault
    };
    let bytes = sink.get(&key).await?.ok_or_else(|| {
        Fault::new(
            ErrorCode::DeliveriesUnproven,
            format!("manifest {key} went away while it was read"),
        )
    })?;
    let manifest = manifest::parse(&bytes).map_err(invalid)?;
    Ok(FoundManifest {
        sha256: manifest::sha256_hex(&bytes),
        key,
        manifest,
    })
}

/// Whether we may not read there: as silent as a destination that cannot be listed.
fn denied(fault: &Fault) -> bool {
    fault.retry() == Retry::Credentials
}

/// The steps of all datasets, or the first refusal.
fn steps(verdicts: &[DatasetVerdict]) -> Result<Vec<CatchUp>, Fault> {
    let outcomes = verdicts.iter().map(|it| it.outcome.clone());
    outcomes.collect()
}

fn never_delivered(dataset: &DatasetId) -> KnownDataset {
    KnownDataset {
        dataset: dataset.clone(),
        cursor: None,
        newest: None,
        open: Vec::new(),
        delivered: Vec::new(),
        undelivered: Vec::new(),
    }
}
