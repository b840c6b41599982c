//! A small world for the suite: one tenant, flows with two datasets, plans with two tasks.
//!
//! The one law: everything is made from small numbers, so that a failing check can be read.

use std::time::Duration;

use offtake_model::change::{FileSlice, Position};
use offtake_model::delivery::{AbortThen, CursorMove, SeenMove};
use offtake_model::plan::PlanMode;
use offtake_model::resource::{Audit, Flow, FlowState, LastOperation, SpecRef};
use offtake_model::{
    Actor, Attempt, AttemptId, AttemptTag, Compression, ConnectionId, DataType, DatasetId,
    DeliveryId, DestinationKind, ErrorCode, ExportMode, ExportPlan, ExportSpec, Fault, Field,
    FileRules, FileType, FlowId, FolderFile, Lease, Millis, OnRewrite, OrgId, OutputEncoding,
    PlannedTask, Resource, ResourceBody, ResourceId, Revision, Run, RunId, RunKind, RunMetrics,
    SandboxName, Schedule, Schema, SealedFile, SeenFolder, SinkRef, SourceRef, StageHandle,
    StageToken, Tenant, TimeUnit, Transition, Winner,
};
use serde_json::{Map, Value};
use uuid::Uuid;

/// When every check begins.
pub const START: Millis = Millis(1_700_000_000_000);

/// How long leases last.
pub const TTL: Duration = Duration::from_mins(1);

/// The datasets of every flow.
pub const DATASETS: [&str; 2] = ["5c8c3c555033b814b69f947f", "5c8c3c555033b814b69f9480"];

/// The tenant of every flow.
pub fn tenant() -> Tenant {
    Tenant {
        org: OrgId("0123456789ABCDEF01234567@AdobeOrg".to_owned()),
        sandbox: SandboxName("prod".to_owned()),
    }
}

/// Who changes things in the suite.
pub fn actor() -> Actor {
    Actor::service(tenant(), "test")
}

/// A flow's id.
pub fn flow_id(number: u32) -> FlowId {
    FlowId(Uuid::from_u128(0xf10_0000 + u128::from(number)))
}

/// An enabled flow at revision and generation 1, due at the start.
pub fn flow_resource(flow: FlowId) -> Resource {
    let spec = SpecRef {
        id: "spec".to_owned(),
        version: "1.0".to_owned(),
    };
    Resource {
        id: flow.into(),
        tenant: tenant(),
        revision: Revision(1),
        audit: Audit {
            created_at: START,
            updated_at: START,
            created_by: "somebody".to_owned(),
            updated_by: "somebody".to_owned(),
            created_client: "client".to_owned(),
            updated_client: "client".to_owned(),
        },
        body: ResourceBody::Flow(Box::new(Flow {
            name: "flow".to_owned(),
            description: None,
            spec,
            source_connection_ids: vec![ResourceId("source".to_owned())],
            target_connection_ids: vec![ResourceId("target".to_owned())],
            schedule: Schedule {
                export_mode: ExportMode::FirstFullThenIncremental,
                interval: 3,
                time_unit: TimeUnit::Hour,
                start: START,
                end: None,
            },
            schedule_params: Map::new(),
            transformations: Value::Null,
            state: FlowState::Enabled,
            generation: 1,
            enabled_at: Some(START),
            next_due_at: Some(START),
            last_operation: LastOperation {
                operation: "create".to_owned(),
                at: START,
                ops: Value::Null,
            },
        })),
    }
}

/// A run that is not a full re-sync.
pub fn run_of(flow: FlowId, kind: RunKind, trigger: &str, datasets: &[&str]) -> Run {
    Run {
        id: RunId::derive(flow, trigger),
        flow,
        flow_generation: 1,
        kind,
        trigger_key: trigger.to_owned(),
        occurrence: START,
        full: false,
        spec: ExportSpec {
            tenant: tenant(),
            flow,
            flow_name: "flow".to_owned(),
            flow_spec: "spec".to_owned(),
            source_connection: ResourceId("source".to_owned()),
            target_connection: ResourceId("target".to_owned()),
            datasets: datasets
                .iter()
                .map(|id| DatasetId((*id).to_owned()))
                .collect(),
            sink: sink(),
            path: "exports".to_owned(),
            encoding: ENCODING,
            folder_template: None,
            on_rewrite: OnRewrite::Fail,
            include_file_manifest: false,
            file_rules: FileRules::default(),
        },
        created_by: "somebody".to_owned(),
        created_at: START,
    }
}

const ENCODING: OutputEncoding = OutputEncoding::new(FileType::Json, Compression::None);

fn sink() -> SinkRef {
    SinkRef {
        kind: DestinationKind::LandingZone,
        tenant: tenant(),
        connection: ConnectionId(Uuid::from_u128(7)),
        container: None,
    }
}

/// A version of the table.
pub fn position(version: u64) -> Position {
    Position::Delta {
        table: "table".to_owned(),
        version,
    }
}

/// A plan of two tasks that share one source file and have one each.
pub fn plan(lease: &Lease) -> ExportPlan {
    let flow = flow_id(1);
    let run = run_of(flow, RunKind::Now, "first", &DATASETS[..1]);
    ExportPlan {
        format_version: ExportPlan::FORMAT_VERSION,
        delivery: lease.delivery,
        run: run.id,
        dataset: DatasetId(DATASETS[0].to_owned()),
        dataset_name: "dataset".to_owned(),
        kind: run.kind,
        occurrence: START,
        spec: run.spec,
        mode: PlanMode::Full,
        from: None,
        to: position(3),
        seq: 1,
        schema: Schema::default(),
        schema_fingerprint: "00".to_owned(),
        folder: "exports/dataset".to_owned(),
        tasks: vec![task(0, &["shared", "a"]), task(1, &["shared", "b"])],
        manifest_key: "exports/_offtake/delivery.manifest".to_owned(),
        file_manifest_key: None,
    }
}

fn task(index: u32, files: &[&str]) -> PlannedTask {
    PlannedTask {
        index,
        key: format!("exports/dataset/{index}.json"),
        slices: files.iter().map(|file| slice(file)).collect(),
    }
}

fn slice(file: &str) -> FileSlice {
    FileSlice {
        source: SourceRef {
            root: "lake".to_owned(),
            path: file.to_owned(),
        },
        bytes: 1_000,
        etag: None,
        rows: Some(5),
        row_groups: None,
        row_range: None,
        known_row_groups: Vec::new(),
        constants: Vec::new(),
        mask: None,
    }
}

/// An attempt without a handle; numbers tell attempts of one lease apart.
pub fn attempt(lease: &Lease, task: u32, number: u32) -> Attempt {
    Attempt {
        task,
        id: AttemptId(Uuid::from_u128(
            0xa77_0000_0000 + (u128::from(lease.epoch) << 20) + u128::from(number),
        )),
        epoch: lease.epoch,
        handle: None,
        discarded: false,
    }
}

/// The handle of an attempt.
pub fn handle(delivery: DeliveryId, task: u32, attempt: AttemptId) -> StageHandle {
    StageHandle {
        key: format!("exports/dataset/{task}.json"),
        tag: AttemptTag {
            delivery,
            task,
            attempt,
        },
        detail: "staged".to_owned(),
    }
}

/// An attempt as winner, with 10 rows read, 7 written and 70 bytes.
pub fn winner(delivery: DeliveryId, task: u32, attempt: AttemptId) -> Winner {
    Winner {
        task,
        attempt,
        file: SealedFile {
            token: StageToken {
                handle: handle(delivery, task, attempt),
                bytes: 70,
                detail: "sealed".to_owned(),
            },
            input_rows: 10,
            rows: 7,
            bytes: 70,
            sha256: "ab".to_owned(),
            passage: offtake_model::delivery::Passage::Encoded,
        },
    }
}

/// The transition that saves [`plan`].
pub fn save_plan(lease: &Lease) -> Transition {
    Transition::SavePlan(Box::new(plan(lease)))
}

/// The point of no return with a small manifest.
pub fn point_of_no_return(rev: u32) -> Transition {
    Transition::PointOfNoReturn {
        rev,
        manifest: b"{}".to_vec(),
        sha256: "cd".to_owned(),
    }
}

/// What both tasks of [`plan`] read and write.
pub fn metrics() -> RunMetrics {
    RunMetrics {
        input_rows: 20,
        output_rows: 14,
        input_bytes: 3_000,
        output_bytes: 140,
        input_files: 3,
        output_files: 2,
    }
}

/// The commit with [`metrics`].
pub fn commit(cursor: Option<CursorMove>) -> Transition {
    Transition::Commit {
        metrics: metrics(),
        cursor,
    }
}

/// A move of the first flow's first cursor.
pub fn cursor_to(version: u64, seq: u64) -> CursorMove {
    CursorMove {
        flow: flow_id(1),
        dataset: DatasetId(DATASETS[0].to_owned()),
        to: position(version),
        seq,
        seen: None,
    }
}

/// The same move of a dataset that is a Parquet folder, with files of those names and sizes.
pub fn cursor_with_files(seq: u64, files: &[(&str, u64)], whole: bool) -> CursorMove {
    CursorMove {
        seen: Some(SeenMove {
            delivered: seen(seq, files),
            whole,
        }),
        ..cursor_to(seq, seq)
    }
}

/// Files of those names and sizes, under a schema that grows with the number.
pub fn seen(columns: u64, files: &[(&str, u64)]) -> SeenFolder {
    SeenFolder {
        files: files
            .iter()
            .map(|(path, bytes)| FolderFile {
                path: (*path).to_owned(),
                bytes: *bytes,
                tag: (*bytes > 0).then(|| format!("tag of {bytes}")),
            })
            .collect(),
        schema: Schema {
            fields: (0..columns)
                .map(|number| Field::new(format!("column {number}"), DataType::Int64, true))
                .collect(),
        },
    }
}

/// A wait for [`trouble`] to pass.
pub fn wait_until(not_before: Millis) -> Transition {
    Transition::Wait {
        fault: trouble(),
        not_before,
    }
}

/// The begin of an abort because of [`trouble`].
pub fn abort(then: AbortThen) -> Transition {
    Transition::StartAbort {
        then,
        fault: trouble(),
    }
}

/// A fault that is worth waiting for.
pub fn trouble() -> Fault {
    Fault::new(ErrorCode::DestinationUnreachable, "no answer")
}
