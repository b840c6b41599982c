//! Stored resources: connections, flows and datasets, with what every one of them has in common.

use serde_json::{Map, Value};

use crate::id::{ResourceId, Tenant};
use crate::schedule::Schedule;
use crate::time::Millis;

/// Counts the writes of a resource; the etag is made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// A JSON object.
pub type Object = Map<String, Value>;

/// A resource as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Its id, unique within kind and tenant.
    pub id: ResourceId,
    /// Whose it is.
    pub tenant: Tenant,
    /// Grows with every write.
    pub revision: Revision,
    /// When and by whom it was made and changed.
    pub audit: Audit,
    /// What it is.
    pub body: ResourceBody,
}

impl Resource {
    /// Its kind.
    pub const fn kind(&self) -> ResourceKind {
        self.body.kind()
    }
}

/// When and by whom (contract, 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
    /// Who made it.
    pub created_by: String,
    /// Who changed it last.
    pub updated_by: String,
    /// The API client used to make it.
    pub created_client: String,
    /// The API client used to change it last.
    pub updated_client: String,
}

/// The kinds of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// Base connection.
    Connection,
    /// Source connection.
    Source,
    /// Target connection.
    Target,
    /// Flow.
    Flow,
    /// Dataset.
    Dataset,
}

impl ResourceKind {
    /// The collection's name in paths, messages and rows.
    pub const fn collection(self) -> &'static str {
        match self {
            Self::Connection => "connections",
            Self::Source => "sourceConnections",
            Self::Target => "targetConnections",
            Self::Flow => "flows",
            Self::Dataset => "dataSets",
        }
    }
}

/// What a resource is.
#[derive(Clone, Debug, PartialEq)]
pub enum ResourceBody {
    /// Base connection.
    Connection(Connection),
    /// Source connection.
    Source(SourceConnection),
    /// Target connection.
    Target(TargetConnection),
    /// Flow.
    Flow(Box<Flow>),
    /// Dataset.
    Dataset(Dataset),
}

impl ResourceBody {
    /// Its kind.
    pub const fn kind(&self) -> ResourceKind {
        match self {
            Self::Connection(_) => ResourceKind::Connection,
            Self::Source(_) => ResourceKind::Source,
            Self::Target(_) => ResourceKind::Target,
            Self::Flow(_) => ResourceKind::Flow,
            Self::Dataset(_) => ResourceKind::Dataset,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Connection(it) => &it.name,
            Self::Source(it) => &it.name,
            Self::Target(it) => &it.name,
            Self::Flow(it) => &it.name,
            Self::Dataset(it) => &it.name,
        }
    }
}

/// Id and version of a connection or flow spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecRef {
    /// The spec's id.
    pub id: String,
    /// Its version, `1.0`.
    pub version: String,
}

/// Whether a connection may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Made as a draft; not published.
    Draft,
    /// For use.
    Enabled,
}

impl ConnectionState {
    /// The state's documented word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Enabled => "enabled",
        }
    }
}

/// A base connection: credentials for one destination platform (contract, 4.7).
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// The platform.
    pub spec: SpecRef,
    /// How it authenticates; none for the landing zone, and for a draft that lacks it still.
    pub auth: Option<Auth>,
    /// Published or not.
    pub state: ConnectionState,
}

/// The credentials of a base connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// Name of the auth spec.
    pub spec_name: String,
    /// Parameters that may be shown. Secret ones stand here masked.
    pub shown: Object,
    /// Secret parameters, sealed by the secrets port; never plaintext.
    pub sealed: Option<SealedSecret>,
    /// The day the credentials were given, `YYYY-MM-DD`.
    pub authorized_date: String,
}

/// Ciphertext of a secret; only the secrets port opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    /// Key id, nonce and ciphertext, as text.
    pub text: String,
}

/// A source connection: which datasets (contract, 4.8).
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConnection {
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// Always the data-lake spec.
    pub spec: SpecRef,
    /// The datasets.
    pub datasets: Vec<DatasetEntry>,
    /// `data` as given, echoed.
    pub data: Option<Value>,
    /// `baseConnectionId` as given, echoed.
    pub base_connection_id: Option<String>,
    /// Published or not.
    pub state: ConnectionState,
}

/// A dataset of a source connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetEntry {
    /// The dataset's id.
    pub id: crate::id::DatasetId,
    /// Its name, as given or filled in from the catalogue.
    pub name: String,
}

/// A target connection: where and how (contract, 4.9).
#[derive(Clone, Debug, PartialEq)]
pub struct TargetConnection {
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// The base connection.
    pub base_connection_id: crate::id::ConnectionId,
    /// The platform.
    pub spec: SpecRef,
    /// Parameters as given, `datasetFileType` and `compression` in upper case.
    pub params: Object,
    /// Published or not.
    pub state: ConnectionState,
}

/// A flow (contract, 4.10).
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// The flow spec.
    pub spec: SpecRef,
    /// One source connection.
    pub source_connection_ids: Vec<ResourceId>,
    /// One target connection.
    pub target_connection_ids: Vec<ResourceId>,
    /// The schedule, validated.
    pub schedule: Schedule,
    /// `scheduleParams` as given, normalised, echoed.
    pub schedule_params: Object,
    /// `transformations` as given.
    pub transformations: Value,
    /// Enabled or not.
    pub state: FlowState,
    /// One more with every enable, disable and edit of the schedule.
    pub generation: u64,
    /// When it was last enabled.
    pub enabled_at: Option<Millis>,
    /// The next occurrence, kept in its own column.
    pub next_due_at: Option<Millis>,
    /// What was last done to it.
    pub last_operation: LastOperation,
}

/// The state of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowState {
    /// Made as a draft; not published.
    Draft,
    /// Runs when due.
    Enabled,
    /// Does not run.
    Disabled,
}

impl FlowState {
    /// The state's documented word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// The last operation on a flow, as documented.
#[derive(Clone, Debug, PartialEq)]
pub struct LastOperation {
    /// `create`, `update`, `enable` or `disable`.
    pub operation: String,
    /// When.
    pub at: Millis,
    /// The patch operations, for `update`.
    pub ops: Value,
}

/// A dataset: a table of the lake (contract, 10.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Name.
    pub name: String,
    /// Where the table is: `lake://<root>/<relative path>`, split.
    pub location: crate::change::SourceRef,
    /// How the table is kept.
    pub format: TableFormat,
    /// The rest of the catalogue object as given, echoed.
    pub extra: Object,
}

/// How a dataset's files are organised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// A Delta table.
    Delta,
    /// A folder of Parquet files without a table's log.
    ParquetFolder,
}
