//! The connection specs and dataset flow specs, as the documentation prints them (contract, 5).
//!
//! What is shown is exactly the data files under `specs/`; the parameters of our own stand beside them in
//! `extensions.json`, are always optional and serve validation only (contract, D4).
//!
//! The one law: a documented id, name or pattern is never changed here.

mod schema;

use std::sync::LazyLock;

use offtake_model::DestinationKind;
use offtake_model::resource::SpecRef;
use serde_json::Value;

pub use schema::{AuthSpec, ParamSchema};

/// The version of every spec.
pub const VERSION: &str = "1.0";

/// A connection spec.
#[derive(Debug)]
pub struct ConnectionSpec {
    /// The platform; none for the data lake.
    kind: Option<DestinationKind>,
    shown: Value,
    auth: Vec<AuthSpec>,
    target: Option<ParamSchema>,
}

impl ConnectionSpec {
    /// The spec's id.
    pub fn id(&self) -> &str {
        text(&self.shown, "id")
    }

    /// The catalogue name, such as `Amazon S3`.
    pub fn name(&self) -> &str {
        text(&self.shown, "name")
    }

    /// The spec as reads show it.
    pub const fn shown(&self) -> &Value {
        &self.shown
    }

    /// The platform; none for the data lake.
    pub const fn kind(&self) -> Option<DestinationKind> {
        self.kind
    }

    /// The ways to authenticate; none for the landing zone.
    pub fn auth_specs(&self) -> &[AuthSpec] {
        &self.auth
    }

    /// The way to authenticate of that name.
    pub fn auth_spec(&self, name: &str) -> Option<&AuthSpec> {
        self.auth.iter().find(|it| it.name() == name)
    }

    /// The rules for a target connection's parameters; none for the data lake.
    pub const fn target(&self) -> Option<&ParamSchema> {
        self.target.as_ref()
    }

    /// Id and version.
    pub fn reference(&self) -> SpecRef {
        reference(self.id())
    }
}

/// A dataset flow spec: joins the data lake to one destination.
#[derive(Debug)]
pub struct FlowSpec {
    kind: DestinationKind,
    shown: Value,
}

impl FlowSpec {
    /// The spec's id.
    pub fn id(&self) -> &str {
        text(&self.shown, "id")
    }

    /// The spec's name.
    pub fn name(&self) -> &str {
        text(&self.shown, "name")
    }

    /// The spec as reads show it.
    pub const fn shown(&self) -> &Value {
        &self.shown
    }

    /// The destination's platform.
    pub const fn kind(&self) -> DestinationKind {
        self.kind
    }

    /// The connection spec of the destination.
    pub fn target(&self) -> &'static ConnectionSpec {
        destination(self.kind)
    }

    /// Id and version.
    pub fn reference(&self) -> SpecRef {
        reference(self.id())
    }
}

/// All connection specs: the six destinations, then the data lake.
pub fn connection_specs() -> &'static [ConnectionSpec] {
    &REGISTRY.connections
}

/// The connection spec of that id. Ids of the cards before 2023 are unknown.
pub fn connection_spec(id: &str) -> Option<&'static ConnectionSpec> {
    connection_specs().iter().find(|it| it.id() == id)
}

/// The connection spec of a destination.
pub fn destination(kind: DestinationKind) -> &'static ConnectionSpec {
    match kind {
        DestinationKind::S3 => &REGISTRY.connections[0],
        DestinationKind::AzureBlob => &REGISTRY.connections[1],
        DestinationKind::AdlsGen2 => &REGISTRY.connections[2],
        DestinationKind::LandingZone => &REGISTRY.connections[3],
        DestinationKind::Gcs => &REGISTRY.connections[4],
        DestinationKind::Sftp => &REGISTRY.connections[5],
    }
}

/// The connection spec of every source connection, `activation-datalake`.
pub fn data_lake() -> &'static ConnectionSpec {
    &REGISTRY.connections[6]
}

/// All dataset flow specs, in the order of the destinations.
pub fn flow_specs() -> &'static [FlowSpec] {
    &REGISTRY.flows
}

/// The flow spec of that id.
pub fn flow_spec(id: &str) -> Option<&'static FlowSpec> {
    flow_specs().iter().find(|it| it.id() == id)
}

/// The flow spec of a destination.
pub fn flow_spec_of(kind: DestinationKind) -> Option<&'static FlowSpec> {
    flow_specs().iter().find(|it| it.kind == kind)
}

struct Registry {
    connections: [ConnectionSpec; 7],
    flows: [FlowSpec; 6],
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let extensions = embedded(include_str!("../specs/extensions.json"));
    let connection = |kind, text| connection(kind, text, &extensions);
    Registry {
        connections: [
            connection(
                Some(DestinationKind::S3),
                include_str!("../specs/connection/amazon-s3.json"),
            ),
            connection(
                Some(DestinationKind::AzureBlob),
                include_str!("../specs/connection/azure-blob-storage.json"),
            ),
            connection(
                Some(DestinationKind::AdlsGen2),
                include_str!("../specs/connection/azure-data-lake-gen2.json"),
            ),
            connection(
                Some(DestinationKind::LandingZone),
                include_str!("../specs/connection/data-landing-zone.json"),
            ),
            connection(
                Some(DestinationKind::Gcs),
                include_str!("../specs/connection/google-cloud-storage.json"),
            ),
            connection(
                Some(DestinationKind::Sftp),
                include_str!("../specs/connection/sftp.json"),
            ),
            connection(
                None,
                include_str!("../specs/connection/activation-datalake.json"),
            ),
        ],
        flows: [
            flow(
                DestinationKind::S3,
                include_str!("../specs/flow/amazon-s3.json"),
            ),
            flow(
                DestinationKind::AzureBlob,
                include_str!("../specs/flow/azure-blob-storage.json"),
            ),
            flow(
                DestinationKind::AdlsGen2,
                include_str!("../specs/flow/azure-data-lake-gen2.json"),
            ),
            flow(
                DestinationKind::LandingZone,
                include_str!("../specs/flow/data-landing-zone.json"),
            ),
            flow(
                DestinationKind::Gcs,
                include_str!("../specs/flow/google-cloud-storage.json"),
            ),
            flow(
                DestinationKind::Sftp,
                include_str!("../specs/flow/sftp.json"),
            ),
        ],
    }
});

fn connection(kind: Option<DestinationKind>, text: &str, extensions: &Value) -> ConnectionSpec {
    let shown = embedded(text);
    let ours = kind.map_or(&Value::Null, |kind| {
        let kind = serde_json::json!(kind);
        &extensions["authSpecs"][kind.as_str().unwrap_or_default()]
    });
    let auth = [&shown["authSpec"], ours]
        .into_iter()
        .filter_map(Value::as_array)
        .flatten()
        .map(|spec| AuthSpec::new(kind, spec, extensions))
        .collect();
    let target =
        kind.map(|_| ParamSchema::target(&shown["targetSpec"]["spec"], &extensions["target"]));
    ConnectionSpec {
        kind,
        shown,
        auth,
        target,
    }
}

fn flow(kind: DestinationKind, text: &str) -> FlowSpec {
    FlowSpec {
        kind,
        shown: embedded(text),
    }
}

#[expect(
    clippy::expect_used,
    reason = "the text is part of the program and read by every test"
)]
fn embedded(text: &str) -> Value {
    serde_json::from_str(text).expect("specs are JSON")
}

fn reference(id: &str) -> SpecRef {
    SpecRef {
        id: id.to_owned(),
        version: VERSION.to_owned(),
    }
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use offtake_model::DestinationKind;
    use serde_json::json;

    use super::{connection_spec, connection_specs, data_lake, destination, flow_spec, flow_specs};

    const KINDS: [(DestinationKind, &str, &str, &str); 6] = [
        (
            DestinationKind::S3,
            "Amazon S3",
            "4fce964d-3f37-408f-9778-e597338a21ee",
            "269ba276-16fc-47db-92b0-c1049a3c131f",
        ),
        (
            DestinationKind::AzureBlob,
            "Azure Blob Storage",
            "6d6b59bf-fb58-4107-9064-4d246c0e5bb2",
            "95bd8965-fc8a-4119-b9c3-944c2c2df6d2",
        ),
        (
            DestinationKind::AdlsGen2,
            "Azure Data Lake Gen2",
            "be2c3209-53bc-47e7-ab25-145db8b873e1",
            "17be2013-2549-41ce-96e7-a70363bec293",
        ),
        (
            DestinationKind::LandingZone,
            "Data Landing Zone",
            "10440537-2a7b-4583-ac39-ed38d4b848e8",
            "cd2fc47e-e838-4f38-a581-8fff2f99b63a",
        ),
        (
            DestinationKind::Gcs,
            "Google Cloud Storage",
            "c5d93acb-ea8b-4b14-8f53-02138444ae99",
            "585c15c4-6cbf-4126-8f87-e26bff78b657",
        ),
        (
            DestinationKind::Sftp,
            "SFTP",
            "36965a81-b1c6-401b-99f8-22508f1e6a26",
            "354d6aad-4754-46e4-a576-1b384561c440",
        ),
    ];

    #[test]
    fn ids_and_names_are_the_documented_ones() {
        for (kind, name, id, flow) in KINDS {
            let spec = destination(kind);
            assert_eq!(
                (spec.id(), spec.name(), spec.kind()),
                (id, name, Some(kind))
            );
            assert_eq!(flow_spec(flow).unwrap().target().id(), id);
            assert_eq!(
                flow_spec(flow).unwrap().shown()["targetConnectionSpecIds"],
                json!([id])
            );
        }
        assert_eq!(data_lake().id(), "23598e46-f560-407b-88d5-ea6207e49db0");
        assert_eq!(data_lake().name(), "activation-datalake");
        assert_eq!((connection_specs().len(), flow_specs().len()), (7, 6));
    }

    #[test]
    fn encryption_is_not_offered() {
        for spec in connection_specs() {
            assert_eq!(spec.shown()["encryptionSpecs"], json!([]));
            assert_eq!(spec.shown()["version"], "1.0");
        }
    }

    #[test]
    fn extensions_are_not_shown() {
        for spec in connection_specs() {
            let shown = spec.shown().to_string();
            for name in [
                "endpoint",
                "hostKeys",
                "onRewrite",
                "targetFileBytes",
                "compressionLevel",
                "gzipMembers",
                "pathStyle",
                "checksum",
                "serverSideEncryption",
                "kmsKeyId",
            ] {
                assert!(!shown.contains(&format!("\"{name}\"")), "{name}");
            }
        }
    }

    #[test]
    fn legacy_ids_are_unknown() {
        for id in [
            "4890fc95-5a1f-4983-94bb-e060c08e3f81",
            "e258278b-a4cf-43ac-b158-4fa0ca0d948b",
            "64ef4b8b-a6e0-41b5-9677-3805d1ee5dd0",
            "71471eba-b620-49e4-90fd-23f1fa0174d8",
        ] {
            assert!(connection_spec(id).is_none() && flow_spec(id).is_none());
        }
    }
}
