//! Runs: totals, and one activity per dataset.

use offtake_api_types::adhoc::{AdhocAnswer, AdhocDataset, AdhocDestination};
use offtake_api_types::entity::{Common, SpecInfo};
use offtake_api_types::run::{
    ActivityRecords, DurationSummary, EntitySummary, FileInfo, FileManifest, FileSummary,
    RecordSummary, SideCounts, SideSummary, SizeSummary, StatusSummary,
};
use offtake_api_types::{Activity, Info, Object, Run, RunMetrics};
use offtake_model::run::DeliveryView;
use offtake_model::{Millis, RunKind};
use offtake_service::{AdhocExport, Caller, RunDetails};
use serde_json::Value;

use super::object;

/// Status of a run or delivery that ended well.
const SUCCESS: &str = "success";

/// Status of a run or delivery that ended badly.
const FAILED: &str = "failed";

/// A run (contract, 8.1).
pub(crate) fn run(caller: &Caller, details: &RunDetails) -> Run {
    let run = &details.view.run;
    Run {
        common: Common {
            id: run.id.to_string(),
            created_at: run.created_at.0,
            updated_at: details.updated_at.0,
            created_by: run.created_by.clone(),
            updated_by: run.created_by.clone(),
            created_client: run.created_by.clone(),
            updated_client: run.created_by.clone(),
            sandbox_id: caller.sandbox.id.clone(),
            sandbox_name: caller.sandbox.name.to_string(),
            ims_org_id: caller.tenant.org.to_string(),
        },
        flow_id: run.flow.to_string(),
        flow_spec: SpecInfo {
            id: run.spec.flow_spec.clone(),
            version: "1.0".to_owned(),
        },
        provider_ref_id: run.id.0.simple().to_string(),
        etag: details.etag.clone(),
        metrics: metrics(details),
        activities: details
            .view
            .deliveries
            .iter()
            .map(|delivery| activity(details, delivery))
            .collect(),
        kind: kind(run.kind).to_owned(),
        occurrence: run.occurrence.0,
    }
}

/// The answer to an export on demand (contract, 9.1).
pub(crate) fn on_demand(origin: &str, started: &[AdhocExport]) -> AdhocAnswer {
    let destinations = started.iter().map(|export| AdhocDestination {
        datasets: export
            .datasets
            .iter()
            .map(|dataset| AdhocDataset {
                id: dataset.to_string(),
                status_url: format!("{origin}{}/runs/{}", crate::FLOW_SERVICE, export.run),
                flow_id: export.flow.clone(),
            })
            .collect(),
    });
    AdhocAnswer {
        destinations: destinations.collect(),
    }
}

fn metrics(details: &RunDetails) -> RunMetrics {
    let totals = &details.metrics;
    let deliveries = &details.view.deliveries;
    let refs = deliveries.iter().map(|it| it.id.to_string());
    RunMetrics {
        duration_summary: duration(details.started_at, details.completed_at),
        latency_summary: Object::new(),
        size_summary: SizeSummary {
            input_bytes: totals.input_bytes,
            output_bytes: totals.output_bytes,
        },
        record_summary: records(details),
        file_summary: FileSummary {
            input_file_count: totals.input_files,
            output_file_count: totals.output_files,
            manifest: manifest(details, deliveries),
        },
        status_summary: StatusSummary {
            status: details.status.to_owned(),
            errors: deliveries
                .iter()
                .filter_map(|it| error(details, it))
                .collect(),
            activity_refs: refs.collect(),
            extensions: None,
        },
    }
}

/// Rows of all deliveries, as long as one is under way and every one's count is known.
fn planned(deliveries: &[DeliveryView]) -> Option<u64> {
    let of = |it: &DeliveryView| {
        if it.state.terminal() {
            Some(it.metrics.input_rows)
        } else {
            it.planned_rows
        }
    };
    if deliveries.iter().all(|it| it.state.terminal()) {
        return None;
    }
    deliveries.iter().map(of).sum()
}

fn records(details: &RunDetails) -> RecordSummary {
    let totals = &details.metrics;
    let run = &details.view.run;
    let deliveries = &details.view.deliveries;
    let read = |rows| SideCounts {
        input_record_count: Some(rows),
        skipped_record_count: Some(0),
        ..SideCounts::default()
    };
    let written = |rows| SideCounts {
        created_record_count: Some(rows),
        output_record_count: Some(rows),
        ..SideCounts::default()
    };
    let sources = deliveries
        .iter()
        .map(|it| entity(it, read(it.metrics.input_rows)));
    let targets = deliveries
        .iter()
        .map(|it| entity(it, written(it.metrics.output_rows)));
    RecordSummary {
        input_record_count: totals.input_rows,
        planned_record_count: planned(deliveries),
        created_record_count: totals.output_rows,
        output_record_count: totals.output_rows,
        skipped_record_count: 0,
        failed_record_count: details.failed_rows,
        source_summaries: vec![SideSummary {
            id: run.spec.source_connection.to_string(),
            counts: read(totals.input_rows),
            entity_summaries: sources.collect(),
        }],
        target_summaries: vec![SideSummary {
            id: run.spec.target_connection.to_string(),
            counts: written(totals.output_rows),
            entity_summaries: targets.collect(),
        }],
        skipped_info: Vec::new(),
        failed_info: infos(details, FAILED),
        warning_info: infos(details, SUCCESS),
    }
}

fn entity(delivery: &DeliveryView, counts: SideCounts) -> EntitySummary {
    EntitySummary {
        id: format!("dataSet:{}", delivery.dataset),
        counts,
    }
}

fn activity(details: &RunDetails, delivery: &DeliveryView) -> Activity {
    let metrics = &delivery.metrics;
    Activity {
        id: delivery.id.to_string(),
        name: "Dataset Export Activity".to_owned(),
        updated_at_utc: delivery.updated_at.0,
        duration_summary: duration(delivery.started_at, delivery.completed_at),
        latency_summary: Object::new(),
        size_summary: SizeSummary {
            input_bytes: metrics.input_bytes,
            output_bytes: metrics.output_bytes,
        },
        record_summary: ActivityRecords {
            input_record_count: metrics.input_rows,
            output_record_count: metrics.output_rows,
            created_record_count: metrics.output_rows,
            skipped_record_count: 0,
        },
        file_summary: FileSummary {
            input_file_count: metrics.input_files,
            output_file_count: metrics.output_files,
            manifest: manifest(details, std::slice::from_ref(delivery)),
        },
        status_summary: StatusSummary {
            status: details.status_of(delivery).to_owned(),
            errors: error(details, delivery).into_iter().collect(),
            activity_refs: Vec::new(),
            extensions: Some(extensions(delivery)),
        },
    }
}

/// What there is to say about a delivery beyond the documented words.
fn extensions(delivery: &DeliveryView) -> Object {
    let mut more = object([
        (
            "incremental.datasetId",
            Value::from(delivery.dataset.to_string()),
        ),
        ("offtake.state", Value::from(delivery.state.name())),
        ("offtake.attempt", Value::from(delivery.attempt)),
    ]);
    if let Some(key) = &delivery.manifest_key {
        more.insert("offtake.manifest".to_owned(), Value::from(key.clone()));
    }
    if let Some(at) = delivery.not_before {
        more.insert("offtake.notBefore".to_owned(), Value::from(at.0));
    }
    if let Some(at) = delivery.expired_at {
        more.insert("offtake.expiredAt".to_owned(), Value::from(at.0));
    }
    more
}

/// Why a delivery failed or waits. What succeeded has no errors (contract, 8.1).
fn error(details: &RunDetails, delivery: &DeliveryView) -> Option<Info> {
    let good = details.status_of(delivery) == SUCCESS;
    reason(details, delivery).filter(|_| !good)
}

/// The reasons of all deliveries that ended so, with the rows that they concern.
fn infos(details: &RunDetails, ended: &str) -> Vec<Info> {
    let deliveries = details.view.deliveries.iter();
    deliveries
        .filter(|it| details.status_of(it) == ended)
        .filter_map(|it| {
            let count = Some(it.metrics.input_rows);
            reason(details, it).map(|info| Info { count, ..info })
        })
        .collect()
}

/// What there is to say about a delivery that failed, waits or was skipped.
fn reason(details: &RunDetails, delivery: &DeliveryView) -> Option<Info> {
    let fault = delivery.fault.as_ref()?;
    let failed = details.status_of(delivery) == FAILED;
    let kind = if failed { "Error" } else { "Warning" };
    Some(Info {
        code: fault.code.run_code(),
        message: format!("dataSet:{}: {}", delivery.dataset, fault.message),
        count: None,
        kind: kind.to_owned(),
        error_code: fault.code.name().to_owned(),
        advice: fault.code.advice().to_owned(),
    })
}

fn manifest(details: &RunDetails, deliveries: &[DeliveryView]) -> Option<FileManifest> {
    let prefix = format!("/{}", details.view.run.spec.path);
    let file_info: Vec<FileInfo> = deliveries
        .iter()
        .flat_map(|delivery| &delivery.files)
        .map(|file| FileInfo {
            path: format!("/{}", file.key),
            output_bytes: file.bytes,
            path_prefix: prefix.clone(),
            output_record_count: file.rows,
        })
        .collect();
    (!file_info.is_empty()).then_some(FileManifest { file_info })
}

fn duration(started: Option<Millis>, completed: Option<Millis>) -> DurationSummary {
    DurationSummary {
        started_at_utc: started.map(|at| at.0),
        completed_at_utc: completed.map(|at| at.0),
    }
}

const fn kind(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Scheduled => "scheduled",
        RunKind::Now => "now",
        RunKind::Adhoc => "adhoc",
        RunKind::Replay => "replay",
    }
}
