//! The wishes of a flow, gathered from the flow and its connections into the one value that a run freezes.
//!
//! It validates nothing that was validated when the resources were written; it refuses what it can't read.
//!
//! The one law: after this a run no longer looks at flow or connections; edits touch later runs only.

use offtake_model::resource::{
    Connection, ConnectionState, Flow, Object, SourceConnection, TargetConnection,
};
use offtake_model::{
    ConnectionId, DestinationKind, ErrorCode, ExportSpec, Fault, FileRules, FlowId, OnRewrite,
    Resource, ResourceBody, ResourceId, SinkRef,
};
use serde_json::Value;

use crate::specs;
use crate::validate::encoding;

/// Gathers the spec of a flow's runs from the flow, its source and target connection and the target's base
/// connection.
///
/// Fails with `CONNECTION_NOT_USABLE` when a resource is of the wrong kind, belongs to somebody else or is a draft, or
/// when the target lacks something that a delivery needs.
pub fn export_spec(
    flow: &Resource,
    source: &Resource,
    target: &Resource,
    connection: &Resource,
) -> Result<ExportSpec, Fault> {
    for other in [source, target, connection] {
        if other.tenant != flow.tenant {
            return Err(unusable(other, "it belongs to another sandbox"));
        }
    }
    let wishes = flow_of(flow)?;
    let from = source_of(source)?;
    let to = target_of(target)?;
    let base = connection_of(connection)?;
    for (used, state) in [
        (source, from.state),
        (target, to.state),
        (connection, base.state),
    ] {
        if state == ConnectionState::Draft {
            return Err(unusable(used, "it is a draft; publish it first"));
        }
    }
    if base.spec.id != to.spec.id {
        return Err(unusable(
            connection,
            "its spec is not that of the target connection",
        ));
    }
    Ok(ExportSpec {
        tenant: flow.tenant.clone(),
        flow: FlowId(uuid_of(flow)?),
        flow_name: wishes.name.clone(),
        flow_spec: wishes.spec.id.clone(),
        source_connection: source.id.clone(),
        target_connection: target.id.clone(),
        datasets: from.datasets.iter().map(|entry| entry.id.clone()).collect(),
        sink: SinkRef {
            kind: kind_of(target, &to.spec.id)?,
            tenant: flow.tenant.clone(),
            connection: ConnectionId(uuid_of(connection)?),
            container: text(&to.params, &["bucketName", "container"]),
        },
        path: path_of(&to.params),
        encoding: encoding(&to.params).map_err(|what| unusable(target, what))?,
        folder_template: text(
            &wishes.schedule_params,
            &["foldernameTemplate", "folderNameTemplate"],
        ),
        on_rewrite: on_rewrite_of(target, &to.params)?,
        include_file_manifest: to.params.get("includeFileManifest") == Some(&Value::Bool(true)),
        file_rules: FileRules {
            max_rows: number(&to.params, "maxRowsPerFile"),
            target_bytes: number(&to.params, "targetFileBytes"),
        },
    })
}

/// Ids of the one source and the one target connection of a flow, for whoever fetches them.
pub fn connections_of(flow: &Resource) -> Result<(ResourceId, ResourceId), Fault> {
    let wishes = flow_of(flow)?;
    let (Some(source), Some(target)) = (
        wishes.source_connection_ids.first(),
        wishes.target_connection_ids.first(),
    ) else {
        return Err(unusable(flow, "it names no source or no target connection"));
    };
    Ok((source.clone(), target.clone()))
}

/// Id of the base connection of a target connection.
pub fn base_of(target: &Resource) -> Result<ResourceId, Fault> {
    Ok(target_of(target)?.base_connection_id.into())
}

fn flow_of(resource: &Resource) -> Result<&Flow, Fault> {
    match &resource.body {
        ResourceBody::Flow(flow) => Ok(flow),
        ResourceBody::Connection(_)
        | ResourceBody::Source(_)
        | ResourceBody::Target(_)
        | ResourceBody::Dataset(_) => Err(unusable(resource, "a flow was expected")),
    }
}

fn source_of(resource: &Resource) -> Result<&SourceConnection, Fault> {
    match &resource.body {
        ResourceBody::Source(source) => Ok(source),
        ResourceBody::Connection(_)
        | ResourceBody::Flow(_)
        | ResourceBody::Target(_)
        | ResourceBody::Dataset(_) => Err(unusable(resource, "a source connection was expected")),
    }
}

fn target_of(resource: &Resource) -> Result<&TargetConnection, Fault> {
    match &resource.body {
        ResourceBody::Target(target) => Ok(target),
        ResourceBody::Connection(_)
        | ResourceBody::Flow(_)
        | ResourceBody::Source(_)
        | ResourceBody::Dataset(_) => Err(unusable(resource, "a target connection was expected")),
    }
}

fn connection_of(resource: &Resource) -> Result<&Connection, Fault> {
    match &resource.body {
        ResourceBody::Connection(connection) => Ok(connection),
        ResourceBody::Target(_)
        | ResourceBody::Flow(_)
        | ResourceBody::Source(_)
        | ResourceBody::Dataset(_) => Err(unusable(resource, "a base connection was expected")),
    }
}

fn kind_of(target: &Resource, spec: &str) -> Result<DestinationKind, Fault> {
    specs::connection_spec(spec)
        .and_then(specs::ConnectionSpec::kind)
        .ok_or_else(|| unusable(target, "its connection spec is not that of a destination"))
}

fn uuid_of(resource: &Resource) -> Result<uuid::Uuid, Fault> {
    resource
        .id
        .as_str()
        .parse()
        .map_err(|_| unusable(resource, "its id is not a UUID"))
}

/// The folder below which everything goes: SFTP calls it `remotePath`, all others `path`.
fn path_of(params: &Object) -> String {
    let path = text(params, &["path", "remotePath"]).unwrap_or_default();
    path.trim_matches('/').to_owned()
}

fn on_rewrite_of(target: &Resource, params: &Object) -> Result<OnRewrite, Fault> {
    match word(params, "onRewrite").as_deref() {
        None | Some("FAIL") => Ok(OnRewrite::Fail),
        Some("FULL") => Ok(OnRewrite::Full),
        Some(_) => Err(unusable(target, "onRewrite is not fail or full")),
    }
}

/// The first of the parameters that is there and not empty.
fn text(params: &Object, names: &[&str]) -> Option<String> {
    let given = names.iter().find_map(|name| params.get(*name)?.as_str())?;
    (!given.is_empty()).then(|| given.to_owned())
}

fn number(params: &Object, name: &str) -> Option<u64> {
    params.get(name)?.as_u64()
}

fn word(params: &Object, name: &str) -> Option<String> {
    Some(params.get(name)?.as_str()?.to_ascii_uppercase())
}

fn unusable(resource: &Resource, what: &str) -> Fault {
    let collection = resource.kind().collection();
    Fault::new(
        ErrorCode::ConnectionNotUsable,
        format!("read {collection}/{}: {what}", resource.id),
    )
}

#[cfg(test)]
mod tests {
    use offtake_model::resource::{
        Audit, Connection, ConnectionState, DatasetEntry, Flow, FlowState, LastOperation,
        SourceConnection, SpecRef, TargetConnection,
    };
    use offtake_model::{
        DatasetId, ExportMode, Millis, OrgId, Revision, SandboxName, Schedule, Tenant, TimeUnit,
    };
    use serde_json::json;

    use super::*;

    const ZONE: &str = "10440537-2a7b-4583-ac39-ed38d4b848e8";

    fn spec(id: &str) -> SpecRef {
        SpecRef {
            id: id.to_owned(),
            version: "1.0".to_owned(),
        }
    }

    fn object(value: &Value) -> Object {
        value.as_object().cloned().unwrap()
    }

    fn resource(id: u128, body: ResourceBody) -> Resource {
        Resource {
            id: ResourceId(uuid::Uuid::from_u128(id).to_string()),
            tenant: Tenant {
                org: OrgId("A@AdobeOrg".to_owned()),
                sandbox: SandboxName("prod".to_owned()),
            },
            revision: Revision(1),
            audit: Audit {
                created_at: Millis(0),
                updated_at: Millis(0),
                created_by: String::new(),
                updated_by: String::new(),
                created_client: String::new(),
                updated_client: String::new(),
            },
            body,
        }
    }

    fn set(target_params: &Value) -> [Resource; 4] {
        let flow = Flow {
            name: "Orders".to_owned(),
            description: None,
            spec: spec("cd2fc47e-e838-4f38-a581-8fff2f99b63a"),
            source_connection_ids: vec![ResourceId(uuid::Uuid::from_u128(2).to_string())],
            target_connection_ids: vec![ResourceId(uuid::Uuid::from_u128(3).to_string())],
            schedule: Schedule {
                export_mode: ExportMode::FirstFullThenIncremental,
                interval: 3,
                time_unit: TimeUnit::Hour,
                start: Millis(0),
                end: None,
            },
            schedule_params: object(&json!({"foldernameTemplate": "%DATASET_ID%"})),
            transformations: json!([]),
            state: FlowState::Enabled,
            generation: 1,
            enabled_at: None,
            next_due_at: None,
            last_operation: LastOperation {
                operation: "create".to_owned(),
                at: Millis(0),
                ops: json!([]),
            },
        };
        let source = SourceConnection {
            name: "s".to_owned(),
            description: None,
            spec: spec("23598e46-f560-407b-88d5-ea6207e49db0"),
            datasets: vec![DatasetEntry {
                id: DatasetId("d1".to_owned()),
                name: "D".to_owned(),
            }],
            data: None,
            base_connection_id: None,
            state: ConnectionState::Enabled,
        };
        let target = TargetConnection {
            name: "t".to_owned(),
            description: None,
            base_connection_id: ConnectionId(uuid::Uuid::from_u128(4)),
            spec: spec(ZONE),
            params: object(target_params),
            state: ConnectionState::Enabled,
        };
        let base = Connection {
            name: "b".to_owned(),
            description: None,
            spec: spec(ZONE),
            auth: None,
            state: ConnectionState::Enabled,
        };
        [
            resource(1, ResourceBody::Flow(Box::new(flow))),
            resource(2, ResourceBody::Source(source)),
            resource(3, ResourceBody::Target(target)),
            resource(4, ResourceBody::Connection(base)),
        ]
    }

    #[test]
    fn a_spec_holds_everything_that_a_run_needs() {
        let [flow, source, target, base] = set(&json!({
            "path": "/exports/daily/", "datasetFileType": "JSON", "compression": "GZIP",
            "includeFileManifest": true, "onRewrite": "full",
        }));
        let spec = export_spec(&flow, &source, &target, &base).unwrap();
        assert_eq!(spec.path, "exports/daily");
        assert_eq!(spec.encoding.extension(), ".json.gz");
        assert_eq!(spec.folder_template.as_deref(), Some("%DATASET_ID%"));
        assert_eq!(spec.sink.kind, DestinationKind::LandingZone);
        assert_eq!(spec.on_rewrite, OnRewrite::Full);
        assert!(spec.include_file_manifest);
        assert_eq!(spec.datasets, [DatasetId("d1".to_owned())]);
        assert_eq!(
            connections_of(&flow).unwrap(),
            (source.id, target.id.clone())
        );
        assert_eq!(base_of(&target).unwrap(), base.id);
    }

    #[test]
    fn a_target_without_a_file_type_is_refused() {
        let [flow, source, target, base] = set(&json!({"path": "x", "compression": "NONE"}));
        let fault = export_spec(&flow, &source, &target, &base).unwrap_err();
        assert_eq!(fault.code, ErrorCode::ConnectionNotUsable);
    }

    #[test]
    fn resources_of_another_sandbox_are_refused() {
        let [flow, source, mut target, base] =
            set(&json!({"path": "x", "datasetFileType": "JSON", "compression": "NONE"}));
        target.tenant.sandbox = SandboxName("dev".to_owned());
        assert!(export_spec(&flow, &source, &target, &base).is_err());
    }
}
