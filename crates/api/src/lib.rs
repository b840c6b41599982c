//! offtake over HTTP: routes, extraction, rendering of answers and failures.
//!
//! No rule lives here. A handler extracts, calls the service and wraps the answer; who asks is settled before
//! any handler runs, and every failure is rendered in one place.
//!
//! The one law: a route without a recognised caller answers nothing but tokens, health, and the landing zone's files to
//! whoever shows a signature for them.

mod body;
mod document;
mod gate;
mod problem;
mod query;
mod ranges;
mod rate;
mod reply;
mod router;
mod routes;
mod search;
mod server;
mod table;
mod wire;

pub use axum::Router;

pub use document::document;
pub use gate::TrustProxy;
pub use rate::Rate;
pub use router::{ApiSettings, RenderMetrics, operations, router};
pub use server::{ConnectionLimits, serve};
pub use table::{Needs, Operation};

/// Prefix of the Flow Service paths.
pub const FLOW_SERVICE: &str = "/data/foundation/flowservice";

/// Prefix of the data access paths.
pub const EXPORT: &str = "/data/foundation/export";

/// Prefix of the batch ingestion paths.
pub const IMPORT: &str = "/data/foundation/import";

/// Path of the data landing zone.
pub const LANDING_ZONE: &str = "/data/foundation/connectors/landingzone";

/// Prefix of the catalogue paths.
pub const CATALOG: &str = "/data/foundation/catalog";
