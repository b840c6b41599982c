//! Asks the lake what the rules want to know and has them make the plan; has them build the manifest.
//!
//! The one law: the cursor is read here, while planning, and nowhere earlier.

use std::collections::BTreeMap;

use offtake_core::delivery::ManifestBytes;
use offtake_core::manifest;
use offtake_core::plan::{self, LakeAnswer, LakeQuestion, Next, Subject};
use offtake_model::plan::PlanMode;
use offtake_model::resource::Dataset;
use offtake_model::{
    ChangeSet, DeliveryId, DeliveryRecord, ErrorCode, ExportPlan, Fault, ResourceBody,
    ResourceKind, RunId,
};

use crate::hands::Hands;

/// What stands as producer in manifests.
const PRODUCER: &str = concat!("offtake ", env!("CARGO_PKG_VERSION"));

/// Makes the delivery's plan from the cursor and the lake as they are now.
pub(crate) async fn plan(hands: &Hands, record: &DeliveryRecord) -> Result<Box<ExportPlan>, Fault> {
    if let Some(past) = record.run.replays() {
        return replay(hands, record, past).await;
    }
    let dataset = dataset(hands, record).await?;
    let journal = &hands.context.deps.journal;
    let cursor = journal.cursor(record.run.flow, &record.dataset).await?;
    let subject = Subject {
        delivery: record.id,
        run: &record.run,
        dataset: &record.dataset,
        dataset_name: &dataset.name,
        organisation_name: record.run.spec.tenant.org.as_str(),
        cursor: cursor.as_ref(),
    };
    let question = plan::ask(&record.run, dataset.format, cursor.as_ref());
    let (mode, changes) = answer(hands, &dataset, &subject, question).await?;
    let plan = plan::plan_export(&subject, mode, changes, &hands.context.settings.plan)?;
    tracing::info!(mode = ?plan.mode, tasks = plan.tasks.len(), "delivery planned");
    Ok(Box::new(plan))
}

/// Plans the past delivery of the same dataset again.
async fn replay(
    hands: &Hands,
    record: &DeliveryRecord,
    run: RunId,
) -> Result<Box<ExportPlan>, Fault> {
    let past = DeliveryId::derive(run, &record.dataset);
    let plan = hands.context.deps.journal.plan(past).await?;
    let plan = plan.ok_or_else(|| {
        Fault::new(
            ErrorCode::ReplayUnknown,
            format!("replay delivery {past}: it is not known as a finished one"),
        )
    })?;
    let name = plan.dataset_name.clone();
    let subject = Subject {
        delivery: record.id,
        run: &record.run,
        dataset: &record.dataset,
        dataset_name: &name,
        organisation_name: record.run.spec.tenant.org.as_str(),
        cursor: None,
    };
    plan::plan_replay(&subject, plan).map(Box::new)
}

async fn dataset(hands: &Hands, record: &DeliveryRecord) -> Result<Dataset, Fault> {
    let tenant = &record.run.spec.tenant;
    let id = record.dataset.clone().into();
    let found = hands
        .context
        .deps
        .resources
        .get(tenant, ResourceKind::Dataset, &id)
        .await?;
    match found.map(|resource| resource.body) {
        Some(ResourceBody::Dataset(dataset)) => Ok(dataset),
        Some(
            ResourceBody::Connection(_)
            | ResourceBody::Source(_)
            | ResourceBody::Target(_)
            | ResourceBody::Flow(_),
        )
        | None => Err(Fault::new(
            ErrorCode::DatasetDeleted,
            format!(
                "plan delivery of dataset {}: it does not exist any more",
                record.dataset
            ),
        )),
    }
}

/// Puts the rules' questions to the lake until they have what they need: at most two.
async fn answer(
    hands: &Hands,
    dataset: &Dataset,
    subject: &Subject<'_>,
    question: LakeQuestion,
) -> Result<(PlanMode, ChangeSet), Fault> {
    let lake = &hands.context.deps.lake;
    let (location, format) = (&dataset.location, dataset.format);
    let answer = match question {
        LakeQuestion::Snapshot => {
            LakeAnswer::Snapshot(lake.snapshot(location, format, None).await?)
        }
        LakeQuestion::Changes { from } => {
            LakeAnswer::Changes(lake.changes(location, format, &from, None).await?)
        }
        LakeQuestion::Files => LakeAnswer::Files {
            listing: lake.files(location).await?,
            seen: hands
                .context
                .deps
                .journal
                .seen(subject.run.flow, subject.dataset)
                .await?,
        },
    };
    match plan::after(subject, answer)? {
        Next::Plan { mode, changes } => Ok((mode, changes)),
        Next::AskSnapshotAgain { at } => {
            let changes = lake.snapshot(location, format, Some(&at)).await?;
            Ok((PlanMode::FullAfterRewrite, changes))
        }
        Next::ReadFiles {
            mode,
            listing,
            chosen,
            known,
        } => {
            let changes = lake
                .slices(location, &listing, &chosen, known.as_ref())
                .await?;
            Ok((mode, changes))
        }
    }
}

/// Builds our manifest of the record's plan and winners.
pub(crate) fn manifest(
    record: &DeliveryRecord,
    etags: &BTreeMap<u32, String>,
) -> Result<ManifestBytes, Fault> {
    let plan = planned(record)?;
    let manifest = manifest::build(plan, &record.winners, etags, PRODUCER)?;
    let bytes = manifest::to_bytes(&manifest)?;
    let sha256 = manifest::sha256_hex(&bytes);
    Ok(ManifestBytes { bytes, sha256 })
}

/// Derives the documented manifest from the frozen bytes of ours, so that it is frozen too.
pub(crate) fn file_manifest(record: &DeliveryRecord) -> Result<Vec<u8>, Fault> {
    let frozen = record.manifest.as_deref().unwrap_or_default();
    manifest::file_manifest(planned(record)?, &manifest::parse(frozen)?)
}

fn planned(record: &DeliveryRecord) -> Result<&ExportPlan, Fault> {
    record.plan.as_ref().ok_or_else(|| {
        let what = format!(
            "build the manifest of delivery {}: it has no plan",
            record.id
        );
        Fault::new(ErrorCode::Internal, what)
    })
}
