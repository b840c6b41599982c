//! Identifiers, one type each, so that a flow's id can never stand where a run's is asked for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )*};
}

uuid_id! {
    /// Names a base connection: the credentials for one destination platform.
    ConnectionId;
    /// Names a flow, the join of a source connection, a target connection and a schedule.
    FlowId;
    /// Names a run: one occurrence, or on-demand call, of a flow.
    RunId;
    /// Names a delivery: one dataset's part of a run and the unit of exactly-once.
    DeliveryId;
    /// Names one attempt at one task.
    AttemptId;
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

text_id! {
    /// Names a dataset: 24 lower-case hexadecimal characters.
    DatasetId;
    /// Names a batch of uploaded files: 26 letters and digits that sort by time.
    BatchId;
    /// Names an organisation: 24 upper-case hexadecimal characters and `@AdobeOrg`.
    OrgId;
    /// Names a sandbox within its organisation, such as `prod`.
    SandboxName;
    /// Names an API client; sent as `x-api-key`.
    ClientId;
    /// Names any stored resource: a UUID for connections and flows, a [`DatasetId`] for datasets.
    ResourceId;
}

impl From<DatasetId> for ResourceId {
    fn from(id: DatasetId) -> Self {
        Self(id.0)
    }
}

impl From<FlowId> for ResourceId {
    fn from(id: FlowId) -> Self {
        Self(id.0.to_string())
    }
}

impl From<ConnectionId> for ResourceId {
    fn from(id: ConnectionId) -> Self {
        Self(id.0.to_string())
    }
}

/// The isolation unit: an organisation and one of its sandboxes. Part of every repository method.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tenant {
    /// The organisation.
    pub org: OrgId,
    /// The sandbox of that organisation.
    pub sandbox: SandboxName,
}

/// Namespace of the version-5 UUIDs below. Fixed for ever: ids derived from it are stored.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f66_6674_616b_6500_8000_0000_0000_0001);

impl RunId {
    /// Derives the run's id from its flow and trigger key, so that two replicas derive the same one.
    pub fn derive(flow: FlowId, trigger_key: &str) -> Self {
        Self(Uuid::new_v5(
            &NAMESPACE,
            format!("run/{flow}/{trigger_key}").as_bytes(),
        ))
    }
}

impl DeliveryId {
    /// Derives the delivery's id from its run and dataset.
    pub fn derive(run: RunId, dataset: &DatasetId) -> Self {
        Self(Uuid::new_v5(
            &NAMESPACE,
            format!("delivery/{run}/{dataset}").as_bytes(),
        ))
    }
}
