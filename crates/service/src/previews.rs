//! Where an export would put its files: a look before a flow is made or changed. An extension.
//!
//! It makes nothing and asks neither lake nor destination.

use offtake_core::plan::{Preview, preview};
use offtake_core::validate::shown;
use offtake_core::{schedule, specs};
use offtake_model::resource::Object;
use offtake_model::{
    Compression, ConnectionId, DatasetId, DestinationKind, ErrorCode, ExportSpec, Fault, FileRules,
    FileType, FlowId, Millis, OnRewrite, OutputEncoding, ResourceId, ResourceKind, SinkRef,
};
use serde_json::Value;
use uuid::Uuid;

use crate::entity;
use crate::identity::Caller;
use crate::service::Service;

/// Most datasets of one preview.
const DATASETS_MAX: usize = 100;

/// How far apart occurrences are taken to be without a flow: the shortest interval there is.
const INTERVAL_MS: i64 = 3 * 60 * 60 * 1_000;

const FIELDS: [&str; 6] = [
    "flowId",
    "foldernameTemplate",
    "path",
    "dataSetIds",
    "connectionSpecId",
    "occurrence",
];

impl Service {
    /// Shows where an occurrence of a flow, or of what a flow might be, goes.
    pub async fn preview_folders(&self, caller: &Caller, body: &Value) -> Result<Preview, Fault> {
        let Value::Object(body) = body else {
            return Err(invalid("the body must be a JSON object"));
        };
        if let Some(key) = body.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            return Err(invalid(format!(
                "the body has no field `{key}`; it has {}",
                FIELDS.join(", ")
            )));
        }
        let occurrence = occurrence(body)?.unwrap_or_else(|| self.clock.now());
        let (mut spec, next) = match text(body, "flowId")? {
            Some(id) => self.spec_of_flow(caller, id, occurrence).await?,
            None => (blank(caller, body)?, occurrence.plus_millis(INTERVAL_MS)),
        };
        if let Some(path) = text(body, "path")? {
            path.trim_matches('/').clone_into(&mut spec.path);
        }
        if let Some(template) = text(body, "foldernameTemplate")? {
            spec.folder_template = (!template.is_empty()).then(|| template.to_owned());
        }
        if let Some(datasets) = datasets(body)? {
            spec.datasets = datasets;
        }
        if spec.datasets.is_empty() {
            return Err(invalid("name a `flowId`, or datasets in `dataSetIds`"));
        }
        let mut named = Vec::with_capacity(spec.datasets.len());
        for dataset in &spec.datasets {
            named.push((dataset.clone(), self.name_of(caller, dataset).await?));
        }
        let organisation = caller.tenant.org.as_str();
        preview(&spec, &named, organisation, occurrence, next)
    }

    async fn spec_of_flow(
        &self,
        caller: &Caller,
        id: &str,
        occurrence: Millis,
    ) -> Result<(ExportSpec, Millis), Fault> {
        let resource = self.must_find(caller, ResourceKind::Flow, id).await?;
        let flow = entity::flow(resource.clone())?.body;
        let spec = self.export_spec_of(caller, &resource).await?;
        let next = schedule::next_occurrence(&flow.schedule, occurrence);
        let next = next.unwrap_or_else(|| occurrence.plus_millis(INTERVAL_MS));
        Ok((spec, next))
    }

    async fn name_of(&self, caller: &Caller, dataset: &DatasetId) -> Result<String, Fault> {
        let found = self.find(caller, ResourceKind::Dataset, dataset.as_str());
        let found = found.await?.ok_or_else(|| {
            Fault::new(
                ErrorCode::DatasetUnknown,
                format!("dataset [{dataset}] does not exist in this sandbox"),
            )
        })?;
        Ok(entity::dataset(found)?.body.name)
    }
}

/// The wishes of a flow that does not exist: its id and name are placeholders.
fn blank(caller: &Caller, body: &Object) -> Result<ExportSpec, Fault> {
    let kind = match text(body, "connectionSpecId")? {
        None => DestinationKind::LandingZone,
        Some(id) => specs::connection_spec(id)
            .and_then(specs::ConnectionSpec::kind)
            .ok_or_else(|| {
                Fault::new(
                    ErrorCode::SpecNotValid,
                    format!("`connectionSpecId` [{id}] is not that of a destination"),
                )
            })?,
    };
    Ok(ExportSpec {
        tenant: caller.tenant.clone(),
        flow: FlowId(Uuid::nil()),
        flow_name: "flow".to_owned(),
        flow_spec: String::new(),
        source_connection: ResourceId(String::new()),
        target_connection: ResourceId(String::new()),
        datasets: Vec::new(),
        sink: SinkRef {
            kind,
            tenant: caller.tenant.clone(),
            connection: ConnectionId(Uuid::nil()),
            container: None,
        },
        path: String::new(),
        encoding: OutputEncoding::new(FileType::Parquet, Compression::None),
        folder_template: None,
        on_rewrite: OnRewrite::Fail,
        include_file_manifest: false,
        file_rules: FileRules::default(),
    })
}

fn datasets(body: &Object) -> Result<Option<Vec<DatasetId>>, Fault> {
    let list = match body.get("dataSetIds") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) if (1..=DATASETS_MAX).contains(&list.len()) => list,
        Some(_) => {
            return Err(invalid(format!(
                "`dataSetIds` must be an array of 1 to {DATASETS_MAX} ids"
            )));
        }
    };
    let ids = list.iter().map(|it| {
        let id = it
            .as_str()
            .ok_or_else(|| invalid(format!("`dataSetIds` must hold ids, got {}", shown(it))))?;
        Ok(DatasetId(id.to_owned()))
    });
    ids.collect::<Result<_, _>>().map(Some)
}

fn occurrence(body: &Object) -> Result<Option<Millis>, Fault> {
    match body.get("occurrence") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64() {
            Some(seconds @ 0..=253_402_300_799) => Ok(Some(Millis::from_secs(seconds))),
            Some(_) | None => Err(invalid(format!(
                "`occurrence` must be seconds since 1970-01-01T00:00:00Z, before the year 10000, got {}",
                shown(value)
            ))),
        },
    }
}

fn text<'a>(body: &'a Object, key: &str) -> Result<Option<&'a str>, Fault> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(invalid(format!(
            "`{key}` must be text, got {}",
            shown(other)
        ))),
    }
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::FieldInvalid, message)
}
