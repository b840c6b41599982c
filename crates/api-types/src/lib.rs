//! The wire: what the HTTP API sends, as serde types shared by server, CLI and tests.
//!
//! Shapes only: no rules, no conversions from the model, no HTTP. Reading ignores unknown fields, so that a
//! newer server never breaks an older client.
//!
//! The one law: a name here is the documented one; what is ours is marked as an extension.

pub mod access;
pub mod adhoc;
pub mod audit;
pub mod batch;
pub mod catalog;
pub mod entity;
pub mod flow;
pub mod keys;
pub mod landing_zone;
pub mod list;
pub mod preview;
pub mod problem;
pub mod recovery;
pub mod run;
mod schemas;
pub mod token;
pub mod trial;

pub use batch::{Batch, Batches, DataFile, DataOf, DownloadableFile, UploadedFile};
pub use catalog::{CatalogDataset, CatalogDatasets, ConfigsPage, PageInfo, Sandbox};
pub use entity::{Auth, Common, Connection, SourceConnection, SpecInfo, TargetConnection};
pub use flow::{Flow, InheritedAttributes, LastOperation, LastRunDetails};
pub use list::{CountOf, Created, ItemsOf, Link, Links};
pub use problem::{GatewayProblem, Problem, TenantInfo};
pub use run::{Activity, Info, Run, RunMetrics};
pub use schemas::SCHEMAS;
pub use token::{TokenRefused, TokenResponse};
pub use trial::{ConnectionTest, ExploredObject, TestFailure};

/// A JSON object.
pub type Object = serde_json::Map<String, serde_json::Value>;
