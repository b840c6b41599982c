//! Resource bodies as stored. What is searched or moved on its own (a flow's state, generation and next
//! occurrence) stands in columns beside the body, never in it.
//!
//! The one law: a secret is stored sealed or not at all.

use offtake_model::change::SourceRef;
use offtake_model::id::ConnectionId;
use offtake_model::resource::{
    Dataset, DatasetEntry, Flow, FlowState, LastOperation, Object, SourceConnection, SpecRef,
    TableFormat, TargetConnection,
};
use offtake_model::{DatasetId, Fault, Millis, ResourceBody, ResourceId, ResourceKind, Schedule};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{from_json, kind_name, to_json};
use crate::failure::corrupt;

mod connection;

use connection::{ConnectionRow, StateRow, state_of, state_row};

/// A body's parts: its JSON, and for a flow its columns.
pub(crate) struct BodyRow {
    pub(crate) json: String,
    pub(crate) flow: Option<FlowColumns>,
}

/// What of a flow stands in columns.
pub(crate) struct FlowColumns {
    pub(crate) state: String,
    pub(crate) generation: i64,
    pub(crate) next_due_at: Option<i64>,
}

/// Takes a body apart.
pub(crate) fn encode(body: &ResourceBody) -> Result<BodyRow, Fault> {
    let what = kind_name(body.kind());
    let mut flow = None;
    let json = match body {
        ResourceBody::Connection(it) => to_json(&ConnectionRow::from(it), what),
        ResourceBody::Source(it) => to_json(&SourceRow::from(it), what),
        ResourceBody::Target(it) => to_json(&TargetRow::from(it), what),
        ResourceBody::Flow(it) => {
            flow = Some(FlowColumns {
                state: it.state.name().to_owned(),
                generation: super::signed(it.generation),
                next_due_at: it.next_due_at.map(|at| at.0),
            });
            to_json(&FlowRow::from(it.as_ref()), what)
        }
        ResourceBody::Dataset(it) => to_json(&DatasetRow::from(it), what),
    }?;
    Ok(BodyRow { json, flow })
}

/// Puts a body together again.
pub(crate) fn decode(kind: ResourceKind, row: &BodyRow) -> Result<ResourceBody, Fault> {
    let what = kind_name(kind);
    let json = &row.json;
    Ok(match kind {
        ResourceKind::Connection => {
            ResourceBody::Connection(from_json::<ConnectionRow>(json, what)?.into())
        }
        ResourceKind::Source => ResourceBody::Source(from_json::<SourceRow>(json, what)?.into()),
        ResourceKind::Target => ResourceBody::Target(from_json::<TargetRow>(json, what)?.into()),
        ResourceKind::Flow => {
            let columns = row
                .flow
                .as_ref()
                .ok_or_else(|| corrupt("stored flow lacks its columns"))?;
            let flow = from_json::<FlowRow>(json, what)?.into_flow(columns)?;
            ResourceBody::Flow(Box::new(flow))
        }
        ResourceKind::Dataset => ResourceBody::Dataset(from_json::<DatasetRow>(json, what)?.into()),
    })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpecRow {
    id: String,
    version: String,
}

impl From<&SpecRef> for SpecRow {
    fn from(spec: &SpecRef) -> Self {
        Self {
            id: spec.id.clone(),
            version: spec.version.clone(),
        }
    }
}

impl From<SpecRow> for SpecRef {
    fn from(row: SpecRow) -> Self {
        Self {
            id: row.id,
            version: row.version,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SourceRow {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    spec: SpecRow,
    datasets: Vec<DatasetEntryRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_connection_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<StateRow>,
}

#[derive(Serialize, Deserialize)]
struct DatasetEntryRow {
    id: DatasetId,
    name: String,
}

impl From<&SourceConnection> for SourceRow {
    fn from(it: &SourceConnection) -> Self {
        Self {
            name: it.name.clone(),
            description: it.description.clone(),
            spec: (&it.spec).into(),
            datasets: it
                .datasets
                .iter()
                .map(|entry| DatasetEntryRow {
                    id: entry.id.clone(),
                    name: entry.name.clone(),
                })
                .collect(),
            data: it.data.clone(),
            base_connection_id: it.base_connection_id.clone(),
            state: state_row(it.state),
        }
    }
}

impl From<SourceRow> for SourceConnection {
    fn from(row: SourceRow) -> Self {
        Self {
            name: row.name,
            description: row.description,
            spec: row.spec.into(),
            datasets: row
                .datasets
                .into_iter()
                .map(|entry| DatasetEntry {
                    id: entry.id,
                    name: entry.name,
                })
                .collect(),
            data: row.data,
            base_connection_id: row.base_connection_id,
            state: state_of(row.state),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetRow {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    base_connection_id: ConnectionId,
    spec: SpecRow,
    params: Object,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<StateRow>,
}

impl From<&TargetConnection> for TargetRow {
    fn from(it: &TargetConnection) -> Self {
        Self {
            name: it.name.clone(),
            description: it.description.clone(),
            base_connection_id: it.base_connection_id,
            spec: (&it.spec).into(),
            params: it.params.clone(),
            state: state_row(it.state),
        }
    }
}

impl From<TargetRow> for TargetConnection {
    fn from(row: TargetRow) -> Self {
        Self {
            name: row.name,
            description: row.description,
            base_connection_id: row.base_connection_id,
            spec: row.spec.into(),
            params: row.params,
            state: state_of(row.state),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FlowRow {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    spec: SpecRow,
    source_connection_ids: Vec<ResourceId>,
    target_connection_ids: Vec<ResourceId>,
    schedule: Schedule,
    schedule_params: Object,
    transformations: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enabled_at: Option<Millis>,
    last_operation: LastOperationRow,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LastOperationRow {
    operation: String,
    at: Millis,
    ops: Value,
}

impl From<&Flow> for FlowRow {
    fn from(it: &Flow) -> Self {
        Self {
            name: it.name.clone(),
            description: it.description.clone(),
            spec: (&it.spec).into(),
            source_connection_ids: it.source_connection_ids.clone(),
            target_connection_ids: it.target_connection_ids.clone(),
            schedule: it.schedule.clone(),
            schedule_params: it.schedule_params.clone(),
            transformations: it.transformations.clone(),
            enabled_at: it.enabled_at,
            last_operation: LastOperationRow {
                operation: it.last_operation.operation.clone(),
                at: it.last_operation.at,
                ops: it.last_operation.ops.clone(),
            },
        }
    }
}

impl FlowRow {
    fn into_flow(self, columns: &FlowColumns) -> Result<Flow, Fault> {
        Ok(Flow {
            name: self.name,
            description: self.description,
            spec: self.spec.into(),
            source_connection_ids: self.source_connection_ids,
            target_connection_ids: self.target_connection_ids,
            schedule: self.schedule,
            schedule_params: self.schedule_params,
            transformations: self.transformations,
            state: parse_flow_state(&columns.state)?,
            generation: super::counter(columns.generation, "flow generation")?,
            enabled_at: self.enabled_at,
            next_due_at: columns.next_due_at.map(Millis),
            last_operation: LastOperation {
                operation: self.last_operation.operation,
                at: self.last_operation.at,
                ops: self.last_operation.ops,
            },
        })
    }
}

fn parse_flow_state(name: &str) -> Result<FlowState, Fault> {
    [FlowState::Draft, FlowState::Enabled, FlowState::Disabled]
        .into_iter()
        .find(|state| state.name() == name)
        .ok_or_else(|| corrupt(format_args!("stored flow state {name:?} is none")))
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DatasetRow {
    name: String,
    location: SourceRef,
    format: TableFormatRow,
    extra: Object,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TableFormatRow {
    Delta,
    #[serde(rename = "parquet-folder")]
    ParquetFolder,
}

impl From<&Dataset> for DatasetRow {
    fn from(it: &Dataset) -> Self {
        Self {
            name: it.name.clone(),
            location: it.location.clone(),
            format: match it.format {
                TableFormat::Delta => TableFormatRow::Delta,
                TableFormat::ParquetFolder => TableFormatRow::ParquetFolder,
            },
            extra: it.extra.clone(),
        }
    }
}

impl From<DatasetRow> for Dataset {
    fn from(row: DatasetRow) -> Self {
        Self {
            name: row.name,
            location: row.location,
            format: match row.format {
                TableFormatRow::Delta => TableFormat::Delta,
                TableFormatRow::ParquetFolder => TableFormat::ParquetFolder,
            },
            extra: row.extra,
        }
    }
}
