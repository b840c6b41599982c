//! A small delivery for tests: records, plans and files with readable names.

use offtake_model::change::Position;
use offtake_model::delivery::AbortThen;
use offtake_model::plan::PlanMode;
use offtake_model::{
    Attempt, AttemptId, AttemptTag, Compression, ConnectionId, DatasetId, DeliveryId,
    DeliveryRecord, DeliveryState, DestinationKind, ErrorCode, ExportPlan, ExportSpec, Fault,
    FileRules, FileSlice, FileType, FlowId, Millis, OnRewrite, OrgId, OutputEncoding, PlannedTask,
    ResourceId, Run, RunId, RunKind, SandboxName, Schema, SealedFile, SinkRef, SourceRef,
    StageHandle, StageToken, Tenant, Winner,
};
use uuid::Uuid;

pub(super) const DELIVERY: DeliveryId = DeliveryId(Uuid::from_u128(0xd));
const FLOW: FlowId = FlowId(Uuid::from_u128(0xf));
const RUN: RunId = RunId(Uuid::from_u128(0xa));

fn dataset() -> DatasetId {
    DatasetId("5f3c3cedb2805c194ff0b69a".to_owned())
}

fn tenant() -> Tenant {
    Tenant {
        org: OrgId("0123456789ABCDEF01234567@AdobeOrg".to_owned()),
        sandbox: SandboxName("prod".to_owned()),
    }
}

fn spec() -> ExportSpec {
    ExportSpec {
        tenant: tenant(),
        flow: FLOW,
        flow_name: "orders".to_owned(),
        flow_spec: String::new(),
        source_connection: ResourceId(String::new()),
        target_connection: ResourceId(String::new()),
        datasets: vec![dataset()],
        sink: SinkRef {
            kind: DestinationKind::LandingZone,
            tenant: tenant(),
            connection: ConnectionId(Uuid::from_u128(0xc)),
            container: None,
        },
        path: "out".to_owned(),
        encoding: encoding(),
        folder_template: None,
        on_rewrite: OnRewrite::Fail,
        include_file_manifest: true,
        file_rules: FileRules::default(),
    }
}

const fn encoding() -> OutputEncoding {
    OutputEncoding::new(FileType::Json, Compression::None)
}

pub(super) fn run(kind: RunKind) -> Run {
    Run {
        id: RUN,
        flow: FLOW,
        flow_generation: 1,
        kind,
        trigger_key: "sched:0".to_owned(),
        occurrence: Millis(0),
        full: false,
        spec: spec(),
        created_by: "scheduler".to_owned(),
        created_at: Millis(0),
    }
}

fn position(version: u64) -> Position {
    Position::Delta {
        table: "t".to_owned(),
        version,
    }
}

fn slice(path: &str, bytes: u64) -> FileSlice {
    FileSlice {
        source: SourceRef {
            root: "lake".to_owned(),
            path: path.to_owned(),
        },
        bytes,
        etag: None,
        rows: None,
        row_groups: None,
        row_range: None,
        known_row_groups: Vec::new(),
        constants: Vec::new(),
        mask: None,
    }
}

/// A plan of so many tasks; all read one shared source file and each one of its own.
pub(super) fn plan(tasks: u32) -> ExportPlan {
    let task = |index: u32| PlannedTask {
        index,
        key: key(index),
        slices: vec![slice("shared", 100), slice(&format!("own-{index}"), 10)],
    };
    ExportPlan {
        format_version: ExportPlan::FORMAT_VERSION,
        delivery: DELIVERY,
        run: RUN,
        dataset: dataset(),
        dataset_name: "orders".to_owned(),
        kind: RunKind::Scheduled,
        occurrence: Millis(0),
        spec: spec(),
        mode: PlanMode::Full,
        from: None,
        to: position(3),
        seq: 1,
        schema: Schema::default(),
        schema_fingerprint: String::new(),
        folder: "out".to_owned(),
        tasks: (0..tasks).map(task).collect(),
        manifest_key: "out/_offtake/m.manifest".to_owned(),
        file_manifest_key: Some("out/manifest.json".to_owned()),
    }
}

fn key(task: u32) -> String {
    format!("out/part-{task}")
}

/// The `n`th attempt at a task.
pub(super) const fn attempt_id(task: u32, n: u32) -> AttemptId {
    AttemptId(Uuid::from_u128(((task as u128) << 32) | n as u128))
}

/// Task and number of an attempt of [`attempt_id`].
pub(super) fn numbers(attempt: AttemptId) -> (u32, u32) {
    let bits = attempt.0.as_u128();
    (
        u32::try_from(bits >> 32).unwrap(),
        u32::try_from(bits & 0xffff_ffff).unwrap(),
    )
}

pub(super) fn handle(task: u32, n: u32) -> StageHandle {
    StageHandle {
        key: key(task),
        tag: AttemptTag {
            delivery: DELIVERY,
            task,
            attempt: attempt_id(task, n),
        },
        detail: String::new(),
    }
}

pub(super) fn attempt(task: u32, n: u32) -> Attempt {
    Attempt {
        task,
        id: attempt_id(task, n),
        epoch: 1,
        handle: Some(handle(task, n)),
        discarded: false,
    }
}

/// A winner of 7 rows in 70 bytes, read from 9.
pub(super) fn winner(task: u32, n: u32) -> Winner {
    Winner {
        task,
        attempt: attempt_id(task, n),
        file: SealedFile {
            token: StageToken {
                handle: handle(task, n),
                bytes: 70,
                detail: String::new(),
            },
            input_rows: 9,
            rows: 7,
            bytes: 70,
            sha256: String::new(),
            passage: offtake_model::delivery::Passage::Encoded,
        },
    }
}

/// A record in `state` with `tasks` planned tasks, the first `won` of them won by their first attempt.
pub(super) fn record(state: DeliveryState, tasks: u32, won: u32) -> DeliveryRecord {
    let planned = state != DeliveryState::Planning;
    DeliveryRecord {
        id: DELIVERY,
        run: run(RunKind::Scheduled),
        dataset: dataset(),
        state,
        rev: 1,
        resume: None,
        abort_then: (state == DeliveryState::Aborting).then_some(AbortThen::Failed),
        attempt: 0,
        credential_waits: 0,
        claims_lost: 0,
        cancel_requested: false,
        plan: planned.then(|| plan(tasks)),
        attempts: (0..won).map(|task| attempt(task, 1)).collect(),
        winners: (0..won).map(|task| winner(task, 1)).collect(),
        manifest: (state == DeliveryState::Manifesting).then(|| b"manifest".to_vec()),
        fault: None,
    }
}

pub(super) fn transient() -> Fault {
    Fault::new(ErrorCode::DestinationUnreachable, "write file x: no answer")
}

pub(super) fn permanent() -> Fault {
    Fault::new(ErrorCode::SourceCorrupt, "read file y: no footer")
}

pub(super) fn denied() -> Fault {
    Fault::new(ErrorCode::DestinationDenied, "write file x: refused")
}
